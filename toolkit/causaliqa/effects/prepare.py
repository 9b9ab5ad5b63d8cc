"""What a map is made from: image, network and settings, checked and brought together."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from causaliqa.api.data import ROI
from causaliqa.api.errors import InputError
from causaliqa.api.protocols import Degradation, PlacedSampler, Sampler
from causaliqa.effects.adaptive_strategy import Adaptive, make_adaptive
from causaliqa.effects.black_box import Network
from causaliqa.effects.grid import Grid
from causaliqa.effects.interventions import EvenSampler, Interventions, Measure, Scene
from causaliqa.effects.receptive_field import Reach, probe, whole
from causaliqa.effects.strategy import Plan, make_plan
from causaliqa.functional.quadrature import Population

__all__ = ["Settings", "Setup", "prepare"]

_WAYS = ((False, False), (True, False), (False, True))
"""Ways to draw: screening or not, even or not."""

_CLOSE = 1e-5
"""Largest difference between outputs of the pruned and of the full way that counts as rounding."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Options of a map; see :meth:`causaliqa.effects.causal_effect_map.CausalEffectMap.attribute`."""

    degradation: Degradation
    """What spoils image and patches."""
    sampler: Sampler | PlacedSampler
    """Where patches come from."""
    patch_size: int = 8
    """Side of a patch in output pixels."""
    strategy: str | Plan = "coarse-to-fine"
    """Name of a plan, or a plan."""
    coarse: int = 3
    """C, interventions on each patch in the coarse stage."""
    fine: int = 50
    """F, further interventions on each sensitive patch."""
    interventions: int = 500
    """T, interventions on each patch of the plain strategy."""
    tolerance: float = 0.01
    """tau, in dB."""
    budget: int | None = None
    """Interventions of the adaptive strategy."""
    precision: float | None = None
    """Wanted standard error of the adaptive strategy, in dB."""
    seed: int = 0
    """Seed of everything random."""
    image_seed: int | None = None
    """Seed of what spoils the image, where it is another one."""
    batch_size: int | str = "auto"
    """Images the network sees at once."""
    prune: bool = True
    """Leave out what cannot reach the region."""

    @property
    def plan(self) -> Plan:
        """The plan that the strategy names."""
        if self.strategy == "adaptive":
            return make_adaptive(self.budget, self.precision, self.tolerance)
        if self.budget is not None or self.precision is not None:
            raise InputError("budget and precision belong to the strategy adaptive; leave them out or choose it")
        made = make_plan(
            self.strategy if isinstance(self.strategy, str) else "plain",
            coarse=self.coarse,
            fine=self.fine,
            interventions=self.interventions,
            tolerance=self.tolerance,
        )
        return made if isinstance(self.strategy, str) else self.strategy


@dataclass(frozen=True, kw_only=True)
class Setup:
    """Everything that is known before the first intervention counts."""

    laboratory: Interventions
    """Makes the interventions."""
    plan: Plan
    """Says which."""
    settings: Settings
    """What was asked for."""
    key: dict[str, Any]
    """Everything that decides the result."""
    overhead: int
    """Inferences on the whole image that probing and checking took."""


