"""Data passed between the rooms: labelled pairs, regions of interest, score rows and their keys."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from html import escape
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args, get_type_hints, overload

from causaliqa.api.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "PAIR_COLUMNS",
    "RANKED_COLUMNS",
    "ROI",
    "SCORE_COLUMNS",
    "Column",
    "Finding",
    "NeededFile",
    "Pair",
    "PairDataset",
    "ScoreKey",
    "ScoreRow",
    "canonical_options",
    "columns",
    "printable",
]


@dataclass(frozen=True)
class ROI:
    """Region of interest: a rectangle in output pixels.

    Example:
        >>> ROI.parse("96,152,32,32")
        ROI(x=96, y=152, width=32, height=32)
    """

    x: int
    """Leftmost column."""
    y: int
    """Topmost row."""
    width: int
    """Width in pixels."""
    height: int
    """Height in pixels."""

    @classmethod
    def parse(cls, text: str) -> ROI:
        """Read ``X,Y,W,H``.

        Raises:
            InputError: the text is not four whole numbers.
        """
        try:
            x, y, width, height = (int(part) for part in text.split(","))
        except ValueError as error:
            raise InputError(f"roi: got {text!r}, expected four whole numbers X,Y,W,H") from error
        return cls(x, y, width, height)

    def __str__(self) -> str:
        return f"{self.x},{self.y},{self.width},{self.height}"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One problem that the check of a data set reports."""

    kind: str
    """``label``, ``count``, ``missing``, ``extra``, ``case``, ``empty``, ``unreadable``, ``size`` or ``changed``."""
    message: str
    """One line, with counts and the first names."""
    files: tuple[str, ...] = ()
    """All files concerned, relative to the folder."""
    harmless: bool = False
    """True if the data set can be used all the same."""


@dataclass(frozen=True, kw_only=True)
class NeededFile:
    """One weights file that a metric or restorer loads."""

    name: str
    """Metric or restorer that needs it, or the plugin that lists the file."""
    file: str
    """File name, or a description where the name is unknown."""
    state: Literal["here", "missing", "damaged", "unknown", "none"]
    """``here`` (found, checksum correct), ``missing``, ``damaged``, ``unknown``, or ``none`` if no file is loaded."""
    size: int | None = None
    """Bytes, where known."""
    source: str = ""
    """Where to get it, or why that is unknown."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One distorted image and its reference."""

    ref: Path | None
    """Reference image; None if unknown, which is enough to rank scores computed elsewhere."""
    dist: Path
    """Distorted image."""
    label: float
    """Opinion score, on the scale of the data set."""
    type: str = ""
    """Distortion type."""
    level: str = ""
    """Distortion level."""
    split: str = ""
    """``train``, ``val`` or ``test``."""
    label_std: float | None = None
    """Standard deviation of the label as published: between subjects, or of the mean."""


def printable(text: str) -> str:
    """Return text with the undecodable bytes of file names as escapes: databases and frames hold valid text only."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


@dataclass(frozen=True, kw_only=True)
class PairDataset:
    """Labelled pairs on one opinion scale; a sequence of :class:`Pair`.

    Example:
        >>> from pathlib import Path
        >>> pairs = tuple(Pair(ref=Path("r.png"), dist=Path(f"{k}.png"), label=k) for k in range(3))
        >>> data = PairDataset(name="d", pairs=pairs, label="mos", label_lower_better=False)
        >>> data
        PairDataset('d', 3 pairs, 1 reference, label mos (higher is better))
        >>> len(data), data[-1].dist.name, [pair.label for pair in data[:2]]
        (3, '2.png', [0, 1])
    """

    name: str
    """Short name for tables."""
    pairs: tuple[Pair, ...]
    """All pairs, in manifest order."""
    label: str
    """Name of the label: ``mos``, ``dmos`` or the data set's own term."""
    label_lower_better: bool
    """True if a low label means good quality, as with DMOS."""
    label_range: tuple[float, float] | None = None
    """Limits of the opinion scale, for normalisation before a fit; None if unknown."""
    root: Path | None = None
    """Folder that image names are relative to, so that a moved data set keeps its names."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", printable(self.name))

    def image_name(self, path: Path | None) -> str:
        """Return the name of an image in score rows: relative to the root if below it; empty for None."""
        if path is None:
            return ""
        inside = self.root is not None and path.is_relative_to(self.root)
        return printable((path.relative_to(self.root) if inside and self.root else path).as_posix())

    def __len__(self) -> int:
        return len(self.pairs)

    def __iter__(self) -> Iterator[Pair]:
        return iter(self.pairs)

    @overload
    def __getitem__(self, index: int) -> Pair: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Pair, ...]: ...

    def __getitem__(self, index: int | slice) -> Pair | tuple[Pair, ...]:
        """Return one pair, or a tuple of pairs for a slice."""
        return self.pairs[index]

    def __repr__(self) -> str:
        references = len({pair.ref for pair in self.pairs} - {None})
        direction = "lower" if self.label_lower_better else "higher"
        return (
            f"PairDataset({self.name!r}, {len(self)} pairs, {references} reference{'' if references == 1 else 's'}, "
            f"label {self.label} ({direction} is better))"
        )

    def _repr_html_(self) -> str:
        """Return a table of the first pairs, for notebooks."""
        shown = self.pairs[:10]
        names = [c for c in ("type", "level", "split") if any(getattr(pair, c) for pair in shown)]
        lines = [
            [
                self.image_name(pair.ref),
                self.image_name(pair.dist),
                f"{pair.label:g}",
                *(getattr(pair, c) for c in names),
            ]
            for pair in shown
        ]
        head = "".join(f"<th>{escape(c)}</th>" for c in ("ref", "dist", self.label, *names))
        body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in line)}</tr>" for line in lines)
        more = f"<p>and {len(self) - len(shown)} more</p>" if len(self) > len(shown) else ""
        return f"<p>{escape(repr(self))}</p><table><tr>{head}</tr>{body}</table>{more}"


@dataclass(frozen=True, kw_only=True)
class ScoreKey:
    """Everything that a score depends on; a stored score counts only if all fields agree."""

    metric: str
    """Name of the metric, without options."""
    version: str
    """Version of the metric's spec."""
    options: str = "{}"
    """Options as canonical JSON, see :func:`canonical_options`."""
    weights: str = ""
    """SHA-256 of the weights file; empty if there is none."""
    dataset: str
    """Name of the data set."""
    img_hash: str
    """SHA-256 of the distorted image's file."""
    ref_hash: str
    """SHA-256 of the reference's file, also for metrics that need no reference."""
    seed: int = 0
    """Seed of the metric."""
    protocol: str
    """Version of how images are read and passed to metrics."""


