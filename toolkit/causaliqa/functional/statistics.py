"""Agreement between the scores of a metric and opinion scores: correlations, logistic fits, outliers.

All functions but :func:`summarise` take *quality-oriented* arrays, where higher is better (:func:`orient`).
Correlations keep their sign: that of a metric with a wrong direction is negative, even after a fit, whose slope would
hide it.

Source of the protocol: VQEG, "Final report on the validation of objective models of video quality assessment, phase
II", 2003.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from causaliqa.api.errors import InputError
from causaliqa.functional.logistic import Fit, fit_logistic

__all__ = [
    "Summary",
    "contradicts",
    "krcc",
    "orient",
    "outlier_ratio",
    "plcc",
    "plcc_after_fit",
    "predict_label",
    "rmse",
    "srcc",
    "summarise",
]

Array = NDArray[np.float64]

_EXACT = 8
"""Largest sample size for the exact permutation test; the t approximation is used above."""


def _vector(values: ArrayLike, name: str = "scores") -> Array:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise InputError(f"{name}: got shape {array.shape}, expected one number an image")
    return array


def _vectors(a: ArrayLike, b: ArrayLike) -> tuple[Array, Array]:
    x, y = _vector(a), _vector(b, "labels")
    if len(x) != len(y):
        raise InputError(f"got {len(x)} scores and {len(y)} labels, expected as many of one as of the other")
    return x, y


def orient(values: ArrayLike, lower_better: bool) -> Array:
    """Return quality-oriented values (higher is better): negated if ``lower_better``.

    >>> orient([1.0, 2.0], lower_better=True)
    array([-1., -2.])
    """
    array = np.asarray(values, dtype=np.float64)
    return -array if lower_better else array


def plcc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Return Pearson's linear correlation in [-1, 1]; NaN below two images or where one side is constant.

    >>> plcc([1, 2, 3], [2, 4, 6])
    1.0
    """
    x, y = _vectors(scores, labels)
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    # Scaled first: squares of very small or very large scores would leave the range of floats.
    x, y = (v / np.abs(v).max() for v in (x - x.mean(), y - y.mean()))
    return float(np.clip((x @ y) / np.sqrt((x @ x) * (y @ y)), -1.0, 1.0))


def srcc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Return Spearman's rank correlation in [-1, 1], ties at their mean rank; NaN where one side is constant.

    >>> srcc([10, 100, 1000], [1, 2, 3])
    1.0
    """
    x, y = _vectors(scores, labels)
    return plcc(stats.rankdata(x), stats.rankdata(y)) if len(x) else float("nan")


def krcc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Return Kendall's tau-b in [-1, 1], which accounts for ties; NaN where one side is constant.

    >>> round(krcc([1, 2, 3, 4], [1, 2, 4, 3]), 4)
    0.6667
    """
    x, y = _vectors(scores, labels)
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(stats.kendalltau(x, y).statistic)


def rmse(predicted: ArrayLike, labels: ArrayLike) -> float:
    """Return the root mean square error in the unit of the labels; NaN without images.

    >>> rmse([1, 2], [1, 4]) == 2**0.5
    True
    """
    x, y = _vectors(predicted, labels)
    return float(np.sqrt(np.mean((x - y) ** 2))) if len(x) else float("nan")


def outlier_ratio(predicted: ArrayLike, labels: ArrayLike, label_std: ArrayLike, *, factor: float = 2.0) -> float:
    """Return the fraction of images whose prediction error exceeds ``factor`` standard deviations of the label.

    Args:
        predicted: labels predicted from the scores, ``(n,)``.
        labels: opinion scores in the same unit, ``(n,)``.
        label_std: standard deviation of every opinion score, ``(n,)``; images with NaN are ignored. VQEG uses the
            standard error of the mean; most data sets publish the larger deviation between subjects, which gives fewer
            outliers. Compare ratios only within one data set.
        factor: number of standard deviations.

    >>> outlier_ratio([0.0, 5.0], [1.0, 1.0], [1.0, 1.0])
    0.5
    """
    x, y = _vectors(predicted, labels)
    y, spread = _vectors(y, label_std)
    known = np.isfinite(spread)
    if not known.any():
        return float("nan")
    return float(np.mean(np.abs(x - y)[known] > factor * spread[known]))


@functools.cache
def _null_srcc(n: int) -> Array:
    """Return SRCC of every permutation of n ranks, sorted."""
    ranks = np.arange(n, dtype=np.float64)
    permutations = np.array(list(itertools.permutations(range(n))), dtype=np.float64)
    squares = ((permutations - ranks) ** 2).sum(axis=1)
    return np.sort(1 - 6 * squares / (n * (n * n - 1)))


def contradicts(srcc: float, n: int, *, alpha: float = 0.05) -> bool:
    """Return whether a quality-oriented SRCC is significantly negative: the declared direction is wrong.

    Two-sided; exact for up to 8 images (fewer than 5 are never significant), Student's t above. Assumes independent
    images, so significance is somewhat overstated if there are few references.

    >>> contradicts(-1.0, 4), contradicts(-1.0, 5), contradicts(-0.3, 100), contradicts(0.3, 100)
    (False, True, True, False)
    """
    if not np.isfinite(srcc) or srcc >= 0 or n < 3:
        return False
    if n <= _EXACT:
        p = 2 * float(np.mean(_null_srcc(n) <= srcc + 1e-9))
    elif srcc <= -1:
        p = 0.0
    else:
        p = 2 * float(stats.t.cdf(srcc * np.sqrt((n - 2) / (1 - srcc * srcc)), n - 2))
    return p < alpha


