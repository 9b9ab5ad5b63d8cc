"""Where metrics and people, and metrics and metrics, disagree: residuals, pairs of images, a map of metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from causaliqa.api.errors import InputError
from causaliqa.functional.logistic import Fit, fit_logistic
from causaliqa.functional.statistics import srcc

__all__ = ["MetricMap", "Pair", "Residuals", "gmad_pairs", "largest_residuals", "metric_map", "rank_correlations"]

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Residuals:
    """The images that M metrics predict worst."""

    images: NDArray[np.int64]
    """Numbers of the images, ``(M, K)``, the worst first; -1 where a metric scored fewer."""
    residuals: Array
    """Predicted less given label, ``(M, K)``, in the unit of the labels: positive where the metric is too kind."""


def largest_residuals(
    scores: ArrayLike, labels: ArrayLike, *, fits: Sequence[Fit] | None = None, count: int = 10
) -> Residuals:
    """Return the images with the largest residuals of every metric after the logistic fit.

    Args:
        scores: quality-oriented scores ``(M, n)``; NaN where one failed.
        labels: quality-oriented labels ``(n,)``, finite.
        fits: fit of every metric on these scores and labels; the 4-parameter logistic is fitted if None.
        count: images a metric.

    Raises:
        InputError: shapes do not fit or ``count`` is not positive.

    Example:
        >>> labels = np.linspace(0, 1, 20)
        >>> scores = labels.copy()
        >>> scores[5] = 1.0
        >>> found = largest_residuals([scores], labels, count=1)
        >>> found.images.tolist(), bool(found.residuals[0, 0] > 0)
        ([[5]], True)
    """
    x, y = np.atleast_2d(np.asarray(scores, dtype=np.float64)), np.asarray(labels, dtype=np.float64)
    if y.ndim != 1 or x.shape[1:] != y.shape or (fits is not None and len(fits) != len(x)) or count < 1:
        raise InputError(
            f"largest_residuals: got scores {x.shape}, labels {y.shape}, {len(fits or x)} fits and count {count}, "
            "expected (metrics, images), (images,), a fit a metric and at least one image"
        )
    images, residuals = np.full((len(x), count), -1), np.full((len(x), count), np.nan)
    for m, row in enumerate(x):
        scored = np.flatnonzero(np.isfinite(row))
        fit = fits[m] if fits is not None else fit_logistic(row[scored], y[scored])
        off = fit.predict(row[scored]) - y[scored]
        worst = np.argsort(-np.abs(off), kind="stable")[:count]
        images[m, : len(worst)], residuals[m, : len(worst)] = scored[worst], off[worst]
    return Residuals(images=images, residuals=residuals)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two images that one metric holds equal and another far apart."""

    worse: int
    """Number of the image that the second metric scores lower."""
    better: int
    """Number of the image that it scores higher."""
    held: float
    """How far apart the first metric sees them (better less worse)."""
    apart: float
    """How far apart the second metric sees them."""


