"""Dose-response curves in print-ready panels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from causaliqa.evaluation.card_facts import CardFacts, Curve
from causaliqa.utils.figures import COLOURS, MARKERS, new_figure
from causaliqa.utils.text import figure_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["dose_panels", "mean_line", "relative_lines", "skewed_unit"]

_COLUMNS = 4


def mean_line(curve: Curve) -> list[float]:
    """Return the mean score of the photographs, for the photograph itself and every dose; NaN where there is none.

    Example:
        >>> facts = {"distortion": "d", "unit": "", "doses": (1.0,), "tau": None, "steps": None, "effect": None}
        >>> mean_line(Curve(scores=((0.0, 2.0), (None, 4.0)), **facts))
        [0.0, 3.0]
    """
    columns = ([score for score in column if score is not None] for column in zip(*curve.scores, strict=True))
    return [fmean(column) if column else math.nan for column in columns]


def relative_lines(facts: CardFacts) -> dict[str, list[float]]:
    """Return worsening by distortion and dose, in units of the median worsening by the strongest doses.

    So metrics of any scale can be drawn into one panel: 0 is the photograph itself, 1 a strong distortion.
    """
    sign = 1.0 if facts.lower_better else -1.0
    found = {curve.distortion: [sign * v for v in mean_line(curve)] for curve in facts.curves}
    lines = {name: [value - line[0] for value in line] for name, line in found.items()}
    ends = [abs(line[-1]) for line in lines.values() if math.isfinite(line[-1])]
    unit = (median(ends) if ends else 0.0) or 1.0
    return {name: [value / unit for value in line] for name, line in lines.items()}


def dose_panels(cards: Sequence[CardFacts]) -> Figure:
    """Draw one panel for every distortion.

    Args:
        cards: one metric, drawn with a thin line for every photograph, in its own scores; or several, in units of the
            median worsening by the strongest doses of each.
    """
    names = [curve.distortion for curve in cards[0].curves]
    rows = -(-len(names) // _COLUMNS)
    figure = new_figure(2.1 * _COLUMNS, 1.75 * rows + 0.8)
    axes = figure.subplots(rows, _COLUMNS, squeeze=False, sharey=True)
    for axis, number in zip(axes.flat, range(len(names)), strict=False):
        _frame(axis, cards[0].curves[number])
    if len(cards) == 1:
        _one(axes, cards[0])
    else:
        _several(figure, axes, cards)
    for axis in axes.flat[len(names) :]:
        axis.set_visible(False)
    return figure


def _frame(axis: Any, curve: Curve) -> None:
    axis.set_title(curve.distortion, fontsize=8, pad=3)
    axis.set_xlabel(curve.unit, fontsize=7, labelpad=2)
    places = range(len(curve.doses) + 1)
    axis.set_xticks(list(places)[::2], [f"{dose:g}" for dose in (0.0, *curve.doses)][::2])
    axis.tick_params(labelsize=6.5, length=2.5)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    axis.margins(x=0.04)


def _one(axes: Any, facts: CardFacts) -> None:
    better = "lower is better" if facts.lower_better else "higher is better"
    for axis, curve in zip(axes.flat, facts.curves, strict=False):
        for line in curve.scores:
            axis.plot([math.nan if v is None else v for v in line], color=COLOURS[7], linewidth=0.7)
        axis.plot(mean_line(curve), color=COLOURS[0], linewidth=1.6, marker="o", markersize=2.6)
        if curve.tau is not None:
            axis.set_title(f"{curve.distortion} ($\\tau$ {curve.tau:.2f})", fontsize=8, pad=3)
    axes.flat[0].figure.suptitle(f"{figure_text(facts.metric)} ({better})", fontsize=9)
    _scale(axes, [v for curve in facts.curves for line in curve.scores for v in line if v is not None])


def _several(figure: Figure, axes: Any, cards: Sequence[CardFacts]) -> None:
    drawn: list[float] = []
    handles = []
    for number, facts in enumerate(cards):
        style = {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)]}
        for axis, line in zip(axes.flat, relative_lines(facts).values(), strict=False):
            (drawn_line,) = axis.plot(line, linewidth=1.2, markersize=2.6, label=figure_text(facts.metric), **style)
            drawn.extend(v for v in line if math.isfinite(v))
        handles.append(drawn_line)
    figure.legend(handles=handles, loc="outside lower center", ncols=min(4, len(cards)), fontsize=7.5, frameon=False)
    figure.supylabel("worsening / median of the strongest doses", fontsize=8)
    _scale(axes, drawn)


def _scale(axes: Any, values: Sequence[float]) -> None:
    if unit := skewed_unit(values):
        axes.flat[0].set_yscale("symlog", linthresh=unit)


def skewed_unit(values: Sequence[float]) -> float:
    """Return where an axis should turn from linear to logarithmic; 0 where a linear one shows everything.

    A few doses of some metrics are far beyond all others.

    Example:
        >>> skewed_unit([1.0, 2.0, 3.0]), skewed_unit([1.0, 2.0, 300.0])
        (0.0, 2.0)
    """
    sizes = sorted(abs(v) for v in values if v)
    middle = sizes[len(sizes) // 2] if sizes else 0.0
    return middle if sizes and sizes[-1] > 10 * middle else 0.0
