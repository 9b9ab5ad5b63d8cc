"""Curves of quality over rate, fit to print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from causaliqa.evaluation.compare import ComparedMetric
from causaliqa.evaluation.encoders import Hold, LowestRate, curves_of, hulls_of, lowest_rate
from causaliqa.functional.rate_distortion import Curve
from causaliqa.io.rate_points import RatePoint
from causaliqa.utils.figures import COLOURS, MARKERS, new_figure
from causaliqa.utils.text import figure_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["draw_curves"]

_STEPS = 60
"""Points of the mean curve."""


def draw_curves(
    points: Sequence[RatePoint],
    metrics: Sequence[ComparedMetric],
    *,
    rate: str = "rate",
    hold: Sequence[Hold] = (),
    interpolation: str = "akima",
) -> Figure:
    """Draw a panel for every metric: thin curves of the contents, the mean of each encoder on top.

    The mean is taken at equal rates, on the interval that all curves of an encoder cover, if there is one. Gray bands
    are the convex hulls of the contents over all encoders. Every quality that is to be held is a horizontal line, with
    the lowest rate of each encoder on it (hollow where the curves of some contents miss it) and its interval.

    Args:
        points: points with scores.
        metrics: the metrics.
        rate: name of the horizontal axis, with its unit.
        hold: qualities of the ladder.
        interpolation: of the curves.
    """
    figure = new_figure(3.6 * len(metrics), 3.2)
    for number, metric in enumerate(metrics):
        axes = figure.add_subplot(1, len(metrics), number + 1)
        steps = [step.value for step in hold if step.metric == metric.name]
        _panel(axes, points, metric, steps, interpolation)
        axes.set_xlabel(figure_text(rate))
        if number == 0:
            axes.legend(frameon=False, fontsize=8)
    return figure


def _panel(
    axes: Any, points: Sequence[RatePoint], metric: ComparedMetric, steps: Sequence[float], interpolation: str
) -> None:
    curves, _ = curves_of(points, metric)
    sign = -1.0 if metric.lower_better else 1.0
    encoders = list(dict.fromkeys(point.encoder for point in points))
    for k, encoder in enumerate(encoders):
        _draw(axes, list(curves.get(encoder, {}).values()), sign, k, encoder, interpolation)
    _log_axis(axes)
    _draw_hulls(axes, list(hulls_of(points, metric).values()), metric)
    for score in steps:
        found = [lowest_rate(curves.get(encoder, {}), metric, score, interpolation) for encoder in encoders]
        _draw_step(axes, score, found, [len(curves.get(encoder, {})) for encoder in encoders])
    better = "lower" if metric.lower_better else "higher"
    unit = f"{metric.unit}, " if metric.unit else ""
    axes.set_ylabel(figure_text(f"{metric.name} ({unit}{better} is better)"))
    axes.grid(alpha=0.3, which="both", linewidth=0.5)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _draw_hulls(axes: Any, hulls: Sequence[Sequence[RatePoint]], metric: ComparedMetric) -> None:
    width = 7 if len(hulls) == 1 else 3
    for corners in hulls:
        x, y = [p.rate for p in corners], [p.scores[metric.name] for p in corners]
        axes.plot(x, y, color="#777777", linewidth=width, alpha=0.25, solid_capstyle="round", zorder=1)
    axes.plot([], [], color="#777777", linewidth=7, alpha=0.25, label="convex hull")


def _draw_step(axes: Any, score: float, found: Sequence[LowestRate], contents: Sequence[int]) -> None:
    """Draw a quality that is to be held, and the lowest rate of every encoder."""
    axes.axhline(score, color="#444444", linestyle="--", linewidth=0.8, zorder=1)
    for k, (made, count) in enumerate(zip(found, contents, strict=True)):
        if not made.reached:
            continue
        colour = COLOURS[k % len(COLOURS)]
        if np.isfinite(made.rate_ci).all():
            axes.plot(made.rate_ci, [score, score], color=colour, linewidth=3, alpha=0.4, solid_capstyle="butt")
        face = colour if made.reached == count else "white"
        axes.plot(made.rate, score, "*", color=colour, markerfacecolor=face, markersize=11, zorder=4)
        axes.axvline(made.rate, color=colour, linestyle="--", linewidth=0.8, zorder=1)
        axes.annotate(
            f"{made.rate:.3g}", (made.rate, 0), xycoords=("data", "axes fraction"), xytext=(2, 3),
            textcoords="offset points", color=colour, fontsize=7, rotation=90, va="bottom",
        )  # fmt: skip


def _log_axis(axes: Any) -> None:
    """Plain numbers at 1, 2 and 5 of every decade."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _draw(axes: Any, curves: Sequence[Curve], sign: float, number: int, name: str, interpolation: str) -> None:
    """Draw the curves of an encoder and their mean."""
    colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
    for curve in curves if len(curves) > 1 else ():
        axes.plot(curve.rate, sign * curve.quality, color=colour, linewidth=0.6, alpha=0.45)
    rates, mean = _mean(curves, interpolation)
    every = 1 if len(curves) == 1 else _STEPS // 6
    label = figure_text(name)
    # Without a common rate, the legend alone.
    axes.plot(rates, sign * mean, color=colour, marker=marker, markevery=every, markersize=4, label=label)


def _mean(curves: Sequence[Curve], interpolation: str) -> tuple[Array, Array]:
    """Return rates and the mean quality at them; nothing where the curves have no rate in common."""
    if len(curves) == 1:
        return curves[0].rate, curves[0].quality
    low = max((c.rate[0] for c in curves), default=1.0)
    high = min((c.rate[-1] for c in curves), default=1.0)
    if low >= high:
        return np.empty(0), np.empty(0)
    rates = np.clip(np.geomspace(low, high, _STEPS), low, high)
    return rates, np.mean([c.quality_at(rates, interpolation) for c in curves], axis=0)
