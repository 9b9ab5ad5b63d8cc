"""Causal effect maps: which parts of the input a restoration network uses, and whether they help or mislead.

Source: Hu et al., "Interpreting Low-level Vision Models with Causal Effect Maps", 2024.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causaliqa.api.protocols import Restorer
from causaliqa.catalog.create import default_catalog
from causaliqa.effects.black_box import BlackBox
from causaliqa.effects.effect_map import EffectMap
from causaliqa.effects.grid import RoiLike
from causaliqa.effects.interventions import Measure
from causaliqa.effects.journal import Journal, check_free
from causaliqa.effects.names import create_measure, with_objects
from causaliqa.effects.prepare import PreparedMap, prepare
from causaliqa.effects.settings import CemSettings, settings_with
from causaliqa.effects.strategy import CHECK, Round
from causaliqa.utils import memory
from causaliqa.utils.measures import measure_name
from causaliqa.utils.progress import duration, intervention_bar

if TYPE_CHECKING:
    from causaliqa.effects.settings import ImageLike

__all__ = ["CausalEffectMap", "Forecast"]

_LOG = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with the number of interventions made, and of those known to be needed so far."""


_Effects = dict[str, dict[int, NDArray[np.float64]]]
"""Effects of interventions in the unit of the measure, by stage and patch."""


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Cost of a map."""

    patches: int
    """Patches outside the region of interest."""
    reached: int
    """Patches that can influence the region."""
    crop: tuple[int, int]
    """Height and width of the input that the network runs on, in pixels."""
    least: int
    """Inferences if no patch is sensitive."""
    most: int
    """Inferences if all patches are sensitive."""
    seconds_each: float
    """Seconds per inference, measured."""
    memory: int
    """Peak memory in bytes: of the device where it counts its own, else of this process."""
    note: str
    """Receptive field of the region, in words."""


class CausalEffectMap:
    """Measure the causal effect of every input patch on a region of a restored image.

    Args:
        forward_func: restoration network, a black box ``(N, 3, h, w)`` in [0, 1] to ``(N, 3, s h, s w)``.
        scale: s, side of the output divided by the side of the input.
        measure: quality of the region, rounded to 8 bits: ``"psnr"`` in dB, the name of a metric, or any function
            ``(img, ref) -> (N,)``, whose attribute ``lower_better`` says if a lower value is better.
        device: where the network runs; None for where its parameters are.

    Raises:
        InputError: the scale or the measure is wrong.

    Example:
        >>> cem = CausalEffectMap(torch.nn.Identity())
        >>> made = cem.attribute(
        ...     torch.full((3, 32, 32), 0.5), (8, 8, 8, 8), degradation="denoise:sigma=25", sampler="noise"
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
        self.network = BlackBox(forward_func, scale, device)
        self.measure = create_measure(default_catalog(), measure)

    def attribute(
        self,
        image: ImageLike,
        roi: RoiLike,
        settings: CemSettings | None = None,
        *,
        resume: str | os.PathLike[str] | None = None,
        overwrite: bool = False,
        progress: Progress | bool = True,
        **fields: Any,
    ) -> EffectMap:
        """Make the map of one image.

        Args:
            image: ground truth, which the degradation turns into the input: a tensor ``(3, H, W)`` or
                ``(1, 3, H, W)``, RGB in [0, 1], an array ``(H, W, 3)`` or the path of an image.
            roi: region of interest ``(x, y, width, height)`` in output pixels.
            settings: the settings; None for the default ones.
            resume: file that finished patches are appended to; where it exists, its patches are not made again.
            overwrite: begin anew where that file belongs to other settings, instead of refusing it.
            progress: show a progress bar; or a function that is called with the number of interventions made and of
                those known to be needed.
            fields: fields of :class:`CemSettings` in place of those of ``settings``, for example
                ``degradation="denoise"``; names of degradations and samplers are resolved as on the command line.

        Raises:
            InputError: image, region, settings, network or file do not fit each other, or the folder of the file
                holds the finished map of another run.
        """
        started = time.monotonic()
        with self.network.untouched():
            prepared = self._prepared(image, roi, settings, fields)
            if resume is not None and not overwrite and not Path(resume).exists():
                check_free(Path(resume).parent, prepared.run)
            shown = intervention_bar(shown=progress is True)
            with Journal(resume, prepared.key, overwrite=overwrite) as journal, shown as show:
                _say_what_it_takes(prepared, journal)
                seen, made = _carry_out(prepared, journal, progress if callable(progress) else show)
            return _assemble(prepared, seen, made, time.monotonic() - started)

    def forecast(self, image: ImageLike, roi: RoiLike, settings: CemSettings | None = None, **fields: Any) -> Forecast:
        """Estimate the cost of :meth:`attribute` with the same arguments; a few interventions are made and timed.

        Raises:
            InputError: image, region, settings or network do not fit each other.
        """
        with self.network.untouched():
            return self._forecast(self._prepared(image, roi, settings, fields))

    def _forecast(self, prepared: PreparedMap) -> Forecast:
        runner, reached = prepared.runner, prepared.runner.reached
        first, least, most = _inferences(prepared)
        seconds, sample = 0.0, max(3, self.network.effective_batch_size)
        if first and reached:
            started = time.monotonic()
            for _ in runner.effects(replace(first, draws=range(sample)), reached[:1]):
                seconds = (time.monotonic() - started) / sample
        crop = runner.reach.crop
        return Forecast(
            patches=len(runner.scene.grid.outside),
            reached=len(reached),
            crop=(crop.height, crop.width),
            least=least,
            most=most,
            seconds_each=seconds,
            memory=memory.peak_memory(str(self.network.device)),
            note=runner.reach.note,
        )

    def _prepared(
        self, image: ImageLike, roi: RoiLike, settings: CemSettings | None, fields: dict[str, Any]
    ) -> PreparedMap:
        settings = settings_with(settings, fields)
        return prepare(
            self.network, self.measure, image, roi, with_objects(default_catalog(), settings, self.network.scale)
        )


def _inferences(prepared: PreparedMap) -> tuple[Round | None, int, int]:
    """Return the first round, and the fewest and most inferences."""
    reached = prepared.runner.reached
    first = next(iter(prepared.strategy.rounds(reached, {})), None)
    return first, len(first.patches) * len(first.draws) if first else 0, prepared.strategy.most(len(reached))


def _say_what_it_takes(prepared: PreparedMap, journal: Journal) -> None:
    """Log the cost before the hours, where anybody listens: it takes an inference to know."""
    if not _LOG.isEnabledFor(logging.INFO):
        return
    runner = prepared.runner
    _, least, most = _inferences(prepared)
    started = time.monotonic()
    runner.restore(runner.reach_input[None])
    each = time.monotonic() - started
    height, width = runner.reach_input.shape[1:]
    _LOG.info(
        "%d of %d patches reach the region: %d to %d inferences on %d x %d input pixels, about %s to %s%s",
        len(runner.reached),
        len(runner.scene.grid.outside),
        least,
        most,
        width,
        height,
        duration(least * each),
        duration(most * each),
        f"; {len(journal.seen)} results are there already" if journal.seen else "",
    )


def _carry_out(prepared: PreparedMap, journal: Journal, progress: Progress) -> tuple[_Effects, int]:
    """Make every round of the strategy; return the effects by stage and patch, and how many interventions they are."""
    seen: _Effects = {}
    made = 0
    for todo in prepared.strategy.rounds(prepared.runner.reached, seen):
        stage = seen.setdefault(todo.stage, {})
        kept = {p: journal.seen[todo.stage, p] for p in todo.patches if (todo.stage, p) in journal.seen}
        stage.update(kept)
        left = [p for p in todo.patches if p not in kept]
        made += len(kept) * len(todo.draws)
        known = made + len(left) * len(todo.draws)
        for patch, effects in prepared.runner.effects(todo, left):
            stage[patch] = effects
            journal.add(todo.stage, patch, effects)
            made += len(effects)
            progress(made, known)
    return seen, made


def _assemble(
    prepared: PreparedMap, seen: dict[str, dict[int, NDArray[np.float64]]], made: int, seconds: float
) -> EffectMap:
    runner, scene = prepared.runner, prepared.runner.scene
    grid = scene.grid
    region = grid.region
    estimates = prepared.strategy.estimates(runner.reached, seen) if seen else {}
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
        image=_bytes(scene.degraded),
        base=runner.base,
        roi=grid.roi,
        patch_size=grid.patch_size,
        tolerance=prepared.settings.tolerance or 0.0,
        truth=_bytes(scene.clean[:, region.top : region.bottom, region.left : region.right]),
        output=_bytes(runner.output.float().cpu()),
        facts=_facts(prepared, seen, made, seconds),
    )


