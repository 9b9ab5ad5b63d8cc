"""Means with less noise: adjusted for what is known of the draws behind them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["adjusted_mean"]

_FEWEST = 10
"""Draws below which nothing is fitted."""


def adjusted_mean(
    values: NDArray[np.float64], covariates: NDArray[np.float64], *, ridge: float = 1.0
) -> tuple[float, float]:
    """Estimate a population mean from draws whose covariates average to 0 over the population.

    A ridge regression on the covariates is evaluated at their mean. It replaces the plain mean only where it predicts
    left-out draws better.

    Args:
        values: one value a draw, ``(n,)``.
        covariates: what is known of each draw, ``(n, k)``; mean 0 and variance 1 over the population. k may be 0.
        ridge: weight of the penalty, in draws.

    Returns:
        The estimate and its standard error (NaN after a single draw). The error is that of independent draws; draws
        that are spread evenly have a smaller one.

    Source: Lin 2013, "Agnostic notes on regression adjustments to experimental data".

    Example:
        The draws happened to be high in what drives the values; the adjusted mean knows:

        >>> x = np.linspace(-1, 2, 12)[:, None]
        >>> mean, error = adjusted_mean(3 * x[:, 0], x, ridge=0.01)
        >>> round(float(3 * x.mean()), 2), round(abs(mean), 2), error < 0.01
        (1.5, 0.0, True)
    """
    n, k = covariates.shape
    if n == 1:
        return float(values[0]), float("nan")
    plain, spread = float(values.mean()), float(values.var(ddof=1))
    if k == 0 or n < _FEWEST or spread == 0:
        return plain, float(np.sqrt(spread / n))
    centred = covariates - covariates.mean(axis=0)
    solved = np.linalg.solve(centred.T @ centred + ridge * np.eye(k), centred.T)
    residual = values - plain - centred @ (solved @ (values - plain))
    leverage = 1 / n + np.einsum("nk,kn->n", centred, solved)
    left_out = residual / np.maximum(1 - leverage, 1e-3)
    if float((left_out**2).mean()) >= spread * n / (n - 1):
        return plain, float(np.sqrt(spread / n))
    weights = 1 / n - covariates.mean(axis=0) @ solved
    free = max(1.0, n - float(leverage.sum()))
    noise = float((residual**2).sum()) / free
    return float(weights @ values), float(np.sqrt(noise * (weights**2).sum()))
