"""What differences of a metric's scores are worth: Krasula's areas and resolving power.

Sources: Krasula, Fliegel, Le Callet and Klíma, "On the accuracy of objective image and video quality models", QoMEX
2016 (areas); Pinson and Wolf, NTIA TR-09-457, 2008, and ITU-T J.149, 2004 (resolving power). Errors of prediction are
in :mod:`causaliqa.functional.p1401`. All arrays are quality-oriented, see
:func:`causaliqa.functional.statistics.orient`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from causaliqa.api.errors import InputError

__all__ = ["Areas", "areas", "resolving_power"]

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

_BINS = 10
"""Bins that the differences of scores span; they overlap by half. Source: J.149."""


def _checked(scores: ArrayLike, labels: ArrayLike, *facts: ArrayLike) -> list[Array]:
    """Scores ``(M, n)`` and further arrays ``(n,)``; a number stands for all images."""
    x, y = np.atleast_2d(np.asarray(scores, dtype=np.float64)), np.asarray(labels, dtype=np.float64)
    others = [np.broadcast_to(np.asarray(fact, dtype=np.float64), y.shape) for fact in facts if _fits(fact, y)]
    if y.ndim != 1 or x.ndim != 2 or x.shape[1:] != y.shape or len(others) < len(facts):
        raise InputError(
            f"got scores {x.shape}, labels {y.shape} and {', '.join(str(np.shape(fact)) for fact in facts)}, "
            "expected (metrics, images), (images,) and one number an image or one for all"
        )
    return [x, y, *others]


def _fits(fact: ArrayLike, y: Array) -> bool:
    return np.shape(fact) in ((), y.shape)


def _pairs(n: int, most: int, seed: int) -> tuple[Indices, Indices]:
    """Indices i < j of all pairs, or of as many random ones as are wanted at most."""
    total = n * (n - 1) // 2
    if total <= most:
        first, second = np.triu_indices(n, k=1)
        return first.astype(np.int64), second.astype(np.int64)
    chosen = np.random.default_rng(seed).choice(total, size=most, replace=False, shuffle=False)
    # Pair number k of the triangle (i, j < i), counted row by row.
    row = ((1 + np.sqrt(8.0 * chosen + 1)) / 2).astype(np.int64)
    row -= row * (row - 1) // 2 > chosen
    row += row * (row + 1) // 2 <= chosen
    return chosen - row * (row - 1) // 2, row


@dataclass(frozen=True, kw_only=True)
class Areas:
    """Krasula's analysis of M metrics; all values in [0, 1], higher is better; NaN where a metric failed."""

    different_similar: Array
    """Area under the ROC that tells different from similar pairs by the absolute difference of scores, ``(M,)``."""
    better_worse: Array
    """Area under the ROC that tells the better of two different images by the difference of scores, ``(M,)``."""
    correct: Array
    """Share of different pairs whose better image has the higher score, ``(M,)``; equal scores are wrong."""
    threshold: Array
    """Difference of scores that 95 % of the similar pairs stay below, ``(M,)``, in the unit of the scores."""
    pairs: int
    """Pairs that were looked at."""
    different: int
    """Pairs whose labels differ significantly."""


def areas(
    scores: ArrayLike,
    labels: ArrayLike,
    deviation: ArrayLike,
    counts: ArrayLike = 1,
    *,
    include_self: bool = False,
    most_pairs: int = 500_000,
    seed: int = 0,
    threads: int = 1,
) -> Areas:
    """Return Krasula's areas: does a difference of scores mean a visible one, and the right way round?

    Two labels differ where ``|z| > 2`` for the difference over its standard error, from the subjects' deviations. The
    pairs share images, so that tests which take them as independent (DeLong's) are left out.

    Args:
        scores: ``(M, n)`` or ``(n,)``; a metric with a NaN gets NaN.
        labels: mean opinion scores ``(n,)``.
        deviation: standard deviation between subjects (n - 1 in the denominator) of every label, or one for all.
        counts: subjects behind every label, or one number for all; 1 if ``deviation`` is the standard error.
        include_self: count every image against itself as a similar pair, as ``perf_metric`` of Netflix's vmaf does.
        most_pairs: beyond so many pairs, random ones stand for all.
        seed: decides which.
        threads: threads that share the work; they change nothing.

    Raises:
        InputError: shapes do not fit.

    Example:
        >>> found = areas([1, 2, 3, 5], [1, 1.1, 3, 3.2], deviation=0.2)
        >>> found.different, found.better_worse.tolist(), found.different_similar.tolist()
        (4, [1.0], [0.75])
    """
    x, y, spread, number = _checked(scores, labels, deviation, counts)
    i, j = _pairs(len(y), most_pairs, seed)
    z = (y[i] - y[j]) / np.sqrt(np.fmax(spread[i] ** 2 / number[i] + spread[j] ** 2 / number[j], 1e-300))
    order = np.where(np.abs(z) > 2, np.sign(z), 0.0)
    different = order != 0
    with ThreadPoolExecutor(threads) as pool:
        rows = list(pool.map(lambda row: _areas_of_one(row[i] - row[j], order, different, len(y) * include_self), x))
    out = np.array(rows).reshape(-1, 4)
    return Areas(
        different_similar=out[:, 0],
        better_worse=out[:, 1],
        correct=out[:, 2],
        threshold=out[:, 3],
        pairs=len(i),
        different=int(different.sum()),
    )


