"""Causal effect maps: which parts of the input a restoration network uses, and whether they help or mislead.

Source: Hu et al., "Interpreting Low-level Vision Models with Causal Effect Maps", 2024.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causaliqa.api.data import ROI
from causaliqa.api.errors import InputError
from causaliqa.api.protocols import Degradation, PlacedSampler, Restorer, Sampler
from causaliqa.effects.black_box import Network
from causaliqa.effects.effect_map import EffectMap
from causaliqa.effects.interventions import Measure
from causaliqa.effects.journal import Journal
from causaliqa.effects.prepare import Settings, Setup, prepare
from causaliqa.effects.strategy import CHECK, Plan
from causaliqa.functional.fidelity import psnr

__all__ = ["CausalEffectMap", "Forecast"]

Progress = Callable[[int, int], None]
"""Called with the interventions made and those known to be needed, again and again."""


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a map would take."""

    patches: int
    """Patches with an effect."""
    reached: int
    """Those that can reach the region of interest."""
    crop: tuple[int, int]
    """Height and width of what the network runs on, in input pixels."""
    least: int
    """Inferences if no patch is sensitive."""
    most: int
    """Inferences if all are."""
    seconds_each: float
    """Seconds per inference, measured."""
    memory: int
    """Peak memory in bytes: of the device where it counts its own, else of this process."""
    note: str
    """What was found about the reach of the network."""


class CausalEffectMap:
    """Measure the causal effect of every input patch on a region of a restored image.

    Args:
        forward_func: restoration network, a black box ``(N, 3, h, w)`` in [0, 1] to ``(N, 3, s h, s w)``.
        scale: s, side of the output divided by the side of the input.
        measure: ``"psnr"``, or any metric ``(img, ref) -> (N,)``; taken on the region, rounded to 8 bits.
        device: where the network runs; None for where its parameters are.

    Raises:
        InputError: an option is out of range.

    Example:
        >>> from causaliqa.builtin.degradations.paper import GaussianNoise
        >>> from causaliqa.builtin.samplers.ablations import UniformNoise
        >>> cem = CausalEffectMap(torch.nn.Identity())
        >>> made = cem.attribute(
        ...     torch.full((3, 32, 32), 0.5), (8, 8, 8, 8), degradation=GaussianNoise(sigma=25), sampler=UniformNoise()
        ... )
        >>> float(np.nanmax(np.abs(made.effect))), made.summary()["none_percent"]
        (0.0, 100.0)
    """

    def __init__(
        self,
        forward_func: Restorer,
        *,
        scale: int = 1,
        measure: Measure | str = "psnr",
        device: str | torch.device | None = None,
    ) -> None:
        if isinstance(measure, str) and measure != "psnr":
            raise InputError(f"measure: got {measure!r}, expected 'psnr' or a metric (img, ref) -> (N,)")
        self.network = Network(forward_func, scale, device)
        self.measure: Measure = psnr if isinstance(measure, str) else measure

    def attribute(
        self,
        image: Tensor,
        roi: ROI | Sequence[int],
        *,
        degradation: Degradation,
        sampler: Sampler | PlacedSampler,
        patch_size: int = 8,
        strategy: str | Plan = "coarse-to-fine",
        coarse: int = 3,
        fine: int = 50,
        interventions: int = 500,
        tolerance: float = 0.01,
        budget: int | None = None,
        precision: float | None = None,
        seed: int = 0,
        image_seed: int | None = None,
        batch_size: int | str = "auto",
        prune: bool = True,
        resume: str | os.PathLike[str] | None = None,
        progress: Progress | None = None,
    ) -> EffectMap:
        """Make the map of one image.

        Args:
            image: ground truth ``(3, H, W)`` or ``(1, 3, H, W)``, RGB in [0, 1]; the degradation makes the input.
            roi: region of interest ``(x, y, width, height)`` in output pixels.
            degradation: what spoils the image, and a patch in its place the same way.
            sampler: where the patches come from that are put in.
            patch_size: side of a patch in output pixels, a multiple of the scale.
            strategy: ``"coarse-to-fine"``, ``"plain"``, ``"adaptive"`` or a plan.
            coarse: C, interventions on each patch in the coarse stage.
            fine: F, further interventions on each sensitive patch.
            interventions: T, interventions on each patch of the plain strategy.
            tolerance: tau, effects below it count as none, in dB.
            budget: interventions of the adaptive strategy.
            precision: wanted standard error of every patch in dB, where there is no budget; half of ``tolerance`` if
                neither is given.
            seed: seed of everything random; the same seed gives the same map for every batch size.
            image_seed: seed of what spoils the image, to compare runs that differ in their interventions alone; None
                for ``seed``.
            batch_size: images the network sees at once where it is not on the CPU; ``"auto"`` fills the memory.
            prune: leave out patches that provably cannot reach the region, and run on the part of the input that
                it depends on; checked on a sample, given up where the check fails.
            resume: file that finished patches are kept in; where it exists the run goes on from it.
            progress: called with interventions made and known to be needed.

        Raises:
            InputError: image, region, patch size, network or file do not fit.
        """
        settings = Settings(
            degradation=degradation,
            sampler=sampler,
            patch_size=patch_size,
            strategy=strategy,
            coarse=coarse,
            fine=fine,
            interventions=interventions,
            tolerance=tolerance,
            budget=budget,
            precision=precision,
            seed=seed,
            image_seed=image_seed,
            batch_size=batch_size,
            prune=prune,
        )
        started = time.monotonic()
        setup = prepare(self.network, self.measure, image, roi, settings)
        with Journal(resume, setup.key) as journal:
            seen, made = _carry_out(setup, journal, progress)
        return _assemble(setup, seen, made, time.monotonic() - started)

    def forecast(self, image: Tensor, roi: ROI | Sequence[int], **options: Any) -> Forecast:
        """Say what :meth:`attribute` would take with the same options; a few interventions are made and timed.

        Raises:
            InputError: image, region, patch size or network do not fit.
        """
        setup = prepare(self.network, self.measure, image, roi, Settings(**options))
        laboratory, reached = setup.laboratory, setup.laboratory.reached
        first = next(iter(setup.plan.rounds(reached, {})), None)
        seconds, sample = 0.0, max(3, self.network.together)
        if first and reached:
            started = time.monotonic()
            for _ in laboratory.effects(replace(first, draws=range(sample)), reached[:1]):
                seconds = (time.monotonic() - started) / sample
        crop, device = laboratory.reach.crop, self.network.device
        return Forecast(
            patches=len(laboratory.scene.grid.outside),
            reached=len(reached),
            crop=(crop.height, crop.width),
            least=len(first.patches) * len(first.draws) if first else 0,
            most=setup.plan.most(len(reached)),
            seconds_each=seconds,
            memory=torch.cuda.max_memory_allocated(device) if device.type == "cuda" else _peak_memory(),
            note=laboratory.reach.note,
        )


