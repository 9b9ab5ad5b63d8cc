"""Names become objects: networks with their checkpoints, degradations, samplers and measures."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from causaliqa.api.errors import InputError
from causaliqa.api.specs import DegradationSpec, MetricSpec, SamplerSpec
from causaliqa.catalog.build import fixed_weights
from causaliqa.catalog.request import parse_request
from causaliqa.catalog.workers import build_metric
from causaliqa.utils.devices import choose_device
from causaliqa.utils.text import without_folders

if TYPE_CHECKING:
    from causaliqa.api.protocols import Degradation, PlacedSampler, Restorer, Sampler
    from causaliqa.catalog.catalog import Catalog
    from causaliqa.effects.interventions import Measure
    from causaliqa.effects.settings import CemSettings

__all__ = [
    "NetworkRequest",
    "check_names",
    "create_degradation",
    "create_measure",
    "create_sampler",
    "label_of",
    "with_objects",
]

_LOG = logging.getLogger(__name__)


def label_of(thing: object) -> str:
    """Return the name of a thing to publish: what was asked for, without folders, else its function or class."""
    if isinstance(thing, str):
        return without_folders(thing)
    return str(getattr(thing, "__name__", type(thing).__name__))


@dataclass(frozen=True, kw_only=True)
class NetworkRequest:
    """A restoration network, and the task that it is used for.

    Example:
        >>> from causaliqa.catalog.create import default_catalog
        >>> request = NetworkRequest(network="tiny_edsr_x4", task="sr")
        >>> request.label, request.degradation(default_catalog()).scale
        ('tiny_edsr_x4', 4)
    """

    network: str | Restorer
    """NAME[:key=value,...], basicsr:ARCH, path/to/file.py:factory, module:factory, or the network itself."""
    task: str | None = None
    """Names the degradation: sr, denoise, derain or that of a plugin."""
    scale: int | None = None
    """Enlargement for sr; by default that of a network given by name, else 4."""
    checkpoint: str | Path | None = None
    """A .pth or .safetensors file of the network."""
    arch_options: str = ""
    """Arguments of the architecture, KEY=VALUE[,KEY=VALUE]."""

    def __post_init__(self) -> None:
        if not isinstance(self.network, str):
            if not callable(self.network):
                raise InputError(
                    f"network: got {type(self.network).__name__}, expected a name, a module or a function "
                    "(N, 3, h, w) -> (N, 3, s h, s w); `causaliqa list restorers` shows the names"
                )
            if self.checkpoint is not None or self.arch_options:
                raise InputError("checkpoint and options: got a network that is built already; load them into it")

    @property
    def label(self) -> str:
        """What tables and pictures call the network."""
        return label_of(self.network)

    def check_names(self, catalog: Catalog, degradation: str | Degradation | None = None) -> None:
        """Look up network and degradation without loading torch, and warn of what was probably not meant.

        Raises:
            InputError: a name is unknown, or there is neither a task nor a degradation.
        """
        if degradation is None and self.task is None:
            raise InputError("task: got none, expected sr, denoise, derain or a plugin's; or pass a degradation")
        name = parse_request(self.network)[0] if isinstance(self.network, str) else None
        found = catalog.find_restorer(name) if name is not None else None
        if degradation is None or isinstance(degradation, str):
            catalog.get(DegradationSpec, parse_request(degradation or self.task or "")[0])
        if found is None:
            return
        tasks, part = found[0].spec.tasks, found[1]
        if tasks and self.task is not None and self.task not in tasks:
            _LOG.warning("%s was trained for %s, not for %s", name, " and ".join(tasks), self.task)
        if "arch" in part and self.checkpoint is None:
            _LOG.warning("%s has random weights; pass --checkpoint FILE", name)

    def restorer(self, catalog: Catalog, device: str) -> Restorer:
        """Build the network with its checkpoint; a network that is built already is returned as it is."""
        if not isinstance(self.network, str):
            return self.network
        name, options = parse_request(self.network)
        _, more = parse_request(f"x:{self.arch_options}")
        if self.task is not None and catalog.find_restorer(name)[0].spec.takes_task:
            options.setdefault("task", self.task)
        with fixed_weights():
            return catalog.create_restorer(name, checkpoint=self.checkpoint, device=device, **{**options, **more})

    def place(self, device: str | None = None) -> str:
        """Return the device to run on: the one asked for, else where the parameters of a built network are.

        A name, and a network without parameters, go to CUDA where there is one, else to the CPU.

        Raises:
            InputError: torch cannot use the device.
        """
        if device is None and not isinstance(self.network, str):
            from causaliqa.functional.untouched import first_parameter

            own = first_parameter(self.network)
            if own is not None:
                return str(own.device)
        return choose_device(device)

    def degradation(
        self, catalog: Catalog, asked: str | Degradation | None = None, restorer: Restorer | None = None
    ) -> Degradation:
        """Build the degradation, by default that of the task, at the scale of the network.

        Args:
            catalog: resolves the names.
            asked: name or object, in place of that of the task.
            restorer: what :meth:`restorer` returned; its attribute ``scale`` says what its file holds.

        Raises:
            InputError: there is a scale, but the degradation keeps the size or has another one.
        """
        asked = self.task if asked is None else asked
        if asked is None or isinstance(asked, str):
            return create_degradation(catalog, asked or "", self.scale, self._own_scale(catalog, restorer) or 4)
        if self.scale not in (None, asked.scale):
            raise InputError(f"scale {self.scale}: got a degradation of scale {asked.scale}; leave it out")
        return asked

    def _own_scale(self, catalog: Catalog, restorer: Restorer | None) -> int | None:
        """Return the scale of a network given by name; None where it enlarges nothing or is unknown."""
        if not isinstance(self.network, str):
            return None
        stated = getattr(restorer, "scale", None)
        if isinstance(stated, int) and stated > 1:
            return stated
        own = catalog.find_restorer(parse_request(self.network)[0])[0].spec.scale
        return own if own != 1 else None


def create_degradation(catalog: Catalog, request: str, scale: int | None, default: int = 1) -> Degradation:
    """Build a degradation from ``NAME[:key=value,...]``.

    Args:
        catalog: resolves the name.
        request: name and options.
        scale: wanted scale, None for ``default``.
        default: scale where none is wanted; degradations that keep the size have none.

    Raises:
        InputError: the name is unknown, or a scale is wanted of a degradation that keeps the size.
    """
    name, options = parse_request(request)
    if catalog.get(DegradationSpec, name).spec.scale != 1:
        options.setdefault("scale", scale or default)
    elif scale not in (None, 1):
        raise InputError(f"scale {scale}: degradation {name!r} keeps the size; leave it out")
    return catalog.create_degradation(name, **options)


def create_sampler(catalog: Catalog, settings: CemSettings) -> Sampler | PlacedSampler:
    """Build the sampler of the settings; an object is returned as it is."""
    if not isinstance(settings.sampler, str):
        return settings.sampler
    name, options = parse_request(settings.sampler)
    if settings.library is not None:
        options["library"] = settings.library
    return catalog.create_sampler(name, **options)


def create_measure(catalog: Catalog, measure: str | Measure, seed: int = 0) -> Measure:
    """Build the measure of the region: ``"psnr"`` is the PSNR in dB, other names are metrics of the catalogue.

    Raises:
        InputError: there is no such metric, or the object cannot be called.
    """
    if not isinstance(measure, str):
        if not callable(measure):
            raise InputError(f"measure: got {type(measure).__name__}, expected a name or a metric (img, ref) -> (N,)")
        return measure
    if measure == "psnr":
        from causaliqa.functional.fidelity import psnr

        return psnr
    return build_metric(catalog, measure, "cpu", seed)


def check_names(catalog: Catalog, settings: CemSettings, measure: str | Measure) -> None:
    """Look up sampler and measure without loading torch.

    Raises:
        UnknownNameError: there is no such sampler or metric.
    """
    if isinstance(settings.sampler, str):
        catalog.get(SamplerSpec, parse_request(settings.sampler)[0])
    if isinstance(measure, str) and measure != "psnr":
        catalog.get(MetricSpec, parse_request(measure)[0])


def with_objects(catalog: Catalog, settings: CemSettings, scale: int) -> CemSettings:
    """Return the settings with degradation and sampler as objects.

    Args:
        catalog: resolves the names.
        settings: whose names are resolved.
        scale: of the network; a degradation that shrinks, given by name, shrinks by it.

    Raises:
        InputError: a name is unknown, or there is no degradation.
    """
    degradation = settings.degradation
    if degradation is None:
        raise InputError("degradation: got none, expected a name such as 'denoise' or an object")
    if isinstance(degradation, str):
        degradation = create_degradation(catalog, degradation, None, scale)
    return replace(settings, degradation=degradation, sampler=create_sampler(catalog, settings), library=None)
