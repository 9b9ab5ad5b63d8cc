"""From names to objects: the only module that knows names.

:func:`default_catalog` is what the public functions use; the command line builds its own.
"""

from __future__ import annotations

import difflib
import fnmatch
import os
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from causaliqa.api.errors import InputError, PluginError, UnknownNameError
from causaliqa.api.specs import BackboneSpec, Lazy, MetricSpec, RestorerSpec, Spec, WeightsEntry
from causaliqa.catalog.build import check_options, on_backbone, on_device, parse_request, provenance, score_key
from causaliqa.catalog.host import PluginHost, Record
from causaliqa.catalog.registry import Registry, load_registry
from causaliqa.io.weights import resolve

if TYPE_CHECKING:
    from torch import nn

    from causaliqa.api.protocols import Degradation, Metric, Restorer, Sampler

__all__ = [
    "KINDS",
    "Catalog",
    "create_backbone",
    "create_degradation",
    "create_metric",
    "create_restorer",
    "create_sampler",
    "default_catalog",
    "list_backbones",
    "list_datasets",
    "list_degradations",
    "list_metrics",
    "list_restorers",
    "list_samplers",
    "parse_request",
    "use_catalog",
]

KINDS = ("metrics", "backbones", "restorers", "samplers", "degradations", "datasets")