def _peak_memory() -> int:
    """Largest memory of this process so far, in bytes; 0 where the system does not say."""
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _carry_out(
    setup: Setup, journal: Journal, progress: Progress | None
) -> tuple[dict[str, dict[int, NDArray[np.float64]]], int]:
    """Make every round of the plan; return the effects by stage and patch, and how many interventions they are."""
    seen: dict[str, dict[int, NDArray[np.float64]]] = {}
    made = 0
    for todo in setup.plan.rounds(setup.laboratory.reached, seen):
        stage = seen.setdefault(todo.stage, {})
        kept = {p: journal.seen[todo.stage, p] for p in todo.patches if (todo.stage, p) in journal.seen}
        stage.update(kept)
        left = [p for p in todo.patches if p not in kept]
        made += len(kept) * len(todo.draws)
        known = made + len(left) * len(todo.draws)
        for patch, effects in setup.laboratory.effects(todo, left):
            stage[patch] = effects
            journal.add(todo.stage, patch, effects)
            made += len(effects)
            if progress is not None:
                progress(made, known)
    return seen, made


def _assemble(setup: Setup, seen: dict[str, dict[int, NDArray[np.float64]]], made: int, seconds: float) -> EffectMap:
    laboratory, scene = setup.laboratory, setup.laboratory.scene
    grid = scene.grid
    estimates = setup.plan.estimates(laboratory.reached, seen) if seen else {}
    shape, most = (grid.rows, grid.cols), max((e.count for e in estimates.values()), default=0)
    effect, sem = np.full(shape, np.nan), np.full(shape, np.nan)
    count, samples = np.zeros(shape, np.int64), np.full((*shape, most), np.nan)
    for patch in grid.outside:
        effect.flat[patch] = sem.flat[patch] = 0.0
    for patch, found in estimates.items():
        at = divmod(patch, grid.cols)
        effect[at], sem[at], count[at] = found.effect, found.sem, found.count
        samples[at][: found.count] = found.samples
    return EffectMap(
        effect=effect,
        count=count,
        sem=sem,
        samples=samples,
        image=(scene.degraded * 255).round().byte().permute(1, 2, 0).numpy(),
        base=laboratory.base,
        roi=grid.roi,
        patch_size=grid.patch_size,
        tolerance=setup.settings.tolerance,
        facts=_facts(setup, seen, made, seconds),
    )


def _facts(setup: Setup, seen: dict[str, dict[int, NDArray[np.float64]]], made: int, seconds: float) -> dict[str, Any]:
    laboratory, plan = setup.laboratory, setup.plan
    grid, crop, reached = laboratory.scene.grid, laboratory.reach.crop, laboratory.reached
    height, width = laboratory.scene.degraded.shape[1:]
    first = next(iter(plan.rounds(reached, {})), None)
    each = len(first.patches) * len(first.draws) / len(reached) if first and reached else 0
    share = crop.height * crop.width / (height * width)
    plain = setup.settings.interventions * len(grid.outside)
    # Without pruning every silent patch would have got the first round, on the whole image.
    unpruned = made + (len(grid.outside) - len(reached)) * each
    plain_pruned = setup.settings.interventions * len(reached) * share
    return {
        "strategy": plan.name,
        "seed": laboratory.scene.seed,
        "image_seed": laboratory.scene.image_seed,
        "scale": grid.scale,
        "inferences": made,
        "inferences_plain": plain,
        "pixels": made * crop.height * crop.width + setup.overhead * height * width,
        "pixels_plain": plain * height * width,
        "patches": len(grid.outside),
        "patches_reached": len(reached),
        "patches_sensitive": len({p for stage in list(seen)[1:] if stage != CHECK for p in seen[stage]}),
        "reach": laboratory.reach.note,
        "crop": [crop.left, crop.top, crop.width, crop.height],
        "inferences_checking": setup.overhead,
        "saved_by_pruning": unpruned / (made * share + setup.overhead) if setup.overhead else 1.0,
        "saved_by_pruning_plain": plain / (plain_pruned + setup.overhead) if setup.overhead else 1.0,
        "seconds": round(seconds, 3),
        "versions": {"torch": torch.__version__},
    }
