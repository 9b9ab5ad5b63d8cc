"""Means of many places that respond alike, each with few draws: what all have in common is learned from all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["shared_means"]

_QUIET = 4.0
"""A place is quiet if it responds less than so many times as strongly as the median place."""
_DRAWS_EACH = 3
"""Draws that a coefficient takes; with fewer nothing is learned."""
_RIDGE = 0.02
_UNKNOWN, _MOST = 2.0, 8.0
"""Draws that a prediction counts for: where no place was drawn twice, and at most."""


def _quadratic(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return all coordinates and their products, ``(n, k + k (k + 1) / 2)``."""
    first, second = np.triu_indices(points.shape[1])
    return np.hstack([points, points[:, first] * points[:, second]])


def shared_means(
    values: Sequence[NDArray[np.float64]],
    drawn: Sequence[NDArray[np.float64]],
    own: NDArray[np.float64],
    population: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Estimate the mean response of every place to being replaced by what is drawn from a population.

    Where places are far away, each is as good as the other: the response to a replacement is what the new content does
    less what the old one did. What content does is learned from the draws at all quiet places, as a quadratic function;
    its prediction for a place is a prior that the draws there correct. How many draws the prior counts for says the
    scatter between places against that within.

    Source: empirical Bayes; Efron and Morris 1975, "Data analysis using Stein's estimator".

    Args:
        values: responses at every place, ``(n,)`` each; n may differ.
        drawn: coordinates of what was put there, ``(n, k)`` each.
        own: coordinates of what was there, ``(P, k)``.
        population: coordinates of all that may be drawn, ``(m, k)``.

    Returns:
        ``(P,)``; NaN for places that are not quiet, and for all if there are too few draws to learn from.

    Example:
        Brightness matters, wherever it changes; a single noisy draw at each place is enough to know:

        >>> rng = np.random.default_rng(0)
        >>> own, population = rng.standard_normal((200, 1)), rng.standard_normal((500, 1))
        >>> drawn = list(rng.standard_normal((200, 1, 1)))
        >>> values = [d[:, 0] - o + rng.standard_normal(1) for d, o in zip(drawn, own, strict=True)]
        >>> truth = population.mean() - own[:, 0]
        >>> single, shared = np.concatenate(values), shared_means(values, drawn, own, population)
        >>> quiet = ~np.isnan(shared)
        >>> bool(np.abs(shared - truth)[quiet].mean() < 0.4 * np.abs(single - truth)[quiet].mean())
        True
    """
    nothing = np.full(len(values), np.nan)
    size = np.array([np.abs(v).mean() for v in values])
    quiet: list[int] = np.flatnonzero(size <= _QUIET * np.median(size)).tolist()
    there = _quadratic(own)
    everywhere = _quadratic(population)
    scale = np.maximum(everywhere.std(axis=0), 1e-12)
    steps = {p: (_quadratic(drawn[p]) - there[p]) / scale for p in quiet}
    ahead = (everywhere.mean(axis=0) - there) / scale
    y, x = np.concatenate([values[p] for p in quiet]), np.vstack([steps[p] for p in quiet])
    if len(y) < _DRAWS_EACH * x.shape[1]:
        return nothing
    learned = np.linalg.solve(x.T @ x + _RIDGE * len(y) * np.eye(x.shape[1]), x.T @ y)
    rest = {p: values[p] - steps[p] @ learned for p in quiet}
    twice = [r for r in rest.values() if len(r) > 1]
    weight = _UNKNOWN
    if twice:
        within = float(np.mean([r.var(ddof=1) for r in twice]))
        between = float(np.mean([r.mean() ** 2 - r.var(ddof=1) / len(r) for r in twice]))
        weight = within / max(between, within / _MOST) if within > 0 else 0.0
    for p in quiet:
        count = len(rest[p])
        nothing[p] = ahead[p] @ learned + rest[p].mean() * count / (count + weight)
    return nothing
