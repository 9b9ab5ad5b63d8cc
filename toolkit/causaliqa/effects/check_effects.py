"""Is a causal effect map right? One call, as ``causaliqa cem-check`` makes it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from causaliqa.api.errors import InputError
from causaliqa.catalog.create import default_catalog
from causaliqa.effects.effect_map import EffectMap
from causaliqa.effects.names import NetworkRequest, create_measure, with_objects
from causaliqa.effects.settings import CemSettings
from causaliqa.utils.progress import intervention_bar

if TYPE_CHECKING:
    from causaliqa.api.protocols import Degradation, PlacedSampler, Restorer, Sampler
    from causaliqa.effects.faithfulness import CheckPlan, MapScore
    from causaliqa.effects.interventions import InterventionRunner
    from causaliqa.effects.settings import ImageLike

__all__ = ["EffectCheck", "check_effects"]

_LOG = logging.getLogger(__name__)

Values = NDArray[np.float64]
Correlation = tuple[float, float, float]

_NONE = (float("nan"),) * 3


@dataclass(frozen=True, kw_only=True)
class EffectCheck:
    """What :func:`check_effects` returns."""

    scores: tuple[MapScore, ...]
    """The map (``cem``), the maps that it is compared with, and random orders."""
    repeated: Correlation
    """Rank correlation of the map with a short one by other draws, and the ends of its 95 % interval."""
    randomised: Correlation
    """The same with a short map of the network with its weights shuffled."""
    inferences: int
    """Inferences that the check made."""
    patches: int
    """Patches outside the region that can reach it."""
    unit: str = "dB"
    """Unit of the measure."""
    notes: tuple[str, ...] = field(default=())
    """What could not be measured, and why."""

    @property
    def doubts(self) -> list[str]:
        """Why the map may be wrong, a line each; nothing if it passed."""
        own, chance = self.scores[0], self.scores[-1]
        found = []
        for name in ("deletion", "insertion"):
            value, half, usual = getattr(own, name), getattr(own, f"{name}_half"), getattr(chance, name)
            if not value - half > usual:
                found.append(
                    f"{name} in its order changes the region by {value:.3f} ± {half:.3f}, any order by {usual:.3f}"
                )
        if not own.joint_low > 0:
            found.append(f"its sums do not predict joint replacements (r = {own.joint:.2f}, from {own.joint_low:.2f})")
        if np.isfinite(self.randomised[0]) and not self.randomised[2] < self.repeated[1]:
            found.append(
                f"it is as close to the map of shuffled weights (r = {self.randomised[0]:.2f}) as to itself by other "
                f"draws (r = {self.repeated[0]:.2f})"
            )
        return found


def check_effects(
    effects: EffectMap | str | os.PathLike[str],
    image: ImageLike,
    network: str | Restorer | None = None,
    *,
    scale: int | None = None,
    checkpoint: str | Path | None = None,
    arch_options: str = "",
    degradation: str | Degradation | None = None,
    sampler: str | Sampler | PlacedSampler = "natural",
    library: str | os.PathLike[str] | None = None,
    budget: int | None = None,
    seed: int = 1,
    device: str | None = None,
    progress: bool = True,
) -> EffectCheck:
    """Ask the network whether a causal effect map is right, beside other maps of the same region.

    Patches are replaced by draws of the sampler that the map has not seen: in the order of every map, most helpful
    first (deletion); all of them, coming back in that order (insertion); and in groups, whose effect should be the sum
    of the map. Compared are the map, LAM, occlusion by the mean colour, integrated gradients of PSNR, and random
    orders.

    Args:
        effects: the map, or its folder.
        image: the ground truth that it was made of.
        network: the network; None for the one that the map names.
        scale: enlargement of ``"sr"``; by default that of the map.
        checkpoint: a ``.pth`` or ``.safetensors`` file of a network given by name.
        arch_options: arguments of the architecture as ``KEY=VALUE,...``
        degradation: by default that of the task that the map names.
        sampler: of the patches, as for the map.
        library: natural images of the sampler, as for the map.
        budget: inferences that it may take; None for about 1500 and nine for each patch that can reach the region.
        seed: of draws, groups and random orders; other than that of the map.
        device: torch device; None for that of a network that is built already, else CUDA where there is one, else the
            CPU.
        progress: show a progress bar on stderr.

    Raises:
        InputError: image or network are not those of the map, or the budget is too small.

    Source: Samek et al., "Evaluating the Visualization of What a Deep Neural Network Has Learned", 2017 (deletion);
    Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018 (randomised weights).
    """
    from causaliqa.effects.faithfulness import plan_within, score_maps
    from causaliqa.effects.rival_maps import KeptDraws, with_scene

    made = effects if isinstance(effects, EffectMap) else EffectMap.load(effects)
    request = NetworkRequest(
        network=str(made.facts.get("restorer", "")) if network is None else network,
        task=str(made.facts["task"]) if degradation is None and "task" in made.facts else None,
        scale=scale or (None if made.facts.get("scale", 1) == 1 else int(made.facts["scale"])),
        checkpoint=checkpoint,
        arch_options=arch_options,
    )
    restorer, plain = _runner(made, image, request, degradation, sampler, library, device)
    if seed == plain.scene.seed:
        raise InputError(f"seed: got {seed}, that of the map; expected another one, or it is asked itself")
    runner = with_scene(plain, KeptDraws, seed=seed)
    plan = plan_within(budget, len(runner.reached), 4)
    cost = plan.cost(len(runner.reached), 4)
    _LOG.info("%d of %d patches reach the region: %d inferences", len(runner.reached), made.effect.size, cost)
    done = 0
    with runner.network.untouched(), intervention_bar(shown=progress) as show:

        def tick(count: int) -> None:
            nonlocal done
            done += count
            show(done, max(cost, done))

        maps, notes = _maps(made, restorer, runner)
        in_units = [name for name in maps if name != "lam" and (name != "gradients" or made.unit == "dB")]
        scores = score_maps(runner, maps, plan, in_units=in_units, seed=seed, tick=tick)
        repeated = _rank_correlation(maps["cem"], _short_map(runner, plan, tick))
        randomised, note = _of_shuffled(restorer, runner, maps["cem"], plan, seed, tick)
    return EffectCheck(
        scores=tuple(scores),
        repeated=repeated,
        randomised=randomised,
        inferences=runner.network.inferences,
        patches=len(runner.reached),
        unit=made.unit,
        notes=tuple(filter(None, (*notes, note))),
    )


def _runner(
    made: EffectMap,
    image: ImageLike,
    request: NetworkRequest,
    degradation: Any,
    sampler: Any,
    library: Any,
    device: Any,
) -> tuple[Restorer, InterventionRunner]:
    """Return network and runner of the map, checked against what the map holds."""
    from causaliqa.effects.black_box import BlackBox
    from causaliqa.effects.prepare import prepare

    catalog, place = default_catalog(), request.place(device)
    request.check_names(catalog, degradation)
    restorer = request.restorer(catalog, place)
    degrade = request.degradation(catalog, degradation, restorer)
    seeds: dict[str, Any] = {name: int(made.facts[name]) for name in ("seed", "image_seed") if name in made.facts}
    settings = CemSettings(
        degradation=degrade, sampler=sampler, library=library, patch_size=made.patch_size, tolerance=made.tolerance,
        **seeds,
    )  # fmt: skip
    measure = create_measure(catalog, made.measure)
    network = BlackBox(restorer, degrade.scale, place)
    with network.untouched():
        prepared = prepare(network, measure, image, made.roi, with_objects(catalog, settings, degrade.scale))
    runner = prepared.runner
    there = (runner.scene.degraded.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    if there.shape != made.image.shape or (there != made.image).any():
        raise InputError(
            "image: its degraded version is not the input of the map; pass image and degradation of the map"
        )
    if abs(runner.base - made.base) > made.tolerance:
        here, then = (made.quantity(value, ".3f") for value in (runner.base, made.base))
        raise InputError(f"network: the region has {here}, in the map {then}; pass network and checkpoint of the map")
    return restorer, runner


def _maps(made: EffectMap, restorer: Restorer, runner: InterventionRunner) -> tuple[dict[str, Values], list[str]]:
    """Return the maps on the patches that reach the region, and why some are missing."""
    from causaliqa.effects.lam import integrated_gradients
    from causaliqa.effects.rival_maps import occlusion, on_grid, quality_gradients

    scene, patches = runner.scene, runner.reached
    maps = {"cem": made.effect.ravel()[list(patches)]}
    notes = []

    def lam() -> Values:
        found: Values = integrated_gradients(
            restorer, scene.degraded, scene.grid.roi, scale=scene.grid.scale, device=runner.network.device
        ).strength
        return found

    for name, make in (("lam", lam), ("gradients", lambda: quality_gradients(runner))):
        try:
            maps[name] = on_grid(make(), scene.grid, patches)
        except InputError as error:
            notes.append(f"{name}: {error}")
    maps["occlusion"] = occlusion(runner, patches)
    return maps, notes


def _short_map(runner: InterventionRunner, plan: CheckPlan, tick: Callable[[int], None]) -> Values:
    from causaliqa.effects.rival_maps import effects_of_groups

    means: Values = effects_of_groups(runner, [(p,) for p in runner.reached], plan.draws, tick).mean(axis=1)
    return means


def _rank_correlation(a: Values, b: Values) -> Correlation:
    from scipy.stats import rankdata

    from causaliqa.functional.faithfulness import correlation_interval

    return correlation_interval(rankdata(a), rankdata(b))


def _of_shuffled(
    restorer: Restorer, runner: InterventionRunner, own: Values, plan: CheckPlan, seed: int, tick: Callable[[int], None]
) -> tuple[Correlation, str]:
    """Return the correlation with the map of shuffled weights, or why there is none."""
    from causaliqa.effects.black_box import BlackBox
    from causaliqa.effects.faithfulness import shuffled
    from causaliqa.effects.interventions import InterventionRunner

    try:
        other = BlackBox(shuffled(restorer, seed), runner.scene.grid.scale, runner.network.device)
        with other.untouched():
            there = InterventionRunner(other, runner.scene, runner.measure, runner.reach)
            return _rank_correlation(own, _short_map(there, plan, tick)), ""
    except InputError as error:
        return _NONE, f"shuffled weights: {error}"