def canonical_options(options: Mapping[str, Any]) -> str:
    """Return options as canonical JSON: equal options give equal text, in any order.

    >>> canonical_options({"window": 8, "terms": "md"})
    '{"terms":"md","window":8}'
    """
    return printable(json.dumps(dict(options), sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str))


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """Score of one metric on one pair, with all that statistics need of both; a failure is a row, too.

    The fields are the columns of the rows everywhere: data frame, csv file and score store derive theirs from here.
    """

    dataset: str
    """Name of the data set."""
    metric: str
    """Name of the metric, with its options where it has any."""
    ref: str
    """Reference image, relative to the data set's folder; empty if unknown."""
    dist: str
    """Distorted image, relative to the data set's folder."""
    label: float
    """Opinion score, on the scale of the data set."""
    type: str = ""
    """Distortion type."""
    level: str = ""
    """Distortion level."""
    split: str = ""
    """``train``, ``val`` or ``test``."""
    label_lower_better: bool = False
    """True if a low label means good quality."""
    label_std: float | None = None
    """Standard deviation of the label; None if unknown."""
    label_low: float | None = None
    """Lower limit of the opinion scale; None if unknown."""
    label_high: float | None = None
    """Upper limit of the opinion scale; None if unknown."""
    lower_better: bool = False
    """True if a lower score means better quality."""
    score: float | None = None
    """Score; None if the metric failed."""
    error: str = ""
    """Why the metric failed; empty if it did not."""
    seconds: float = 0.0
    """Time that the metric took, in seconds."""


class Column(NamedTuple):
    """Type of one column of score rows or keys."""

    kind: type
    """``str``, ``bool``, ``int`` or ``float``."""
    optional: bool
    """True if None is allowed."""


@lru_cache
def columns(record: type[ScoreRow] | type[ScoreKey]) -> Mapping[str, Column]:
    """Return name and type of every column, in the order of the fields.

    Example:
        >>> columns(ScoreRow)["score"]
        Column(kind=<class 'float'>, optional=True)
        >>> [name for name, column in columns(ScoreRow).items() if column.kind is bool]
        ['label_lower_better', 'lower_better']
    """
    hints = get_type_hints(record)
    found = {}
    for field in fields(record):
        kinds = get_args(hints[field.name]) or (hints[field.name],)
        (kind,) = (kind for kind in kinds if kind is not NoneType)
        found[field.name] = Column(kind, NoneType in kinds)
    return found


SCORE_COLUMNS = ("metric", "lower_better", "score", "error", "seconds")
"""Columns of :class:`ScoreRow` that come from the metric."""

PAIR_COLUMNS = tuple(field.name for field in fields(ScoreRow) if field.name not in SCORE_COLUMNS)
"""Columns of :class:`ScoreRow` that describe the pair."""

RANKED_COLUMNS = ("dataset", "metric", "label", "score", "label_lower_better", "lower_better")
"""Columns of :class:`ScoreRow` without which rows cannot be ranked."""
