"""Scatter panels of scores against labels with the fitted logistic curve: the paper's Figure 2."""

from __future__ import annotations

import os
import textwrap
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.api.errors import CausaliqaError
from causaliqa.report.scatter_data import Panel, normalise, panels
from causaliqa.utils.figures import COLOURS, MARKERS, new_figure, save
from causaliqa.utils.text import figure_text

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["scatter_panels"]

_MOST_TYPES = 10
"""Most types with a colour and marker each; with more types all points share one."""


def scatter_panels(
    frame: pd.DataFrame,
    path: str | os.PathLike[str],
    *,
    table: pd.DataFrame,
    title: str = "",
    label: str = "",
    columns: int = 4,
    normalised: bool = False,
) -> Path:
    """Write a figure with one panel per metric; each data set starts a new row.

    Args:
        frame: what :func:`causaliqa.evaluate` returned.
        path: PNG, PDF or SVG to write.
        table: statistics of the frame from :func:`causaliqa.rank`.
        title: heading.
        label: name of the vertical axis; by default that of the label with its direction.
        columns: panels in a row.
        normalised: scores and labels on [0, 1], the better the higher, as in Figure 2 of the causal paper; the curve
            is that of the statistics.

    Returns:
        The path.

    Raises:
        InputError: the suffix is another one.
        OutputError: the file cannot be written.
        CausaliqaError: no metric has a score.
    """
    path = Path(path)
    made = panels(frame, table)
    made = [normalise(panel) for panel in made] if normalised else made
    if not made:
        raise CausaliqaError(f"{path} was not drawn: no metric has a score")
    sets = [list(own) for _, own in groupby(made, key=lambda panel: panel.dataset)]
    columns = min(columns, max(map(len, sets)))
    lines = [own[k : k + columns] for own in sets for k in range(0, len(own), columns)]
    figure = new_figure(3.1 * columns, 2.7 * len(lines) + 0.9)
    axes = figure.subplots(len(lines), columns, squeeze=False)
    types = sorted({kind for panel in made for kind in panel.points})
    marks = {t: _mark(k if len(types) <= _MOST_TYPES else 0) for k, t in enumerate(types)}
    for line, row in zip(lines, axes, strict=True):
        for axis, panel in zip(row, line, strict=False):
            _draw(axis, panel, marks)
        for axis in row[len(line) :]:
            axis.set_visible(False)
        name = label or line[0].label
        row[0].set_ylabel(f"{figure_text(line[0].dataset)}\n{name}" if len(sets) > 1 else name, fontsize=8)
    if 1 < len(types) <= _MOST_TYPES:
        dots = [axes[0, 0].scatter([], [], s=14, **marks[t], label=figure_text(t) or "no type") for t in types]
        figure.legend(handles=dots, loc="outside lower center", ncols=min(len(types), 6), fontsize=8, frameon=False)
    if title:
        figure.suptitle(figure_text(title), fontsize=10)
    return save(figure, path)


def _mark(number: int) -> dict[str, str]:
    """Return colour and marker of a type, which differ in both from those of its neighbours."""
    return {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)]}


def _draw(axis: Any, panel: Panel, marks: dict[str, dict[str, str]]) -> None:
    few = panel.n < 2000
    for kind, (scores, labels) in panel.points.items():
        # Rasterised if there are many: a PDF of 25,000 dots is slow to open.
        axis.scatter(
            scores,
            labels,
            s=14 if few else 4,
            alpha=0.75 if few else 0.3,
            linewidths=0,
            **marks[kind],
            rasterized=not few,
        )
    axis.plot(*panel.curve, color="black", linewidth=1.2)
    axis.set_title(f"{figure_text(panel.metric)}\nSRCC {panel.srcc:.3f}, PLCC {panel.plcc:.3f}", fontsize=8)
    axis.set_xlabel("\n".join(textwrap.wrap(f"{figure_text(panel.metric)} ({panel.direction})", 44)), fontsize=7)
    axis.tick_params(labelsize=7)
    axis.locator_params(nbins=5)