def _bytes(img: Tensor) -> NDArray[np.uint8]:
    """Return an image ``(3, h, w)`` in [0, 1] as 8-bit RGB ``(h, w, 3)``."""
    pixels: NDArray[np.uint8] = (img.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return pixels


def _facts(
    prepared: PreparedMap, seen: dict[str, dict[int, NDArray[np.float64]]], made: int, seconds: float
) -> dict[str, Any]:
    runner, strategy = prepared.runner, prepared.strategy
    grid, crop, reached = runner.scene.grid, runner.reach.crop, runner.reached
    height, width = runner.scene.degraded.shape[1:]
    first = next(iter(strategy.rounds(reached, {})), None)
    each = len(first.patches) * len(first.draws) / len(reached) if first and reached else 0
    share = crop.height * crop.width / (height * width)
    plain = prepared.settings.interventions * len(grid.outside)
    # Without pruning every silent patch would have got the first round, on the whole image.
    unpruned = made + (len(grid.outside) - len(reached)) * each
    plain_pruned = prepared.settings.interventions * len(reached) * share
    return {
        "run": prepared.run,
        "measure": measure_name(runner.measure),
        "strategy": strategy.name,
        "seed": runner.scene.seed,
        "image_seed": runner.scene.image_seed,
        "scale": grid.scale,
        "inferences": made,
        "inferences_plain": plain,
        "pixels": made * crop.height * crop.width + prepared.overhead * height * width,
        "pixels_plain": plain * height * width,
        "patches": len(grid.outside),
        "patches_reached": len(reached),
        "patches_sensitive": len({p for stage in list(seen)[1:] if stage != CHECK for p in seen[stage]}),
        "reach": runner.reach.note,
        "crop": [crop.left, crop.top, crop.width, crop.height],
        "inferences_checking": prepared.overhead,
        "saved_by_pruning": unpruned / (made * share + prepared.overhead) if prepared.overhead else 1.0,
        "saved_by_pruning_plain": plain / (plain_pruned + prepared.overhead) if prepared.overhead else 1.0,
        "seconds": round(seconds, 3),
        "versions": {"torch": torch.__version__},
    }