class Catalog:
    """Names of everything that built-ins, plugins and registry.yaml provide.

    Args:
        host: plugin host.
        registry: what registry.yaml says.

    Example:
        >>> catalog = Catalog(PluginHost(entry_points=lambda: []), load_registry())
        >>> catalog.names("metrics", "causal_*")
        ['causal_effnet', 'causal_effnet_lite0', 'causal_resnet', 'causal_vgg']
    """

    def __init__(self, host: PluginHost, registry: Registry) -> None:
        self.host = host
        self.registry = registry
        self._records: dict[str, Mapping[str, Record]] = {}

    def records(self, kind: str) -> Mapping[str, Record]:
        """Return every usable record of a kind by name."""
        if kind not in self._records:
            found = dict(self.host.records(kind))
            if kind == "backbones":
                found.update(self._from_registry(kind, self.registry.backbones, found))
            if kind == "restorers":
                found.update(self._from_registry(kind, self.registry.restorers, found))
            if kind == "metrics":
                found.update(self._families(found))
            self._records[kind] = found
        return self._records[kind]

    def _from_registry(self, kind: str, specs: Mapping[str, Spec], taken: Mapping[str, Record]) -> dict[str, Record]:
        if clash := sorted(set(specs) & set(taken)):
            raise InputError(
                f"{self.registry.files[-1]}: {kind}.{clash[0]}: the name is taken by "
                f"{taken[clash[0]].provider}; choose another"
            )
        return {name: Record(spec=spec, provider="registry.yaml") for name, spec in specs.items()}

    def _families(self, metrics: Mapping[str, Record]) -> dict[str, Record]:
        """Make ``<metric>_<backbone>`` of every metric that takes any backbone; a declared name is never replaced."""
        made = {}
        for name, record in metrics.items():
            if not isinstance(record.spec, MetricSpec) or record.spec.backbone != "*":
                continue
            for backbone in self.records("backbones").values():
                derived = f"{name}_{backbone.spec.name}"
                if derived not in metrics and derived not in self.host.ambiguous("metrics"):
                    made[derived] = on_backbone(record, backbone)
        return made

    def _one_of_many(self, kind: str, name: str) -> Record | None:
        """Return the record of ``NAME.PART`` where NAME stands for many networks, or of a metric on such a network."""
        if kind == "backbones":
            head, _, part = name.partition(".")
            record = self.records(kind).get(head)
            if not part or record is None or not isinstance(record.spec, BackboneSpec) or record.spec.many is None:
                return None
            with provenance(f"backbone {name!r}", record):
                return replace(record, spec=replace(record.spec.many(part), name=name))
        for family in self.records("metrics").values() if kind == "metrics" else ():
            if getattr(family.spec, "backbone", None) == "*" and name.startswith(f"{family.spec.name}_"):
                backbone = self._one_of_many("backbones", name.removeprefix(f"{family.spec.name}_"))
                if backbone is not None:
                    return on_backbone(family, backbone)
        return None

    def stands_for_many(self, spec: Spec) -> bool:
        """Say whether a record needs a part after its name before anything can be built."""
        if isinstance(spec, MetricSpec) and spec.backbone is not None and spec.backbone in self.records("backbones"):
            spec = self.records("backbones")[spec.backbone].spec
        return bool(getattr(spec, "many", None) or getattr(spec, "part", ""))

    def names(self, kind: str, pattern: str = "*") -> list[str]:
        """Return the names of a kind that match a glob pattern, sorted."""
        return sorted(fnmatch.filter(self.records(kind), pattern))

    def get(self, kind: str, name: str) -> Record:
        """Return the record of a name; ``pyiqa:NAME`` is pyiqa's own metric.

        Raises:
            UnknownNameError: nothing is called so; the message gives near names and failed plugins.
            AmbiguousNameError: two plugins claim the name.
        """
        self.host.check_ambiguous(kind, name)
        records = self.records(kind)
        plain = name.removeprefix("pyiqa:")
        record = records.get(plain) or self._one_of_many(kind, name)
        if record is not None and (plain == name or record.provider == "pyiqa"):
            return record
        near = difflib.get_close_matches(name, records, n=3)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        failed = ", ".join(s.canonical for s in self.host.failed())
        note = f" Note: plugins that failed to load: {failed}." if failed else ""
        # Metrics and backbones are too many to be listed in an error.
        few = "" if near or kind in KINDS[:2] else f" Expected one of {', '.join(sorted(records))}."
        raise UnknownNameError(f"unknown {kind[:-1]} {name!r}.{hint}{few}{note} `causaliqa list {kind}` shows them all")

    def create_metric(self, name: str, *, device: str | None = None, **options: Any) -> Metric:
        """Build a metric; see :func:`create_metric`."""
        record = self.get("metrics", name)
        spec = record.spec
        asked, weights = dict(options), None
        if not isinstance(spec, MetricSpec):
            raise PluginError(f"metric {name!r} of {record.provider} is no MetricSpec")
        if spec.backbone is not None:
            wanted = options.pop("backbone", None) if spec.backbone == "*" else spec.backbone
            if not isinstance(wanted, str):
                raise InputError(f"metric {name!r} needs backbone=NAME; one of {', '.join(self.names('backbones'))}")
            backbone = self._backbone_spec(wanted)
            passed = {k: options.pop(k) for k in ("weights", "pretrained") if k in options}
            weights = self._weights_file(backbone, **passed)
            if spec.backbone == "*":
                name = f"{spec.name}_{wanted}"
            options = {**options, "backbone": self.create_backbone(wanted, **passed), "features": backbone}
        module = self._build(record, options, hidden=("backbone", "features"))
        for fact in ("lower_better", "metric_mode", "bytes_per_pixel"):
            setattr(module, fact, getattr(spec, fact))
        module.name = name
        module.key = score_key(name, spec, asked, weights)
        built: Metric = on_device(module, device)
        return built

    def _backbone_spec(self, name: str) -> BackboneSpec:
        spec = self.get("backbones", name).spec
        if not isinstance(spec, BackboneSpec):
            raise PluginError(f"backbone {name!r} is no BackboneSpec")
        if spec.many is not None:
            raise UnknownNameError(f"backbone {name!r} stands for many networks; expected {name}.NAME")
        return spec

    def create_backbone(
        self, name: str, *, pretrained: bool = True, weights: str | os.PathLike[str] | None = None, **options: Any
    ) -> nn.Module:
        """Build a feature network; see :func:`create_backbone`."""
        record = self.get("backbones", name)
        spec = self._backbone_spec(name)
        file = self._weights_file(spec, pretrained=pretrained, weights=weights)
        network: nn.Module = self._build(record, {**options, "weights": file}, hidden=("weights",))
        return network

    def _weights_file(
        self, spec: BackboneSpec, *, pretrained: bool = True, weights: str | os.PathLike[str] | None = None
    ) -> Path | None:
        """Return the file that a backbone loads, or None."""
        return resolve(self.weights_entry(spec) if pretrained and weights is None else None, weights)

    def weights_entry(self, spec: BackboneSpec | RestorerSpec) -> WeightsEntry | None:
        """Return what is known of the weights file of a record, or None if it has none.

        Raises:
            InputError: registry.yaml does not list it.
        """
        if spec.weights is None or isinstance(spec.weights, WeightsEntry):
            return spec.weights
        entry = self.registry.weights.get(spec.weights)
        if entry is None:
            what = f"{spec.kind[:-1]} {spec.name!r}"
            raise InputError(f"{what} wants weights {spec.weights!r}, which registry.yaml does not list")
        return entry

    def create_restorer(
        self,
        name: str,
        *,
        checkpoint: str | os.PathLike[str] | None = None,
        device: str | None = None,
        **options: Any,
    ) -> Restorer:
        """Build a restoration network; see :func:`create_restorer`."""
        record, part = self.find_restorer(name)
        if checkpoint is None and isinstance(record.spec, RestorerSpec):
            checkpoint = resolve(self.weights_entry(record.spec), None)
        if checkpoint is not None:
            options["checkpoint"] = checkpoint
        built: Restorer = on_device(self._build(record, {**options, **part}, hidden=tuple(part)), device)
        return built

    def find_restorer(self, name: str) -> tuple[Record, dict[str, str]]:
        """Return the record of a restorer, and the argument that its name holds.

        ``NAME:PART`` belongs to a record that stands for many networks, such as ``basicsr:EDSR``; any other name with a
        colon is a Python factory, ``path/to/file.py:factory`` or ``module:factory``.

        Raises:
            UnknownNameError: nothing is called so.
        """
        records = self.records("restorers")
        head, colon, part = name.partition(":")
        for owner, value in ((head, part), ("callable", name)):
            if colon and name not in records and owner in records:
                spec = records[owner].spec
                if isinstance(spec, RestorerSpec) and spec.part:
                    return records[owner], {spec.part: value}
        record = self.get("restorers", name)
        if isinstance(record.spec, RestorerSpec) and record.spec.part:
            raise UnknownNameError(f"restorer {name!r} stands for many networks; expected {name}:NAME")
        return record, {}

    def create(self, kind: str, name: str, **options: Any) -> Any:
        """Build a thing of any other kind."""
        return self._build(self.get(kind, name), options)

    def _build(self, record: Record, options: dict[str, Any], hidden: tuple[str, ...] = ()) -> Any:
        """Call a factory; bad options are the user's error, anything else that a plugin raises is the plugin's."""
        what = f"{record.spec.kind[:-1]} {record.spec.name!r}"
        with provenance(what, record, options):
            factory = record.spec.factory
            factory = factory.resolve() if isinstance(factory, Lazy) else factory
            check_options(what, factory, options, hidden)
            return factory(**options)


