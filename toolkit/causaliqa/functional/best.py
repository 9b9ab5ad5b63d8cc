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

from causaliqa.api.errors import InputError
from causaliqa.functional._pseudo import PseudoValues
from causaliqa.functional._superior import Stratum, tail, verdicts_of

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
    three nothing is tested. Two metrics are compared on the images that both scored.

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
    values = [PseudoValues(*one, protocol=protocol, threads=threads) for one in sets]
    strata = [Stratum(one, np.random.default_rng([seed, place]), draws) for place, one in enumerate(values)]
    counts = sorted({len(one.scores) for one in values})
    if len(counts) > 1:
        raise InputError(f"compare: got data sets of {' and '.join(map(str, counts))} metrics, expected the same ones")
    references = sum(one.count for one in values)
    widening = _widening(protocol, min(one.count for one in values))
    srcc = np.mean([one.srcc for one in values], axis=0)
    verdicts = verdicts_of(strata, np.isfinite(srcc), references, widening)
    return Comparison(srcc=srcc, **vars(verdicts))


def _widening(protocol: str, references: int) -> float:
    """Factor for the draws of t, which with few references are too narrow for SRCC over all images.

    Its pseudo-values are skewed where random signs are symmetric. Found by simulation, heavy tails included; SRCC
    within references is a mean of independent numbers and needs none.
    """
    return 1 + _SKEWED / references if protocol == "all" and references else 1.0
