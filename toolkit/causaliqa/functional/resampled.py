"""The interval of a mean over few images of skewed values, by the bootstrap.

For differences of scores :func:`causaliqa.functional.means.mean_interval` has Student's t.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["DRAWS", "FEWEST", "resampled_interval"]

DRAWS = 10_000
"""Resamples."""
FEWEST = 4
"""Images without which there is no interval."""


def resampled_interval(values: ArrayLike, *, level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Return the interval of the mean of independent values; NaN for fewer than :data:`FEWEST`.

    Expanded percentile bootstrap: the percentiles are widened as Student's t is wider than the normal distribution,
    because resamples of n values vary too little, by a factor of (n - 1) / n in variance.

    Args:
        values: one number per image; NaN is left out.
        level: of the interval.
        seed: of the resamples.

    Source: Hesterberg, "What Teachers Should Know About the Bootstrap", The American Statistician 69(4), 2015.

    Example:
        >>> low, high = resampled_interval([1.0, 2.0, 3.0, 4.0, 5.0])
        >>> 1 < low < 2 < 4 < high < 5
        True
        >>> resampled_interval([1.0, 2.0, 3.0])
        (nan, nan)
    """
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    n = len(known)
    if n < FEWEST:
        return float("nan"), float("nan")
    from scipy.stats import norm, t

    tail = float(norm.cdf(-np.sqrt(n / (n - 1)) * t.ppf((1 + level) / 2, n - 1)))
    chosen = np.random.default_rng(seed).integers(n, size=(DRAWS, n))
    low, high = np.quantile(known[chosen].mean(axis=1), [tail, 1 - tail])
    return float(low), float(high)
