"""Compiled kernel behind :func:`causaliqa.functional.disagreement.gmad_pairs`."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

__all__ = ["widest_pair"]


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator,unused-ignore]
def widest_pair(held: Any, other: Any, free: Any, tolerance: float) -> tuple[int, int]:
    """Return the places of the lowest and highest ``other`` among pairs whose ``held`` differ by ``tolerance`` at most.

    Two queues keep the minimum and the maximum of the window that slides over sorted ``held``: O(n) time and memory.

    Args:
        held: ``(n,)``, ascending.
        other: ``(n,)``.
        free: ``(n,)``, False for places that may not be used.
        tolerance: width of the window.

    Returns:
        Two places, or (-1, -1) without any pair.
    """
    n = len(held)
    lows, highs = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    low_first = low_last = high_first = high_last = 0
    best, low, high = -np.inf, -1, -1
    for place in range(n):
        if not free[place]:
            continue
        while low_first < low_last and held[place] - held[lows[low_first]] > tolerance:
            low_first += 1
        while high_first < high_last and held[place] - held[highs[high_first]] > tolerance:
            high_first += 1
        if low_first < low_last and other[place] - other[lows[low_first]] > best:
            best, low, high = other[place] - other[lows[low_first]], lows[low_first], place
        if high_first < high_last and other[highs[high_first]] - other[place] > best:
            best, low, high = other[highs[high_first]] - other[place], place, highs[high_first]
        while low_first < low_last and other[lows[low_last - 1]] >= other[place]:
            low_last -= 1
        lows[low_last] = place
        low_last += 1
        while high_first < high_last and other[highs[high_last - 1]] <= other[place]:
            high_last -= 1
        highs[high_last] = place
        high_last += 1
    return low, high
