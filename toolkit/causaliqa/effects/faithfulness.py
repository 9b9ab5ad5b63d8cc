"""Is a map right? Deletion, insertion, joint replacements and randomised weights, by valid interventions.

Nothing here asks the map for an effect: it gives an order of patches, or a sum, and the network is asked what happens.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from causaliqa.api.errors import InputError
from causaliqa.api.protocols import Restorer
from causaliqa.effects.interventions import InterventionRunner
from causaliqa.effects.rival_maps import effects_of_groups
from causaliqa.functional.degrade import generator_for
from causaliqa.functional.faithfulness import (
    area,
    correlation_interval,
    mean_and_half_width,
    next_value_range,
    prediction_error,
)
from causaliqa.functional.untouched import modules_in

__all__ = ["CheckPlan", "MapScore", "plan_within", "score_maps", "shuffled"]

Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class CheckPlan:
    """How many interventions a check makes.

    Example:
        >>> CheckPlan(steps=10, draws=4, orders=10, groups=60).cost(patches=84, maps=4)
        2008
    """

    steps: int = 12
    """Points of a curve, beside its beginning."""
    draws: int = 4
    """Independent draws of the inserted patches, each with curves of its own."""
    orders: int = 10
    """Random orders."""
    groups: int = 80
    """Groups of patches that are replaced together."""

    def cost(self, patches: int, maps: int) -> int:
        """Return the inferences: curves of maps and random orders, groups, occlusion and two further maps.

        Args:
            patches: that can reach the region.
            maps: that are compared, without chance.
        """
        # A deletion curve and an insertion curve share their ends.
        curves = (maps + self.orders) * 2 * (self.steps - 1) + 1
        return self.draws * (curves + self.groups) + patches + 2 * self.draws * patches


def plan_within(budget: int | None, patches: int, maps: int) -> CheckPlan:
    """Return the largest plan that a budget of inferences allows; the default one without a budget.

    Raises:
        InputError: not even the smallest plan fits.

    Example:
        >>> plan_within(2000, patches=84, maps=4)
        CheckPlan(steps=8, draws=4, orders=10, groups=60)
    """
    plans = [CheckPlan(steps=s, groups=g, draws=d, orders=o) for s, g, d, o in _PLANS]
    if budget is None:
        return plans[0]
    for plan in plans:
        if plan.cost(patches, maps) <= budget:
            return plan
    raise InputError(f"budget: got {budget} inferences, expected at least {plans[-1].cost(patches, maps)}")


_PLANS = ((12, 80, 4, 10), (8, 60, 4, 10), (6, 40, 4, 10), (6, 40, 3, 6), (4, 20, 2, 4))


@dataclass(frozen=True, kw_only=True)
class MapScore:
    """What was measured of one map. Intervals are of 95 %, over draws of the inserted patches or over groups."""

    name: str
    """The map."""
    deletion: float
    """Mean loss of quality while patches are replaced in the order of the map; higher is better."""
    deletion_half: float
    """Half the width of the interval of its lead over the mean random order; for ``random``, of the range in which one
    more random order will lie."""
    insertion: float
    """Mean gain of quality while patches come back in the order of the map; higher is better."""
    insertion_half: float
    """The same for it."""
    joint: float = float("nan")
    """Correlation between the sum over a group and the effect of replacing the group together."""
    joint_low: float = float("nan")
    """Lower end of its interval."""
    joint_high: float = float("nan")
    """Upper end of its interval."""
    error: float = float("nan")
    """Root mean square difference of the two, of maps in the unit of the measure; lower is better."""
    scaled_error: float = float("nan")
    """The same after the sums are multiplied by the factor, 0 or more, that makes it smallest; of any map, in the unit
    of the measure."""


def score_maps(
    runner: InterventionRunner,
    maps: Mapping[str, Values],
    plan: CheckPlan,
    *,
    in_units: Sequence[str],
    seed: int,
    tick: Callable[[int], None] | None = None,
) -> list[MapScore]:
    """Measure maps on the patches that reach the region; the last row, ``random``, is the mean of random orders.

    Args:
        runner: makes the interventions; see :class:`causaliqa.effects.rival_maps.KeptDraws`.
        maps: a value for every patch of ``runner.reached``, higher for patches that are said to help more.
        plan: how many interventions.
        in_units: maps in the unit of the measure.
        seed: of random orders and groups.
        tick: called with the number of inferences as they are made.

    Raises:
        InputError: fewer than two patches reach the region.
    """
    patches = runner.reached
    if len(patches) < 2:
        raise InputError(f"{len(patches)} patches outside the region reach it, expected at least 2; there is no order")
    rng = np.random.default_rng(seed)
    whole = effects_of_groups(runner, [patches], plan.draws, tick)[0]
    orders = {name: np.argsort(-values, kind="stable") for name, values in maps.items()}
    random_orders = [rng.permutation(len(patches)) for _ in range(plan.orders)]
    chance = np.array([_areas(runner, order, whole, plan, tick) for order in random_orders])
    groups = _groups(rng, len(patches), plan.groups)
    joint = effects_of_groups(runner, [[patches[k] for k in g] for g in groups], plan.draws, tick).mean(axis=1)
    found = []
    for name, values in maps.items():
        areas = _areas(runner, orders[name], whole, plan, tick)
        sums = np.array([values[g].sum() for g in groups])
        score = _score(name, areas, chance.mean(axis=0), sums, joint)
        found.append(score if name in in_units else replace(score, error=float("nan")))
    return [*found, _of_chance(chance)]


def _score(name: str, areas: Values, chance: Values, sums: Values, joint: Values) -> MapScore:
    """Return the score of a map.

    Args:
        name: the map.
        areas: of its curves, ``(2, draws)``.
        chance: those of the mean random order.
        sums: of the map over groups of patches.
        joint: effects of replacing these groups.
    """
    # Draws that change the region much do so in every order: the lead over chance varies less than the area.
    (_, loss_half), (_, gain_half) = (mean_and_half_width(lead) for lead in areas - chance)
    loss, gain = areas.mean(axis=1).tolist()
    r, low, high = correlation_interval(sums, joint)
    return MapScore(
        name=name,
        deletion=loss,
        deletion_half=loss_half,
        insertion=gain,
        insertion_half=gain_half,
        joint=r,
        joint_low=low,
        joint_high=high,
        error=prediction_error(sums, joint),
        scaled_error=prediction_error(sums, joint, scaled=True),
    )


def _of_chance(areas: Values) -> MapScore:
    """Return the mean over random orders ``(orders, 2, draws)``, with the range of one more."""
    ends = [next_value_range(own) for own in areas.mean(axis=2).T]
    (loss, loss_half), (gain, gain_half) = (((low + high) / 2, (high - low) / 2) for low, high in ends)
    return MapScore(name="random", deletion=loss, deletion_half=loss_half, insertion=gain, insertion_half=gain_half)


def _groups(rng: np.random.Generator, patches: int, count: int) -> list[NDArray[np.int64]]:
    """Draw groups of 2 to a quarter of the patches."""
    most = max(2, patches // 4)
    sizes = rng.integers(2, most + 1, size=count)
    return [rng.choice(patches, size=int(min(size, patches)), replace=False) for size in sizes]


def _areas(
    runner: InterventionRunner,
    order: NDArray[np.int64],
    whole: Values,
    plan: CheckPlan,
    tick: Callable[[int], None] | None,
) -> Values:
    """Return the areas of deletion and insertion for every draw, ``(2, draws)``.

    Args:
        runner: makes the interventions.
        order: patches, by their place in ``runner.reached``, the most helpful first.
        whole: effect of replacing all patches, for every draw.
        plan: steps and draws.
        tick: called with inferences made.
    """
    patches = np.array(runner.reached)[order]
    cuts = np.round(np.linspace(0, len(patches), plan.steps + 1)).astype(int)[1:-1]
    first = effects_of_groups(runner, [patches[:cut].tolist() for cut in cuts], plan.draws, tick)
    rest = effects_of_groups(runner, [patches[cut:].tolist() for cut in cuts], plan.draws, tick)
    nothing = np.zeros_like(whole)
    losses = np.vstack([nothing, first, whole])  # quality lost after so many replaced
    gains = whole - np.vstack([whole, rest, nothing])  # quality won after so many came back
    return np.stack([area(losses.T), area(gains.T)])


def shuffled(network: Restorer, seed: int) -> Restorer:
    """Return a copy of a network whose every weight tensor has its values in random order.

    Raises:
        InputError: it is no module, or cannot be copied.
    """
    try:
        other = copy.deepcopy(network)
    except Exception as error:
        raise InputError(f"network cannot be copied: {type(error).__name__}") from error
    own = {id(p) for m in modules_in(network) for p in m.parameters(recurse=False)}
    theirs = list({id(p): p for m in modules_in(other) for p in m.parameters(recurse=False)}.values())
    if not theirs or any(id(p) in own for p in theirs):
        raise InputError("network has no weights that a copy does not share")
    generator = generator_for(seed)
    with torch.no_grad():
        for weights in theirs:
            order = torch.randperm(weights.numel(), generator=generator).to(weights.device)
            weights.copy_(weights.flatten()[order].view_as(weights))
    return other
