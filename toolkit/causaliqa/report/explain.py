"""Write explanations of causal scores: a table of channels and two figures."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from causaliqa.builtin.metrics.explanation_plot import channel_figure, cost_figure
from causaliqa.utils.figures import formats, save
from causaliqa.utils.files import atomic
from causaliqa.utils.text import csv_cell

if TYPE_CHECKING:
    from causaliqa.builtin.metrics.explanation import Explanation

__all__ = ["write_explanation"]


def write_explanation(
    explanation: Explanation | Sequence[Explanation],
    folder: str | os.PathLike[str],
    *,
    names: Sequence[str] = (),
    title: str = "",
    figures: str = "png",
) -> list[Path]:
    """Write channels.csv, strips.png and cost_map.png into a folder.

    Args:
        explanation: what :meth:`~causaliqa.builtin.metrics.causal.CausalMetric.explain` returned, once or for several
            distorted images of one reference, which are drawn side by side.
        folder: created if it does not exist.
        names: of the distorted images; needed for several, whose lines in the table begin with it.
        title: heading of the figures.
        figures: formats of the figures, such as ``"pdf"`` or ``"png,svg"``.

    Returns:
        The paths.

    Raises:
        InputError: there is no such format of figures.
        OutputError: the folder cannot be written to.
    """
    folder, suffixes = Path(folder), formats(figures)
    several = list(explanation) if isinstance(explanation, Sequence) else [explanation]
    paths = [_table(several, names, folder / "channels.csv")]
    for suffix in suffixes:
        paths.append(save(channel_figure(several, names=names, title=title), folder / f"strips{suffix}"))
        paths.append(save(cost_figure(several, names=names, title=title), folder / f"cost_map{suffix}"))
    return paths


def _table(several: Sequence[Explanation], names: Sequence[str], path: Path) -> Path:
    """Write a line per channel; of several images with the name of the image in front."""
    with atomic(path) as part, part.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file)
        writer.writerow([*(["img"] if len(several) > 1 else []), "level", "channel", "strength", "share"])
        for number, one in enumerate(several):
            first = [csv_cell(names[number])] if len(several) > 1 else []
            for level, (strength, share) in enumerate(zip(one.strengths, one.shares, strict=True)):
                for channel, (s, p) in enumerate(zip(strength.tolist(), share.tolist(), strict=True)):
                    writer.writerow([*first, level, channel, f"{s:.4g}", f"{p:.6g}"])
    return path
