"""Tests of being the best of several, on the values that independent units (references, images) contribute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from causaliqa.functional.significance import FEWEST

__all__ = ["Stratum", "Values", "Verdicts", "tail", "verdicts_of"]

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """What :func:`verdicts_of` finds about M things."""

    difference: Array
    """Mean of row less column, ``(M, M)``."""
    t: Array
    """The difference in standard errors, ``(M, M)``; NaN where it cannot be tested."""
    p: Array
    """Two-sided p of every pair by Student's t, ``(M, M)``, 1 on the diagonal."""
    p_best: Array
    """p of the hypothesis that no other is better, ``(M,)``."""
    largest: Array
    """Largest ``|t|`` of all pairs in every draw, ``(D,)``."""


class Values(Protocol):
    """What differs from unit to unit: pseudo-values of a statistic, or plain values of a mean."""

    count: int
    """Independent units, such as references."""
    finite: NDArray[np.bool_]
    """Which observations every one of M has, ``(M, n)``."""

    def of(self, metric: int, keep: NDArray[np.bool_]) -> Array:
        """Values of one of M, ``(units,)``, from the observations that are kept; NaN where there are none."""


class Stratum:
    """Values of independent units, and their sums under random signs of the units."""

    def __init__(self, values: Values, rng: np.random.Generator, draws: int) -> None:
        self.values = values
        self.signs = 2.0 * rng.integers(2, size=(values.count, draws)) - 1.0
        self._signed: dict[tuple[int, bytes], Array] = {}

    def units(self, own: int) -> int:
        """Return how many units count for one of M."""
        return int(np.isfinite(self.values.of(own, self.values.finite[own])).sum())

    def differences(self, own: int) -> tuple[Array, ...]:
        """Per metric its difference to one: mean, squared error, both in every draw, references."""
        finite = self.values.finite
        both = finite & finite[own]
        others, signed_others = zip(*(self._row(m, both[m]) for m in range(len(finite))), strict=True)
        owns, signed_owns = zip(*(self._row(own, both[m]) for m in range(len(finite))), strict=True)
        step, signed = np.stack(others) - np.stack(owns), np.stack(signed_others) - np.stack(signed_owns)
        present = np.isfinite(step)
        step[~present] = 0.0
        size = present.sum(axis=1).astype(np.float64)
        square = (step * step).sum(axis=1)
        mean, error = _moments(step.sum(axis=1), square, size)
        return mean, error, *_moments(signed, square[:, None], size[:, None]), size

    def _row(self, metric: int, keep: NDArray[np.bool_]) -> tuple[Array, Array]:
        key = metric, keep.tobytes()
        values = self.values.of(metric, keep)
        if key not in self._signed:
            self._signed[key] = np.nan_to_num(values) @ self.signs
        return values, self._signed[key]


def _moments(total: Array, square: Array, size: Array) -> tuple[Array, Array]:
    """Mean and squared standard error of pseudo-values from their sum, sum of squares and number.

    NaN below two, and the error below three.
    """
    with np.errstate(all="ignore"):
        mean = np.where(size >= 2, total / size, np.nan)
        error = np.where(size >= FEWEST, (square / size - mean * mean) / (size - 1), np.nan)
        # What rounding leaves of equal values is nothing.
        return mean, np.where(error <= 1e-14 * square / size, 0.0 * error, error)


def _against(strata: Sequence[Stratum], own: int) -> tuple[Array, Array, Array, Array]:
    """Difference, t and p of every metric against one, and t in every draw, ``(M, D)``."""
    parts = [stratum.differences(own) for stratum in strata]
    means, errors, drawn, drawn_errors, sizes = (np.stack(part) for part in zip(*parts, strict=True))
    with np.errstate(all="ignore"):
        # Welch and Satterthwaite; with one data set the references less one.
        freedom = errors.sum(axis=0) ** 2 / (errors**2 / (sizes - 1)).sum(axis=0)
        t = _ratio(means.mean(axis=0), errors.sum(axis=0) / len(strata) ** 2)
        p = np.where(np.isinf(t), 0.0, 2 * stats.t.sf(np.abs(t), np.nan_to_num(freedom, nan=1.0)))
    p[own] = 1.0
    return means.mean(axis=0), t, p, _ratio(drawn.mean(axis=0), drawn_errors.sum(axis=0) / len(strata) ** 2)


def _ratio(mean: Array, squared_error: Array) -> Array:
    """t; 0 where both are 0."""
    with np.errstate(all="ignore"):
        return np.where((mean == 0) & (squared_error == 0), 0.0, mean / np.sqrt(squared_error))


def verdicts_of(strata: Sequence[Stratum], known: NDArray[np.bool_], units: int, widening: float = 1.0) -> Verdicts:
    """Test every one of M against the others.

    Args:
        strata: one or several independent sets of pseudo-values.
        known: which of the M have a value.
        units: independent units of all strata.
        widening: factor for the draws of t.
    """
    count = len(known)
    # A rival so many standard errors below drops out of the test; the law of the iterated logarithm sets the number.
    clearly = np.sqrt(2 * np.log(np.log(max(units, 3))))
    difference, t, p = np.zeros((count, count)), np.full((count, count), np.nan), np.ones((count, count))
    p_best, largest = np.full(count, np.nan), np.zeros(len(strata[0].signs[0]))
    for own in range(count):
        difference[:, own], t[:, own], p[:, own], drawn = _against(strata, own)
        drawn *= widening
        largest = np.fmax(largest, np.max(np.abs(drawn), axis=0, initial=0.0, where=~np.isnan(drawn)))
        if known[own] and all(stratum.units(own) >= FEWEST for stratum in strata):
            rivals = ~np.isnan(t[:, own])
            rivals[own] = False
            p_best[own] = _p_best(t[rivals, own], drawn[rivals], clearly)
    return Verdicts(difference=difference, t=t, p=p, p_best=p_best, largest=largest)


def _p_best(t: Array, drawn: Array, clearly: float) -> float:
    """p that no rival is better, from their t ``(R,)`` and the draws of it ``(R, D)``."""
    if np.max(t, initial=0.0) <= 0:
        return 1.0
    rivals = t > -np.inf
    recentred = drawn[rivals] + np.where(t[rivals] < -clearly, t[rivals], 0.0)[:, None]
    return float(tail(t.max(), recentred.max(axis=0)))


def tail(observed: ArrayLike, drawn: Array) -> Array:
    """Return the share of draws at least as large as what was observed (>= 0), itself among them; NaN stays."""
    found = np.asarray(observed, dtype=np.float64)
    # A hair below, so that a draw that repeats the sample counts as large.
    above = len(drawn) - np.searchsorted(np.sort(drawn), found * (1 - 1e-9), side="left")
    return np.where(np.isnan(found), np.nan, (1 + above) / (1 + len(drawn)))
