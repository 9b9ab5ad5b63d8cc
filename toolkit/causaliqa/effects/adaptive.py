"""Interventions where they are needed: even draws, weighted means, and more of them where the error is largest.

What an intervention does to the region is, for the most part, a smooth function of the patch that is put in. So (1) the
patches are drawn evenly over the library instead of independently, (2) an effect is averaged over the library by what
its draws say of the patches around them, (3) further interventions go to the patches whose standard error is still
large, and (4) patches with few interventions learn from each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from causaliqa.effects.plan import Estimate, Round, Seen
from causaliqa.errors import InputError
from causaliqa.functional.quadrature import Population
from causaliqa.functional.sharing import shared_means

__all__ = ["Adaptive", "Place", "make_adaptive"]

Place = Callable[[int, int | None], NDArray[np.float64]]
"""Where intervention ``number`` on a patch, or for None its own content, lies in the space of all that may be drawn,
``(k,)``; empty where that is not known."""

_SHARE = 10
"""One round goes to at most one in so many patches, so that the next can learn from it."""
_FEW = 6
"""Interventions below which the scatter of the effects says too little; their size stands in for it."""


def _nowhere(patch: int, number: int | None) -> NDArray[np.float64]:
    return np.empty(0)


@dataclass(frozen=True, kw_only=True)
class Adaptive:
    """One or two interventions on every patch, then a few more at a time where they lower the error most.

    Example:
        >>> plan, seen = Adaptive(budget=8), {}
        >>> rounds = plan.rounds([0, 1], seen)
        >>> next(rounds).draws
        range(0, 2)
        >>> seen["draws 0-2"] = {0: np.array([0.0, 0.001]), 1: np.array([0.3, -0.2])}
        >>> more = next(rounds)
        >>> more.patches, more.draws
        ((1,), range(2, 6))
    """

    budget: int | None = None
    """Interventions in all; None for as many as the wanted error takes."""
    precision: float | None = None
    """Wanted standard error of every patch in dB, where there is no budget."""
    first: int = 2
    """Most interventions on every patch to begin with."""
    step: int = 4
    """Further ones at a time."""
    limit: int = 500
    """Most interventions on one patch."""
    place: Place = field(default=_nowhere, repr=False, compare=False)
    """Where each draw lies."""
    population: Population | None = field(default=None, repr=False, compare=False)
    """All that may be drawn; None where nothing is known of it, and effects are plain means."""
    name: str = "adaptive"

    def rounds(self, patches: Sequence[int], seen: Seen) -> Iterator[Round]:
        """Yield the first round for all patches, then rounds for those where most is to be won."""
        if not patches:
            return
        # A small budget would be gone after the first round; half of it is for the patches that need more.
        first = self.first if self.budget is None else max(1, min(self.first, self.budget // (2 * len(patches))))
        counts = dict.fromkeys(patches, first)
        yield self._round(patches, 0, first)
        left = math.inf if self.budget is None else self.budget - first * len(patches)
        error = {p: self._error(p, seen) for p in patches}
        while chosen := self._chosen(counts, error, left):
            for (start, stop), group in groupby(sorted(chosen, key=lambda p: (*chosen[p], p)), key=chosen.__getitem__):
                yield self._round(tuple(group), start, stop)
            for p, (start, stop) in chosen.items():
                left -= stop - start
                counts[p] = stop
                error[p] = self._error(p, seen)

    def _round(self, patches: Sequence[int], start: int, stop: int) -> Round:
        return Round(stage=f"draws {start}-{stop}", patches=tuple(patches), draws=range(start, stop), even=True)

    def _chosen(self, counts: dict[int, int], error: dict[int, float], left: float) -> dict[int, tuple[int, int]]:
        """Return the draws of the next round, where an intervention lowers the sum of errors most."""
        gain, step = {}, {}
        for p, n in counts.items():
            step[p] = min(max(self.step, n // 4), self.limit - n)
            if step[p] > 0 and error[p] > (self.precision or 0):
                gain[p] = error[p] * (1 - math.sqrt(n / (n + step[p]))) / step[p]
        chosen = {}
        for p in sorted(gain, key=lambda p: (-gain[p], p))[: max(1, len(counts) // _SHARE)]:
            more = int(min(step[p], left))
            if more > 0:
                chosen[p] = (counts[p], counts[p] + more)
                left -= more
        return chosen

    def _error(self, patch: int, seen: Seen) -> float:
        """Return the standard error of a patch; of few effects, what it would be if they scattered around zero."""
        samples = self._samples(patch, seen)
        if len(samples) < _FEW:
            return float(np.sqrt((samples**2).mean() / len(samples)))
        return self.estimate(patch, seen).sem

    def _samples(self, patch: int, seen: Seen) -> NDArray[np.float64]:
        # Stages come in the order of their draws, because a patch gets them in that order.
        parts = [effects[patch] for stage, effects in seen.items() if stage.startswith("draws ") and patch in effects]
        return np.concatenate(parts)

    def estimate(self, patch: int, seen: Seen) -> Estimate:
        """Average the effects of a patch over all that may be drawn."""
        samples = self._samples(patch, seen)
        if self.population is None:
            return Estimate.mean_of(samples)
        effect, sem = self.population.mean_of(samples, self._places(patch, len(samples)))
        return Estimate(samples=samples, effect=effect, sem=sem)

    def _places(self, patch: int, count: int) -> NDArray[np.float64]:
        return np.array([self.place(patch, number) for number in range(count)])

    def estimates(self, patches: Sequence[int], seen: Seen) -> dict[int, Estimate]:
        """Average the effects of all patches; those with few interventions learn from each other.

        The standard errors are those of a patch by itself, which are larger.
        """
        found = {p: self.estimate(p, seen) for p in patches}
        few = [p for p, e in found.items() if e.count < _FEW and len(self.place(p, None))]
        if self.population is None or not few:
            return found
        shared = shared_means(
            [found[p].samples for p in few],
            [self._places(p, found[p].count) for p in few],
            np.array([self.place(p, None) for p in few]),
            self.population.points,
        )
        told = {p: float(effect) for p, effect in zip(few, shared, strict=True) if not math.isnan(effect)}
        return {p: replace(e, effect=told.get(p, e.effect)) for p, e in found.items()}

    def most(self, patches: int) -> int:
        """The budget, or the limit for every patch."""
        return patches * self.limit if self.budget is None else self.budget


def make_adaptive(budget: int | None, precision: float | None, tolerance: float) -> Adaptive:
    """Return the plan for a budget or a wanted error.

    Raises:
        InputError: both are given, or a number is out of range.

    Example:
        >>> make_adaptive(None, None, 0.01).precision
        0.005
    """
    if budget is not None and precision is not None:
        raise InputError("adaptive: got a budget and a precision, expected one of them")
    if budget is not None and (not isinstance(budget, int) or budget < 1):
        raise InputError(f"budget: got {budget!r}, expected a whole number of interventions, 1 or more")
    if precision is not None and not precision > 0:
        raise InputError(f"precision: got {precision!r}, expected a number of dB above 0")
    if budget is None and precision is None:
        precision = tolerance / 2
    return Adaptive(budget=budget, precision=precision)