def prepare(network: Network, measure: Measure, image: Tensor, roi: ROI | Sequence[int], settings: Settings) -> Setup:
    """Check and degrade the image, find the reach of the network, and check that pruning changes nothing.

    Raises:
        InputError: image, region, network and settings do not fit each other.
    """
    plan = settings.plan
    scene = _scene(image, roi, settings, network.scale)
    if isinstance(plan, Adaptive):
        plan = _informed(plan, scene)
    full = Interventions(network, scene, measure, whole(scene.degraded, "not probed: pruning is switched off"))
    before = network.inferences
    laboratory = full
    if settings.prune:
        reach = probe(network, scene.degraded, scene.grid.region, seed=settings.seed)
        laboratory = _verified(network, full, measure, reach)
    overhead = network.inferences - before
    network.fit(settings.batch_size, laboratory.reach_input)
    if network.together > 1:
        # The region without intervention is restored in the same batches as with one: they round alike.
        laboratory = Interventions(network, scene, measure, laboratory.reach)
    some = scene.grid.outside[:: settings.patch_size]
    name = getattr(measure, "name", None) or getattr(measure, "__qualname__", type(measure).__name__)
    key = {
        "network": network.fingerprint,
        "scale": network.scale,
        "device": network.device.type,
        "torch": torch.__version__,
        "image": _digest(scene.clean, scene.degraded),
        "roi": str(scene.grid.roi),
        "patch_size": settings.patch_size,
        "patches": _digest(*(scene.draw(p, 0, screening=s, even=e) for p in some for s, e in _WAYS)),
        "plan": repr(plan),
        "measure": name,
        "base": laboratory.base.hex(),
        "crop": str(laboratory.reach.crop),
        "seed": settings.seed,
    }
    return Setup(laboratory=laboratory, plan=plan, settings=settings, key=key, overhead=overhead)


def _informed(plan: Adaptive, scene: Scene) -> Adaptive:
    """Tell the plan what the grid is, and where draws lie among all that the sampler could make, if it knows."""
    plan = replace(plan, columns=scene.grid.cols)
    if not isinstance(scene.sampler, EvenSampler):
        return plan
    population = Population(scene.sampler.population(scene.grid.patch_size))
    return replace(plan, place=lru_cache(maxsize=None)(scene.place), population=population)


def _scene(image: Tensor, roi: ROI | Sequence[int], settings: Settings, scale: int) -> Scene:
    degradation, seed = settings.degradation, settings.seed
    image_seed = seed if settings.image_seed is None else settings.image_seed
    if not isinstance(image, Tensor) or not image.is_floating_point():
        raise InputError(f"image: got {getattr(image, 'dtype', type(image).__name__)}, expected floats in [0, 1]")
    image = image[0] if image.dim() == 4 and len(image) == 1 else image
    if image.dim() != 3 or image.shape[0] != 3:
        raise InputError(f"image: got shape {tuple(image.shape)}, expected (3, H, W)")
    for name, value in (("seed", seed), ("image seed", image_seed)):
        if not isinstance(value, int) or value < 0:
            raise InputError(f"{name}: got {value!r}, expected a whole number, 0 or more")
    what = type(degradation).__name__
    if degradation.scale != scale:
        raise InputError(
            f"degradation {what} shrinks by {degradation.scale}, the network enlarges by {scale}; "
            "pass the same scale to both"
        )
    if not isinstance(roi, ROI):
        roi = ROI(*(int(v) for v in roi))
    clean = image.detach().cpu().float()
    height, width = (side - side % scale for side in clean.shape[1:])
    grid = Grid(height=height, width=width, patch_size=settings.patch_size, roi=roi, scale=scale)
    degraded = degradation.degrade(clean, image_seed)
    expected = (3, height // scale, width // scale)
    if tuple(degraded.shape) != expected:
        raise InputError(f"degradation {what}: got shape {tuple(degraded.shape)}, expected {expected}")
    return Scene(
        clean=clean[:, :height, :width],
        degraded=degraded,
        grid=grid,
        degradation=degradation,
        sampler=settings.sampler,
        seed=seed,
        image_seed=image_seed,
    )


def _verified(network: Network, full: Interventions, measure: Measure, reach: Reach) -> Interventions:
    """Return the laboratory that prunes, or the full one where the two differ on a sample of interventions."""
    everything = full.reach.support
    if reach.support == everything:
        return full.with_reach(reach)
    pruned = Interventions(network, full.scene, measure, reach)
    worst = pruned.difference(full)
    if worst <= _CLOSE:
        return pruned
    note = f"pruning was given up: on a sample the output differs by {worst:.2g}; full grid"
    return full.with_reach(replace(full.reach, note=note))


def _digest(*tensors: Tensor) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(str(tuple(tensor.shape)).encode() + tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()
