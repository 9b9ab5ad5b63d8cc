"""A further table of a leaderboard, beside the one of all images: protocols, VQEG's measures, pairs of metrics."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SideTable"]


@dataclass(frozen=True, kw_only=True)
class SideTable:
    """One table with what a reader must know of it; text, LaTeX, csv and the page are made of it."""

    name: str
    """Unique in a leaderboard: anchor on the page and part of file names; lower-case letters, digits and ``-``."""
    title: str
    """Heading."""
    note: str
    """How it was computed, from what source, and how to read it; one to three sentences."""
    frame: pd.DataFrame = field(repr=False)
    """Columns of text, numbers (NaN where unknown) and intervals: column ``X_ci`` holds ``[low, high]`` of column
    ``X``. A column ``X_best`` of booleans marks the cells of ``X`` that may be the best."""
    warnings: tuple[str, ...] = ()
    """What a reader must not overlook, with numbers: orders that contradict each other, too few references."""
