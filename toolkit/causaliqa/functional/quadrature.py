"""Means of smooth functions over a known population from few evaluations: Bayesian quadrature."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["Population"]

_LENGTHS = (0.5, 1.0, 2.0, 4.0)
"""Length scales of the Gaussian process."""
_NOISES = (0.03, 0.1, 0.3, 1.0, 4.0)
"""Noise variances, as multiples of the variance of the process."""


def _matern(a: NDArray[np.float64], b: NDArray[np.float64], length: float) -> NDArray[np.float64]:
    """Return the Matérn 5/2 correlation of points ``(n, k)`` with points ``(m, k)``, ``(n, m)``."""
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    r = np.sqrt(5 * np.maximum(squares, 0)) / length
    correlation: NDArray[np.float64] = (1 + r + r**2 / 3) * np.exp(-r)
    return correlation


@dataclass(frozen=True)
class Population:
    """Points over which functions are averaged.

    A function is modelled as its mean, plus a Gaussian process that averages to zero over the population, plus noise.
    The mean is the generalised least squares estimate: evaluations close to each other get smaller weights, those that
    represent a large part of the population larger ones. Estimates are averaged over length scales and noise variances,
    weighted by their likelihood.

    Source: O'Hagan 1991, "Bayes-Hermite quadrature"; Rasmussen and Ghahramani 2002, "Bayesian Monte Carlo".

    Args:
        points: ``(m, k)``; those of one column should have a variance of about 1.

    Example:
        Twelve draws, too many of them on one side; the function is smooth, and its mean over the population is 0:

        >>> line = np.linspace(-1.5, 1.5, 301)[:, None]
        >>> drawn = np.array([-1.4, -1, -0.5, 0, 0.2, 0.5, 0.6, 0.8, 0.9, 1.1, 1.2, 1.4])[:, None]
        >>> mean, error = Population(line).mean_of(np.sin(2 * drawn[:, 0]), drawn)
        >>> round(float(np.sin(2 * drawn).mean()), 2), abs(mean) < 0.02, error < 0.05
        (0.32, True, True)
    """

    points: NDArray[np.float64] = field(repr=False)

    @cached_property
    def _centres(self) -> dict[float, float]:
        return {length: float(_matern(self.points, self.points, length).mean()) for length in _LENGTHS}

    def _kernel(self, points: NDArray[np.float64], length: float) -> NDArray[np.float64]:
        """Covariance of a process that averages to zero over the population."""
        average = _matern(points, self.points, length).mean(axis=1)
        covariance: NDArray[np.float64] = _matern(points, points, length) - average[:, None] - average[None]
        return covariance + self._centres[length]

    def mean_of(self, values: NDArray[np.float64], points: NDArray[np.float64]) -> tuple[float, float]:
        """Estimate the mean of a function over the population.

        Args:
            values: the function, with noise, ``(n,)``.
            points: where it was evaluated, ``(n, k)``.

        Returns:
            The estimate and its standard error (NaN after a single evaluation).
        """
        n = len(values)
        if n == 1:
            return float(values[0]), float("nan")
        if np.ptp(values) == 0:
            return float(values[0]), 0.0
        found = []
        for length in _LENGTHS:
            eigenvalues, axes = np.linalg.eigh(self._kernel(points, length))
            ones, along = axes.sum(axis=0), values @ axes
            for noise in _NOISES:
                weight = 1 / (np.maximum(eigenvalues, 0) + noise)
                precision = float(ones**2 @ weight)
                mean = float(ones * along @ weight) / precision
                rest = float((along - mean * ones) ** 2 @ weight)
                likelihood = (np.log(weight).sum() - np.log(precision) - (n - 1) * np.log(rest)) / 2
                found.append((likelihood, mean, rest / (n - 1) / precision))
        likelihoods, means, variances = np.array(found).T
        shares = np.exp(likelihoods - likelihoods.max())
        shares /= shares.sum()
        mean = float(shares @ means)
        return mean, float(np.sqrt(shares @ (variances + (means - mean) ** 2)))
