"""From names to objects: the only module that knows names.

:func:`causaliqa.catalog.create.default_catalog` is what the public functions use; the command line builds its own.
"""

from __future__ import annotations

import difflib
import fnmatch
import os
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from causaliqa.api.errors import InputError, UnknownNameError
from causaliqa.api.specs import BackboneSpec, DegradationSpec, MetricSpec, RestorerSpec, SamplerSpec, Spec, WeightsEntry
from causaliqa.catalog.build import blame_plugin, call_factory, on_backbone, score_key
from causaliqa.catalog.host import PluginHost, Registration
from causaliqa.catalog.registry import Registry
from causaliqa.catalog.request import parse_request
from causaliqa.io.weights import resolve

if TYPE_CHECKING:
    from torch import nn

    from causaliqa.api.protocols import Degradation, Restorer, Sampler
    from causaliqa.catalog.built_metric import BuiltMetric

__all__ = ["Backbones", "Catalog"]

Backbones: TypeAlias = "dict[Hashable, nn.Module]"
"""Networks by all that they depend on: name, weights file, device and options."""

SpecT = TypeVar("SpecT", bound=Spec)


class Catalog:
    """Names of everything that built-ins, plugins and registry.yaml provide.

    Args:
        host: plugin host.
        registry: what registry.yaml says.

    Example:
        >>> from causaliqa.catalog.registry import load_registry
        >>> catalog = Catalog(PluginHost(entry_points=lambda: []), load_registry())
        >>> catalog.names(MetricSpec, "causal_*")
        ['causal_effnet', 'causal_effnet_lite0', 'causal_resnet', 'causal_vgg']
    """

    def __init__(self, host: PluginHost, registry: Registry) -> None:
        self.host = host
        self.registry = registry
        self._registrations: dict[type[Spec], Mapping[str, Registration[Any]]] = {}

    # -- names --------------------------------------------------------------------------------------------------------

    def registrations(self, kind: type[SpecT]) -> Mapping[str, Registration[SpecT]]:
        """Return every usable record of a kind by name."""
        if kind not in self._registrations:
            found: dict[str, Registration[Any]] = dict(self.host.registrations(kind))
            if kind is BackboneSpec:
                found.update(self._from_registry(self.registry.backbones, found))
            if kind is RestorerSpec:
                found.update(self._from_registry(self.registry.restorers, found))
            if kind is MetricSpec:
                found.update(self._families(found))
                for name, facts in self.registry.metrics.items():
                    if name in found:  # what registry.yaml tells of a metric of a plugin that is not installed may stay
                        found[name] = replace(found[name], spec=replace(found[name].spec, **facts))
            self._registrations[kind] = found
        return self._registrations[kind]

    def _from_registry(
        self, specs: Mapping[str, SpecT], taken: Mapping[str, Registration[Any]]
    ) -> dict[str, Registration[SpecT]]:
        if clash := sorted(set(specs) & set(taken)):
            raise InputError(
                f"{self.registry.files[-1]}: {specs[clash[0]].kind}.{clash[0]}: the name is taken by "
                f"{taken[clash[0]].provider}; choose another"
            )
        return {name: Registration(spec=spec, provider="registry.yaml") for name, spec in specs.items()}

    def _families(self, metrics: Mapping[str, Registration[MetricSpec]]) -> dict[str, Registration[MetricSpec]]:
        """Make ``<metric>_<backbone>`` of every metric that takes any backbone; a declared name is never replaced."""
        taken = {*metrics, *self.host.ambiguous(MetricSpec)}
        return {
            f"{name}_{backbone}": on_backbone(metric, found)
            for name, metric in metrics.items()
            if metric.spec.backbone == "*"
            for backbone, found in self.registrations(BackboneSpec).items()
            if f"{name}_{backbone}" not in taken
        }

    def _one_of_many(self, kind: type[Spec], name: str) -> Registration[Any] | None:
        """Return the record of ``NAME.PART`` where NAME stands for many networks, or of a metric on such a network."""
        if kind is BackboneSpec:
            head, _, part = name.partition(".")
            found = self.registrations(BackboneSpec).get(head)
            if not part or found is None or found.spec.many is None:
                return None
            with blame_plugin(f"backbone {name!r}", found):
                return replace(found, spec=replace(found.spec.many(part), name=name))
        for family in self.registrations(MetricSpec).values() if kind is MetricSpec else ():
            if family.spec.backbone == "*" and name.startswith(f"{family.spec.name}_"):
                backbone = self._one_of_many(BackboneSpec, name.removeprefix(f"{family.spec.name}_"))
                if backbone is not None:
                    return on_backbone(family, backbone)
        return None

    def stands_for_many(self, spec: Spec) -> bool:
        """Return whether a record covers many networks, so that its name alone builds nothing."""
        if isinstance(spec, MetricSpec):
            backbone = self.registrations(BackboneSpec).get(spec.backbone or "")
            return backbone is not None and backbone.spec.many is not None
        if isinstance(spec, BackboneSpec):
            return spec.many is not None
        return isinstance(spec, RestorerSpec) and bool(spec.part)

    def names(self, kind: type[Spec], pattern: str = "*") -> list[str]:
        """Return the names of a kind that match a glob pattern, sorted."""
        return sorted(fnmatch.filter(self.registrations(kind), pattern))

    def get(self, kind: type[SpecT], name: str) -> Registration[SpecT]:
        """Return the record of a name; ``pyiqa:NAME`` is pyiqa's own metric.

        Raises:
            UnknownNameError: nothing is called so; the message gives near names and failed plugins.
            AmbiguousNameError: two plugins claim the name.
        """
        self.host.check_ambiguous(kind, name)
        known = self.registrations(kind)
        plain = name.removeprefix("pyiqa:")
        found = known.get(plain) or self._one_of_many(kind, name)
        if found is not None and (plain == name or found.provider == "pyiqa"):
            return found
        raise UnknownNameError(self._unknown(kind, name))

    def _unknown(self, kind: type[Spec], name: str) -> str:
        known = self.registrations(kind)
        near = difflib.get_close_matches(name, known, n=3)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        failed = ", ".join(status.canonical for status in self.host.failed())
        note = f" Note: plugins that failed to load: {failed}." if failed else ""
        # Metrics and backbones are too many to be listed in an error.
        few = "" if near or kind in (MetricSpec, BackboneSpec) else f" Expected one of {', '.join(sorted(known))}."
        return f"unknown {kind.noun} {name!r}.{hint}{few}{note} `causaliqa list {kind.kind}` shows them all"

    def preset(self, name: str) -> tuple[str, ...]:
        """Return the metrics of a preset.

        Raises:
            InputError: there is no such preset.
        """
        if name not in self.registry.presets:
            raise InputError(f"unknown preset {name!r}; expected one of {', '.join(self.registry.presets)}")
        return self.registry.presets[name].metrics

    def licences(self, request: str) -> Iterator[tuple[str, str]]:
        """Yield what a metric is made of, and the licence of each: its code, its backbone, the weights it would load.

        Weights that the user names are the user's to judge.

        Raises:
            UnknownNameError: a name is unknown.
        """
        name, options = parse_request(request)
        spec = self.get(MetricSpec, name).spec
        yield f"metric {name!r}", spec.licence
        wanted = options.get("backbone") or spec.backbone
        if isinstance(wanted, str) and wanted != "*":
            backbone = self.get(BackboneSpec, wanted).spec
            yield f"backbone {wanted!r}", backbone.licence
            entry = self.weights_entry(backbone)
            if entry is not None and "weights" not in options:
                yield f"weights {entry.file}", entry.licence

    # -- objects ------------------------------------------------------------------------------------------------------

    def create_metric(
        self, name: str, *, device: str | None = None, backbones: Backbones | None = None, **options: Any
    ) -> BuiltMetric:
        """Build a metric; see :func:`causaliqa.create_metric`.

        Args:
            name: its name.
            device: torch device; None for the best.
            backbones: networks of other metrics of the same run; a metric whose record allows it shares them.
            options: its options.
        """
        from causaliqa.catalog.built_metric import BuiltMetric
        from causaliqa.utils.devices import choose_device

        found, device = self.get(MetricSpec, name), choose_device(device)
        spec, asked, weights, options = found.spec, options, None, dict(options)
        if spec.backbone is not None:
            wanted = options.pop("backbone", None) if spec.backbone == "*" else spec.backbone
            if not isinstance(wanted, str):
                known = ", ".join(self.names(BackboneSpec))
                raise InputError(f"metric {name!r} needs backbone=NAME; one of {known}")
            backbone = self._backbone_spec(wanted)
            passed = {k: options.pop(k) for k in ("weights", "pretrained") if k in options}
            weights = self._weights_file(backbone, **passed)
            if spec.backbone == "*":
                name = f"{spec.name}_{wanted}"
            shared = backbones if spec.shares_backbone and backbones is not None else {}
            key = (wanted, weights, device, *sorted(passed.items()))
            if key not in shared:
                shared[key] = self.create_backbone(wanted, **passed)
            options |= {"backbone": shared[key], "backbone_spec": backbone}
        module = call_factory(found, options, hidden=("backbone", "backbone_spec"))
        metric = BuiltMetric(module, name=name, spec=spec, key=score_key(name, spec, asked, weights))
        return metric.to(device)

    def _backbone_spec(self, name: str) -> BackboneSpec:
        spec = self.get(BackboneSpec, name).spec
        if spec.many is not None:
            raise UnknownNameError(f"backbone {name!r} stands for many networks; expected {name}.NAME")
        return spec

    def create_backbone(self, name: str, **options: Any) -> nn.Module:
        """Build a feature network, frozen and checked; see :func:`causaliqa.create_backbone`."""
        from causaliqa.functional.frozen import FrozenBackbone

        provider = self.get(BackboneSpec, name).provider
        return FrozenBackbone(self.bare_backbone(name, **options), name=name, provider=provider)

    def bare_backbone(
        self, name: str, *, pretrained: bool = True, weights: str | os.PathLike[str] | None = None, **options: Any
    ) -> nn.Module:
        """Build a feature network as its factory returns it; the contract kit looks at it."""
        options["weights"] = self._weights_file(self._backbone_spec(name), pretrained=pretrained, weights=weights)
        network: nn.Module = call_factory(self.get(BackboneSpec, name), options, hidden=("weights",))
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
            what = f"{spec.noun} {spec.name!r}"
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
        """Build a restoration network; see :func:`causaliqa.create_restorer`."""
        from causaliqa.utils.devices import choose_device

        found, part = self.find_restorer(name)
        if checkpoint is None:
            checkpoint = resolve(self.weights_entry(found.spec), None)
        if checkpoint is not None:
            options["checkpoint"] = checkpoint
        built = call_factory(found, {**options, **part}, hidden=tuple(part))
        device = choose_device(device)
        return cast("Restorer", built.to(device) if hasattr(built, "to") else built)

    def find_restorer(self, name: str) -> tuple[Registration[RestorerSpec], dict[str, str]]:
        """Return the record of a restorer, and the argument that its name holds.

        ``NAME:PART`` belongs to a record that stands for many networks, such as ``basicsr:EDSR``; any other name with a
        colon is a Python factory, ``path/to/file.py:factory`` or ``module:factory``; a checkpoint file alone belongs
        to the record that identifies its suffix.

        Raises:
            UnknownNameError: nothing is called so.
        """
        known = self.registrations(RestorerSpec)
        head, colon, part = name.partition(":")
        for owner, value in ((head, part), ("callable", name)):
            if colon and name not in known and owner in known and known[owner].spec.part:
                return known[owner], {known[owner].spec.part: value}
        if name not in known and Path(name).suffix and Path(name).is_file():
            return self._restorer_of_file(name)
        found = self.get(RestorerSpec, name)
        if found.spec.part:
            raise UnknownNameError(f"restorer {name!r} stands for many networks; expected {name}:NAME")
        return found, {}

    def _restorer_of_file(self, path: str) -> tuple[Registration[RestorerSpec], dict[str, str]]:
        """Return who identifies a checkpoint that is named alone."""
        suffix = Path(path).suffix.lower()
        takers = [r for r in self.registrations(RestorerSpec).values() if suffix in r.spec.suffixes]
        if len(takers) == 1:
            return takers[0], {takers[0].spec.part: path}
        names = " or ".join(f"{taker.spec.name}:{path}" for taker in takers)
        remedy = f"say {names}" if takers else "install causaliqa-archs, or say spandrel:FILE or NAME --checkpoint FILE"
        raise UnknownNameError(f"checkpoint {path}: {len(takers)} plugins identify such files, expected one; {remedy}")

    def create_sampler(self, name: str, **options: Any) -> Sampler:
        """Build an intervention sampler; see :func:`causaliqa.create_sampler`."""
        return cast("Sampler", self.create(SamplerSpec, name, **options))

    def create_degradation(self, name: str, **options: Any) -> Degradation:
        """Build a degradation; see :func:`causaliqa.create_degradation`."""
        return cast("Degradation", self.create(DegradationSpec, name, **options))

    def create(self, kind: type[Spec], name: str, **options: Any) -> Any:
        """Build a thing of any kind that needs no weights."""
        return call_factory(self.get(kind, name), options)
