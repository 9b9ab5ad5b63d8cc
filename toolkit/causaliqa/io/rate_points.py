"""Points of rate and quality: a CSV file with one encoded image or clip per line."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from causaliqa.api.errors import ManifestError
from causaliqa.io.text_files import cut, read_text
from causaliqa.utils.text import number

__all__ = ["RatePoint", "read_rate_points"]

_NEEDED = ("encoder", "content", "rate")


@dataclass(frozen=True, kw_only=True)
class RatePoint:
    """One content, encoded once."""

    encoder: str
    """Encoder, with its settings where these tell encoders apart."""
    content: str
    """Image or clip."""
    rate: float
    """Rate, in any unit: bits per pixel, kilobytes, kilobits per second."""
    dist: Path | None = None
    """Decoded image; None where scores are given."""
    ref: Path | None = None
    """The image before it was encoded."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """Scores by metric that the file gives."""


def read_rate_points(path: str | os.PathLike[str], metrics: Sequence[str] = ()) -> tuple[RatePoint, ...]:
    """Read columns ``encoder``, ``content``, ``rate``, and ``dist`` and ``ref`` or a column of scores per metric.

    Paths are relative to the file.

    Args:
        path: the file.
        metrics: metrics that are asked for; those with a column are not computed.

    Raises:
        ManifestError: the file cannot be read or is empty, a column is missing, or a line is malformed; the message
            gives line and cell.
    """
    path = Path(path)
    reader = csv.DictReader(io.StringIO(read_text(path, "rates", "a CSV file"), newline=""), skipinitialspace=True)
    try:
        reader.fieldnames = columns = [c.strip() for c in reader.fieldnames or []]
        given = [metric for metric in metrics if metric in columns]
        computed = [metric for metric in metrics if metric not in columns]
        needed = (*_NEEDED, *(("dist",) if computed else ()))
        if lacking := [c for c in needed if c not in columns]:
            hint = f"; it is needed to compute {', '.join(computed)}" if lacking[0] == "dist" else ""
            raise ManifestError(
                f"rates {path}: column {lacking[0]!r} is missing; got {cut(', '.join(columns)) or 'nothing'}{hint}"
            )
        points = tuple(_point(path, reader.line_num, row, needed, given) for row in reader)
    except csv.Error as error:
        raise ManifestError(f"rates {path}, line {reader.line_num}: malformed CSV: {error}") from error
    if not points:
        raise ManifestError(f"rates {path} is empty: got no line below the header, expected at least two points")
    return points


def _point(
    path: Path, line: int, row: Mapping[str | None, str | None], needed: Sequence[str], given: Sequence[str]
) -> RatePoint:
    where = f"rates {path}, line {line}"
    if None in row or any(row[c] is None for c in (*needed, *given)):
        raise ManifestError(f"{where}: got another number of fields than the header has")
    cells = {k: (v or "").strip() for k, v in row.items() if k is not None}
    for column in needed:
        if not cells[column]:
            raise ManifestError(f"{where}: {column} is empty")
    rate = _number(cells["rate"], f"{where}: rate")
    if rate <= 0:
        raise ManifestError(f"{where}: rate is {cells['rate']}, expected a number above 0")
    return RatePoint(
        encoder=cells["encoder"],
        content=cells["content"],
        rate=rate,
        dist=path.parent / cells["dist"] if cells.get("dist") else None,
        ref=path.parent / cells["ref"] if cells.get("ref") else None,
        scores={metric: _number(cells[metric], f"{where}: {metric}") for metric in given},
    )


def _number(cell: str, where: str) -> float:
    try:
        value = number(cell)
    except ValueError:
        raise ManifestError(f"{where} is {cut(cell)!r}, expected a number") from None
    if not math.isfinite(value):
        raise ManifestError(f"{where} is {cut(cell)}, expected a finite number; remove the line")
    return value