def _areas_of_one(step: Array, order: Array, different: NDArray[np.bool_], itself: int) -> tuple[float, ...]:
    if not np.isfinite(step).all():
        return (np.nan,) * 4
    far, near, right = np.abs(step[different]), np.sort(np.abs(step[~different])), (step * order)[different]
    # Half of the images against themselves: every other pair stands once here and twice in a full table.
    tie = np.array([0.5 * itself, len(near)])
    below = np.where(far > 0, tie[0], tie[0] / 2)
    below = below + (np.searchsorted(near, far, side="left") + np.searchsorted(near, far, side="right")) / 2
    with np.errstate(all="ignore"):
        similar = float(below.mean() / tie.sum()) if len(far) else np.nan
        # The worse of a pair has the opposite difference: the area is the share of sums of two that are positive.
        right.sort()
        losses = np.searchsorted(right, -right, side="left") + np.searchsorted(right, -right, side="right")
        better = 1 - float(losses.mean()) / (2 * len(right)) if len(right) else np.nan
    correct = float(np.mean(right > 0)) if len(right) else np.nan
    table = np.concatenate([np.zeros(itself), np.repeat(near, 2)]) if itself else near
    return similar, better, correct, float(np.percentile(table, 95)) if len(table) else np.nan


def resolving_power(
    predicted: ArrayLike,
    labels: ArrayLike,
    deviation: ArrayLike,
    counts: ArrayLike = 1,
    *,
    level: float = 0.95,
    most_pairs: int = 500_000,
    seed: int = 0,
    threads: int = 1,
) -> Array:
    """Return the difference of predicted labels from which on subjects see it at ``level``; lower is better.

    Pairs are binned by difference (ten bins, overlapping by half); the mean probability that the better predicted image
    is the better one is interpolated at ``level``. As in NTIA's program, of two equal predictions the later counts as
    the better one.

    Args:
        predicted: labels predicted from the scores, ``(M, n)`` or ``(n,)``, after a fit.
        labels: mean opinion scores ``(n,)`` in the same unit.
        deviation: standard deviation between subjects of every label, or one for all.
        counts: subjects behind every label, or one number for all; 1 if ``deviation`` is the standard error.
        level: probability.
        most_pairs: beyond so many pairs, random ones stand for all.
        seed: decides which.
        threads: threads that share the work; they change nothing.

    Returns:
        ``(M,)`` in the unit of the labels; NaN where no difference reaches the level, or a prediction is missing.

    Raises:
        InputError: shapes do not fit.

    Example:
        >>> x = np.arange(50.0)
        >>> bool(1 < resolving_power(x, x, deviation=1.0)[0] < 6)
        True
    """
    x, y, spread, number = _checked(predicted, labels, deviation, counts)
    i, j = _pairs(len(y), most_pairs, seed)
    error = np.sqrt(spread[i] ** 2 / number[i] + spread[j] ** 2 / number[j])
    z = (y[j] - y[i]) / np.where(error == 0, 1e-8, error)
    with ThreadPoolExecutor(threads) as pool:
        return np.array(list(pool.map(lambda row: _resolved(row[j] - row[i], z, level), x)))


def _resolved(step: Array, z: Array, level: float) -> float:
    if not len(step) or not np.isfinite(step).all():
        return float("nan")
    confidence = special.ndtr(np.where(step < 0, -z, z))
    step = np.abs(step)
    low, high = float(step.min()), float(step.max())
    width = (high - low) / _BINS
    if width == 0:
        return float("nan")
    starts = np.arange(low, high - width, width / 2)
    if starts[-1] + width < high:
        starts = np.append(starts, high - width)
    order = np.argsort(step, kind="stable")
    sums = np.concatenate([[0.0], np.cumsum(confidence[order])])
    first, last = (np.searchsorted(step[order], edge, side="left") for edge in (starts, starts + width))
    filled = last > first
    mean = (sums[last] - sums[first])[filled] / (last - first)[filled]
    centre = (starts + width / 2)[filled]
    rising = np.argsort(mean, kind="stable")
    return float(np.interp(level, mean[rising], centre[rising], left=np.nan, right=np.nan))
