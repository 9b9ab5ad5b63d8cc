"""Which weights files a metric or a restorer would load, which of them exist locally, and which would be downloaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from causaliqa.api.data import NeededFile
from causaliqa.api.errors import CausaliqaError, WeightsError
from causaliqa.api.specs import BackboneSpec, MetricSpec, RestorerSpec, WeightsEntry
from causaliqa.catalog.catalog import Catalog
from causaliqa.catalog.host import Registration
from causaliqa.catalog.request import parse_request
from causaliqa.io.weights import find

__all__ = ["all_weights", "entries", "metric_needs", "restorer_needs", "unlisted", "weights_state"]


def _of_entry(name: str, entry: WeightsEntry) -> NeededFile:
    source = entry.url or entry.source
    try:
        path = find(entry)
    except WeightsError as error:
        return NeededFile(name=name, file=entry.file, state="damaged", source=str(error))
    if path is None:
        return NeededFile(name=name, file=entry.file, state="missing", source=source)
    return NeededFile(name=name, file=entry.file, state="here", size=path.stat().st_size, source=str(path))


def _of_path(name: str, path: Path) -> NeededFile:
    there = path.is_file()
    return NeededFile(
        name=name,
        file=str(path),
        state="here" if there else "missing",
        size=path.stat().st_size if there else None,
        source="named on the command line",
    )


def metric_needs(catalog: Catalog, request: str) -> Iterator[NeededFile]:
    """Yield what ``NAME[:key=value,...]`` would load.

    Raises:
        InputError: the name is unknown.
    """
    name, options = parse_request(request)
    record = catalog.get(MetricSpec, name)
    if record.spec.needed_files is not None:
        yield from record.spec.needed_files()
        return
    if options.get("weights"):
        yield _of_path(name, Path(str(options["weights"])).expanduser())
        return
    wanted = options.get("backbone") or record.spec.backbone
    if not isinstance(wanted, str) or wanted == "*":
        yield NeededFile(name=name, file="", state="unknown", source=f"{record.provider} does not say what it loads")
        return
    yield from _of_spec(catalog, name, catalog.get(BackboneSpec, wanted).spec, record.provider)


def restorer_needs(catalog: Catalog, request: str, checkpoint: Path | None = None) -> Iterator[NeededFile]:
    """Yield what a restorer would load.

    Raises:
        InputError: the name is unknown.
    """
    name, _ = parse_request(request)
    record, _ = catalog.find_restorer(name)
    if checkpoint is not None:
        yield _of_path(name, checkpoint)
        return
    yield from _of_spec(catalog, name, record.spec, record.provider)


def _of_spec(catalog: Catalog, name: str, spec: BackboneSpec | RestorerSpec, provider: str) -> Iterator[NeededFile]:
    entry = catalog.weights_entry(spec)
    if entry is not None:
        yield _of_entry(name, entry)
    elif provider in ("causaliqa", "registry.yaml"):
        yield NeededFile(name=name, file="", state="none", source="nothing to download")
    else:
        yield NeededFile(name=name, file="", state="unknown", source=f"{provider} does not say what it loads")


def entries(catalog: Catalog) -> dict[str, tuple[str, WeightsEntry]]:
    """Return every file that registry.yaml and plugins know, with who says so."""
    found = {name: ("registry.yaml", entry) for name, entry in catalog.registry.weights.items()}
    for record in _with_weights(catalog):
        if isinstance(weights := record.spec.weights, WeightsEntry):
            found.setdefault(weights.file, (record.provider, weights))
    return found


def _with_weights(catalog: Catalog) -> list[Registration[BackboneSpec] | Registration[RestorerSpec]]:
    return [*catalog.registrations(BackboneSpec).values(), *catalog.registrations(RestorerSpec).values()]


def all_weights(catalog: Catalog) -> Iterator[NeededFile]:
    """Yield every file that registry.yaml and plugins know."""
    for provider, entry in entries(catalog).values():
        yield _of_entry(provider, entry)


def unlisted(catalog: Catalog) -> Iterator[str]:
    """Yield what registry.yaml promises and cannot keep: records and presets that want what it does not know."""
    for record in _with_weights(catalog):
        try:
            catalog.weights_entry(record.spec)
        except CausaliqaError as error:
            yield str(error)
    for preset in catalog.registry.presets.values():
        for request in preset.metrics:
            try:
                catalog.get(MetricSpec, parse_request(request)[0])
            except CausaliqaError as error:
                yield f"preset {preset.name!r}: {error}"


_WORST_FIRST = ("damaged", "missing", "unknown", "here", "none")


def weights_state(catalog: Catalog, request: str) -> str:
    """Return the worst state of all files that a metric loads; see :attr:`NeededFile.state`.

    Example:
        >>> from causaliqa.catalog.create import default_catalog
        >>> weights_state(default_catalog(), "psnr"), weights_state(default_catalog(), "causal_effnet_lite0")
        ('none', 'here')
    """
    states = {needed.state for needed in metric_needs(catalog, request)}
    return next((state for state in _WORST_FIRST if state in states), "none")