_CHOSEN: ContextVar[Catalog | None] = ContextVar("causaliqa_catalog", default=None)


def use_catalog(catalog: Catalog) -> Catalog:
    """Let a catalogue answer every question of this context, also those that pyiqa asks; returns it."""
    _CHOSEN.set(catalog)
    return catalog


def default_catalog() -> Catalog:
    """Return the catalogue that was chosen with :func:`use_catalog`, else the one that the environment asks for."""
    return _CHOSEN.get() or _from_environment()


@lru_cache(maxsize=1)
def _from_environment() -> Catalog:
    disabled = os.environ.get("CAUSALIQA_DISABLE_PLUGINS", "").split(",")
    strict = os.environ.get("CAUSALIQA_STRICT_PLUGINS", "") not in ("", "0")
    return Catalog(PluginHost(disabled=disabled, strict=strict), load_registry())


def create_metric(name: str, *, device: str | None = None, **options: Any) -> Metric:
    """Build a quality metric by name.

    Args:
        name: any name that ``causaliqa list metrics`` shows.
        device: torch device; by default CUDA where there is one, else the CPU.
        options: options of the metric, for example ``terms``, ``channels``, ``seed``; ``weights`` is a local file.

    Returns:
        A module ``(img, ref) -> (N,)`` with ``lower_better`` and ``metric_mode``.

    Raises:
        InputError: unknown name or option.
        WeightsError: its weights cannot be had.
        PluginError: a plugin failed to build it.

    Example:
        >>> import torch
        >>> metric = create_metric("causal_effnet_lite0", device="cpu")
        >>> x = torch.rand(1, 3, 64, 64)
        >>> float(metric(x, x)), metric.lower_better
        (0.0, True)
    """
    return default_catalog().create_metric(name, device=device, **options)


