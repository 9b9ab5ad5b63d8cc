"""Scores computed elsewhere: a CSV file with one image per line and one metric per column."""

from __future__ import annotations

import csv
import io
import math
import os
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from causaliqa.api.data import PAIR_COLUMNS, PairDataset, ScoreRow, columns
from causaliqa.api.errors import ManifestError
from causaliqa.io.manifest import LABELS
from causaliqa.io.text_files import cut, read_text
from causaliqa.utils.text import number as number_of

__all__ = ["Matched", "ScoreFile", "match_scores", "read_scores"]

_NO_METRIC = frozenset({*(c for c in PAIR_COLUMNS if columns(ScoreRow)[c].kind is str), *LABELS})
"""Columns of names and labels; all others are scores, so that a manifest with scores is a scores file, too."""


@dataclass(frozen=True, kw_only=True)
class ScoreFile:
    """Content of a scores file, not yet matched to a data set."""

    path: Path
    """The file."""
    metrics: tuple[str, ...]
    """Names of the columns with scores."""
    images: tuple[tuple[str, str], ...]
    """Data set (empty if not given) and distorted image of every line."""
    scores: Mapping[str, tuple[float | None, ...]]
    """Scores of every metric, one per line; None where the cell is empty or NaN."""


@dataclass(frozen=True, kw_only=True)
class Matched:
    """Lines of a scores file matched to the pairs of data sets."""

    lines: Mapping[str, Mapping[int, int]]
    """Per data set: line number by pair number."""
    notes: tuple[str, ...]
    """Messages for the user: images that no data set has, names that differ in case or accents."""


def read_scores(path: str | os.PathLike[str], *, prefix: str = "") -> ScoreFile:
    """Read columns ``dist`` and one per metric; columns of a manifest and ``dataset`` are allowed, too.

    Args:
        path: the file.
        prefix: prefix of every metric's name, joined by an underscore, to make names unique.

    Raises:
        ManifestError: the file cannot be read, has no score, or cells are not numbers; the message counts them.
    """
    path = Path(path)
    text = read_text(path, "scores", "a CSV file")
    try:
        reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True)
        (_, header), *numbered = [(reader.line_num, line) for line in reader if line]
    except (ValueError, csv.Error):
        raise ManifestError(
            f"scores {path}: no header, or malformed CSV; expected dist and a column a metric"
        ) from None
    lines = [line for _, line in numbered]
    columns = [c.strip() if c.strip().lower() not in _NO_METRIC else c.strip().lower() for c in header]
    metrics = [c for c in columns if c not in _NO_METRIC]
    if doubled := sorted({c for c in columns if columns.count(c) > 1}):
        raise ManifestError(f"scores {path}: column {cut(doubled[0])!r} occurs twice")
    if "dist" not in columns or not metrics or "" in metrics:
        raise ManifestError(
            f"scores {path}: got the columns {cut(', '.join(columns))}; expected dist and a name a metric"
        )
    wrong = [number for number, line in numbered if len(line) != len(columns)]
    if not lines or wrong:
        first = f"; the first is line {wrong[0]}" if wrong else ""
        raise ManifestError(
            f"scores {path}: got {len(lines)} lines, {len(wrong)} of them with another number of fields than the "
            f"header{first}"
        )
    cells = {column: [line[k].strip() for line in lines] for k, column in enumerate(columns)}
    names = tuple(f"{prefix}_{metric}" if prefix else metric for metric in metrics)
    return ScoreFile(
        path=path,
        metrics=names,
        images=tuple(zip(cells.get("dataset", [""] * len(lines)), cells["dist"], strict=True)),
        scores=dict(zip(names, _numbers(path, metrics, cells, [number for number, _ in numbered]), strict=True)),
    )


def _numbers(
    path: Path, metrics: Sequence[str], cells: Mapping[str, Sequence[str]], lines: Sequence[int]
) -> list[tuple[float | None, ...]]:
    found, bad = [], []
    for metric in metrics:
        values: list[float | None] = []
        for number, cell in enumerate(cells[metric]):
            try:
                value = number_of(cell or "nan")
            except ValueError:
                bad.append(
                    f"{cut(cell)!r} in column {cut(metric)!r} for {cut(cells['dist'][number])}, line {lines[number]}"
                )
                continue
            values.append(value if math.isfinite(value) else None)
        found.append(tuple(values))
    if bad:
        what = "cell is no number" if len(bad) == 1 else "cells are no numbers"
        raise ManifestError(
            f"scores {path}: {len(bad)} {what}: {_some(bad)}; expected a number, or nothing where a metric failed"
        )
    return found


