"""Choices instead of scores: agreement of metrics with votes between two alternatives, and scale values from votes.

Sources: Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric", CVPR 2018 (agreement
with votes, human ceiling); Bradley and Terry, Biometrika 39(3/4), 1952; Maystre and Grossglauser, NeurIPS 2015, whose
library ``choix`` fits the scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from causaliqa.api.errors import InputError
from causaliqa.functional._intervals import interval
from causaliqa.functional.significance import FEWEST, _multiplicities

__all__ = ["Agreement", "ScaleValues", "agreement", "bradley_terry"]

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How often M metrics choose what people choose; shares in [0, 1], higher is better, .5 is chance."""

    votes: Array
    """Share of votes for the alternative that the metric prefers, ``(M,)``: every vote counts the same."""
    votes_interval: Array
    """``(M, 2)``; NaN below three references."""
    majority: Array
    """Share of pairs whose majority the metric shares, ``(M,)``; pairs without a majority are left out."""
    majority_interval: Array
    """``(M, 2)``; NaN below three references."""
    ceiling: float
    """What ``votes`` would be for a metric that always chooses the majority of these very votes."""
    ceiling_left_out: float
    """The same with every voter predicted by the majority of the others (pairs of two and more voters); NaN if none."""
    pairs: int
    """Pairs with a vote."""
    undecided: int
    """Pairs without a majority."""


