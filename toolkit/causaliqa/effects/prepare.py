"""Check image, network and settings against each other, and probe the network, before a map is made."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from causaliqa.api.errors import InputError
from causaliqa.effects.adaptive_strategy import Adaptive
from causaliqa.effects.black_box import BlackBox
from causaliqa.effects.grid import Grid, RoiLike, as_roi
from causaliqa.effects.interventions import EvenSampler, InterventionRunner, Measure, Scene
from causaliqa.effects.receptive_field import ROUNDING, Reach, probe, whole
from causaliqa.effects.settings import CemSettings
from causaliqa.effects.strategy import Strategy
from causaliqa.functional.quadrature import Population
from causaliqa.io.images import as_image
from causaliqa.utils.measures import measure_name
from causaliqa.utils.text import brief

if TYPE_CHECKING:
    from causaliqa.effects.settings import ImageLike

__all__ = ["PreparedMap", "prepare"]

_LOG = logging.getLogger(__name__)

_WAYS = ((False, False), (True, False), (False, True))
"""Ways to draw: ``screening`` and ``even`` of :meth:`Scene.draw`."""


@dataclass(frozen=True, kw_only=True)
class PreparedMap:
    """Everything that is known before the first intervention counts."""

    runner: InterventionRunner
    """Makes the interventions."""
    strategy: Strategy
    """Decides which."""
    settings: CemSettings
    """The settings of the map."""
    key: dict[str, Any]
    """Everything that decides the result."""
    overhead: int
    """Inferences on the whole image that probing and checking took."""

    @property
    def run(self) -> str:
        """Checksum of :attr:`key`, by which a finished map is recognised."""
        return hashlib.sha256(json.dumps(self.key, sort_keys=True).encode()).hexdigest()[:16]


def prepare(network: BlackBox, measure: Measure, image: ImageLike, roi: RoiLike, settings: CemSettings) -> PreparedMap:
    """Check and degrade the image, find the receptive field of the region, and check that pruning changes nothing.

    Args:
        network: the black box.
        measure: quality of the region.
        image: ground truth; see :func:`causaliqa.io.images.as_image`.
        roi: region of interest in output pixels.
        settings: with degradation and sampler as objects.


    Raises:
        InputError: image, region, network and settings do not fit each other.
    """
    settings.make_strategy()  # refuses bad numbers before any work
    scene = _scene(image, roi, settings, network.scale)
    fingerprint = network.fingerprint
    network.look(scene.degraded)
    full = InterventionRunner(network, scene, measure, whole(scene.degraded, "not probed: pruning is switched off"))
    settings = replace(settings, tolerance=settings.tolerance_for(full.unit, full.base))
    strategy = settings.make_strategy()
    if isinstance(strategy, Adaptive):
        strategy = _informed(strategy, scene)
    before = network.inferences
    runner = full
    if settings.prune:
        reach = probe(network, scene.degraded, scene.grid.region, seed=settings.seed)
        runner = _incremental(_verified(network, full, measure, reach))
    overhead = network.inferences - before
    network.fit(settings.batch_size, runner.reach_input)
    if network.effective_batch_size > 1:
        # The region without intervention is restored in the same batches as with one: they round alike.
        runner = InterventionRunner(network, scene, measure, runner.reach)
    some = scene.grid.outside[:: settings.patch_size]
    key = {
        "network": fingerprint,
        "scale": network.scale,
        "device": network.device.type,
        "torch": torch.__version__,
        "image": _checksum(scene.clean, scene.degraded),
        "roi": str(scene.grid.roi),
        "patch_size": settings.patch_size,
        "patches": _checksum(*(scene.draw(p, 0, screening=s, even=e) for p in some for s, e in _WAYS)),
        "plan": repr(strategy),
        "measure": measure_name(measure),
        "base": runner.base.hex(),
        "crop": str(runner.reach.crop),
        **({"incremental": True} if runner.is_incremental else {}),
        "seed": settings.seed,
    }
    return PreparedMap(runner=runner, strategy=strategy, settings=settings, key=key, overhead=overhead)


def _informed(strategy: Adaptive, scene: Scene) -> Adaptive:
    """Add the grid, and the coordinates of the draws and of the sampler's population where the sampler tells them."""
    strategy = replace(strategy, columns=scene.grid.cols)
    if not isinstance(scene.sampler, EvenSampler):
        return strategy
    population = Population(scene.sampler.population(scene.grid.patch_size))
    return replace(strategy, place=lru_cache(maxsize=None)(scene.place), population=population)


def _scene(image: ImageLike, roi: RoiLike, settings: CemSettings, scale: int) -> Scene:
    degradation, seed = settings.degradation, settings.seed
    image_seed = seed if settings.image_seed is None else settings.image_seed
    if degradation is None or isinstance(degradation, str) or isinstance(settings.sampler, str):
        raise InputError(
            f"degradation and sampler: got {degradation!r} and {settings.sampler!r}, expected objects; "
            "CausalEffectMap.attribute takes names"
        )
    what = type(degradation).__name__
    if degradation.scale != scale:
        raise InputError(
            f"degradation {what} shrinks by {degradation.scale}, the network enlarges by {scale}; "
            "pass the same scale to both"
        )
    roi = as_roi(roi)
    clean = as_image(image)[0].cpu()
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


def _verified(network: BlackBox, full: InterventionRunner, measure: Measure, reach: Reach) -> InterventionRunner:
    """Return the pruned runner, or the full one where the two differ on a sample of interventions."""
    everything = full.reach.support
    if reach.support == everything:
        return full.with_reach(reach)
    pruned = InterventionRunner(network, full.scene, measure, reach)
    worst = pruned.difference(full)
    if worst <= ROUNDING:
        return pruned
    note = f"pruning was given up: on a sample the output differs by {worst:.2g}; full grid"
    return full.with_reach(replace(full.reach, note=note))


def _incremental(runner: InterventionRunner) -> InterventionRunner:
    """Return a runner that computes only what a patch changes, where it is faster and a sample differs by rounding."""
    try:
        faster = runner.incremental()
        if faster is not None and faster.apart(runner) <= ROUNDING:
            return faster
    except Exception as error:  # whatever it is, the network runs as a whole
        _LOG.debug("every intervention runs the whole network: %s", brief(error, 200))
    return runner


def _checksum(*tensors: Tensor) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(str(tuple(tensor.shape)).encode() + tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()
