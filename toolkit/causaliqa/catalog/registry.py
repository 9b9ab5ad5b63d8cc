"""registry.yaml: the catalogue as data, validated; errors name the file and the key."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from causaliqa.api.errors import InputError, RegistryError
from causaliqa.api.specs import BackboneSpec, RestorerSpec, lazy
from causaliqa.catalog.training import parse_training
from causaliqa.io.weights import WeightsEntry
from causaliqa.utils import safe_yaml
from causaliqa.utils.safe_yaml import shown

__all__ = ["Preset", "Registry", "load_registry"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
"""What things may be called."""
_PACKAGE = re.compile(r"\w+:(?!.*\.\.)[^\x00-\x1f]+")
"""A file in a top-level package; the parent of a dotted one would be imported."""


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A named list of metrics for a leaderboard."""

    name: str
    metrics: tuple[str, ...]
    """Metric names with options, as on the command line."""


@dataclass(frozen=True, kw_only=True)
class Registry:
    """Everything that registry.yaml says."""

    weights: Mapping[str, WeightsEntry]
    backbones: Mapping[str, BackboneSpec]
    restorers: Mapping[str, RestorerSpec]
    metrics: Mapping[str, Mapping[str, Any]]
    """Facts about metrics that others provide, by name: fields of their records and the values that replace theirs."""
    presets: Mapping[str, Preset]
    datasets: Mapping[str, Mapping[str, str]]
    """SHA-256 of files of data sets, by data set and by path inside its folder."""
    files: tuple[Path, ...]
    """Files it was read from; later ones win."""


class _Reader:
    """Reads one mapping and remembers where in which file it stands."""

    def __init__(self, file: Path, where: str, data: Any) -> None:
        self.file, self.where = file, where
        if not isinstance(data, Mapping):
            raise self.error("", f"got {type(data).__name__}, expected a mapping")
        self.data = data

    def error(self, key: str, problem: str) -> RegistryError:
        path = ".".join(filter(None, (self.where, key))) or "top level"
        return RegistryError(f"{self.file}: {path}: {problem}")

    def only(self, *keys: str) -> None:
        for key in self.data:
            if key not in keys:
                raise self.error(str(key), f"unknown key, expected one of {', '.join(keys)}")

    def text(self, key: str, default: str | None = None, choices: tuple[str, ...] = ()) -> str:
        value = self.data.get(key, default)
        if value is None:
            raise self.error(key, "missing")
        if not isinstance(value, str):
            raise self.error(key, f"got {shown(value)}, expected text; put it in quotes")
        if choices and value not in choices:
            raise self.error(key, f"got {shown(value)}, expected {' or '.join(choices)}")
        return value

    def number(self, key: str, default: int) -> int:
        value = self.data.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise self.error(key, f"got {shown(value)}, expected a whole number above 0")
        return value

    def child(self, key: str) -> _Reader:
        return _Reader(self.file, ".".join(filter(None, (self.where, key))), self.data[key])

    def children(self, key: str, *, named: bool = True) -> dict[str, _Reader]:
        if self.data.get(key) is None:
            return {}
        section = self.child(key)
        for name in section.data:
            if named and not _NAME.fullmatch(str(name)):
                raise section.error(shown(name), "expected a name of letters, digits and _ . + -")
        return {str(name): section.child(name) for name in section.data}


def _digest(entry: _Reader, key: str) -> str:
    digest = entry.data.get(key, "")
    # YAML reads an unquoted 39792300 as a number; leading zeros would be lost, so numbers are refused.
    if not isinstance(digest, str) or not set(digest) <= set("0123456789abcdef") or len(digest) > 64:
        raise entry.error(key, f"got {shown(digest)}, expected lower-case hexadecimal in quotes")
    return digest


def _weights(name: str, entry: _Reader) -> WeightsEntry:
    entry.only("url", "sha256", "licence", "package", "source")
    digest = _digest(entry, "sha256")
    url = entry.text("url", "")
    if url and not url.startswith(("https://", "http://", "file://")):
        raise entry.error("url", f"got {shown(url)}, expected an https address")
    package = entry.text("package", "")
    if package and not _PACKAGE.fullmatch(package):
        raise entry.error("package", f"got {shown(package)}, expected package:path/inside/it")
    return WeightsEntry(
        file=name,
        url=url,
        sha256=digest,
        licence=entry.text("licence"),
        package=package,
        source=entry.text("source", ""),
    )


def _backbone(name: str, entry: _Reader) -> BackboneSpec:
    entry.only("timm", "weights", "window", "mass", "normalise", "licence", "summary", "reference", "min_size")
    model = entry.text("timm")
    return BackboneSpec(
        name=name,
        factory=lazy("causaliqa.builtin.backbones.timm_features:build", model=model),
        summary=entry.text("summary", f"timm's {model}"),
        licence=entry.text("licence"),
        reference=entry.text("reference", ""),
        weights=entry.text("weights") if "weights" in entry.data else None,
        window=entry.number("window", 4),
        mass="share" if entry.text("mass", "softmax", ("share", "softmax")) == "share" else "softmax",
        normalise=entry.text("normalise", "imagenet", ("none", "imagenet", "half")),
        min_size=entry.number("min_size", 32),
    )


