"""Multiple comparisons with the best, and between all pairs of metrics.

For every metric the hypothesis "this one is the best" is tested; the metrics for which it is not rejected are tied with
the best. Since every metric has its own test, chosen before seeing the data, the true best is left out with at most the
stated probability however many compete for the first place in the sample (no winner's curse), and rivals that are
clearly worse than the tested metric drop out of its test, so that bystanders do not change the verdict. Rejected for
this: Holm over all pairs (every bystander counts) and the model confidence set (Hansen, Lunde and Nason, Econometrica
79(2), 2011), whose promise to hold *all* best metrics at once costs power. ``benchmarks/best_simulation.py`` measures.

Sources: Hsu, Annals of Statistics 9(5), 1981, p. 1026 (comparisons with the best); Hansen, Journal of Business and
Economic Statistics 23(4), 2005 (the test, and which rivals drop out); Cameron, Gelbach and Miller, Review of Economics
and Statistics 90(3), 2008 (random signs for references where these are few).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from causaliqa.api.errors import InputError
from causaliqa.functional._pseudo import PseudoValues
from causaliqa.functional.significance import FEWEST

__all__ = ["Comparison", "compare", "compare_sets", "tie_method"]

Array = NDArray[np.float64]

_SKEWED = 2.5
"""Divided by the references, what is added to the width of the draws; see :func:`_widening`."""


def tie_method(draws: int) -> str:
    """Return how ties are found (:meth:`Comparison.tied`), in one sentence for tables and pages.

    Args:
        draws: number of random signs for every reference.
    """
    return (
        "tied with the best SRCC: the hypothesis that this metric is the best is not rejected at 5 %, by the largest "
        "studentised deficit of Fisher's z against the rivals that are not clearly worse (Hansen's test of superior "
        f"predictive ability), jackknife standard errors and {draws:,} draws of random signs by reference"
    )


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Paired comparisons of M metrics on the same images."""

    srcc: Array
    """SRCC of every metric, or its mean over data sets, ``(M,)``."""
    difference: Array
    """Row less column, ``(M, M)``: of Fisher's z over all images, of mean SRCC within references."""
    t: Array
    """The difference in standard errors, ``(M, M)``; NaN where it cannot be tested."""
    p: Array
    """Two-sided p of every pair by Student's t, ``(M, M)``, 1 on the diagonal; not corrected for their number."""
    p_best: Array
    """p of the hypothesis that a metric is the best, ``(M,)``; 1 for the best in the sample, NaN without a score or
    below three references."""
    largest: Array = field(repr=False)
    """Largest ``|t|`` of all pairs in every draw in which no two metrics differ, ``(D,)``."""

    def tied(self, alpha: float = 0.05) -> tuple[bool, ...]:
        """Say for every metric whether it may be the best; metrics without a score never are.

        Nor is any metric below three references.

        >>> labels = np.arange(120.0)
        >>> noise = np.random.default_rng(0).normal(size=(3, 120)) * [[9], [9], [90]]
        >>> compare(labels + noise, labels, np.arange(120) // 6, draws=200).tied()
        (True, True, False)
        """
        return tuple(bool(p >= alpha) for p in self.p_best)

    @property
    def p_all(self) -> Array:
        """p of every pair corrected for all of them (largest ``|t|`` of the draws), ``(M, M)``; depends on bystanders.

        Source: Westfall and Young, Resampling-based multiple testing, 1993, ch. 2 (single step).
        """
        return tail(np.abs(self.t), self.largest)


