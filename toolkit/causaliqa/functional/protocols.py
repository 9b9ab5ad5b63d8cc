"""SRCC under several protocols, with intervals from the same draws, and where the protocols disagree.

Over all images, a metric has to place images of different contents on one scale; within references it only has to order
the versions of one content. Neither is wrong, and rankings differ between them. All arrays are quality-oriented, see
:func:`causaliqa.functional.statistics.orient`; images of one reference are not independent, so that references are what
is resampled.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from causaliqa.api.errors import InputError
from causaliqa.functional._intervals import interval
from causaliqa.functional._pseudo import PROTOCOLS, SMALLEST, checked, reference_srcc
from causaliqa.functional._superior import tail
from causaliqa.functional.best import Comparison
from causaliqa.functional.significance import COARSE, FEWEST, ClusterBootstrap, _studentised

__all__ = ["PROTOCOLS", "SMALLEST", "Flip", "OverSets", "Protocols", "flips", "over_sets", "within_references"]

Array = NDArray[np.float64]


def within_references(scores: ArrayLike, labels: ArrayLike, clusters: ArrayLike, *, smallest: int = SMALLEST) -> Array:
    """Return the SRCC of every metric within every reference.

    A reference with fewer than ``smallest`` scored images, or with constant labels, does not count: nothing can be
    ranked there. Where only the scores are constant the metric orders nothing and gets 0; leaving that out would
    reward it.

    Args:
        scores: quality-oriented scores ``(M, n)``; NaN and infinite ones are left out.
        labels: quality-oriented labels ``(n,)``, finite.
        clusters: reference of every image, ``(n,)``, of any sortable kind.
        smallest: images that a reference needs.

    Returns:
        SRCC ``(M, references)``, references in sorted order; NaN where one does not count. The protocol's figure is
        the mean of a row without NaN.

    Raises:
        InputError: shapes do not fit or a label is not finite.

    Example:
        >>> scores, labels = [[1, 2, 3, 4, 9, 8, 7, 6]], [1, 2, 3, 4, 1, 2, 3, 4]
        >>> within_references(scores, labels, [0, 0, 0, 0, 1, 1, 1, 1]).tolist()
        [[1.0, -1.0]]
    """
    return reference_srcc(*checked(scores, labels, clusters), smallest)


class Protocols:
    """One data set under both protocols; the references are drawn once, for all metrics and both protocols.

    Args:
        scores: quality-oriented scores ``(M, n)``; NaN where one failed.
        labels: quality-oriented labels ``(n,)``, finite.
        clusters: reference of every image, ``(n,)``; the image itself where it is unknown.
        smallest: images that a reference needs to count within references.
        draws: number of resamples.
        seed: decides the draws.
        threads: threads that share the work; they change nothing.
        boot: draws of the same scores, labels and clusters, if made already; the three settings before are its own.

    Raises:
        InputError: shapes do not fit or a label is not finite.

    Example:
        >>> labels = np.arange(120.0)
        >>> noise = np.random.default_rng(0).normal(size=(2, 120)) * [[9], [90]]
        >>> board = Protocols(labels + noise, labels, np.arange(120) // 6, draws=200)
        >>> board.srcc("all").round(2).tolist(), board.srcc("within").round(2).tolist()
        ([0.97, 0.23], [0.21, -0.06])
        >>> low, high = board.intervals("all")[0].tolist()
        >>> 0.9 < low < 0.97 < high < 1
        True
    """

    def __init__(
        self,
        scores: ArrayLike,
        labels: ArrayLike,
        clusters: ArrayLike,
        *,
        smallest: int = SMALLEST,
        draws: int = 1000,
        seed: int = 0,
        threads: int = 1,
        boot: ClusterBootstrap | None = None,
    ) -> None:
        values, label, numbers, count = checked(scores, labels, clusters)
        if boot is not None and (boot.scores.shape != values.shape or boot.counts.shape[1] != count):
            raise InputError(
                f"protocols: got draws of scores {boot.scores.shape} and {boot.counts.shape[1]} references for scores "
                f"{values.shape} and {count} references, expected draws of the same ones"
            )
        self._boot = boot or ClusterBootstrap(values, label, numbers, draws=draws, seed=seed, threads=threads)
        self._place = np.arange(len(values))
        self.by_reference = reference_srcc(values, label, numbers, count, smallest)
        """SRCC of every metric in every reference, as :func:`within_references` gives it."""
        scored = np.isfinite(values)
        self._counting = {
            "all": np.array([len(np.unique(numbers[row])) for row in scored]),
            "within": np.isfinite(self.by_reference).sum(axis=1),
        }

    def take(self, metrics: Sequence[int]) -> Protocols:
        """Return the same with some of the metrics, in the order given; what was computed is shared.

        >>> labels = np.arange(12.0)
        >>> Protocols([labels, -labels], labels, np.arange(12) // 4, draws=2).take([1]).srcc("all").tolist()
        [-1.0]
        """
        chosen = np.asarray(metrics, dtype=np.int64)
        other = copy(self)
        other._place, other.by_reference = self._place[chosen], self.by_reference[chosen]
        other._counting = {protocol: counting[chosen] for protocol, counting in self._counting.items()}
        return other

    def references(self, protocol: str) -> NDArray[np.int64]:
        """Return how many references count for every metric, ``(M,)``."""
        return np.asarray(self._counting[_known(protocol)])

    def srcc(self, protocol: str) -> Array:
        """Return the figure of every metric, ``(M,)``."""
        return np.array([self._draws(protocol, m, sample_only=True)[0][0] for m in range(len(self.by_reference))])

    def drawn(self, protocol: str) -> tuple[Array, Array]:
        """Return the figure and its standard error, of the sample and then of every draw, each ``(D + 1, M)``."""
        pairs = [self._draws(protocol, m) for m in range(len(self.by_reference))]
        return np.stack([value for value, _ in pairs], axis=1), np.stack([error for _, error in pairs], axis=1)

    def intervals(self, protocol: str, *, level: float = 0.95) -> Array:
        """Return the confidence interval of every metric, ``(M, 2)``; NaN below three references.

        By the method of :meth:`causaliqa.functional.significance.ClusterBootstrap.interval`, for both protocols.
        """
        return np.array([self._interval(protocol, m, level) for m in range(len(self.by_reference))])

    def _interval(self, protocol: str, metric: int, level: float) -> tuple[float, float]:
        if self.references(protocol)[metric] < FEWEST:
            return float("nan"), float("nan")
        if protocol == "all":
            return self._boot.interval(int(self._place[metric]), level=level)
        row = self.by_reference[metric]
        return interval(lambda counts: _means(row, counts), self._boot.counts, np.flatnonzero(np.isfinite(row)), level)

    def _draws(self, protocol: str, metric: int, *, sample_only: bool = False) -> tuple[Array, Array]:
        counts = self._boot.counts[:1] if sample_only else self._boot.counts
        if _known(protocol) == "within":
            return _means(self.by_reference[metric], counts)
        place = int(self._place[metric])
        keep = ~self._boot.failed[place]
        return self._boot._srcc(place, keep, counts) if sample_only else self._boot._draws("srcc", place, keep)


def _known(protocol: str) -> str:
    if protocol not in PROTOCOLS:
        raise InputError(f"protocol: got {protocol!r}, expected {' or '.join(PROTOCOLS)}")
    return protocol


def _means(row: Array, counts: NDArray[np.int16]) -> tuple[Array, Array]:
    """Mean of what counts in every draw, and its standard error by the infinitesimal jackknife."""
    counting = np.isfinite(row)
    weight, value = counts[:, counting].astype(np.float64), row[counting]
    with np.errstate(all="ignore"):
        total = weight.sum(axis=1)
        mean = weight @ value / total
        error = np.sqrt((weight * (value - mean[:, None]) ** 2).sum(axis=1)) / total
    return mean, error


@dataclass(frozen=True, kw_only=True)
class OverSets:
    """Metrics over several data sets, each counting the same; NaN for a metric that one of them lacks."""

    mean: Array
    """Mean SRCC, ``(M,)``."""
    mean_interval: Array
    """``(M, 2)``."""
    worst: Array
    """Lowest SRCC, ``(M,)``: the worst case over distributions."""
    worst_set: NDArray[np.int64]
    """Number of the data set where it is, ``(M,)``; -1 where unknown."""
    worst_interval: Array
    """``(M, 2)``."""
    rank: Array
    """Mean rank, ``(M,)``; 1 is best, equal values share their mean rank. It depends on the other metrics."""
    rank_interval: Array
    """Middle of the draws, ``(M, 2)``: descriptive, since ranks of nearly equal metrics are drawn to the middle."""


def over_sets(sets: Sequence[Protocols], protocol: str = "all", *, level: float = 0.95) -> OverSets:
    """Summarise data sets with the same metrics: mean, worst and mean rank, with intervals from the sets' own draws.

    Draws of different sets are paired at random, so that sets with equally many references and one seed stay
    independent. The interval of the mean is studentised as that of one data set, the draws of all sets taken together.
    That of the worst set runs from the lowest lower end to the lowest upper end, upper ends being Bonferroni-corrected
    for the number of sets: it holds the truth at the stated level whichever set is the worst (intersection-union for
    the lower end; Berger, Technometrics 24(4), 1982).

    Args:
        sets: one for every data set, with as many draws as the others.
        protocol: one of :data:`PROTOCOLS`.
        level: of the intervals.

    Raises:
        InputError: no data set, or different numbers of metrics or draws.

    Example:
        >>> labels, clusters = np.arange(120.0), np.arange(120) // 6
        >>> noise = np.random.default_rng(0).normal(size=(2, 2, 120)) * [[[9], [30]], [[9], [90]]]
        >>> sets = [Protocols(labels + noise[k], labels, clusters, draws=100, seed=k) for k in (0, 1)]
        >>> found = over_sets(sets)
        >>> found.rank.tolist(), found.worst_set.tolist()[1], bool(found.worst[1] < found.mean[1])
        ([1.0, 2.0], 1, True)
    """
    if (
        not sets
        or len({one.by_reference.shape[0] for one in sets}) > 1
        or len({len(one._boot.counts) for one in sets}) > 1
    ):
        raise InputError(
            f"over_sets: got {len(sets)} data sets, expected at least one, all with the same metrics and draws"
        )
    drawn = [_paired(one.drawn(protocol), place) for place, one in enumerate(sets)]
    values, errors = (np.stack(part) for part in zip(*drawn, strict=True))
    sample = values[:, 0]
    known = np.isfinite(sample).all(axis=0)
    references = np.min([one.references(protocol) for one in sets], axis=0)
    mean, mean_error = values.mean(axis=0), np.sqrt((errors**2).sum(axis=0)) / len(sets)
    ranks = stats.rankdata(np.where(np.isnan(values), np.inf, -values), axis=2).mean(axis=0)
    tails = [(1 - level) / 2, (1 + level) / 2]
    strict = 1 - (1 - level) / len(sets)
    lows = np.min([one.intervals(protocol, level=level)[:, 0] for one in sets], axis=0)
    highs = np.min([one.intervals(protocol, level=strict)[:, 1] for one in sets], axis=0)
    means = [_mean_interval(mean[:, m], mean_error[:, m], int(references[m]), level) for m in range(len(known))]
    worst = np.where(known, np.argmin(np.where(known, sample, np.inf), axis=0), -1)
    nowhere = np.where(known, 0.0, np.nan)
    return OverSets(
        mean=mean[0],
        mean_interval=np.array(means),
        worst=sample.min(axis=0),
        worst_set=worst,
        worst_interval=np.stack([lows, highs], axis=1),
        rank=ranks[0] + nowhere,
        rank_interval=np.quantile(ranks[1:], tails, axis=0).T + nowhere[:, None],
    )


def _paired(drawn: tuple[Array, Array], place: int) -> tuple[Array, Array]:
    """Return a set's draws in an order of its own, the sample first."""
    values, errors = drawn
    order = np.concatenate([[0], 1 + np.random.default_rng(place).permutation(len(values) - 1)])
    return values[order], errors[order]


def _mean_interval(values: Array, errors: Array, references: int, level: float) -> tuple[float, float]:
    if references < FEWEST or not np.isfinite(values[0]):
        return float("nan"), float("nan")
    if abs(values[0]) > 1 - 1e-12 or errors[0] == 0:
        return float(values[0]), float(values[0])
    if references < COARSE:
        spread = errors[0] / (1 - values[0] ** 2) * np.sqrt(references / (references - 1))
        steps = np.array([1.0, -1.0]) * stats.t.ppf((1 + level) / 2, references - 1) * spread
    else:
        steps = _studentised(values, errors, references, level)
    low, high = np.tanh(np.arctanh(values[0]) - steps)
    return float(low), float(high)


@dataclass(frozen=True, kw_only=True)
class Flip:
    """Two metrics that two protocols order differently beyond chance."""

    metrics: tuple[int, int]
    """The better one under the first protocol, then the better one under the second."""
    first: tuple[float, float]
    """SRCC of both under the first protocol."""
    second: tuple[float, float]
    """SRCC of both under the second protocol."""
    p: float
    """Corrected for all pairs and both protocols."""


def flips(first: Comparison, second: Comparison, *, alpha: float = 0.05) -> list[Flip]:
    """Return the pairs of metrics whose order two protocols contradict, both differences being significant.

    A pair is a flip only if both differences are real and of opposite sign: the smaller of both t decides (qualitative
    interaction: Gail and Simon, Biometrics 41(2), 1985; intersection-union test: Berger, Technometrics 24(4), 1982). It
    is held against the largest ``|t|`` of all pairs under both protocols in draws where nothing differs, so that the
    probability of even one false flip is at most ``alpha``. ``benchmarks/flip_simulation.py`` measures it.

    Args:
        first: from :func:`causaliqa.functional.best.compare`, for example over all images.
        second: of the same metrics with as many draws, for example within references, or on another data set.
        alpha: level for all pairs together.

    Returns:
        Flips, most certain first.

    Raises:
        InputError: different numbers of metrics or draws.

    Example:
        >>> from causaliqa.functional.best import compare
        >>> rng = np.random.default_rng(0)
        >>> labels, clusters = rng.normal(size=600), np.repeat(np.arange(30), 20)
        >>> shift, noise = 3 * rng.normal(size=30)[clusters], rng.normal(size=600)
        >>> data = [labels + shift, labels + 2 * noise], labels, clusters
        >>> [flip.metrics for flip in flips(compare(*data), compare(*data, protocol="within"))]
        [(1, 0)]
    """
    if first.t.shape != second.t.shape or first.largest.shape != second.largest.shape:
        raise InputError(
            f"flips: got {len(first.t)} and {len(second.t)} metrics, {len(first.largest)} and {len(second.largest)} "
            "draws, expected the same metrics and as many draws"
        )
    certain = np.fmax(np.minimum(first.t, -second.t), 0.0)
    p = tail(certain, np.maximum(first.largest, second.largest))
    found = [
        Flip(
            metrics=(int(a), int(b)),
            first=(float(first.srcc[a]), float(first.srcc[b])),
            second=(float(second.srcc[a]), float(second.srcc[b])),
            p=float(p[a, b]),
        )
        for a, b in zip(*np.nonzero((certain > 0) & (p < alpha)), strict=True)
    ]
    return sorted(found, key=lambda flip: (flip.p, -certain[flip.metrics]))