def _restorer(name: str, entry: _Reader) -> RestorerSpec:
    entry.only("arch", "options", "weights", "scale", "tasks", "licence", "summary", "reference")
    arch, options, tasks = entry.text("arch"), entry.data.get("options", {}), entry.data.get("tasks", [])
    if not isinstance(options, Mapping) or not all(isinstance(key, str) for key in options):
        raise entry.error("options", f"got {shown(options)}, expected a mapping of the architecture's arguments")
    if not isinstance(tasks, list) or not all(isinstance(task, str) for task in tasks):
        raise entry.error("tasks", f"got {shown(tasks)}, expected a list such as [sr]")
    return RestorerSpec(
        name=name,
        factory=lazy("causaliqa.builtin.restorers.basicsr:build", arch=arch, **options),
        summary=entry.text("summary", f"basicsr's {arch}"),
        licence=entry.text("licence"),
        reference=entry.text("reference", ""),
        weights=entry.text("weights") if "weights" in entry.data else None,
        scale=entry.number("scale", 1),
        tasks=tuple(tasks),
    )


def _metric(entry: _Reader) -> dict[str, Any]:
    entry.only("trained_on", "year")
    facts: dict[str, Any] = {}
    if "trained_on" in entry.data:
        try:
            facts["trained_on"] = parse_training(entry.data["trained_on"], "trained_on")
        except InputError as error:
            raise entry.error("trained_on", str(error).removeprefix("trained_on: ")) from error
    if "year" in entry.data:
        facts["year"] = entry.number("year", 0)
    return facts


def _preset(name: str, entry: _Reader) -> Preset:
    entry.only("metrics")
    metrics = entry.data.get("metrics")
    if not isinstance(metrics, list) or not metrics or not all(isinstance(m, str) for m in metrics):
        raise entry.error("metrics", f"got {shown(metrics)}, expected a list of metric names")
    return Preset(name=name, metrics=tuple(metrics))


def _dataset(entry: _Reader) -> dict[str, str]:
    entry.only("files")
    if "files" not in entry.data:
        raise entry.error("files", "missing")
    files = entry.child("files")
    return {str(file): _digest(files, file) for file in files.data}


def _read(file: Path) -> Registry:
    try:
        data = safe_yaml.load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise RegistryError(f"registry {file} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise RegistryError(f"{file}: not valid YAML, which is UTF-8 text: {error}") from error
    except ValueError as error:
        raise RegistryError(f"{file}: {error}") from error
    top = _Reader(file, "", {} if data is None else data)
    top.only("weights", "backbones", "restorers", "metrics", "datasets", "presets")
    return Registry(
        weights={k: _weights(k, v) for k, v in top.children("weights").items()},
        backbones={k: _backbone(k, v) for k, v in top.children("backbones").items()},
        restorers={k: _restorer(k, v) for k, v in top.children("restorers").items()},
        metrics={k: _metric(v) for k, v in top.children("metrics").items()},
        presets={k: _preset(k, v) for k, v in top.children("presets").items()},
        datasets={k: _dataset(v) for k, v in top.children("datasets").items()},
        files=(file,),
    )


def _merged(base: Registry, over: Registry) -> Registry:
    return Registry(
        weights={**base.weights, **over.weights},
        backbones={**base.backbones, **over.backbones},
        restorers={**base.restorers, **over.restorers},
        metrics={**base.metrics, **over.metrics},
        presets={**base.presets, **over.presets},
        datasets={**base.datasets, **over.datasets},
        files=base.files + over.files,
    )


@lru_cache(maxsize=8)
def _read_cached(file: Path, _content: bytes) -> Registry:
    return _read(file)


def load_registry(file: str | os.PathLike[str] | None = None) -> Registry:
    """Return the installed registry with the user's merged over it.

    Args:
        file: the user's registry; by default ``CAUSALIQA_REGISTRY``, or registry.yaml in the current folder.

    Raises:
        RegistryError: a file cannot be read or holds something unknown; names the file and the key.

    Example:
        >>> load_registry().weights["vgg16-397923af.pth"].sha256
        '397923af'
    """
    own = Path(__file__).parents[1].joinpath("registry.yaml").resolve()
    registry = _read_cached(own, b"")
    chosen = file or os.environ.get("CAUSALIQA_REGISTRY")
    if chosen is None and Path("registry.yaml").is_file():
        chosen = "registry.yaml"
    if chosen is not None and (user := Path(chosen).expanduser().resolve()) != own:
        # By content: a time stamp can stay the same.
        content = user.read_bytes() if user.is_file() and os.access(user, os.R_OK) else b""
        registry = _merged(registry, _read_cached(user, content))
    return registry