def match_scores(file: ScoreFile, datasets: Sequence[PairDataset]) -> Matched:
    """Find the pair of every line, by path relative to the data set, else by file name.

    Names are first compared exactly, then without regard to case and to the encoding of accents.

    Raises:
        ManifestError: an image has two lines with different scores or fits several images, or no image is found.

    Example:
        >>> from causaliqa.api.data import Pair
        >>> pairs = tuple(Pair(ref=None, dist=Path(f"sub/{name}.png"), label=1.0) for name in "ab")
        >>> data = PairDataset(name="d", pairs=pairs, label="mos", label_lower_better=False)
        >>> file = ScoreFile(path=Path("s.csv"), metrics=("m",), images=(("", "B.png"), ("", "x.png")), scores={})
        >>> matched = match_scores(file, [data])
        >>> matched.lines, len(matched.notes)
        ({'d': {1: 0}}, 2)
    """
    known = {dataset.name: _Names(dataset) for dataset in datasets}
    lines: dict[str, dict[int, int]] = defaultdict(dict)
    unknown, cased, twice, unclear = [], [], [], []
    for number, (named, image) in enumerate(file.images):
        if named and named not in known:
            unknown.append(f"{named}/{image}")
            continue
        fits = {name: pairs for name in ([named] if named else known) if (pairs := known[name].find(image))}
        if not fits:
            unknown.append(image)
            continue
        name, pairs = next(iter(fits.items()))
        if len(fits) > 1 or len({known[name].name(pair) for pair in pairs}) > 1:
            places = [known[n].name(pair) if len(fits) == 1 else n for n in fits for pair in fits[n]]
            unclear.append(f"{image} ({' or '.join(dict.fromkeys(places))})")
            continue
        if (actual := PurePosixPath(known[name].name(pairs[0])).name) != PurePosixPath(_clean(image)).name:
            cased.append(f"{image} for {actual}")
        before = lines[name].get(pairs[0], number)
        if any(values[before] != values[number] for values in file.scores.values()):
            twice.append(image)
        lines[name].update(dict.fromkeys(pairs, number))
    _refuse(file, twice, unclear)
    if not lines:
        raise ManifestError(
            f"scores {file.path}: none of its {len(file.images)} images is in {' or '.join(known)}: "
            f"{_some(unknown)}; expected paths relative to the data set, or file names"
        )
    notes = []
    if unknown:
        notes.append(
            f"scores {file.path}: {_count(unknown, 'is', 'are')} in no data set and left out: {_some(unknown)}"
        )
    if cased:
        notes.append(f"scores {file.path}: {_count(cased, 'differs', 'differ')} in case or accents: {_some(cased)}")
    return Matched(lines=dict(lines), notes=tuple(notes))


def _refuse(file: ScoreFile, twice: list[str], unclear: list[str]) -> None:
    """Raise if an image has lines with different scores, or fits several images."""
    if twice:
        raise ManifestError(
            f"scores {file.path}: {_count(twice, 'has', 'have')} lines with different scores: {_some(twice)}; keep one"
        )
    if unclear:
        raise ManifestError(
            f"scores {file.path}: {_count(unclear, 'fits', 'fit')} several: {_some(unclear)}; "
            "write paths relative to the data set, or add a column dataset"
        )


class _Names:
    """Index of the images of a data set by path and file name, exact and folded."""

    def __init__(self, dataset: PairDataset) -> None:
        self._names = [dataset.image_name(pair.dist) for pair in dataset.pairs]
        self._found: tuple[dict[str, list[int]], ...] = tuple(defaultdict(list) for _ in range(4))
        for number, name in enumerate(self._names):
            for table, key in zip(self._found, self._keys(name), strict=True):
                table[key].append(number)

    @staticmethod
    def _keys(name: str) -> tuple[str, str, str, str]:
        """Return path and file name, each exact and folded, in search order."""
        last = PurePosixPath(name).name
        return name, _folded(name), last, _folded(last)

    def find(self, image: str) -> list[int]:
        """Return the pairs that a name may mean."""
        for table, key in zip(self._found, self._keys(_clean(image)), strict=True):
            if key in table:
                return table[key]
        return []

    def name(self, pair: int) -> str:
        return self._names[pair]


def _folded(name: str) -> str:
    """Return a name in lower case with composed accents (NFC); systems differ in both.

    >>> _folded("É.png") == _folded("E\u0301.PNG")
    True
    """
    return unicodedata.normalize("NFC", name).lower()


def _clean(image: str) -> str:
    return image.replace("\\", "/").removeprefix("./")


def _count(names: Sequence[str], one: str, many: str) -> str:
    return f"1 image {one}" if len(names) == 1 else f"{len(names)} images {many}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(cut, names[:3])) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