def plcc_after_fit(scores: ArrayLike, labels: ArrayLike, fit: Fit) -> float:
    """Return the PLCC between predicted and given labels, negative if the fitted function falls.

    >>> x = np.linspace(-3, 3, 50)
    >>> plcc_after_fit(x, -x, fit_logistic(x, -x)) < -0.99
    True
    """
    predicted = fit.predict(scores)
    return plcc(predicted, labels) * float(np.sign(srcc(scores, predicted)))


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Agreement of the scores of one metric with opinion scores; positive correlations mean agreement."""

    n: int
    """Number of images with a score."""
    n_failed: int
    """Number of images without a finite score, which are ignored."""
    plcc: float
    """Pearson's correlation after the fit."""
    srcc: float
    """Spearman's rank correlation."""
    krcc: float
    """Kendall's tau-b."""
    rmse: float
    """Root mean square error after the fit, in the unit of the labels; lower is better."""
    plcc_raw: float
    """Pearson's correlation without a fit."""
    rmse_raw: float
    """Root mean square difference of score and label without a fit; meaningful if the metric predicts the label."""
    outlier_ratio: float | None
    """Fraction of images with an error above two label deviations, after the fit; None if deviations are unknown."""
    fit: Fit
    """From quality-oriented scores to quality-oriented labels normalised to [0, 1]."""
    direction_ok: bool
    """False if SRCC contradicts the declared directions; :func:`contradicts` tests its significance."""
    lower_better: bool
    """Declared direction of the metric."""
    label_lower_better: bool
    """Declared direction of the label."""
    label_range: tuple[float, float]
    """Labels mapped to 0 and 1 for the fit (to 1 and 0 if a low label means good quality)."""

    def predict(self, scores: ArrayLike) -> Array:
        """Return predicted labels in their own unit for raw scores: the curve of a scatter plot."""
        return predict_label(
            self.fit,
            scores,
            lower_better=self.lower_better,
            label_lower_better=self.label_lower_better,
            label_range=self.label_range,
        )


def predict_label(
    fit: Fit, scores: ArrayLike, *, lower_better: bool, label_lower_better: bool, label_range: tuple[float, float]
) -> Array:
    """Return predicted labels in their own unit for raw scores.

    Args:
        fit: from quality-oriented scores to quality-oriented labels normalised to [0, 1].
        scores: raw scores, any shape.
        lower_better: direction of the metric.
        label_lower_better: direction of the label.
        label_range: smallest and largest label of the normalisation.

    Returns:
        Labels in the shape of the scores.

    Example:
        >>> line = Fit(kind="linear", params=(1.0, 0.0), converged=True)
        >>> predict_label(line, [0.25], lower_better=False, label_lower_better=True, label_range=(0.0, 100.0))
        array([75.])
    """
    share = fit.predict(orient(scores, lower_better))
    low, high = label_range
    return high - (high - low) * share if label_lower_better else low + (high - low) * share


def summarise(
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    lower_better: bool,
    label_lower_better: bool,
    label_std: ArrayLike | None = None,
    label_range: tuple[float, float] | None = None,
) -> Summary:
    """Return every agreement statistic of one metric on one data set.

    Args:
        scores: raw scores, ``(n,)``; NaN and infinite ones count as failed and are ignored.
        labels: opinion scores in their own unit, ``(n,)``, finite.
        lower_better: direction of the metric.
        label_lower_better: direction of the label (True for a DMOS).
        label_std: deviation of every label, ``(n,)``; NaN where unknown.
        label_range: limits of the opinion scale, for normalisation before the fit; by default the extreme labels.

    Raises:
        InputError: lengths differ, or a label is not finite.

    Example:
        >>> s = summarise([30, 20, 10, np.nan], [1, 2, 4, 5], lower_better=False, label_lower_better=True)
        >>> s.n, s.n_failed, s.srcc, s.direction_ok
        (3, 1, 1.0, True)
    """
    x, y = _vectors(scores, labels)
    if bad := np.flatnonzero(~np.isfinite(y)).tolist():
        raise InputError(f"labels: got {y[bad[0]]} for image {bad[0]}, expected a number; remove the image")
    spread = None if label_std is None else _vectors(x, label_std)[1]
    ok = np.isfinite(x)
    n_failed = int((~ok).sum())
    x, y = x[ok], y[ok]
    low, high = label_range or ((float(y.min()), float(y.max())) if len(y) else (0.0, 1.0))
    if not high > low:
        low, high = low - 0.5, low + 0.5
    quality, opinion = orient(x, lower_better), (y - low) / (high - low)
    opinion = 1 - opinion if label_lower_better else opinion
    fitted = fit_logistic(quality, opinion)
    rank = srcc(quality, opinion)
    predicted = fitted.predict(quality)
    return Summary(
        n=len(x),
        n_failed=n_failed,
        plcc=plcc_after_fit(quality, opinion, fitted),
        srcc=rank,
        krcc=krcc(quality, opinion),
        rmse=rmse(predicted, opinion) * (high - low),
        plcc_raw=plcc(quality, opinion),
        rmse_raw=rmse(x, y),
        outlier_ratio=None
        if spread is None
        else outlier_ratio(predicted * (high - low), opinion * (high - low), spread[ok]),
        fit=fitted,
        direction_ok=not rank < 0,
        lower_better=lower_better,
        label_lower_better=label_lower_better,
        label_range=(low, high),
    )
