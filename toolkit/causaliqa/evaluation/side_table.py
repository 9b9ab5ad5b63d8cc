"""A further table of a leaderboard, beside the one of all images: protocols, VQEG's measures, pairs of metrics."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from causaliqa.api.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DEFAULT_TABLES", "TABLES", "SideTable", "check_subjects", "check_tables", "table_name"]

TABLES = ("protocols", "vqeg", "pairs")
"""Kinds of further tables: protocols (and data sets) beside each other, VQEG's measures, all pairs of metrics."""
DEFAULT_TABLES = ("protocols",)
"""Those that cost next to nothing beside the leaderboard itself."""


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


def check_tables(kinds: Iterable[str]) -> tuple[str, ...]:
    """Return kinds of tables, each once.

    Raises:
        InputError: a kind is unknown.

    Example:
        >>> check_tables(["vqeg", "vqeg"])
        ('vqeg',)
    """
    asked = tuple(dict.fromkeys([kinds] if isinstance(kinds, str) else kinds))
    if unknown := [kind for kind in asked if kind not in TABLES]:
        raise InputError(f"tables: got {unknown[0]!r}, expected some of {', '.join(TABLES)}")
    return asked


def check_subjects(subjects: int | Mapping[str, int] | None) -> None:
    """Refuse numbers of subjects that no deviation between them could come from.

    Raises:
        InputError: a number is below 2.
    """
    counts = subjects.values() if isinstance(subjects, Mapping) else [subjects]
    if wrong := [count for count in counts if count is not None and count < 2]:
        raise InputError(f"subjects: got {wrong[0]}, expected 2 or more; leave it out where the number is unknown")


def table_name(kind: str, dataset: str) -> str:
    """Return the name of a table on one data set.

    >>> table_name("protocols", "TID2013 (set 2)"), table_name("vqeg", "日本")
    ('protocols-tid2013-set-2', 'vqeg-set')
    """
    return f"{kind}-{re.sub('[^a-z0-9]+', '-', dataset.lower()).strip('-') or 'set'}"
