"""Figure of the channels of calibrated scores: shares of levels and terms, responses of the strongest channels."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from causaliqa.builtin.metrics.explanation import level_name
from causaliqa.functional.calibration import TERMS
from causaliqa.utils.figures import COLOURS, new_figure
from causaliqa.utils.text import figure_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from causaliqa.builtin.metrics.calibrated_explanation import CalibratedExplanation

__all__ = ["channel_figure"]


def channel_figure(
    explanations: Sequence[CalibratedExplanation], *, names: Sequence[str] = (), title: str = ""
) -> Figure:
    """Return a row per distorted image: shares of levels and terms, and the strongest channels with their responses.

    Args:
        explanations: of one or several distorted images of one reference.
        names: of the distorted images.
        title: heading.
    """
    from matplotlib.colors import LogNorm

    count = len(explanations)
    figure = new_figure(11, 4.0 * count + 0.5)
    axes = figure.subplots(count, 2, squeeze=False, width_ratios=(1, 1.25))
    tables = [_table(one) for one in explanations]
    # One just noticeable change is in the middle of the colours.
    top = max(10.0, *(float(table.max()) for table in tables))
    colours = LogNorm(1 / top, top)
    drawn: Any = None
    for row, (one, table) in enumerate(zip(explanations, tables, strict=True)):
        name = f"{figure_text(names[row])}, " if row < len(names) else ""
        axes[row, 0].set_title(f"{name}score {one.score:.4g}", fontsize=9)
        _levels(axes[row, 0], one)
        drawn = _channels(axes[row, 1], one, table, colours)
    axes[0, 1].set_title("strongest channels: cost, and response to each intervention on the reference", fontsize=9)
    figure.colorbar(drawn, ax=axes[:, 1], label="just noticeable changes", format="%g")
    if title:
        figure.suptitle("\n".join(textwrap.wrap(f"{figure_text(title)}   lower is better", 140)), fontsize=10)
    return figure


def _table(one: CalibratedExplanation) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Cost and responses of the strongest channels, one line each."""
    return np.array([[channel.cost, *channel.responses] for channel in one.strongest()])


def _levels(axes: Axes, one: CalibratedExplanation) -> None:
    shares = 100 * one.term_shares().cpu().numpy()
    levels = range(len(shares))
    left = np.zeros(len(shares))
    for term, values, colour in zip(TERMS, shares.T, COLOURS, strict=False):
        axes.barh(levels, values, left=left, color=colour, label=term)
        left = left + values
    axes.set_yticks(levels, [level_name(k) for k in levels], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("share of the score in %", fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    axes.legend(fontsize=8, title="difference of", title_fontsize=8, loc="best")


def _channels(axes: Axes, one: CalibratedExplanation, table: Any, colours: Any) -> Any:
    drawn = axes.imshow(
        np.maximum(table, colours.vmin), aspect="auto", cmap="RdBu_r", norm=colours, interpolation="none"
    )
    for (row, column), value in np.ndenumerate(table):
        # White on the dark ends of the colours.
        dark = abs(np.log(max(value, colours.vmin)) / np.log(colours.vmax)) > 0.6
        axes.text(column, row, f"{value:.2g}", ha="center", va="center", fontsize=7, color="w" if dark else "k")
    headings = ["this image", *(f"do({name})" for name in one.interventions)]
    axes.set_xticks(range(len(headings)), headings, rotation=30, ha="right", fontsize=8)
    lines = [f"{level_name(c.level)}, channel {c.channel} ({c.share:.1%})" for c in one.strongest()]
    axes.set_yticks(range(len(lines)), lines, fontsize=8)
    axes.axvline(0.5, color="k", linewidth=1)
    return drawn
