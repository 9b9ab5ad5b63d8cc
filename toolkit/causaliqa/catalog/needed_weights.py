"""Which weights files a metric or a restorer would load, which of them are here, and which would be downloaded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from causaliqa.api.errors import CausaliqaError, WeightsError
from causaliqa.api.specs import BackboneSpec, MetricSpec, RestorerSpec, WeightsEntry
from causaliqa.catalog.catalog import Catalog, parse_request
from causaliqa.io.weights import find

__all__ = ["Need", "all_weights", "entries", "metric_needs", "restorer_needs", "unlisted"]

State = Literal["here", "missing", "damaged", "unknown", "none"]


@dataclass(frozen=True, kw_only=True)
class Need:
    """One file that something loads."""

    name: str
    """Metric or restorer, or who brings the file."""
    file: str
    """Its name, or what is known of it."""
    state: State
    """``here`` (and the one that is expected), ``missing``, ``damaged``, ``unknown``, or ``none`` where nothing is
    loaded."""
    size: int | None = None
    """Bytes, where known."""
    source: str = ""
    """Where it would come from, or why nobody knows."""


def _of_entry(name: str, entry: WeightsEntry) -> Need:
    source = entry.url or entry.source
    try:
        path = find(entry)
    except WeightsError as error:
        return Need(name=name, file=entry.file, state="damaged", source=str(error))
    if path is None:
        return Need(name=name, file=entry.file, state="missing", size=getattr(entry, "size", None), source=source)
    return Need(name=name, file=entry.file, state="here", size=path.stat().st_size, source=str(path))


def _of_path(name: str, path: Path) -> Need:
    there = path.is_file()
    return Need(
        name=name,
        file=str(path),
        state="here" if there else "missing",
        size=path.stat().st_size if there else None,
        source="named on the command line",
    )


def metric_needs(names: Catalog, request: str) -> Iterator[Need]:
    """Yield what ``NAME[:key=value,...]`` would load.

    Raises:
        InputError: the name is unknown.
    """
    name, options = parse_request(request)
    record = names.get("metrics", name)
    spec = record.spec
    if record.provider == "pyiqa":
        yield from _of_pyiqa(name)
        return
    if options.get("weights"):
        yield _of_path(name, Path(str(options["weights"])).expanduser())
        return
    wanted = options.get("backbone") or (spec.backbone if isinstance(spec, MetricSpec) else None)
    if not isinstance(wanted, str) or wanted == "*":
        yield Need(name=name, file="", state="unknown", source=f"{record.provider} does not say what it loads")
        return
    backbone: Any = names.get("backbones", wanted).spec
    yield from _of_spec(names, name, backbone, record.provider)


def restorer_needs(names: Catalog, request: str, checkpoint: Path | None = None) -> Iterator[Need]:
    """Yield what a restorer would load.

    Raises:
        InputError: the name is unknown.
    """
    name, _ = parse_request(request)
    record, _ = names.find_restorer(name)
    if checkpoint is not None:
        yield _of_path(name, checkpoint)
        return
    spec: Any = record.spec
    yield from _of_spec(names, name, spec, record.provider)


def _of_spec(names: Catalog, name: str, spec: BackboneSpec | RestorerSpec, provider: str) -> Iterator[Need]:
    entry = names.weights_entry(spec)
    if entry is not None:
        yield _of_entry(name, entry)
    elif provider in ("causaliqa", "registry.yaml"):
        yield Need(name=name, file="", state="none", source="nothing to download")
    else:
        yield Need(name=name, file="", state="unknown", source=f"{provider} does not say what it loads")


def _of_pyiqa(name: str) -> Iterator[Need]:
    from causaliqa.interop.files import hub_folder, pyiqa_files

    name = name.removeprefix("pyiqa:")
    told, hub = pyiqa_files(name), hub_folder()
    one_of = f"one of {len(told.files)} that its module names" if len(told.files) > 1 else "pyiqa downloads it"
    for file in told.files:
        path = hub / "pyiqa" / file
        yield _in_hub(name, file, [path] if path.is_file() else [], one_of)
    for backbone in told.backbones:
        found = sorted((hub / "checkpoints").glob(f"{backbone}-*.pth"))
        yield _in_hub(name, f"{backbone} of torchvision", found, "torchvision or timm downloads it")
    if told.more:
        yield Need(name=name, file="", state="unknown", source="pyiqa loads more, and its source does not say what")
    if not (told.files or told.backbones or told.more):
        yield Need(name=name, file="", state="none", source="nothing to download, as its source says")


def _in_hub(name: str, file: str, found: list[Path], source: str) -> Need:
    size = found[0].stat().st_size if found else None
    return Need(
        name=name,
        file=file,
        state="here" if found else "missing",
        size=size,
        source=f"{found[0]} (not verified)" if found else source,
    )


def entries(names: Catalog) -> dict[str, tuple[str, WeightsEntry]]:
    """Return every file that registry.yaml and plugins know, with who says so."""
    found = {name: ("registry.yaml", entry) for name, entry in names.registry.weights.items()}
    for kind in ("backbones", "restorers"):
        for record in names.records(kind).values():
            if isinstance(weights := getattr(record.spec, "weights", None), WeightsEntry):
                found.setdefault(weights.file, (record.provider, weights))
    return found


def all_weights(names: Catalog) -> Iterator[Need]:
    """Yield every file that registry.yaml and plugins know."""
    for provider, entry in entries(names).values():
        yield _of_entry(provider, entry)


def unlisted(names: Catalog) -> Iterator[str]:
    """Yield what registry.yaml promises and cannot keep: records and presets that want what it does not know."""
    for kind in ("backbones", "restorers"):
        for record in names.records(kind).values():
            try:
                names.weights_entry(record.spec)  # type: ignore[arg-type]
            except CausaliqaError as error:
                yield str(error)
    for preset in names.registry.presets.values():
        for request in preset.metrics:
            try:
                names.get("metrics", parse_request(request)[0])
            except CausaliqaError as error:
                yield f"preset {preset.name!r}: {error}"
