"""Write an explanation of a causal score: a table of channels and two figures."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import TYPE_CHECKING

from causaliqa.builtin.metrics.explanation_plot import channel_figure, cost_figure
from causaliqa.utils.figures import save
from causaliqa.utils.files import atomic

if TYPE_CHECKING:
    from causaliqa.builtin.metrics.explanation import Explanation

__all__ = ["write_explanation"]


def write_explanation(explanation: Explanation, folder: str | os.PathLike[str], *, title: str = "") -> list[Path]:
    """Write channels.csv, strips.png and cost_map.png into a folder.

    Args:
        explanation: what :meth:`~causaliqa.builtin.metrics.causal.CausalMetric.explain` returned.
        folder: created if it does not exist.
        title: heading of the figures.

    Returns:
        The three paths.

    Raises:
        OutputError: the folder cannot be written to.
    """
    folder = Path(folder)
    return [
        _table(explanation, folder / "channels.csv"),
        save(channel_figure(explanation, title=title), folder / "strips.png"),
        save(cost_figure(explanation, title=title), folder / "cost_map.png"),
    ]


def _table(explanation: Explanation, path: Path) -> Path:
    with atomic(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["level", "channel", "strength", "share"])
        for level, (strength, share) in enumerate(zip(explanation.strengths, explanation.shares, strict=True)):
            for channel, (s, p) in enumerate(zip(strength.tolist(), share.tolist(), strict=True)):
                writer.writerow([level, channel, f"{s:.4g}", f"{p:.6g}"])
    return path
