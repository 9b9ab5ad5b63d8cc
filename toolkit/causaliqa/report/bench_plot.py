"""Shares and ranges of effects of many networks by year, as in Figure 10 of the paper."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from causaliqa.effects.plot import KIND_COLOURS
from causaliqa.utils.figures import new_figure
from causaliqa.utils.text import figure_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_bench"]


def draw_bench(table: pd.DataFrame) -> Figure:
    """Draw the networks of a grid in the order of their years, tasks one after the other.

    Stacked bars show the shares of patches that help, mislead, or do neither; bars below them the range of effects,
    with the intervals over images as thin lines.

    Args:
        table: what :func:`causaliqa.report.bench_table.statistics` returns.

    Source: CEM, Figure 10, with bars in the place of pies: thin slices of a pie cannot be read.
    """
    order = table.sort_values(["task", "year", "network"], kind="stable").reset_index(drop=True)
    places = _places(order)
    figure = new_figure(max(3.6, 1.6 + 0.72 * (places[-1] + 1)), 4.9)
    shares, ranges = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    _stacked(shares, order, places)
    _ranges(ranges, order, places)
    labels = [
        figure_text(name) + ("" if _unknown(year) else f"\n{year}")
        for name, year in zip(order["network"], order["year"], strict=True)
    ]
    ranges.set_xticks(places, labels, fontsize=7.5)
    if len(labels) > 4:
        for label in ranges.get_xticklabels():
            label.set(rotation=35, ha="right", rotation_mode="anchor")
    for task in dict.fromkeys(order["task"]):
        mid = np.mean([x for x, own in zip(places, order["task"], strict=True) if own == task])
        shares.text(mid, 101, figure_text(task), ha="center", va="bottom", fontsize=8.5)
    handles, names = shares.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=3, frameon=False, fontsize=8)
    return figure


def _unknown(year: Any) -> bool:
    return str(year) in ("<NA>", "nan", "None")


def _places(order: pd.DataFrame) -> list[float]:
    """Return where the bars stand; between two tasks is more room."""
    tasks = list(order["task"])
    gaps = np.cumsum([0, *(a != b for a, b in pairwise(tasks))])
    return [float(k + 0.5 * gap) for k, gap in enumerate(gaps)]


def _stacked(axes: Axes, order: pd.DataFrame, places: list[float]) -> None:
    below = np.zeros(len(order))
    for kind, colour in KIND_COLOURS.items():
        values = order[f"{kind} %"].to_numpy(float)
        axes.bar(places, values, bottom=below, color=colour, width=0.75, label=kind)
        for x, low, value in zip(places, below, values, strict=True):
            if value >= 6:  # thinner bars have no room for text
                text = f"{value:.0f}"
                white = kind != "none"
                axes.text(x, low + value / 2, text, ha="center", va="center", fontsize=7, color="w" if white else "k")
        below = below + values
    axes.set(ylim=(0, 100), ylabel="patches (%)")
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _ranges(axes: Axes, order: pd.DataFrame, places: list[float]) -> None:
    unit = " dB" if "min dB" in order else ""
    for end, colour in (("max", KIND_COLOURS["positive"]), ("min", KIND_COLOURS["negative"])):
        values = order[f"{end}{unit}"].to_numpy(float)
        axes.bar(places, values, color=colour, width=0.4)
        low, high = (order[f"{end}{unit} {side}"].to_numpy(float) for side in ("low", "high"))
        axes.vlines(places, low, high, color="k", linewidth=0.9)
    axes.axhline(0, color="k", linewidth=0.6)
    axes.set_ylabel("smallest and\nlargest effect" + (" (dB)" if unit else ""))
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
