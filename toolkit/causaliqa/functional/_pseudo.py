"""What every reference contributes to a metric's SRCC: the numbers that paired tests between metrics rest on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from causaliqa.api.errors import InputError
from causaliqa.functional.significance import _leave_out
from causaliqa.functional.statistics import srcc

__all__ = ["PROTOCOLS", "SMALLEST", "PseudoValues", "checked", "reference_srcc"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

PROTOCOLS = ("all", "within")
"""SRCC over all images, or its mean over references."""
SMALLEST = 4
"""Images that a reference needs to count within references."""
_MANY = 1000
"""Beyond so many references the influence of each stands in for leaving it out, whose cost grows with the square."""


def checked(scores: ArrayLike, labels: ArrayLike, clusters: ArrayLike) -> tuple[Array, Array, NDArray[np.int64], int]:
    """Return scores ``(M, n)``, labels ``(n,)``, the number of every image's reference, and how many there are."""
    x, y = np.atleast_2d(np.asarray(scores, dtype=np.float64)), np.asarray(labels, dtype=np.float64)
    if y.ndim != 1 or x.shape[1:] != y.shape or np.shape(clusters) != y.shape:
        raise InputError(
            f"got scores {x.shape}, labels {y.shape} and clusters {np.shape(clusters)}, "
            "expected (metrics, images), (images,) and (images,)"
        )
    if bad := np.flatnonzero(~np.isfinite(y)).tolist():
        raise InputError(f"labels: got {y[bad[0]]} for image {bad[0]}, expected a number; remove the image")
    names, numbers = np.unique(np.asarray(clusters), return_inverse=True)
    return x, y, numbers, len(names)


def reference_srcc(scores: Array, labels: Array, numbers: Any, count: int, smallest: int = SMALLEST) -> Array:
    """Return the SRCC of every metric in every reference, ``(M, count)``; NaN where a reference does not count."""
    out = np.full((len(scores), count), np.nan)
    order = np.argsort(numbers, kind="stable")
    sizes = np.bincount(numbers, minlength=count)
    ends = np.cumsum(sizes)
    for c in np.flatnonzero(sizes >= smallest):
        members = order[ends[c] - sizes[c] : ends[c]]
        block, label = scores[:, members], labels[members]
        finite = np.isfinite(block)
        whole = finite.all(axis=1)
        if np.ptp(label) > 0:
            out[whole, c] = _row_srcc(block[whole], label)
        for m in np.flatnonzero(~whole):
            ok = finite[m]
            if ok.sum() >= smallest and np.ptp(label[ok]) > 0:
                out[m, c] = _row_srcc(block[m : m + 1, ok], label[ok])[0]
    return out


def _row_srcc(rows: Array, labels: Array) -> Array:
    """SRCC of every row with the labels; 0 for a constant row, which orders nothing."""
    x, y = stats.rankdata(rows, axis=1), stats.rankdata(labels)
    x, y = x - x.mean(axis=1, keepdims=True), y - y.mean()
    norm = np.sqrt((x * x).sum(axis=1) * (y @ y))
    return np.asarray(np.divide(x @ y, norm, out=np.zeros(len(x)), where=norm > 0))


class PseudoValues:
    """Pseudo-values of every metric's statistic by reference: their mean is the statistic, their spread its error.

    Within references the statistic is a mean already, and the pseudo-values are the SRCC of every reference. Over all
    images it is Fisher's z of SRCC, and they come from leaving out each reference in turn. Source: Tukey, Annals of
    Mathematical Statistics 29(2), 1958, p. 614; Miller, Biometrika 61(1), 1974.

    Args:
        scores: quality-oriented scores ``(M, n)``; NaN where one failed.
        labels: quality-oriented labels ``(n,)``.
        clusters: reference of every image, ``(n,)``.
        protocol: one of :data:`PROTOCOLS`.
        threads: threads that share the work.
    """

    def __init__(
        self, scores: ArrayLike, labels: ArrayLike, clusters: ArrayLike, *, protocol: str = "all", threads: int = 1
    ) -> None:
        if protocol not in PROTOCOLS:
            raise InputError(f"protocol: got {protocol!r}, expected {' or '.join(PROTOCOLS)}")
        self.scores, self.labels, self.numbers, self.count = checked(scores, labels, clusters)
        self.finite = np.isfinite(self.scores)
        self.protocol = protocol
        self._kept: dict[tuple[int, bytes], Array] = {}
        if protocol == "within":  # much faster for all metrics at once
            table = reference_srcc(self.scores, self.labels, self.numbers, self.count)
            self._kept = {
                (m, keep.tobytes()): row for m, (keep, row) in enumerate(zip(self.finite, table, strict=True))
            }
        with ThreadPoolExecutor(threads) as pool:
            rows = list(pool.map(lambda m: self.of(m, self.finite[m]), range(len(self.scores))))
        self.srcc = np.array([self._srcc(m, row) for m, row in enumerate(rows)])
        """The statistic of every metric as SRCC, on the images that it scored; NaN if undefined."""

    def of(self, metric: int, keep: Mask) -> Array:
        """Return the pseudo-values of a metric on the images kept, ``(references,)``; NaN where one does not count."""
        key = metric, keep.tobytes()
        if key not in self._kept:
            self._kept[key] = (self._over_all if self.protocol == "all" else self._within)(metric, keep)
        return self._kept[key]

    def _srcc(self, metric: int, row: Array) -> float:
        if self.protocol == "all":
            return srcc(self.scores[metric, self.finite[metric]], self.labels[self.finite[metric]])
        counting = row[np.isfinite(row)]
        return float(counting.mean()) if len(counting) else float("nan")

    def _within(self, metric: int, keep: Mask) -> Array:
        row = np.where(keep, self.scores[metric], np.nan)[None]
        return np.asarray(reference_srcc(row, self.labels, self.numbers, self.count)[0])

    def _over_all(self, metric: int, keep: Mask) -> Array:
        from causaliqa.functional._ranks import Sorted, srcc_of_draws

        out = np.full(self.count, np.nan)
        present = np.unique(self.numbers[keep])
        few = len(present)
        if few < 2:
            return out
        data = Sorted(self.scores[metric, keep], self.labels[keep], self.numbers[keep])
        if few > _MANY:
            rho, influence = _influence(data, self.count)
            out[present] = _fisher(rho) + few * influence[present] / (1 - rho**2)
            return out
        z = _fisher(srcc_of_draws(data, _leave_out(self.count, present))[0])
        if np.isfinite(z).any():
            out[present] = z[0] + (few - 1) * (np.nanmean(z[1:]) - z[1:])
        return out


def _influence(data: Any, count: int) -> tuple[float, Array]:
    """SRCC and the derivative of it by the weight of every reference."""
    from causaliqa.functional._ranks import _draw

    label_cluster, label_tie, score_cluster, score_tie, place = data.columns
    tied = (bool(label_tie.any()), bool(score_tie.any()))
    influence = np.zeros(count)
    work = np.empty((4, len(place)))
    rho, _ = _draw(label_cluster, label_tie, score_cluster, score_tie, place, np.ones(count), tied, work, influence)
    return float(rho), influence


def _fisher(rho: Any) -> Any:
    return np.arctanh(np.clip(rho, -1 + 1e-12, 1 - 1e-12))