def gmad_pairs(held: ArrayLike, apart: ArrayLike, *, tolerance: float, count: int = 5) -> list[Pair]:
    """Return the pairs of images that one metric holds equal and another sees furthest apart.

    Whichever metric is right about such a pair, the other is wrong: the pairs tell most per look. Takes O(n log n) time
    and O(n) memory. Source: Ma et al., "Group maximum differentiation competition", IEEE TPAMI 42(4), 2020.

    Args:
        held: scores of the metric that holds the images equal, ``(n,)``; NaN where it failed.
        apart: scores of the other metric, ``(n,)``. Labels predicted after a fit make both comparable.
        tolerance: difference of ``held`` that still counts as equal.
        count: pairs wanted; no image is used twice.

    Returns:
        Up to ``count`` pairs, the one furthest apart first; each is the best that the images left over allow.

    Raises:
        InputError: shapes differ or a number is negative.

    Example:
        >>> gmad_pairs([1.0, 1.25, 5.0, 5.25], [0.0, 9.0, 2.0, 3.0], tolerance=0.5, count=1)
        [Pair(worse=0, better=1, held=0.25, apart=9.0)]
    """
    from causaliqa.functional._windows import widest_pair

    x, y = np.asarray(held, dtype=np.float64), np.asarray(apart, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or not tolerance >= 0 or count < 0:
        raise InputError(
            f"gmad_pairs: got shapes {x.shape} and {y.shape}, tolerance {tolerance} and count {count}, "
            "expected the same images and no negative number"
        )
    scored = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    order = scored[np.argsort(x[scored], kind="stable")]
    sorted_x, sorted_y, free = x[order], y[order], np.ones(len(order), dtype=np.bool_)
    pairs: list[Pair] = []
    while len(pairs) < count:
        low, high = widest_pair(sorted_x, sorted_y, free, float(tolerance))
        if low < 0:
            break
        free[[low, high]] = False
        worse, better = int(order[low]), int(order[high])
        step = float(x[better] - x[worse]), float(y[better] - y[worse])
        pairs.append(Pair(worse=worse, better=better, held=step[0], apart=step[1]))
    return pairs


def rank_correlations(scores: ArrayLike) -> Array:
    """Return Spearman's correlation of every two metrics on the images that both scored, ``(M, M)``; NaN if undefined.

    >>> rank_correlations([[1, 2, 3, 4], [1, 4, 9, 16], [4, 3, 2, 1]]).tolist()
    [[1.0, 1.0, -1.0], [1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]]
    """
    x = np.asarray(scores, dtype=np.float64)
    if x.ndim != 2:
        raise InputError(f"rank_correlations: got shape {x.shape}, expected (metrics, images)")
    finite = np.isfinite(x)
    out = np.full((len(x), len(x)), np.nan)
    whole = np.flatnonzero(finite.all(axis=1) & (x != x[:, :1]).any(axis=1))
    if len(whole):
        ranks = stats.rankdata(x[whole], axis=1)
        ranks -= ranks.mean(axis=1, keepdims=True)
        ranks /= np.linalg.norm(ranks, axis=1, keepdims=True)
        out[np.ix_(whole, whole)] = np.clip(ranks @ ranks.T, -1.0, 1.0)
    for a in np.setdiff1d(np.arange(len(x)), whole):
        for b in range(len(x)):
            both = finite[a] & finite[b]
            out[a, b] = out[b, a] = srcc(x[a, both], x[b, both])
    known = np.diag(out) > 0
    out[known, known] = 1.0
    return out


@dataclass(frozen=True, kw_only=True)
class MetricMap:
    """Metrics as points in the plane; near each other where they rank images alike."""

    coordinates: Array
    """``(M, 2)``; NaN for a metric whose correlations are unknown."""
    explained: float
    """Share of the squared distances that the plane shows, in [0, 1]."""


def metric_map(correlation: ArrayLike) -> MetricMap:
    """Return a map of metrics from their rank correlations, by classical scaling.

    The distance of two metrics is ``sqrt(2 - 2 r)``, that of their standardised ranks. The larger coordinate of every
    axis is made positive, so that the same scores give the same map. Source: Torgerson, Psychometrika 17(4), 1952;
    Gower, Biometrika 53(3/4), 1966.

    Args:
        correlation: symmetric, ``(M, M)``, as :func:`rank_correlations` returns it.

    Raises:
        InputError: not a square table.

    Example:
        >>> found = metric_map([[1, 0.5], [0.5, 1]])
        >>> (found.coordinates.round(3) + 0.0).tolist(), round(found.explained, 3)
        ([[0.5, 0.0], [-0.5, 0.0]], 1.0)
    """
    r = np.asarray(correlation, dtype=np.float64)
    if r.ndim != 2 or r.shape[0] != r.shape[1]:
        raise InputError(f"metric_map: got shape {r.shape}, expected a square table")
    coordinates = np.full((len(r), 2), np.nan)
    known = np.flatnonzero(np.isfinite(np.diag(r)))
    table = r[np.ix_(known, known)]
    holes = ~np.isfinite(table).all(axis=1)
    known, table = known[~holes], table[np.ix_(~holes, ~holes)]
    if not len(known):
        return MetricMap(coordinates=coordinates, explained=float("nan"))
    # Centring the correlations on both sides is the double centring of the halved squared distances.
    centred = table - table.mean(axis=0) - table.mean(axis=1)[:, None] + table.mean()
    values, vectors = np.linalg.eigh((centred + centred.T) / 2)
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    plane = (vectors * np.sqrt(values))[:, :2]
    for axis in range(plane.shape[1]):
        plane[:, axis] *= np.sign(plane[np.argmax(np.abs(plane[:, axis]).round(9)), axis]) or 1.0
    coordinates[known, : plane.shape[1]] = plane
    coordinates[known, plane.shape[1] :] = 0.0
    total = float(values.sum())
    return MetricMap(coordinates=coordinates, explained=float(values[:2].sum()) / total if total > 0 else 1.0)