def create_backbone(
    name: str, *, pretrained: bool = True, weights: str | os.PathLike[str] | None = None, **options: Any
) -> nn.Module:
    """Build a feature network: timm's ``features_only`` contract.

    Args:
        name: any name that ``causaliqa list backbones`` shows.
        pretrained: load its trained weights; False leaves it random.
        weights: a local file instead of the usual one.
        options: options of the factory.

    Example:
        >>> create_backbone("effnet_lite0").feature_info.channels()
        [16, 24, 40, 112, 320]
    """
    return default_catalog().create_backbone(name, pretrained=pretrained, weights=weights, **options)


def create_restorer(
    name: str,
    *,
    checkpoint: str | os.PathLike[str] | None = None,
    device: str | None = None,
    **options: Any,
) -> Restorer:
    """Build a restoration network: ``(N, 3, h, w)`` in [0, 1] to ``(N, 3, s h, s w)``.

    Args:
        name: any name that ``causaliqa list restorers`` shows, ``basicsr:ARCH``, ``path/to/file.py:factory`` or
            ``module:factory``.
        checkpoint: a ``.pth`` or ``.safetensors`` file; where there is a usual one, it is taken by default.
        device: torch device; by default CUDA where there is one, else the CPU.
        options: arguments of the architecture or factory.

    Raises:
        InputError: unknown name or option, or a checkpoint that does not fit.
        WeightsError: its usual weights cannot be had.

    Example:
        >>> import torch
        >>> create_restorer("torch.nn:PixelShuffle", upscale_factor=1)(torch.rand(1, 3, 4, 4)).shape
        torch.Size([1, 3, 4, 4])
    """
    return default_catalog().create_restorer(name, checkpoint=checkpoint, device=device, **options)


def create_sampler(name: str, **options: Any) -> Sampler:
    """Build an intervention sampler: any name that ``causaliqa list samplers`` shows, and its options."""
    return cast("Sampler", default_catalog().create("samplers", name, **options))


def create_degradation(name: str, **options: Any) -> Degradation:
    """Build a degradation: any name that ``causaliqa list degradations`` shows, and its options.

    Example:
        >>> create_degradation("sr", scale=2).scale
        2
    """
    return cast("Degradation", default_catalog().create("degradations", name, **options))


def list_metrics(pattern: str = "*") -> list[str]:
    """Return the names of all metrics that match a glob pattern, as in ``list_metrics("causal_*")``."""
    return default_catalog().names("metrics", pattern)


def list_backbones(pattern: str = "*") -> list[str]:
    """Return the names of all feature networks that match a glob pattern."""
    return default_catalog().names("backbones", pattern)


def list_restorers(pattern: str = "*") -> list[str]:
    """Return the names of all restoration networks that match a glob pattern."""
    return default_catalog().names("restorers", pattern)


def list_samplers(pattern: str = "*") -> list[str]:
    """Return the names of all intervention samplers that match a glob pattern."""
    return default_catalog().names("samplers", pattern)


def list_degradations(pattern: str = "*") -> list[str]:
    """Return the names of all degradations that match a glob pattern."""
    return default_catalog().names("degradations", pattern)


def list_datasets(pattern: str = "*") -> list[str]:
    """Return the names of all data sets that match a glob pattern."""
    return default_catalog().names("datasets", pattern)
