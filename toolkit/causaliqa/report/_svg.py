"""Scatter panels as SVG paths: thousands of points in a few kilobytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causaliqa.report.scatter_data import Panel

__all__ = ["GLYPHS", "HEIGHT", "KEYS", "WIDTH", "Drawing", "axis_ends", "axis_ticks", "draw"]

GLYPHS = (
    "h0",
    "h0m-2.2-2.2h4.4v4.4h-4.4z",
    "h0m0-2.6l2.6 4.6h-5.2z",
    "h0m0-2.9l2.9 2.9l-2.9 2.9l-2.9-2.9z",
    "h0m0 2.6l2.6-4.6h-5.2z",
    "h0m-2.6 0h5.2m-2.6-2.6v5.2",
    "h0m-2.1-2.1l4.2 4.2m0-4.2l-4.2 4.2",
    "h0m-2.8 0h5.6",
)
"""Path data of the mark of every type, from its centre: a dot (a stroke of length 0 with round caps) at the exact
place, and around it nothing, a square, a triangle..., so that types are told apart without colour."""

KEYS = "●□△◇▽+×−"
"""The same marks as characters, for legends."""

WIDTH, HEIGHT = 260, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 8, 8, 24

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """Content of one SVG of :data:`WIDTH` x :data:`HEIGHT`."""

    dots: dict[str, str]
    """Path data by type."""
    curve: str
    """Path data of the fitted curve."""
    x_ticks: list[tuple[float, str]]
    """Positions and labels of the score axis."""
    y_ticks: list[tuple[float, str]]
    """Positions and labels of the label axis."""
    x_ends: tuple[float, float]
    """Scores at :attr:`left` and :attr:`right`."""
    y_ends: tuple[float, float]
    """Labels at :attr:`bottom` and :attr:`top`."""
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = HEIGHT - _BOTTOM


def draw(panel: Panel, marks: Mapping[str, int] = {}) -> Drawing:
    """Return the paths of a panel.

    Args:
        panel: what is drawn.
        marks: number of the mark of every type in :data:`GLYPHS`; by default a dot.

    Example:
        >>> line = np.array([0.0, 1.0])
        >>> facts = {"dataset": "d", "metric": "m", "lower_better": False, "label_lower_better": False}
        >>> panel = Panel(**facts, srcc=1.0, plcc=1.0, n=2, points={"": (line, line)}, curve=(line, line))
        >>> drawing = draw(panel)
        >>> drawing.dots[""], drawing.curve
        ('M49.6 168.4h0M242.4 15.6h0', 'M49.6 168.4L242.4 15.6')
    """
    x_low, x_high = axis_ends([panel.curve[0], *(x for x, _ in panel.points.values())])
    y_low, y_high = axis_ends([panel.curve[1], *(y for _, y in panel.points.values())])

    def place(scores: Array, labels: Array) -> list[str]:
        x = _LEFT + (scores - x_low) / (x_high - x_low) * (WIDTH - _LEFT - _RIGHT)
        y = HEIGHT - _BOTTOM - (labels - y_low) / (y_high - y_low) * (HEIGHT - _TOP - _BOTTOM)
        return [f"{a:.5g} {b:.5g}" for a, b in zip(x.round(1), y.round(1), strict=True)]

    known = np.isfinite(panel.curve[1])
    curve = place(panel.curve[0][known], panel.curve[1][known])
    return Drawing(
        dots={
            kind: "".join(f"M{at}{GLYPHS[marks.get(kind, 0)]}" for at in place(x, y))
            for kind, (x, y) in panel.points.items()
        },
        curve=f"M{'L'.join(curve)}" if curve else "",
        x_ticks=[
            (round(_LEFT + (v - x_low) / (x_high - x_low) * (WIDTH - _LEFT - _RIGHT), 1), f"{v:g}")
            for v in axis_ticks(x_low, x_high)
        ],
        y_ticks=[
            (round(HEIGHT - _BOTTOM - (v - y_low) / (y_high - y_low) * (HEIGHT - _TOP - _BOTTOM), 1), f"{v:g}")
            for v in axis_ticks(y_low, y_high)
        ],
        x_ends=(x_low, x_high),
        y_ends=(y_low, y_high),
    )


def axis_ends(values: list[Array]) -> tuple[float, float]:
    """Return smallest and largest finite value with a margin; an arbitrary range without values."""
    known = np.concatenate([v[np.isfinite(v)] for v in values])
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    margin = 0.05 * (high - low) or max(abs(low), 1.0) * 0.5
    return low - margin, high + margin


def axis_ticks(low: float, high: float) -> list[float]:
    """Return a few round values in an interval."""
    from matplotlib.ticker import MaxNLocator

    places = MaxNLocator(nbins=4).tick_values(low, high)
    # Rounded to avoid labels such as 0.30000000000000004.
    return [float(f"{v:.6g}") for v in places if low <= v <= high]
