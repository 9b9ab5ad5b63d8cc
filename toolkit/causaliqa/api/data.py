"""What flows between the rooms: labelled pairs, regions, the rows that scoring makes of them, and their keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from causaliqa.api.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ROI", "Finding", "NeededFile", "Pair", "PairDataset", "ScoreKey", "ScoreRow", "canonical_options"]


@dataclass(frozen=True)
class ROI:
    """A rectangle in output pixels: the region of interest.

    Example:
        >>> ROI.parse("96,152,32,32")
        ROI(x=96, y=152, width=32, height=32)
    """

    x: int
    """First column."""
    y: int
    """First row."""
    width: int
    """Columns."""
    height: int
    """Rows."""

    @classmethod
    def parse(cls, text: str) -> ROI:
        """Read ``X,Y,W,H``.

        Raises:
            InputError: it is not four whole numbers.
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
    """One thing that a check of a data set found."""

    kind: str
    """``label``, ``count``, ``missing``, ``extra``, ``case``, ``empty``, ``unreadable``, ``size`` or ``changed``."""
    message: str
    """One line, with counts and the first names."""
    files: tuple[str, ...] = ()
    """All files that it concerns, relative to the folder."""
    harmless: bool = False
    """True if the data set can be used as it is."""


@dataclass(frozen=True, kw_only=True)
class NeededFile:
    """One weights file that a metric or restorer loads."""

    name: str
    """Metric or restorer, or who lists the file."""
    file: str
    """Its name, or what is known of it."""
    state: Literal["here", "missing", "damaged", "unknown", "none"]
    """``here`` (and the one that is expected), ``missing``, ``damaged``, ``unknown``, or ``none`` where nothing is
    loaded."""
    size: int | None = None
    """Bytes, where known."""
    source: str = ""
    """Where it would come from, or why that is unknown."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One distorted image beside its reference."""

    ref: Path | None
    """Reference image; None where it is unknown and only scores from elsewhere are ranked."""
    dist: Path
    """Distorted image."""
    label: float
    """Opinion score, on the scale of the data set."""
    type: str = ""
    """Distortion type."""
    level: str = ""
    """Distortion level."""
    split: str = ""
    """Train, validation or test."""
    label_std: float | None = None
    """Deviation of the label as the data set publishes it: between subjects, or of the mean."""


@dataclass(frozen=True, kw_only=True)
class PairDataset:
    """Labelled pairs that share one scale."""

    name: str
    """Short name for tables."""
    pairs: tuple[Pair, ...]
    """All pairs, in the order of the manifest."""
    label: str
    """What the label is called: ``mos``, ``dmos`` or the data set's own word."""
    label_lower_better: bool
    """True if a low label means good quality, as with DMOS."""
    label_range: tuple[float, float] | None = None
    """Ends of the label's scale, for its normalisation before a fit; None if unknown."""
    root: Path | None = None
    """Folder that the names of images are relative to, so that a moved data set stays the same."""

    def image_name(self, path: Path | None) -> str:
        """Return how rows call an image: relative to the root where it lies below; empty if there is none."""
        if path is None:
            return ""
        inside = self.root is not None and path.is_relative_to(self.root)
        return (path.relative_to(self.root) if inside and self.root else path).as_posix()


@dataclass(frozen=True, kw_only=True)
class ScoreKey:
    """Everything that a score depends on: where any of it differs, a stored score does not count."""

    metric: str
    """Name of the metric, without options."""
    version: str
    """Version of the metric's record."""
    options: str = "{}"
    """Options as canonical JSON, see :func:`canonical_options`."""
    weights: str = ""
    """SHA-256 of the weights file; empty if there is none."""
    dataset: str
    """Name of the data set."""
    img_hash: str
    """SHA-256 of the distorted image's file."""
    ref_hash: str
    """SHA-256 of the reference's file, also where the metric does not look at it."""
    seed: int = 0
    """Seed of the metric."""
    protocol: str
    """Version of how the toolkit reads and feeds images."""


def canonical_options(options: Mapping[str, Any]) -> str:
    """Return options as JSON that is the same for equal options, whatever their order.

    >>> canonical_options({"window": 8, "terms": "md"})
    '{"terms":"md","window":8}'
    """
    return json.dumps(dict(options), sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """What one metric says of one pair, and all that statistics need to know of both; a failure is a row too."""

    dataset: str
    """Name of the data set."""
    metric: str
    """Name of the metric, with its options where it has any."""
    ref: str
    """Reference image, relative to the data set's folder; empty where it is unknown."""
    dist: str
    """Distorted image, likewise."""
    label: float
    """Opinion score, on the scale of the data set."""
    type: str = ""
    """Distortion type."""
    level: str = ""
    """Distortion level."""
    split: str = ""
    """Train, validation or test."""
    label_lower_better: bool = False
    """True if a low label means good quality."""
    label_std: float | None = None
    """Deviation of the label."""
    label_low: float | None = None
    """Lower end of the label's scale; None if unknown."""
    label_high: float | None = None
    """Upper end of the label's scale; None if unknown."""
    lower_better: bool = False
    """True if a lower score means better quality."""
    score: float | None = None
    """Score of the metric; None where it failed."""
    error: str = ""
    """Why it failed."""
    seconds: float = 0.0
    """Time that the metric took."""
