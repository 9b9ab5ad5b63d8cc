"""Curves of quality over rate, fit to print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from causaliqa.evaluation.compare import ComparedMetric
from causaliqa.evaluation.encoders import curves_of
from causaliqa.functional.rate_distortion import Curve
from causaliqa.io.rate_points import RatePoint
from causaliqa.utils.figures import COLOURS, MARKERS, new_figure
from causaliqa.utils.text import figure_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_curves"]

_STEPS = 60
"""Points of the mean curve."""


def draw_curves(points: Sequence[RatePoint], metrics: Sequence[ComparedMetric], *, rate: str = "rate") -> Figure:
    """Draw a panel for every metric: thin curves of the contents, the mean of each encoder on top.

    The mean is taken at equal rates, on the interval that all curves of an encoder cover.

    Args:
        points: points with scores.
        metrics: the metrics.
        rate: name of the horizontal axis, with its unit.
    """
    figure = new_figure(3.6 * len(metrics), 3.2)
    encoders = list(dict.fromkeys(point.encoder for point in points))
    for number, metric in enumerate(metrics):
        axes = figure.add_subplot(1, len(metrics), number + 1)
        curves, _ = curves_of(points, metric)
        sign = -1.0 if metric.lower_better else 1.0
        for k, encoder in enumerate(encoders):
            _draw(axes, list(curves.get(encoder, {}).values()), sign, k, encoder)
        _log_axis(axes)
        axes.set_xlabel(figure_text(rate))
        better = "lower" if metric.lower_better else "higher"
        unit = f"{metric.unit}, " if metric.unit else ""
        axes.set_ylabel(figure_text(f"{metric.name} ({unit}{better} is better)"))
        axes.grid(alpha=0.3, which="both", linewidth=0.5)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        if number == 0:
            axes.legend(frameon=False, fontsize=8)
    return figure


def _log_axis(axes: Any) -> None:
    """Plain numbers at 1, 2 and 5 of every decade."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _draw(axes: Any, curves: Sequence[Curve], sign: float, number: int, name: str) -> None:
    colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
    for curve in curves if len(curves) > 1 else ():
        axes.plot(curve.rate, sign * curve.quality, color=colour, linewidth=0.6, alpha=0.35)
    if not curves:
        return
    low, high = max(c.rate[0] for c in curves), min(c.rate[-1] for c in curves)
    if len(curves) == 1:
        rates, mean = curves[0].rate, sign * curves[0].quality
    elif low < high:
        rates = np.clip(np.geomspace(low, high, _STEPS), low, high)
        mean = sign * np.mean([c.quality_at(rates) for c in curves], axis=0)
    else:
        return
    every = 1 if len(curves) == 1 else _STEPS // 6
    axes.plot(rates, mean, color=colour, marker=marker, markevery=every, markersize=4, label=figure_text(name))
