"""Write explanations of scores: a table of channels and figures."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from causaliqa.utils.figures import formats, save
from causaliqa.utils.files import atomic
from causaliqa.utils.text import csv_cell

if TYPE_CHECKING:
    from causaliqa.api.protocols import Explanation

__all__ = ["write_explanation"]


def write_explanation(
    explanation: Explanation | Sequence[Explanation],
    folder: str | os.PathLike[str],
    *,
    names: Sequence[str] = (),
    title: str = "",
    figures: str = "png",
) -> list[Path]:
    """Write channels.csv and the figures of an explanation, such as cost_map.png, into a folder.

    Args:
        explanation: what ``explain`` of a metric returned, once or for several distorted images of one reference,
            which are drawn side by side.
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
    drawn = several[0].figures(several[1:], names=names, title=title)
    return paths + [save(figure, folder / f"{stem}{suffix}") for suffix in suffixes for stem, figure in drawn.items()]


def _table(several: Sequence[Explanation], names: Sequence[str], path: Path) -> Path:
    """Write a line per channel; of several images with the name of the image in front."""
    with atomic(path) as part, part.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file)
        heads = several[0].columns()
        writer.writerow([*(["img"] if len(several) > 1 else []), "level", "channel", *heads])
        for number, one in enumerate(several):
            first = [csv_cell(names[number])] if len(several) > 1 else []
            for level, columns in enumerate(zip(*one.columns().values(), strict=True)):
                for channel, values in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
                    writer.writerow([*first, level, channel, *(f"{value:.6g}" for value in values)])
    return path