def agreement(
    difference: ArrayLike,
    votes_a: ArrayLike,
    votes_b: ArrayLike,
    clusters: ArrayLike,
    *,
    similar: ArrayLike = 0,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> Agreement:
    """Return how well metrics agree with votes between two alternatives.

    A metric chooses the alternative with the higher score; equal scores agree by half with either. A vote for "similar"
    counts half for either side, so that no metric gains by it, and decides no majority. Pairs of one reference are not
    independent: intervals are studentised on the logit over resampled references; where all votes agree, or none, they
    end at the exact binomial bound for as many references (Clopper and Pearson, Biometrika 26(4), 1934).

    Args:
        difference: quality-oriented score of a less that of b, ``(M, P)`` or ``(P,)``; NaN where a metric failed.
        votes_a: votes for a, ``(P,)``.
        votes_b: votes for b, ``(P,)``.
        clusters: reference of every pair, ``(P,)``.
        similar: votes for neither, ``(P,)``.
        level: of the intervals.
        draws: number of resamples.
        seed: decides the draws.

    Raises:
        InputError: shapes do not fit, or a number of votes is negative or not finite.

    Example:
        >>> found = agreement([[1.0, -1.0, 2.0]], [3, 1, 0], [1, 3, 4], [0, 1, 2])
        >>> found.votes.tolist(), found.majority.round(3).tolist(), round(found.ceiling, 3)
        ([0.5], [0.667], 0.833)
    """
    step, (a, b, neither), numbers = _checked(difference, votes_a, votes_b, similar, clusters)
    total = a + b + neither
    lead = np.sign(a - b)
    names = int(numbers.max(initial=-1)) + 1
    counts = _multiplicities(names, draws, seed)
    # Halves stand for "similar" and for equal scores alike.
    by_vote = (total + np.sign(step) * (a - b)) / 2
    by_pair = np.abs(lead) * (1 + np.sign(step) * lead) / 2
    weighted = [_share(row, total, numbers, counts, level) for row in by_vote]
    majority = [_share(row, np.abs(lead), numbers, counts, level) for row in by_pair]
    several = total >= 2
    left_out = (a * (1 + np.sign(a - 1 - b)) + b * (1 + np.sign(b - 1 - a)) + neither)[several] / 2
    with np.errstate(all="ignore"):
        return Agreement(
            votes=np.array([share for share, _ in weighted]),
            votes_interval=np.array([ends for _, ends in weighted]),
            majority=np.array([share for share, _ in majority]),
            majority_interval=np.array([ends for _, ends in majority]),
            ceiling=float(np.sum(total + np.abs(a - b)) / 2 / total.sum()),
            ceiling_left_out=float(left_out.sum() / total[several].sum()),
            pairs=int((total > 0).sum()),
            undecided=int(((total > 0) & (lead == 0)).sum()),
        )


def _checked(
    difference: ArrayLike, votes_a: ArrayLike, votes_b: ArrayLike, similar: ArrayLike, clusters: ArrayLike
) -> tuple[Array, tuple[Array, Array, Array], NDArray[np.int64]]:
    step, a = np.atleast_2d(np.asarray(difference, dtype=np.float64)), np.asarray(votes_a, dtype=np.float64)
    b, neither = np.asarray(votes_b, dtype=np.float64), np.asarray(similar, dtype=np.float64)
    neither = np.broadcast_to(neither, a.shape) if neither.ndim == 0 else neither
    if a.ndim != 1 or not {b.shape, neither.shape, step.shape[1:], np.shape(clusters)} == {a.shape}:
        raise InputError(
            f"choices: got differences {step.shape}, votes {a.shape}, {b.shape}, {neither.shape} and clusters "
            f"{np.shape(clusters)}, expected (metrics, pairs) and (pairs,)"
        )
    for votes in (a, b, neither):
        if bad := np.flatnonzero(~(np.isfinite(votes) & (votes >= 0))).tolist():
            raise InputError(f"choices: got {votes[bad[0]]} votes for pair {bad[0]}, expected a number from 0")
    return step, (a, b, neither), np.unique(np.asarray(clusters), return_inverse=True)[1]


def _share(won: Array, total: Array, numbers: Any, counts: Any, level: float) -> tuple[float, tuple[float, float]]:
    """Share of what was won and its interval, NaN in ``won`` being left out."""
    known = np.isfinite(won) & (total > 0)
    top = np.bincount(numbers[known], won[known], minlength=counts.shape[1])
    bottom = np.bincount(numbers[known], total[known], minlength=counts.shape[1])
    present = np.flatnonzero(bottom > 0)

    def signed(weights: Any) -> tuple[Array, Array]:
        """Twice the share less one, whose Fisher z is half the logit, and its error by the infinitesimal jackknife."""
        weight = weights.astype(np.float64)
        with np.errstate(all="ignore"):
            size = weight @ bottom
            share = weight @ top / size
            error = np.sqrt((weight * (top - share[:, None] * bottom) ** 2).sum(axis=1)) / size
        return 2 * share - 1, 2 * error

    share = float(top.sum() / bottom.sum()) if len(present) else float("nan")
    low, high = ((1 + end) / 2 for end in interval(signed, counts, present, level))
    bound = ((1 - level) / 2) ** (1 / max(len(present), 1))
    if len(present) >= FEWEST and share >= 1:
        low, high = bound, 1.0
    elif len(present) >= FEWEST and share <= 0:
        low, high = 0.0, 1 - bound
    return share, (low, high)


@dataclass(frozen=True, kw_only=True)
class ScaleValues:
    """Bradley-Terry scale values of N items; higher is better, the unit is the logit of being preferred."""

    values: Array
    """``(N,)``, mean 0 within each group; NaN for an item that was never compared."""
    deviation: Array
    """Standard error of every value, ``(N,)``, from the information matrix."""
    group: NDArray[np.int64]
    """Items that comparisons connect, ``(N,)``; values compare only within a group."""


def bradley_terry(
    first: ArrayLike,
    second: ArrayLike,
    votes_first: ArrayLike,
    votes_second: ArrayLike,
    *,
    items: int,
    similar: ArrayLike = 0,
    prior: float = 0.5,
) -> ScaleValues:
    """Return scale values from votes between pairs of items, to rank like labels.

    A vote for "similar" counts as half a win for either. Every compared pair gets ``prior`` wins each way, without
    which an item that never lost would lie at infinity (Haldane's correction of the logit at one half). The fit is
    ``choix.ilsr_pairwise_dense``, group by group.

    Args:
        first: number of the first item of every pair, ``(P,)``.
        second: number of the second item, ``(P,)``.
        votes_first: votes for the first, ``(P,)``.
        votes_second: votes for the second, ``(P,)``.
        items: how many items there are.
        similar: votes for neither, ``(P,)``.
        prior: wins added each way to every compared pair.

    Raises:
        InputError: shapes do not fit, an item is out of range or compared with itself, or ``prior`` is negative.

    Example:
        >>> found = bradley_terry([0, 1], [1, 2], [30, 30], [10, 10], items=3, prior=0.0)
        >>> (found.values.round(3) + 0.0).tolist()
        [1.099, 0.0, -1.099]
    """
    i, j = np.asarray(first), np.asarray(second)
    _, (a, b, neither), _ = _checked(np.zeros(np.shape(votes_first)), votes_first, votes_second, similar, i)
    if i.shape != a.shape or j.shape != a.shape or prior < 0:
        raise InputError(f"bradley_terry: got items {i.shape} and {j.shape} for votes {a.shape}, prior {prior}")
    if len(i) and (min(i.min(), j.min()) < 0 or max(i.max(), j.max()) >= items or (i == j).any()):
        raise InputError(f"bradley_terry: got an item outside 0..{items - 1}, or one compared with itself")
    voted = a + b + neither > 0
    i, j, a, b = i[voted], j[voted], (a + neither / 2)[voted], (b + neither / 2)[voted]
    wins = sparse.csr_array(
        (np.concatenate([a, b]), (np.concatenate([i, j]), np.concatenate([j, i]))), shape=(items, items)
    )
    linked = sparse.csr_array((np.ones(2 * len(i)), (np.concatenate([i, j]), np.concatenate([j, i]))), (items, items))
    wins = wins + prior * (linked > 0)
    _, group = sparse.csgraph.connected_components(linked, directed=False)
    values, deviation = np.full(items, np.nan), np.full(items, np.nan)
    order = np.argsort(group, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        if len(members) > 1:
            values[members], deviation[members] = _fit(wins[members][:, members].toarray())
    return ScaleValues(values=values, deviation=deviation, group=group.astype(np.int64))


def _fit(wins: Array) -> tuple[Array, Array]:
    """Scale values of connected items and their standard errors."""
    import choix

    try:
        values = np.asarray(choix.ilsr_pairwise_dense(wins, max_iter=1000, tol=1e-10))
    except (RuntimeError, ValueError, np.linalg.LinAlgError) as error:
        raise InputError(
            f"bradley_terry: no finite scale for {len(wins)} items ({error}); set prior above 0 where one always wins"
        ) from error
    values = values - values.mean()
    chance = 1 / (1 + np.exp(values[None] - values[:, None]))
    information = (wins + wins.T) * chance * (1 - chance)
    laplacian = np.diag(information.sum(axis=1)) - information
    return values, np.sqrt(np.maximum(np.diag(np.linalg.pinv(laplacian, hermitian=True)), 0.0))
