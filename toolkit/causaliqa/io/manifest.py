"""Manifests: a CSV file with one distorted image per line."""

from __future__ import annotations

import contextlib
import csv
import io
import logging
import math
import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from causaliqa.api.data import Pair, PairDataset
from causaliqa.api.errors import ManifestError
from causaliqa.io.text_files import cut, read_text
from causaliqa.utils.text import number

__all__ = ["LABELS", "read_manifest"]

_LOG = logging.getLogger(__name__)
_BLANKS = " \t\r\n"
LABELS = {"mos": False, "dmos": True, "severity": True}
"""Label columns, and whether lower is better."""


def read_manifest(
    path: str | os.PathLike[str], *, labels_only: bool = False, allow_outside: bool = False
) -> PairDataset:
    """Read columns ``ref``, ``dist``, and ``mos`` (higher is better), or ``dmos`` or ``severity`` (lower is better).

    Columns ``type``, ``level`` and ``split`` are optional. Paths are relative to the file and must stay below its
    folder. The images are not opened.

    Args:
        path: the file.
        labels_only: do not require the images and the column ``ref``, for scores computed elsewhere.
        allow_outside: allow paths out of the folder: absolute ones, ``..`` and symbolic links.

    Raises:
        ManifestError: the file cannot be read or is empty, a column is missing, or a line is malformed or leads out
            of the folder; the message gives line and cell.
    """
    path = Path(path)
    text = read_text(path, "manifest", "a CSV file, or NAME=FOLDER for an archive")
    reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
    needed = ("dist",) if labels_only else ("ref", "dist")
    images = _Images(path.parent, look=not labels_only, fenced=not (labels_only or allow_outside))
    try:
        columns = [c.strip().lower() for c in reader.fieldnames or []]
        reader.fieldnames = columns
        label = _label(path, columns, needed)
        pairs = tuple(_pair(path, reader.line_num, row, label, needed, images) for row in reader)
    except csv.Error as error:
        raise ManifestError(f"manifest {path}, line {reader.line_num}: malformed CSV: {error}") from error
    if not pairs:
        raise ManifestError(f"manifest {path} is empty: got no line below the header, expected at least one pair")
    if images.missing:
        missing = sorted(cut(str(path)) for path in images.missing)
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        every = len(missing) == len({p for pair in pairs for p in (pair.ref, pair.dist)})
        hint = f"; none is there: is {path.parent} the folder of the images?" if every else ""
        if os.sep != "\\" and any("\\" in name for name in missing):
            hint = "; folders are separated by backslashes, expected / as in folder/image.png: replace them"
        raise ManifestError(f"manifest {path}: images are missing: {', '.join(missing[:3])}{more}{hint}")
    _check_order(path, pairs)
    _check_repeats(path, pairs, same_labels=not labels_only)
    return PairDataset(
        name=path.stem if path.stem != "manifest" else path.absolute().parent.name,
        pairs=pairs,
        label=label,
        label_lower_better=LABELS[label],
        root=path.parent,
    )


class _Images:
    """Resolve cells to image paths; without ``look`` the disk is not accessed."""

    def __init__(self, root: Path, *, look: bool, fenced: bool) -> None:
        self.missing: set[Path] = set()
        self._root, self._look, self._fenced = root, look, fenced
        self._real_root = os.path.realpath(root)
        self._real: dict[Path, str] = {}

    def find(self, cell: str, where: str) -> Path:
        """Return the path of a cell.

        Raises:
            ManifestError: it leads out of the root.
        """
        # File names from macOS have decomposed accents (NFD), most manifests composed ones (NFC).
        spellings = dict.fromkeys([cell, *(unicodedata.normalize(form, cell) for form in ("NFC", "NFD"))])
        paths = [self._root / one for one in spellings]
        if not self._look:
            return paths[0]
        if self._fenced and not all(map(self._is_inside, paths)):
            raise ManifestError(
                f"{where} is {cut(cell)!r}, which leads out of {self._root}; expected a path below it: move the image "
                "there, or allow it with --allow-outside (in Python allow_outside=True)"
            )
        found = next(filter(_is_file, paths), None)
        if found is None:
            self.missing.add(paths[0])
        return found or paths[0]

    def _is_inside(self, path: Path) -> bool:
        if "\0" in str(path):
            return False
        if path.parent not in self._real:
            self._real[path.parent] = os.path.realpath(path.parent)
        place = Path(self._real[path.parent], path.name)
        if path.name == ".." or _is_link(place):
            place = Path(os.path.realpath(path))
        return place.is_relative_to(self._real_root)


