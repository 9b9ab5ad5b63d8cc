"""Interventions where they are needed: even draws, adjusted means, and more of them where the error is largest.

What an intervention does to the region is, for the most part, a smooth function of a few properties of the patch that
is put in. So (1) the patches are drawn evenly over the library instead of independently, (2) the mean is adjusted for
what is known of the draws, and (3) further interventions go to the patches whose standard error is still large.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from causaliqa.effects.plan import Estimate, Round, Seen
from causaliqa.errors import InputError
from causaliqa.functional.regression import adjusted_mean

__all__ = ["Adaptive", "Covariates", "make_adaptive"]

Covariates = Callable[[int, int], NDArray[np.float64]]
"""What is known of intervention ``number`` on a patch, ``(k,)``; mean 0 and variance 1 over all that may be drawn."""

_SHARE = 10
"""One round goes to at most one in so many patches, so that the next can learn from it."""
_FEW = 6
"""Interventions below which the scatter of the effects says too little; their size stands in for it."""


def _nothing(patch: int, number: int) -> NDArray[np.float64]:
    return np.empty(0)


@dataclass(frozen=True, kw_only=True)
class Adaptive:
    """Two interventions on every patch, then a few more at a time where they lower the error most.

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
    """Interventions on every patch to begin with."""
    step: int = 4
    """Further ones at a time."""
    limit: int = 500
    """Most interventions on one patch."""
    covariates: Covariates = field(default=_nothing, repr=False, compare=False)
    """What is known of each draw."""
    name: str = "adaptive"

    def rounds(self, patches: Sequence[int], seen: Seen) -> Iterator[Round]:
        """Yield the first round for all patches, then rounds for those where most is to be won."""
        if not patches:
            return
        first = self.first if self.budget is None else max(1, min(self.first, self.budget // len(patches)))
        counts = dict.fromkeys(patches, first)
        yield self._round(patches, 0, first)
        left = math.inf if self.budget is None else self.budget - first * len(patches)
        error = {p: self._error(p, seen) for p in patches}
        while chosen := self._chosen(counts, error, left):
            for start, group in groupby(sorted(chosen, key=lambda p: (counts[p], p)), key=lambda p: counts[p]):
                yield self._round(tuple(group), start, start + self.step)
            for p in chosen:
                counts[p] += self.step
                error[p] = self._error(p, seen)
            left -= self.step * len(chosen)

    def _round(self, patches: Sequence[int], start: int, stop: int) -> Round:
        return Round(stage=f"draws {start}-{stop}", patches=tuple(patches), draws=range(start, stop), even=True)

    def _chosen(self, counts: dict[int, int], error: dict[int, float], left: float) -> list[int]:
        """Return the patches of the next round: where an intervention lowers the sum of errors most."""
        room = max(0, min(max(1, len(counts) // _SHARE), left // self.step))
        open_ones = [p for p, n in counts.items() if n + self.step <= self.limit and error[p] > (self.precision or 0)]
        gain = {p: error[p] * (1 - math.sqrt(counts[p] / (counts[p] + self.step))) for p in open_ones}
        return sorted(open_ones, key=lambda p: (-gain[p], p))[: int(room)]

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
        """Average all effects of a patch, adjusted for what its draws were."""
        samples = self._samples(patch, seen)
        known = np.array([self.covariates(patch, number) for number in range(len(samples))])
        effect, sem = adjusted_mean(samples, known)
        return Estimate(samples=samples, effect=effect, sem=sem)

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
