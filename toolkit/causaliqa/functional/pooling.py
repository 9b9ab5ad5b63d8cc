"""One number for many frames: means, and what the worst frames are like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["WORST", "Pooled", "pool"]

WORST = 5.0
"""Percent of the frames that are worse than :attr:`Pooled.worst_share`."""


@dataclass(frozen=True, kw_only=True)
class Pooled:
    """Scores of the frames of a video, pooled; NaN where it is not defined."""

    frames: int
    """Frames with a score."""
    mean: float
    """Arithmetic mean."""
    harmonic_mean: float
    """n / sum(1 / score), which bad frames weigh on; only of scores above 0 of which higher is better."""
    worst_share: float
    """The score that 5 % of the frames do worse than: the 5th percentile, or the 95th where lower is better."""
    worst: float
    """Score of the worst frame."""
    worst_frame: int | None
    """Its place, from 0; None without a score."""


def pool(scores: ArrayLike, *, lower_better: bool) -> Pooled:
    """Return the pooled scores of a video.

    The harmonic mean is that of libvmaf but for the 1 that it adds to every score to allow zeros. Percentiles are
    interpolated linearly (Hyndman and Fan, The American Statistician 50(4), 1996, type 7).

    Args:
        scores: of the frames, ``(n,)``; NaN where there is none.
        lower_better: direction of the metric.

    Example:
        >>> found = pool([40.0, 20.0, np.nan, 40.0], lower_better=False)
        >>> found.frames, found.mean, round(found.harmonic_mean, 6), found.worst_share, found.worst_frame
        (3, 33.333333333333336, 30.0, 22.0, 1)
    """
    values = np.asarray(scores, dtype=np.float64)
    there = np.flatnonzero(np.isfinite(values))
    found = values[there]
    nan = float("nan")
    if not len(found):
        return Pooled(frames=0, mean=nan, harmonic_mean=nan, worst_share=nan, worst=nan, worst_frame=None)
    worst = int(there[np.argmax(found) if lower_better else np.argmin(found)])
    positive = not lower_better and bool((found > 0).all())
    return Pooled(
        frames=len(found),
        mean=float(found.mean()),
        harmonic_mean=float(len(found) / (1 / found).sum()) if positive else nan,
        worst_share=float(np.percentile(found, 100 - WORST if lower_better else WORST)),
        worst=float(values[worst]),
        worst_frame=worst,
    )