def _is_file(path: Path) -> bool:
    with contextlib.suppress(OSError, ValueError):  # names that are too long or contain a zero byte
        return path.is_file()
    return False


def _is_link(path: Path) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return path.is_symlink()
    return False


def _label(path: Path, columns: list[str], needed: tuple[str, ...]) -> str:
    if not columns:
        raise ManifestError(f"manifest {path} is empty: expected a header with {', '.join(needed)} and mos or dmos")
    if doubled := sorted({c for c in columns if columns.count(c) > 1}):
        raise ManifestError(f"manifest {path}: column {cut(doubled[0])!r} occurs twice")
    if lacking := [c for c in needed if c not in columns]:
        mark = next((m for m in (";", "\t", "|") if len(columns) == 1 and m in columns[0]), "")
        hint = f"; fields are separated by {mark!r}, expected commas" if mark else ""
        raise ManifestError(f"manifest {path}: column {lacking[0]!r} is missing; got {cut(', '.join(columns))}{hint}")
    labels = [c for c in columns if c in LABELS]
    if len(labels) != 1:
        got = " and ".join(labels) or "neither"
        raise ManifestError(
            f"manifest {path}: got {got}, expected one label column: mos (high is good) or dmos (low is good)"
        )
    return labels[0]


def _pair(
    path: Path, line: int, row: dict[str | None, str | None], label: str, needed: tuple[str, ...], images: _Images
) -> Pair:
    where = f"manifest {path}, line {line}"
    if None in row or any(row[c] is None for c in (*needed, label)):
        raise ManifestError(f"{where}: got another number of fields than the header has")
    cells = {k: (v or "").strip(_BLANKS) for k, v in row.items() if k is not None}
    for column in needed:
        if not cells[column]:
            raise ManifestError(f"{where}: {column} is empty")
    try:
        value = number(cells[label])
    except ValueError:
        raise ManifestError(f"{where}: {label} is {cut(cells[label])!r}, expected a number") from None
    if not math.isfinite(value):
        raise ManifestError(f"{where}: {label} is {cells[label]}, expected a finite number; remove the line")
    return Pair(
        ref=images.find(cells["ref"], f"{where}: ref") if cells.get("ref") else None,
        dist=images.find(cells["dist"], f"{where}: dist"),
        label=value,
        type=cells.get("type", ""),
        level=cells.get("level", ""),
        split=cells.get("split", ""),
    )


def _check_order(path: Path, pairs: Sequence[Pair]) -> None:
    """Raise if there are more references than distorted images: the columns must be swapped."""
    refs, dists = len({pair.ref for pair in pairs}), len({pair.dist for pair in pairs})
    if dists < refs:
        raise ManifestError(
            f"manifest {path}: got {refs} images in ref and {dists} in dist, expected no more references than "
            "distorted images; are the two columns swapped?"
        )


def _check_repeats(path: Path, pairs: Sequence[Pair], *, same_labels: bool) -> None:
    """Warn of pairs that stand there twice, which count twice in every statistic.

    Raises:
        ManifestError: they have different labels.
    """
    first: dict[tuple[str, str], Pair] = {}
    repeated: dict[str, None] = {}
    count = 0
    for pair in pairs:
        key = os.path.normpath(pair.ref or ""), os.path.normpath(pair.dist)
        known = first.setdefault(key, pair)
        if known is pair:
            continue
        # Lists of scores from elsewhere repeat the names of different images.
        if same_labels and known.label != pair.label:
            raise ManifestError(
                f"manifest {path}: {cut(str(pair.dist))} stands there twice with the same reference, with labels "
                f"{known.label:g} and {pair.label:g}; expected one line a pair: keep one, or their mean"
            )
        count += 1
        repeated[cut(str(pair.dist))] = None
    if count:
        names = list(repeated)
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        _LOG.warning(
            "manifest %s: %d %s a pair again that stands there already, and count once more in every statistic: %s%s",
            path,
            count,
            "line has" if count == 1 else "lines have",
            ", ".join(names[:3]),
            more,
        )
