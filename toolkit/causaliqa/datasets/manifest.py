"""Manifests: a CSV file with one distorted image a line."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

from causaliqa.datasets._text import read_text
from causaliqa.errors import ManifestError
from causaliqa.specs import Pair, PairDataset

__all__ = ["read_manifest"]

_LABELS = {"mos": False, "dmos": True}
"""Label columns, and whether a low label means good quality."""


def read_manifest(path: Path, *, labels_only: bool = False) -> PairDataset:
    """Read ``ref, dist`` and ``mos`` (high is good) or ``dmos`` (low is good); ``type``, ``level``, ``split`` if there.

    Paths are relative to the file. The images themselves are not opened.

    Args:
        path: the file.
        labels_only: the images need not exist and the column ``ref`` may be missing, for scores from elsewhere.

    Raises:
        ManifestError: the file cannot be read, is empty, lacks a column, or a line is malformed; names the line.
    """
    text = read_text(path, "manifest", "a CSV file")
    reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
    columns = [c.strip().lower() for c in reader.fieldnames or []]
    reader.fieldnames = columns
    needed = ("dist",) if labels_only else ("ref", "dist")
    label = _label(path, columns, needed)
    try:
        pairs = tuple(_pair(path, reader.line_num, row, label, needed) for row in reader)
    except csv.Error as error:
        raise ManifestError(f"manifest {path}, line {reader.line_num}: malformed CSV: {error}") from error
    if not pairs:
        raise ManifestError(f"manifest {path} is empty: got no line below the header, expected at least one pair")
    missing = sorted({str(p) for pair in pairs for p in (pair.ref, pair.dist) if p and not p.is_file()})
    if missing and not labels_only:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise ManifestError(f"manifest {path}: images are missing: {', '.join(missing[:3])}{more}")
    return PairDataset(
        name=path.stem if path.stem != "manifest" else path.absolute().parent.name,
        pairs=pairs,
        label=label,
        label_lower_better=_LABELS[label],
        root=path.parent,
    )


def _label(path: Path, columns: list[str], needed: tuple[str, ...]) -> str:
    if not columns:
        raise ManifestError(f"manifest {path} is empty: expected a header with {', '.join(needed)} and mos or dmos")
    if doubled := sorted({c for c in columns if columns.count(c) > 1}):
        raise ManifestError(f"manifest {path}: column {doubled[0]!r} occurs twice")
    if lacking := [c for c in needed if c not in columns]:
        raise ManifestError(f"manifest {path}: column {lacking[0]!r} is missing; got {', '.join(columns)}")
    labels = [c for c in columns if c in _LABELS]
    if len(labels) != 1:
        got = " and ".join(labels) or "neither"
        raise ManifestError(
            f"manifest {path}: got {got}, expected one label column: mos (high is good) or dmos (low is good)"
        )
    return labels[0]


def _pair(path: Path, line: int, row: dict[str | None, str | None], label: str, needed: tuple[str, ...]) -> Pair:
    where = f"manifest {path}, line {line}"
    if None in row or any(row[c] is None for c in (*needed, label)):
        raise ManifestError(f"{where}: got another number of fields than the header has")
    cells = {k: (v or "").strip() for k, v in row.items() if k is not None}
    for column in needed:
        if not cells[column]:
            raise ManifestError(f"{where}: {column} is empty")
    try:
        value = float(cells[label])
    except ValueError:
        raise ManifestError(f"{where}: {label} is {cells[label]!r}, expected a number") from None
    if not math.isfinite(value):
        raise ManifestError(f"{where}: {label} is {cells[label]}, expected a finite number; remove the line")
    return Pair(
        ref=path.parent / cells["ref"] if cells.get("ref") else None,
        dist=path.parent / cells["dist"],
        label=value,
        type=cells.get("type", ""),
        level=cells.get("level", ""),
        split=cells.get("split", ""),
    )
