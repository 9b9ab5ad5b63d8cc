"""Numbers that say whether a map of effects is right: areas, intervals and correlations."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["area", "correlation_interval", "mean_and_half_width", "next_value_range", "prediction_error"]

Array = NDArray[np.float64]


def area(curves: ArrayLike) -> Array:
    """Return the mean height of curves ``(..., points)`` over evenly spaced points, by trapezoids.

    Example:
        >>> float(area([0.0, 1.0, 1.0]))
        0.75
    """
    heights = np.asarray(curves, dtype=np.float64)
    areas: Array = (heights[..., 1:] + heights[..., :-1]).mean(axis=-1) / 2
    return areas


def mean_and_half_width(values: ArrayLike, *, level: float = 0.95) -> tuple[float, float]:
    """Return the mean of independent values and half the width of its interval by Student's t; NaN for one value.

    Example:
        >>> mean, half = mean_and_half_width([1.0, 2.0, 3.0])
        >>> mean, round(half, 2)
        (2.0, 2.48)
    """
    from scipy.stats import t

    known = np.asarray(values, dtype=np.float64)
    n = len(known)
    if n < 2:
        return float(known.mean()), float("nan")
    return float(known.mean()), float(t.ppf((1 + level) / 2, n - 1) * known.std(ddof=1) / np.sqrt(n))


def next_value_range(values: ArrayLike, *, level: float = 0.95) -> tuple[float, float]:
    """Return where one more value like these will lie, by Student's t; NaN for one value.

    Example:
        >>> low, high = next_value_range([1.0, 2.0, 3.0])
        >>> round(low, 2), round(high, 2)
        (-2.97, 6.97)
    """
    known = np.asarray(values, dtype=np.float64)
    mean, half = mean_and_half_width(known, level=level)
    wide = half * np.sqrt(len(known) + 1)
    return mean - float(wide), mean + float(wide)


def correlation_interval(x: ArrayLike, y: ArrayLike, *, level: float = 0.95) -> tuple[float, float, float]:
    """Return Pearson's correlation of pairs and the ends of its interval by Fisher's z.

    NaN where one side is constant; the ends are NaN, too, for fewer than four pairs.

    Example:
        >>> r, low, high = correlation_interval([1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 3.0, 2.0, 5.0, 4.0])
        >>> round(r, 2), round(low, 2), round(high, 2)
        (0.8, -0.28, 0.99)
    """
    from scipy.stats import norm

    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan"), float("nan"), float("nan")
    r = float(np.clip(np.corrcoef(a, b)[0, 1], -1, 1))
    if len(a) < 4:
        return r, float("nan"), float("nan")
    z, half = np.arctanh(np.clip(r, -1 + 1e-12, 1 - 1e-12)), norm.ppf((1 + level) / 2) / np.sqrt(len(a) - 3)
    return r, float(np.tanh(z - half)), float(np.tanh(z + half))


def prediction_error(predicted: ArrayLike, measured: ArrayLike, *, scaled: bool = False) -> float:
    """Return the root mean square difference of predictions and measurements, in the unit of the measurements.

    Args:
        predicted: a value for each measurement.
        measured: the measurements.
        scaled: multiply the predictions by the factor of 0 or more that makes the difference smallest, so that maps
            without unit can be compared. It is at most the root mean square of the measurements.

    Example:
        >>> prediction_error([1.0, 2.0], [2.0, 4.0], scaled=True)
        0.0
        >>> round(prediction_error([1.0, 2.0], [2.0, 4.0]), 3)
        1.581
    """
    said, true = np.asarray(predicted, dtype=np.float64), np.asarray(measured, dtype=np.float64)
    factor = 1.0
    if scaled:
        size = float(said @ said)
        factor = max(float(said @ true) / size, 0.0) if size > 0 else 0.0
    return float(np.sqrt(np.square(true - factor * said).mean()))
