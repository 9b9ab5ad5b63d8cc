"""Comparisons of means over the same images: which of several outputs is better, and how sure that is.

The test of being the best is that of leaderboards (:mod:`causaliqa.functional.best`), on the scores themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from causaliqa.api.errors import InputError
from causaliqa.functional._superior import Stratum, verdicts_of

__all__ = ["MeanComparison", "compare_means", "detectable", "mean_interval"]

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class MeanComparison:
    """Paired comparisons of M outputs on the same images."""

    mean: Array
    """Mean of every output over the images that it has, ``(M,)``."""
    difference: Array
    """Mean of row less column over the images that both have, ``(M, M)``."""
    low: Array
    """Lower end of the 95 % interval of the difference by Student's t, ``(M, M)``; NaN below three images."""
    high: Array
    """Its upper end, ``(M, M)``."""
    p: Array
    """Two-sided p of every pair by Student's paired t test, ``(M, M)``, 1 on the diagonal; not corrected."""
    p_best: Array
    """p of the hypothesis that an output is the best, ``(M,)``; 1 for the best in the sample, NaN without a score or
    below three images."""
    images: NDArray[np.int64]
    """Images that both have, ``(M, M)``."""
    largest: Array = field(repr=False)
    """Largest ``|t|`` of all pairs in every draw in which no two outputs differ, ``(D,)``."""

    def tied(self, alpha: float = 0.05) -> tuple[bool, ...]:
        """Say for every output whether it may be the best; outputs without a score never are."""
        return tuple(bool(p >= alpha) for p in self.p_best)


class _Images:
    """Plain values: every image is a unit of its own."""

    def __init__(self, values: Array) -> None:
        self.values = values
        self.finite = np.isfinite(values)
        self.count = values.shape[1]

    def of(self, metric: int, keep: NDArray[np.bool_]) -> Array:
        return np.where(keep, self.values[metric], np.nan)


def compare_means(quality: ArrayLike, *, draws: int = 1000, seed: int = 0) -> MeanComparison:
    """Compare outputs by their mean quality over the same images.

    An output is tied with the best where the hypothesis that it is the best is not rejected: by the largest studentised
    deficit against the rivals that are not clearly worse, and random signs of the images' differences. Images are what
    is independent; with fewer than five nothing can be significant, with
    fewer than three nothing is tested. Sources as in :mod:`causaliqa.functional.best`.

    Args:
        quality: quality-oriented scores ``(M, n)`` of M outputs on n images; NaN where there is none.
        draws: number of random signs for every image.
        seed: decides the signs.

    Raises:
        InputError: the scores are no matrix, or there are fewer than two draws.

    Example:
        >>> noise = np.random.default_rng(0).normal(size=(3, 40))
        >>> found = compare_means(30 + noise * [[0.1]] + np.array([[0.0], [0.0], [-1.0]]), draws=200)
        >>> found.tied(), bool(found.low[0, 2] < 1 < found.high[0, 2])
        ((True, True, False), True)
    """
    values = np.asarray(quality, dtype=np.float64)
    if values.ndim != 2 or not values.size or draws < 2:
        raise InputError(f"got scores {values.shape} and {draws} draws, expected (outputs, images) and at least 2")
    finite = np.isfinite(values)
    values = np.where(finite, values, np.nan)
    stratum = Stratum(_Images(values), np.random.default_rng([seed, 0]), draws)
    known = np.asarray(finite.any(axis=1))
    found = verdicts_of([stratum], known, values.shape[1])
    images = (finite[:, None] & finite[None]).sum(axis=2)
    with np.errstate(all="ignore"):
        error = np.abs(found.difference / found.t)
        half = np.where(images > 2, stats.t.ppf(0.975, np.maximum(images - 1, 1)) * np.nan_to_num(error), np.nan)
        mean = np.where(known, np.nansum(values, axis=1) / finite.sum(axis=1), np.nan)
    np.fill_diagonal(half, np.where(np.diag(images) > 2, 0.0, np.nan))
    return MeanComparison(
        mean=mean,
        difference=found.difference,
        low=found.difference - half,
        high=found.difference + half,
        p=found.p,
        p_best=found.p_best,
        images=images,
        largest=found.largest,
    )


def mean_interval(values: Iterable[float], level: float = 0.95) -> tuple[float, float]:
    """Return the interval of a mean by Student's t; NaN below three values.

    Example:
        >>> [round(end, 2) for end in mean_interval([30.0, 32.0, 34.0])]
        [27.03, 36.97]
    """
    found = np.asarray(list(values), dtype=np.float64)
    if len(found) < 3:
        return float("nan"), float("nan")
    half = stats.t.ppf((1 + level) / 2, len(found) - 1) * found.std(ddof=1) / np.sqrt(len(found))
    return float(found.mean() - half), float(found.mean() + half)


def detectable(images: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the difference that a paired t test finds with the wanted power, in deviations of the differences.

    Args:
        images: number of images.
        alpha: two-sided level of the test.
        power: probability of finding it.

    Returns:
        The difference of means divided by the standard deviation over images of the paired differences; infinite
        below three images. Source: Cohen, Statistical Power Analysis, 1988, ch. 2, by the noncentral t distribution.

    Example:
        >>> round(detectable(14), 2), round(detectable(100), 2)
        (0.81, 0.28)
    """
    from scipy.optimize import brentq

    if images < 3:
        return float("inf")
    freedom = images - 1
    critical = stats.t.ppf(1 - alpha / 2, freedom)

    def missing(effect: float) -> float:
        return float(stats.nct.sf(critical, freedom, effect * np.sqrt(images))) - power

    return float(brentq(missing, 1e-6, 50.0))
