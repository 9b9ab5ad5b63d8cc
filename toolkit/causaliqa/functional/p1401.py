"""Errors of prediction as ITU-T P.1401 defines them, and the correlation that the noise of the labels allows at best.

Sources: ITU-T P.1401, 2020; Spearman, American Journal of Psychology 15(1), 1904 (correction for attenuation). All
arrays are quality-oriented, see :func:`causaliqa.functional.statistics.orient`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from causaliqa.api.errors import InputError
from causaliqa.functional._cubic import monotonic_cubic
from causaliqa.functional.vqeg import _checked

__all__ = ["Ceiling", "Errors", "ceiling", "confidence_95", "errors_p1401"]

Array = NDArray[np.float64]


def confidence_95(deviation: ArrayLike, counts: ArrayLike) -> Array:
    """Return half the width of the 95 % confidence interval of labels; NaN below two subjects.

    Student's t below 30 subjects, 1.96 above. Source: P.1401, 7.4.

    >>> confidence_95([1.0, 1.0], [4, 100]).round(3).tolist()
    [1.591, 0.196]
    """
    number = np.asarray(counts, dtype=np.float64)
    with np.errstate(all="ignore"):
        factor = np.where(number < 30, stats.t.ppf(0.975, np.where(number >= 2, number - 1, np.nan)), 1.96)
        return np.asarray(
            np.where(number >= 2, factor * np.asarray(deviation, dtype=np.float64) / np.sqrt(number), np.nan)
        )


@dataclass(frozen=True, kw_only=True)
class Errors:
    """Errors of one metric after the monotonic cubic, in the unit of the labels; lower is better."""

    rmse: float
    """Root mean square error, with ``n - 4`` in the denominator."""
    rmse_star: float
    """The same of what errors exceed the label's 95 % confidence interval by; NaN where that is unknown."""
    outlier_ratio: float
    """Share of images whose error exceeds the interval; NaN where that is unknown."""
    coefficients: tuple[float, float, float, float]
    """Of ``1, x, x**2, x**3``."""


def errors_p1401(scores: ArrayLike, labels: ArrayLike, interval: ArrayLike = np.nan) -> Errors:
    """Return the errors that ITU-T P.1401 defines, after a cubic that is monotonic over the scores.

    Args:
        scores: of one metric, ``(n,)``, finite.
        labels: mean opinion scores ``(n,)``.
        interval: half the width of every label's 95 % confidence interval, see :func:`confidence_95`; images where it
            is NaN do not count for ``rmse_star`` and ``outlier_ratio``.

    Returns:
        The errors, NaN below five images. Source: P.1401, 7.3.2 and appendix I (cubic), 7.5.1, 7.5.2.2, 7.7.

    Raises:
        InputError: shapes do not fit.

    Example:
        >>> x = np.linspace(1, 5, 9)
        >>> found = errors_p1401(x, x**3 + [0, 0, 0, 0, 1, 0, 0, 0, 0], 0.5)
        >>> round(found.rmse, 3), round(found.outlier_ratio, 3)
        (0.386, 0.111)
    """
    x, y, half = _checked(scores, labels, interval)
    if len(x) != 1:
        raise InputError(f"errors_p1401: got {len(x)} metrics, expected one")
    if len(y) < 5 or not np.isfinite(x).all():
        return Errors(rmse=np.nan, rmse_star=np.nan, outlier_ratio=np.nan, coefficients=(np.nan,) * 4)
    coefficients, predicted = monotonic_cubic(x[0], y)
    off = np.abs(predicted - y)
    known = np.isfinite(half)
    over = np.maximum(off[known] - half[known], 0.0)
    enough = len(over) > 4
    return Errors(
        rmse=float(np.sqrt((off @ off) / (len(y) - 4))),
        rmse_star=float(np.sqrt((over @ over) / (len(over) - 4))) if enough else np.nan,
        outlier_ratio=float(np.mean(over > 0)) if enough else np.nan,
        coefficients=coefficients,
    )


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    """Correlations that a metric reaches which predicts the true mean opinion of every image."""

    plcc: float
    """``sqrt(1 - mean squared standard error / variance of the labels)``; 0 if noise explains the labels."""
    srcc: float
    """Mean over simulated panels."""


def ceiling(
    labels: ArrayLike, deviation: ArrayLike, counts: ArrayLike = 1, *, repeats: int = 200, seed: int = 0
) -> Ceiling:
    """Return the highest correlations that the noise of the labels allows.

    The share of true variance in the labels is their reliability, and its root the ceiling of PLCC (correction for
    attenuation). For SRCC, true opinions are simulated by shrinking the labels to the true variance, and panels by
    adding every label's noise to them. A metric above the ceiling was fitted to the noise, or the deviations are
    too large.

    Args:
        labels: mean opinion scores ``(n,)``.
        deviation: standard deviation between subjects of every label, or one for all; NaN where unknown (left out).
        counts: subjects behind every label, or one number for all; 1 if ``deviation`` is the standard error.
        repeats: simulated panels.
        seed: decides them.

    Raises:
        InputError: shapes do not fit.

    Example:
        >>> found = ceiling(np.arange(1.0, 101.0), deviation=20.0, counts=4)
        >>> round(found.plcc, 3), 0.92 < found.srcc < 0.95
        (0.939, True)
    """
    _, y, spread, number = _checked(np.asarray(labels, dtype=np.float64), labels, deviation, counts)
    known = np.isfinite(y) & np.isfinite(spread) & (number >= 1)
    y, error = y[known], spread[known] / np.sqrt(number[known])
    if len(y) < 3 or np.ptp(y) == 0:
        return Ceiling(plcc=np.nan, srcc=np.nan)
    reliability = max(0.0, 1 - float(np.mean(error**2)) / float(y.var(ddof=1)))
    true = y.mean() + np.sqrt(reliability) * (y - y.mean())
    if reliability == 0:
        return Ceiling(plcc=0.0, srcc=0.0)
    rng = np.random.default_rng(seed)
    rank = stats.rankdata(true)
    panels = [np.corrcoef(rank, stats.rankdata(true + error * rng.normal(size=len(y))))[0, 1] for _ in range(repeats)]
    return Ceiling(plcc=float(np.sqrt(reliability)), srcc=float(np.mean(panels)))