def compare(
    scores: ArrayLike,
    labels: ArrayLike,
    clusters: ArrayLike,
    *,
    protocol: str = "all",
    draws: int = 1000,
    seed: int = 0,
    threads: int = 1,
) -> Comparison:
    """Compare metrics on one data set by SRCC, references being what is independent.

    The standard error of a difference is the jackknife's over references; its distribution where nothing differs comes
    from giving the references random signs. With fewer than five references nothing can be significant, with fewer than
    three nothing is tested. Two metrics are
    compared on the images that both scored.

    Args:
        scores: quality-oriented scores ``(M, n)``; NaN where one failed.
        labels: quality-oriented labels ``(n,)``, finite.
        clusters: reference of every image, ``(n,)``, of any sortable kind; the image itself where it is unknown.
        protocol: ``all`` (SRCC over all images) or ``within`` (mean over references, by the rule of
            :func:`causaliqa.functional.protocols.within_references`).
        draws: number of random signs for every reference.
        seed: decides the signs.
        threads: threads that share the work; they change nothing.

    Raises:
        InputError: shapes do not fit, a label is not finite or the protocol is unknown.

    Example:
        >>> labels = np.arange(120.0)
        >>> noise = np.random.default_rng(0).normal(size=(2, 120)) * [[9], [90]]
        >>> found = compare(labels + noise, labels, np.arange(120) // 6, draws=200)
        >>> found.p_best.round(2).tolist()[0], bool(found.p_best[1] < 0.01), bool(found.p[0, 1] < 0.01)
        (1.0, True, True)
    """
    return compare_sets([(scores, labels, clusters)], protocol=protocol, draws=draws, seed=seed, threads=threads)


def compare_sets(
    sets: Sequence[tuple[ArrayLike, ArrayLike, ArrayLike]],
    *,
    protocol: str = "all",
    draws: int = 1000,
    seed: int = 0,
    threads: int = 1,
) -> Comparison:
    """Compare the mean over data sets, each counting the same; otherwise as :func:`compare`.

    Args:
        sets: scores ``(M, n)``, labels ``(n,)`` and clusters ``(n,)`` of every data set, with the same M metrics. Two
            data sets are taken as independent of each other.
        protocol: as for :func:`compare`.
        draws: as for :func:`compare`.
        seed: as for :func:`compare`.
        threads: as for :func:`compare`.

    Raises:
        InputError: as :func:`compare`, or the data sets have different numbers of metrics.
    """
    if draws < 2 or threads < 1 or not sets:
        raise InputError(f"compare: got {len(sets)} data sets, {draws} draws, {threads} threads; expected 1, 2 and 1")
    strata = [
        _Stratum(PseudoValues(*one, protocol=protocol, threads=threads), np.random.default_rng([seed, place]), draws)
        for place, one in enumerate(sets)
    ]
    counts = sorted({len(stratum.values.scores) for stratum in strata})
    if len(counts) > 1:
        raise InputError(f"compare: got data sets of {' and '.join(map(str, counts))} metrics, expected the same ones")
    count, references = counts[0], sum(stratum.values.count for stratum in strata)
    # A rival so many standard errors below drops out of the test; the law of the iterated logarithm sets the number.
    clearly = np.sqrt(2 * np.log(np.log(max(references, 3))))
    widening = _widening(protocol, min(stratum.values.count for stratum in strata))
    difference, t, p = np.zeros((count, count)), np.full((count, count), np.nan), np.ones((count, count))
    p_best, largest = np.full(count, np.nan), np.zeros(draws)
    srcc = np.mean([stratum.values.srcc for stratum in strata], axis=0)
    for own in range(count):
        difference[:, own], t[:, own], p[:, own], drawn = _against(strata, own)
        drawn *= widening
        largest = np.fmax(largest, np.max(np.abs(drawn), axis=0, initial=0.0, where=~np.isnan(drawn)))
        if np.isfinite(srcc[own]) and all(stratum.references(own) >= FEWEST for stratum in strata):
            known = ~np.isnan(t[:, own])
            known[own] = False
            p_best[own] = _p_best(t[known, own], drawn[known], clearly)
    return Comparison(srcc=srcc, difference=difference, t=t, p=p, p_best=p_best, largest=largest)


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


def _widening(protocol: str, references: int) -> float:
    """Factor for the draws of t, which with few references are too narrow for SRCC over all images.

    Its pseudo-values are skewed where random signs are symmetric. Found by simulation, heavy tails included; SRCC
    within references is a mean of independent numbers and needs none.
    """
    return 1 + _SKEWED / references if protocol == "all" and references else 1.0


class _Stratum:
    """One data set: pseudo-values, and their sums under random signs of the references."""

    def __init__(self, values: PseudoValues, rng: np.random.Generator, draws: int) -> None:
        self.values = values
        self.signs = 2.0 * rng.integers(2, size=(values.count, draws)) - 1.0
        self._signed: dict[tuple[int, bytes], Array] = {}

    def references(self, own: int) -> int:
        """Return how many references count for a metric."""
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


def _against(strata: Sequence[_Stratum], own: int) -> tuple[Array, Array, Array, Array]:
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
