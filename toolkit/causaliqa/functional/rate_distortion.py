"""Rate against quality: Bjontegaard's deltas, their intervals over contents, the convex hull, and quality ladders.

Sources: Bjontegaard, ITU-T VCEG-M33, 2001 (the deltas); Fritsch and Carlson, SIAM Journal on Numerical Analysis 17(2),
1980 (pchip); Akima, Journal of the ACM 17(4), 1970; Herglotz et al., arXiv:2401.04039, 2024 (which interpolation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from causaliqa.api.errors import InputError
from causaliqa.functional.interpolations import INTERPOLATIONS
from causaliqa.functional.means import mean_interval

__all__ = ["Curve", "Delta", "Deltas", "bd", "bd_over_contents", "hull"]

Array = NDArray[np.float64]

FEW_OVERLAP = 0.75
"""Share of the common axis below which curves overlap too little for a delta to mean much, as in common use."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """Quality of one encoder on one content at several rates."""

    rate: Array
    """Rates, increasing, ``(n,)``, in any unit."""
    quality: Array
    """Quality, increasing, ``(n,)``: higher is better."""

    @classmethod
    def of(cls, rate: ArrayLike, quality: ArrayLike, *, name: str = "curve") -> Curve:
        """Return the curve through points in any order.

        Args:
            rate: rates ``(n,)``, positive.
            quality: quality-oriented scores ``(n,)``.
            name: what messages call the curve.

        Raises:
            InputError: fewer than two points, a rate that is not positive, or quality that does not rise with the rate.
        """
        x, y = np.asarray(rate, dtype=np.float64), np.asarray(quality, dtype=np.float64)
        if x.ndim != 1 or x.shape != y.shape or len(x) < 2:
            raise InputError(f"{name}: got {x.shape} rates and {y.shape} scores, expected at least two of both")
        if not (np.isfinite(x).all() and np.isfinite(y).all() and (x > 0).all()):
            raise InputError(f"{name}: got rates {x.tolist()} and scores {y.tolist()}, expected numbers, rates above 0")
        order = np.argsort(x, kind="stable")
        x, y = x[order], y[order]
        falls = np.flatnonzero((np.diff(y) <= 0) | (np.diff(x) <= 0))
        if len(falls):
            k = int(falls[0])
            raise InputError(
                f"{name}: quality goes from {y[k]:g} at rate {x[k]:g} to {y[k + 1]:g} at {x[k + 1]:g}, expected that "
                "it rises; leave out the point that costs more and gives less"
            )
        return cls(rate=x, quality=y)

    def log_rate_at(self, quality: ArrayLike, interpolation: str = "akima") -> Array:
        """Return log10 of the rate that holds a quality; NaN outside the curve."""
        return _inside(self.quality, np.log10(self.rate), quality, interpolation)

    def quality_at(self, rate: ArrayLike, interpolation: str = "akima") -> Array:
        """Return the quality at a rate; NaN outside the curve."""
        return _inside(np.log10(self.rate), self.quality, np.log10(np.asarray(rate, dtype=float)), interpolation)


@dataclass(frozen=True, kw_only=True)
class Delta:
    """One encoder against an anchor on one content."""

    rate: float
    """BD-rate in percent: negative where the encoder needs less rate for the same quality; NaN without overlap."""
    quality: float
    """BD-metric in the unit of the metric: positive where it gives more quality at the same rate."""
    overlap_quality: float
    """Share of the quality axis that both curves cover; in [0, 1]."""
    overlap_rate: float
    """Share of the axis of log rate that both cover."""


@dataclass(frozen=True, kw_only=True)
class Deltas:
    """One encoder against an anchor over contents."""

    each: tuple[Delta, ...]
    """Deltas of the contents."""
    rate: float
    """Mean BD-rate in percent over the contents with overlap."""
    rate_ci: tuple[float, float]
    """Its 95 % interval by Student's t over contents; NaN below three."""
    quality: float
    """Mean BD-metric."""
    quality_ci: tuple[float, float]
    """Its 95 % interval."""
    contents: int
    """Contents with overlap."""
    little_overlap: int
    """Contents whose curves overlap on less than three quarters of the quality axis."""


def bd(anchor: Curve, test: Curve, *, interpolation: str = "akima") -> Delta:
    """Return Bjontegaard's deltas of a curve against an anchor, each averaged over the common interval.

    Args:
        anchor: curve of the anchor.
        test: curve of the encoder that is judged.
        interpolation: ``akima`` (nearest to dense curves in Herglotz et al.) or ``pchip`` (monotone), of log10 of the
            rate over quality and the other way round.

    Raises:
        InputError: the interpolation is unknown.

    Example:
        >>> anchor = Curve.of([1, 2, 4, 8], [30, 33, 36, 39])
        >>> found = bd(anchor, Curve.of([0.5, 1, 2, 4], [30, 33, 36, 39]))
        >>> round(found.rate, 6), round(found.quality, 6), round(found.overlap_rate, 3)
        (-50.0, 3.0, 0.5)
    """
    rate, shared_quality = _delta(
        anchor.quality, np.log10(anchor.rate), test.quality, np.log10(test.rate), interpolation
    )
    quality, shared_rate = _delta(
        np.log10(anchor.rate), anchor.quality, np.log10(test.rate), test.quality, interpolation
    )
    return Delta(rate=100 * (10**rate - 1), quality=quality, overlap_quality=shared_quality, overlap_rate=shared_rate)


