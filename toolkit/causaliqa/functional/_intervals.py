"""The interval of a statistic between -1 and 1 from resampled references."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from causaliqa.functional.significance import COARSE, FEWEST, _jackknifed, _leave_out, _studentised

__all__ = ["interval"]

Array = NDArray[np.float64]
Counts = NDArray[np.int16]


def interval(
    compute: Callable[[Counts], tuple[Array, Array]], counts: Counts, present: NDArray[np.int64], level: float
) -> tuple[float, float]:
    """Return the interval by the method of :meth:`causaliqa.functional.significance.ClusterBootstrap.interval`.

    Args:
        compute: gives the statistic and its standard error for every row of multiplicities.
        counts: multiplicities ``(D + 1, references)``, the sample first.
        present: references that count.
        level: of the interval.
    """
    few = len(present)
    if few < FEWEST:
        return float("nan"), float("nan")
    values, errors = compute(_leave_out(counts.shape[1], present) if few < COARSE else counts)
    if not np.isfinite(values[0]) or abs(values[0]) > 1 - 1e-12 or errors[0] == 0:
        return float(values[0]), float(values[0])
    steps = _jackknifed(values, errors, level) if few < COARSE else _studentised(values, errors, few, level)
    low, high = np.tanh(np.arctanh(values[0]) - steps)
    return float(low), float(high)
