"""Interventions on one image: made on the fly, in batches, each with its own random numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from copy import copy
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causaliqa.api.errors import CausaliqaError, InputError
from causaliqa.api.protocols import Degradation, PlacedSampler, Sampler
from causaliqa.effects.black_box import BlackBox
from causaliqa.effects.cone import Cone
from causaliqa.effects.grid import Box, Grid
from causaliqa.effects.receptive_field import Reach
from causaliqa.effects.strategy import Round
from causaliqa.functional.degrade import generator_for, quantise
from causaliqa.utils.measures import measure_name, unit_of

__all__ = ["EvenSampler", "InterventionRunner", "Measure", "Scene"]

Measure = Callable[[Tensor, Tensor], Tensor]
"""Quality of images against their references, ``(N, 3, H, W)`` twice to ``(N,)``."""

_OVERHEAD = 2_000_000
"""Multiplications of a convolution that take as long as one more operation on a part of a result."""

_AHEAD = 16
"""Interventions that are prepared at a time, at least."""


@runtime_checkable
class EvenSampler(Protocol):
    """A sampler of a known population of patches: draws can be spread evenly over it, and have coordinates."""

    def sequence(self, number: int, seed: int, size: int) -> Tensor:
        """Return patch ``number`` of a sequence that is spread evenly, ``(1, 3, size, size)``.

        Over random seeds below 2 ** 32 every element has the distribution of an independent draw.
        """

    def coordinates(self, patches: Tensor) -> NDArray[np.float64]:
        """Return the coordinates of patches ``(n, 3, size, size)`` in the population, ``(n, k)``."""

    def population(self, size: int) -> NDArray[np.float64]:
        """Return the coordinates of a representative part of the population, ``(m, k)``."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One image with its degradation, patches and sampler."""

    clean: Tensor
    """Ground truth ``(3, H, W)``, the size of the output."""
    degraded: Tensor
    """Input ``(3, h, w)``."""
    grid: Grid
    """Patches and region of interest."""
    degradation: Degradation
    """Degrades image and patches."""
    sampler: Sampler | PlacedSampler
    """Draws the patches that are inserted."""
    seed: int
    """Seed of the interventions."""
    image_seed: int
    """Seed of the degradation of the image."""

    def place(self, patch: int, number: int) -> NDArray[np.float64]:
        """Return the coordinates of an even draw, ``(k,)``; empty if the sampler has none."""
        if not isinstance(self.sampler, EvenSampler):
            return np.empty(0)
        place: NDArray[np.float64] = self.sampler.coordinates(self._even(self.sampler, patch, number))[0]
        return place

    def _even(self, sampler: EvenSampler, patch: int, number: int) -> Tensor:
        own = int(torch.randint(2**32, (), generator=generator_for(self.seed, patch)))
        return sampler.sequence(number, own, self.grid.patch_size)

    def draw(self, patch: int, number: int, *, screening: bool = False, even: bool = False) -> Tensor:
        """Return intervention ``number`` on a patch, degraded, ``(3, h', w')`` input pixels.

        Depends on seed, patch and number alone.

        Raises:
            CausaliqaError: sampler or degradation returned another size.
        """
        box, scale = self.grid.box(patch), self.grid.scale
        generator = generator_for(self.seed, patch, number)
        sampler = getattr(self.sampler, "screening", self.sampler) if screening else self.sampler
        if isinstance(sampler, PlacedSampler):
            drawn = sampler.in_place(self.clean, box.top, box.left, box.height, box.width, generator=generator)[None]
        elif even and isinstance(sampler, EvenSampler):
            drawn = self._even(sampler, patch, number)
        else:
            drawn = sampler(1, self.grid.patch_size, generator)
        # A partial patch at the border is the corner of a whole one.
        drawn = drawn[..., : box.height, : box.width]
        made = self.degradation.patch_in_place(
            self.clean, box.top, box.left, drawn, seed=self.image_seed, generator=generator
        )
        expected = (1, 3, box.height // scale, box.width // scale)
        if tuple(made.shape) != expected:
            raise CausaliqaError(
                f"intervention on patch {patch}: got shape {tuple(made.shape)} from {type(self.degradation).__name__} "
                f"and {type(sampler).__name__}, expected {expected}"
            )
        return made[0]


class InterventionRunner:
    """Restores the region of interest with patches replaced, and measures how that changes its quality.

    Args:
        network: the black box.
        scene: image and patches.
        measure: quality of the region; higher is better unless it says ``lower_better``.
        reach: which part of the input the network runs on.

    Raises:
        InputError: the network returns NaN, or the measure cannot be taken on the region.
    """

    def __init__(self, network: BlackBox, scene: Scene, measure: Measure, reach: Reach) -> None:
        self.network, self.scene, self.reach = network, scene, reach
        self.measure = measure
        self._cone: Cone | None = None
        self._sign = -1.0 if getattr(measure, "lower_better", False) else 1.0
        crop, scale = reach.crop, scene.grid.scale
        self._input = scene.degraded[:, crop.top : crop.bottom, crop.left : crop.right]
        region = scene.grid.region
        self._local = region.seen_from(crop.scaled(scale))
        self._truth = scene.clean[None, :, region.top : region.bottom, region.left : region.right]
        self.unit = unit_of(measure_name(measure))
        self._look()

    def _look(self) -> None:
        self.output = self.restore(self._input[None])[0]
        if not self.output.isfinite().all():
            raise InputError("network returned NaN or infinity in the region of interest; expected finite values")
        self.base = float(self.quality(self.output[None])[0])

    def incremental(self) -> InterventionRunner | None:
        """Return a copy that computes only what an intervention changes, None where that would not be faster."""
        cone = self.network.cone(self._input, self._local)
        if cone is None:
            return None
        changes = [self._place(patch) for patch in self.reached]
        if cone.saved(changes) < _OVERHEAD * cone.steps:
            return None
        same = copy(self)
        same._cone = cone
        note = f"{self.reach.note}; computes what a patch changes, {same.share:.0%} of the multiplications"
        same.reach = replace(self.reach, note=note)
        same._look()
        return same

    def with_reach(self, reach: Reach) -> InterventionRunner:
        """Return a copy that runs on the same input, with another note about its reach."""
        same = copy(self)
        same.reach = reach
        return same

    def restore(self, inputs: Tensor) -> Tensor:
        """Return the region of interest of the outputs, ``(N, 3, height, width)``."""
        if self._cone is not None:
            return self.network.changed(self._cone, inputs)
        box = self._local
        return self.network.crop(inputs, lambda out: out[..., box.top : box.bottom, box.left : box.right])

    def quality(self, regions: Tensor) -> NDArray[np.float64]:
        """Measure restored regions, rounded to 8 bits, ``(N,)``."""
        step = self.network.effective_batch_size
        try:
            parts = [
                self.measure(quantise(part), self._truth.expand(len(part), -1, -1, -1)).detach().double().cpu()
                for part in torch.split(regions, step)
            ]
        except (ValueError, AssertionError, RuntimeError) as error:
            raise InputError(f"measure fails on a region of {tuple(self._truth.shape[-2:])}: {error}") from error
        return torch.cat([p.reshape(-1) for p in parts]).numpy()

    @property
    def is_incremental(self) -> bool:
        """Whether only what an intervention changes is computed."""
        return self._cone is not None

    @property
    def share(self) -> float:
        """Multiplications of convolutions of an intervention, as a share of those of the network on its input."""
        return 1.0 if self._cone is None else self._cone.share([self._place(patch) for patch in self.reached])

    @property
    def truth(self) -> Tensor:
        """Ground truth of the region of interest, ``(3, height, width)``."""
        return self._truth[0]

    @property
    def reach_input(self) -> Tensor:
        """The part of the input that the network runs on, ``(3, h, w)``."""
        return self._input

    @property
    def reached(self) -> tuple[int, ...]:
        """Patches outside the region of interest that can reach it."""
        grid = self.scene.grid
        support = self.reach.support.scaled(grid.scale)
        return tuple(p for p in grid.outside if grid.box(p).overlaps(support))

    def _place(self, patch: int) -> Box:
        """Return the pixels of the input that an intervention replaces, counted from the corner of the crop."""
        grid, crop = self.scene.grid, self.reach.crop
        return grid.box(patch).shrunk(grid.scale).meet(crop).seen_from(crop)

    def input_with(self, *patches: int, number: int, screening: bool = False, even: bool = False) -> Tensor:
        """Return the network's input with patches replaced, ``(3, h, w)``."""
        grid, crop = self.scene.grid, self.reach.crop
        mixed = self._input.clone()
        for patch in patches:
            box, place = grid.box(patch).shrunk(grid.scale), self._place(patch)
            part = box.meet(crop).seen_from(box)
            new = self.scene.draw(patch, number, screening=screening, even=even)
            mixed[:, place.top : place.bottom, place.left : place.right] = new[
                :, part.top : part.bottom, part.left : part.right
            ]
        return mixed

    def effects(self, todo: Round, patches: Iterable[int]) -> Iterator[tuple[int, NDArray[np.float64]]]:
        """Make the interventions of a round on some of its patches.

        Yields:
            A patch and the effects of its interventions in the unit of the measure, as soon as all are made; positive
            if the patch helps.

        Raises:
            InputError: the network returns NaN.
        """
        jobs = [(p, t) for p in patches for t in todo.draws]
        found: dict[int, list[float]] = {}
        start = 0
        while start < len(jobs):
            batch = jobs[start : start + max(_AHEAD, self.network.effective_batch_size)]
            inputs = torch.stack(
                [
                    self.input_with(*todo.blocks.get(p, (p,)), number=t, screening=todo.screening, even=todo.even)
                    for p, t in batch
                ]
            )
            regions = self.restore(inputs)
            if not regions.isfinite().all():
                raise InputError("network returned NaN or infinity for an intervention; expected finite values")
            for (p, _), value in zip(batch, self.quality(regions), strict=True):
                found.setdefault(p, []).append(self._sign * (self.base - float(value)))
                if len(found[p]) == len(todo.draws):
                    yield p, np.array(found.pop(p))
            start += len(batch)

    def difference(self, full: InterventionRunner, count: int = 6) -> float:
        """Return the largest difference of output values to those of the whole input, on a sample of interventions.

        Of the patches that are pruned the closest ones and some anywhere are tried, of the others evenly spaced ones.
        """
        reached = set(self.reached)
        silent = [p for p in self.scene.grid.outside if p not in reached]
        grid, scale = self.scene.grid, self.scene.grid.scale
        around = self.reach.support.scaled(scale).grow(grid.patch_size, full.reach.crop.scaled(scale))
        close = [p for p in silent if grid.box(p).overlaps(around)]
        worst = 0.0
        for patch in _spread(close, count) + _spread(silent, count):
            there = full.restore(full.input_with(patch, number=0)[None])[0]
            worst = max(worst, float((there - full.output).abs().max()))
        return max(worst, self.apart(full, count))

    def apart(self, other: InterventionRunner, count: int = 6) -> float:
        """Return the largest difference of output values to those of another runner, on patches that are reached."""
        worst = float((self.output - other.output).abs().max())
        for patch in _spread(list(self.reached), count):
            here = self.restore(self.input_with(patch, number=0)[None])
            there = other.restore(other.input_with(patch, number=0)[None])
            worst = max(worst, float((here - there).abs().max()))
        return worst


def _spread(items: list[int], count: int) -> list[int]:
    """Take at most ``count`` items at even distances."""
    return [items[i * len(items) // count] for i in range(count)] if len(items) > count else items
