"""Scatter panels of scores against labels with the fitted logistic curve: the paper's Figure 2."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from causaliqa.functional.statistics import summarise
from causaliqa.report._figure import new_figure, save

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["scatter_panels"]


def scatter_panels(frame: pd.DataFrame, path: Path, *, label: str, title: str, columns: int = 4) -> Path:
    """Write one panel per metric of one data set.

    Args:
        frame: what :func:`causaliqa.evaluate` returned, for one data set.
        path: PNG to write.
        label: name of the vertical axis.
        title: heading.
        columns: panels in a row.

    Returns:
        The path.
    """
    import numpy as np

    metrics = list(dict.fromkeys(frame["metric"]))
    rows = -(-len(metrics) // columns)
    figure = new_figure(3.1 * columns, 2.7 * rows + 0.9)
    axes = figure.subplots(rows, columns, squeeze=False)
    types = sorted(set(frame["type"].fillna("")))
    colours = {t: f"C{k % 10}" for k, t in enumerate(types)}
    for axis, metric in zip(axes.flat, metrics, strict=False):
        part = frame[(frame["metric"] == metric) & frame["score"].notna()]
        summary = summarise(
            part["score"].to_numpy(float),
            part["label"].to_numpy(float),
            lower_better=bool(part["lower_better"].iloc[0]),
            label_lower_better=bool(part["label_lower_better"].iloc[0]),
        )
        for kind, points in part.groupby("type", sort=True):
            axis.scatter(points["score"], points["label"], s=12, alpha=0.75, color=colours[str(kind)], label=str(kind))
        line = np.linspace(part["score"].min(), part["score"].max(), 200)
        axis.plot(line, summary.predict(line), color="black", linewidth=1.2)
        arrow = "lower is better" if part["lower_better"].iloc[0] else "higher is better"
        axis.set_title(f"{metric}\nSRCC {summary.srcc:.3f}, PLCC {summary.plcc:.3f}", fontsize=8)
        axis.set_xlabel(arrow, fontsize=7)
        axis.tick_params(labelsize=7)
    for axis in axes.flat[len(metrics) :]:
        axis.set_visible(False)
    for row in axes:
        row[0].set_ylabel(label, fontsize=8)
    if any(types):
        handles, names = axes.flat[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=min(len(types), 6), fontsize=8, frameon=False)
    figure.suptitle(title, fontsize=10)
    return save(figure, path)
