"""Maps on the grid of a causal effect map that it is compared with: attributions, occlusion, chance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causaliqa.api.errors import InputError
from causaliqa.effects.grid import Box, Grid
from causaliqa.effects.interventions import InterventionRunner, Scene
from causaliqa.effects.strategy import Round
from causaliqa.functional.faithfulness import correlation_interval
from causaliqa.utils.text import brief

if TYPE_CHECKING:
    from causaliqa.effects.effect_map import EffectMap
    from causaliqa.effects.lam import Attribution

__all__ = [
    "KeptDraws",
    "effects_of_groups",
    "occlusion",
    "on_grid",
    "quality_gradients",
    "shape_agreement",
    "with_scene",
]

Values = NDArray[np.float64]

_SMALLEST = 1e-10
"""Added to the mean squared error, so that PSNR is finite."""


@dataclass(frozen=True, kw_only=True)
class KeptDraws(Scene):
    """A scene that keeps what it has drawn, for interventions on many patches at once."""

    kept: dict[tuple[int, int], Tensor] = field(default_factory=dict, repr=False)
    """Drawn patches by patch and number."""

    def draw(self, patch: int, number: int, *, screening: bool = False, even: bool = False) -> Tensor:
        """Return intervention ``number`` on a patch; always an independent draw."""
        if (patch, number) not in self.kept:
            self.kept[patch, number] = super().draw(patch, number)
        return self.kept[patch, number]


@dataclass(frozen=True, kw_only=True)
class _Occluded(Scene):
    """A scene whose interventions put the mean colour of the input into a patch."""

    def draw(self, patch: int, number: int, *, screening: bool = False, even: bool = False) -> Tensor:
        """Return the mean colour, ``(3, h', w')``."""
        box, scale = self.grid.box(patch), self.grid.scale
        return self.degraded.mean((1, 2))[:, None, None].expand(3, box.height // scale, box.width // scale)


def with_scene(runner: InterventionRunner, kind: type[Scene], *, seed: int | None = None) -> InterventionRunner:
    """Return a runner on the same input with another kind of draws, and another seed of them."""
    given = {f.name: getattr(runner.scene, f.name) for f in fields(Scene)}
    scene = kind(**{**given, "seed": given["seed"] if seed is None else seed})
    return InterventionRunner(runner.network, scene, runner.measure, runner.reach)


def effects_of_groups(
    runner: InterventionRunner, groups: Sequence[Sequence[int]], draws: int, tick: Callable[[int], None] | None = None
) -> Values:
    """Return the effects of replacing each group of patches together, ``(groups, draws)``; 0 for an empty group.

    Draw t of a patch is the same in every group, so that groups differ in their members alone.

    Args:
        runner: makes the interventions.
        groups: patches.
        draws: interventions on each group.
        tick: called with the number of inferences after each group.
    """
    found = np.zeros((len(groups), draws))
    blocks = {key: tuple(group) for key, group in enumerate(groups) if len(group)}
    todo = Round(stage="groups", patches=tuple(blocks), draws=range(draws), blocks=blocks)
    for key, effects in runner.effects(todo, blocks):
        found[key] = effects
        if tick is not None:
            tick(draws)
    return found


def occlusion(runner: InterventionRunner, patches: Sequence[int]) -> Values:
    """Return the effect of putting the mean colour of the input into each patch, ``(patches,)``, in the unit of M."""
    return effects_of_groups(with_scene(runner, _Occluded), [(p,) for p in patches], 1)[:, 0]


def on_grid(values: Values, grid: Grid, patches: Sequence[int]) -> Values:
    """Sum the values ``(h, w)`` of input pixels over patches, ``(patches,)``."""
    boxes = [grid.box(patch).shrunk(grid.scale) for patch in patches]
    return np.array([values[box.top : box.bottom, box.left : box.right].sum() for box in boxes])


def shape_agreement(effects: EffectMap, attribution: Attribution) -> float:
    """Return the rank correlation of absolute effects and absolute attributions over the patches outside the region.

    1 if the patches with the larger effect are those with the larger attribution, 0 if the two have nothing to do with
    each other; NaN if one of them is the same everywhere. Patches that cannot reach the region count: both are 0.

    Args:
        effects: causal effect map.
        attribution: local attribution map of the same input and region.

    Raises:
        InputError: they are of other regions or inputs.
    """
    from scipy.stats import rankdata

    if effects.roi != attribution.roi or effects.image.shape != attribution.image.shape:
        raise InputError(
            f"maps: got region {effects.roi} of {effects.image.shape} and {attribution.roi} of "
            f"{attribution.image.shape}, expected the same"
        )
    height, width = (side * attribution.scale for side in effects.image.shape[:2])
    grid = Grid(height=height, width=width, patch_size=effects.patch_size, roi=effects.roi, scale=attribution.scale)
    there = on_grid(attribution.strength, grid, grid.outside)
    own = np.abs(effects.effect.ravel()[list(grid.outside)])
    return correlation_interval(rankdata(own), rankdata(there))[0]


def quality_gradients(runner: InterventionRunner, *, steps: int = 32) -> Values:
    """Return integrated gradients of the PSNR of the region, ``(h, w)`` input pixels of the whole image, in dB.

    The path is straight, from the mean colour of the input to the input; the gradient is taken in the middle of each
    step. Outside the part of the input that the network runs on it is 0.

    Raises:
        InputError: the network passes no gradient.

    Source: Sundararajan et al., "Axiomatic Attribution for Deep Networks", ICML 2017.
    """
    network, crop, scene = runner.network, runner.reach.crop, runner.scene
    region, corner = scene.grid.region, crop.scaled(scene.grid.scale)
    local = Box(
        region.top - corner.top, region.left - corner.left, region.bottom - corner.top, region.right - corner.left
    )
    off = torch.autocast(network.device.type, enabled=False)
    with network.untouched() as kept, torch.inference_mode(False), torch.enable_grad(), off:
        img = runner.reach_input.clone().to(network.device)[None]
        truth = runner.truth.clone().to(network.device)[None]
        start = scene.degraded.clone().mean((1, 2)).to(img)[None, :, None, None].expand_as(img)
        total = torch.zeros_like(img, dtype=torch.float64)
        for k in range(steps):
            point = (start + (img - start) * ((k + 0.5) / steps)).detach().requires_grad_()
            out = network.differentiable(point)[..., local.top : local.bottom, local.left : local.right]
            quality = -10 * torch.log10((out - truth).square().mean() + _SMALLEST)
            try:
                (slope,) = torch.autograd.grad(quality, point)
            except RuntimeError as error:
                if "memory" in str(error):
                    raise
                raise InputError(f"network passes no gradient to its input: {brief(error, 200)}") from error
            kept.restore_buffers()
            total += slope.double() * (img - start).double() / steps
    found = np.zeros(tuple(scene.degraded.shape[1:]))
    found[crop.top : crop.bottom, crop.left : crop.right] = total[0].sum(0).cpu().numpy()
    return found