def bd_over_contents(anchors: Sequence[Curve], tests: Sequence[Curve], *, interpolation: str = "akima") -> Deltas:
    """Return deltas of every content and their means, contents being what is independent.

    Args:
        anchors: the anchor's curve of every content.
        tests: the encoder's curves of the same contents.
        interpolation: as for :func:`bd`.

    Raises:
        InputError: the numbers of contents differ, or are none.

    Example:
        >>> curves = [Curve.of([1, 2, 4], [30 + n, 33 + n, 37 + n]) for n in range(4)]
        >>> half = [Curve.of(c.rate / 2, c.quality) for c in curves]
        >>> found = bd_over_contents(curves, half)
        >>> round(found.rate, 6), [round(end, 6) for end in found.rate_ci]
        (-50.0, [-50.0, -50.0])
    """
    if len(anchors) != len(tests) or not anchors:
        raise InputError(f"BD: got {len(anchors)} and {len(tests)} contents, expected the same, at least one")
    each = tuple(bd(a, t, interpolation=interpolation) for a, t in zip(anchors, tests, strict=True))
    rates = [d.rate for d in each if np.isfinite(d.rate)]
    qualities = [d.quality for d in each if np.isfinite(d.quality)]
    return Deltas(
        each=each,
        rate=float(np.mean(rates)) if rates else float("nan"),
        rate_ci=mean_interval(rates),
        quality=float(np.mean(qualities)) if qualities else float("nan"),
        quality_ci=mean_interval(qualities),
        contents=len(rates),
        little_overlap=sum(d.overlap_quality < FEW_OVERLAP for d in each),
    )


def hull(rate: ArrayLike, quality: ArrayLike) -> NDArray[np.int64]:
    """Return the points on the upper convex hull of quality over log rate, cheapest first.

    No other point gives more quality at its rate, nor does mixing two. Points of equal rate and quality count once.

    Args:
        rate: rates ``(n,)`` of all encoders, positive.
        quality: quality-oriented scores ``(n,)``.

    Example:
        >>> hull([1, 2, 4, 8, 2], [30, 33, 34, 38, 32]).tolist()
        [0, 1, 3]
    """
    x, y = np.log10(np.asarray(rate, dtype=np.float64)), np.asarray(quality, dtype=np.float64)
    kept: list[int] = []
    for k in np.lexsort((-y, x)):
        if kept and y[k] <= y[kept[-1]]:
            continue
        while len(kept) > 1 and _below(x, y, kept[-2], kept[-1], int(k)):
            kept.pop()
        kept.append(int(k))
    return np.asarray(kept, dtype=np.int64)


def _below(x: Array, y: Array, first: int, middle: int, last: int) -> bool:
    """Whether the middle point is not above the line between the others."""
    return bool((y[middle] - y[first]) * (x[last] - x[first]) <= (y[last] - y[first]) * (x[middle] - x[first]))


def _delta(base: Array, value: Array, other_base: Array, other_value: Array, interpolation: str) -> tuple[float, float]:
    """Mean difference over the common interval of the base, and the share of that interval."""
    low, high = max(base[0], other_base[0]), min(base[-1], other_base[-1])
    share = max(high - low, 0.0) / (max(base[-1], other_base[-1]) - min(base[0], other_base[0]))
    if share == 0:
        return float("nan"), 0.0
    ours = _interpolate(base, value, interpolation).integrate(low, high)
    theirs = _interpolate(other_base, other_value, interpolation).integrate(low, high)
    return float((theirs - ours) / (high - low)), float(share)


def _inside(base: Array, value: Array, at: ArrayLike, interpolation: str) -> Array:
    x = np.asarray(at, dtype=np.float64)
    found = _interpolate(base, value, interpolation)(np.clip(x, base[0], base[-1]))
    return np.where((x >= base[0]) & (x <= base[-1]), found, np.nan)


def _interpolate(base: Array, value: Array, interpolation: str) -> Any:
    from scipy import interpolate

    if interpolation not in INTERPOLATIONS:
        raise InputError(f"interpolation: got {interpolation!r}, expected {' or '.join(INTERPOLATIONS)}")
    if len(base) == 2:
        return interpolate.PPoly(np.array([[(value[1] - value[0]) / (base[1] - base[0])], [value[0]]]), base)
    return (interpolate.PchipInterpolator if interpolation == "pchip" else interpolate.Akima1DInterpolator)(base, value)
