"""Compiled kernel of :class:`causaliqa.functional.significance.ClusterBootstrap`."""

from __future__ import annotations

from typing import Any

import numpy as np

from causaliqa.functional.compiled import compiled, inlined

__all__ = ["Sorted", "srcc_of_draws"]


class Sorted:
    """Scores and labels, sorted once so that each draw is ranked in O(n).

    Args:
        scores: ``(n,)``.
        labels: ``(n,)``.
        clusters: cluster number of every image, ``(n,)``.
    """

    def __init__(self, scores: Any, labels: Any, clusters: Any) -> None:
        by_label = np.argsort(labels, kind="stable")
        by_score = np.argsort(scores, kind="stable")
        place = np.empty(len(by_label), dtype=np.int32)
        place[by_label] = np.arange(len(by_label), dtype=np.int32)
        self.columns = (
            clusters[by_label].astype(np.int32),
            _ties(labels[by_label]),
            clusters[by_score].astype(np.int32),
            _ties(scores[by_score]),
            place[by_score],
        )
        """Per sorted label: cluster, tie; per sorted score: cluster, tie, place among the sorted labels."""


def _ties(values: Any) -> Any:
    """Return True where a sorted value equals its predecessor."""
    tie = np.zeros(len(values), dtype=np.bool_)
    tie[1:] = values[1:] == values[:-1]
    return tie


@inlined()
def _rank(cluster: Any, tie: Any, counts: Any, total: float, out: Any) -> None:
    """Fill ``out`` with midranks divided by the total, minus 1/2; images count as often as their cluster."""
    n = len(cluster)
    scale = 1.0 / total
    below = 0.0
    start = 0
    while start < n:
        group = counts[cluster[start]]
        stop = start + 1
        while stop < n and tie[stop]:
            group += counts[cluster[stop]]
            stop += 1
        rank = (below + 0.5 * group) * scale - 0.5
        for k in range(start, stop):
            out[k] = rank
        below += group
        start = stop


@inlined()
def _shifts(cluster: Any, tie: Any, counts: Any, values: Any, scale: float, out: Any) -> None:
    """Add to ``out[c]`` the influence of cluster c on ``scale * sum(values)`` through the ranks above its images."""
    above = 0.0
    stop = len(cluster)
    while stop > 0:
        start = stop - 1
        group = counts[cluster[start]] * values[start]
        while tie[start]:
            start -= 1
            group += counts[cluster[start]] * values[start]
        shift = (above + 0.5 * group) * scale
        for k in range(start, stop):
            out[cluster[k]] += shift
        above += group
        stop = start


@inlined()
def _draw(
    label_cluster: Any,
    label_tie: Any,
    score_cluster: Any,
    score_tie: Any,
    place: Any,
    counts: Any,
    tied: Any,
    work: Any,
    influence: Any,
) -> tuple[float, float]:
    """Return SRCC of one draw and its standard error, from the influence of every cluster."""
    n = len(place)
    v, u, v_by_score, u_by_label = work
    total = 0.0
    for k in range(n):
        total += counts[label_cluster[k]]
    if total == 0:
        return np.nan, np.nan
    _rank(label_cluster, label_tie, counts, total, v)
    _rank(score_cluster, score_tie, counts, total, u)
    uu = 0.0
    vv = 0.0
    uv = 0.0
    for k in range(n):
        weight = counts[score_cluster[k]]
        other = v[place[k]]
        v_by_score[k] = other
        u_by_label[place[k]] = u[k]
        uu += weight * u[k] * u[k]
        vv += weight * other * other
        uv += weight * u[k] * other
    if uu <= 0 or vv <= 0:
        return np.nan, np.nan
    norm = 1.0 / np.sqrt(uu * vv)
    rho = uv * norm
    # Influence of an image on the covariance A: (u v - A) + its shift of u + its shift of v, minus their means.
    # The influence on the variances (u u, v v) matters only with ties.
    influence[:] = 0.0
    for k in range(n):
        influence[score_cluster[k]] += (u[k] * v_by_score[k] - 3 * uv / total) * norm
    _shifts(score_cluster, score_tie, counts, v_by_score, norm / total, influence)
    _shifts(label_cluster, label_tie, counts, u_by_label, norm / total, influence)
    if tied[0]:
        for k in range(n):
            influence[label_cluster[k]] -= 0.5 * rho * (v[k] * v[k] / vv - 3 / total)
        _shifts(label_cluster, label_tie, counts, v, -rho / (vv * total), influence)
    if tied[1]:
        for k in range(n):
            influence[score_cluster[k]] -= 0.5 * rho * (u[k] * u[k] / uu - 3 / total)
        _shifts(score_cluster, score_tie, counts, u, -rho / (uu * total), influence)
    squares = 0.0
    for c in range(len(influence)):
        squares += counts[c] * influence[c] * influence[c]
    return rho, np.sqrt(squares)


@compiled()
def _draws(
    label_cluster: Any,
    label_tie: Any,
    score_cluster: Any,
    score_tie: Any,
    place: Any,
    draws: Any,
    out: Any,
    error: Any,
) -> None:
    work = np.empty((4, len(place)))
    influence = np.empty(draws.shape[1])
    tied = (label_tie.any(), score_tie.any())
    for d in range(draws.shape[0]):
        counts = draws[d].astype(np.float64)
        out[d], error[d] = _draw(
            label_cluster, label_tie, score_cluster, score_tie, place, counts, tied, work, influence
        )


def srcc_of_draws(data: Sorted, draws: Any) -> tuple[Any, Any]:
    """Return Spearman's correlation of resampled clusters; ties have their mean rank.

    Args:
        data: presorted images.
        draws: how often every cluster was drawn, ``(D, clusters)``, whole numbers.

    Returns:
        SRCC of every draw ``(D,)``, NaN where a side is constant, and its standard error ``(D,)`` by the infinitesimal
        jackknife over clusters.
    """
    out, error = np.empty(len(draws)), np.empty(len(draws))
    _draws(*data.columns, draws, out, error)
    return out, error
