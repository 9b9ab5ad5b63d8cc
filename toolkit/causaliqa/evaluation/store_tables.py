"""Tables of the score store: columns from the dataclasses, SQL statements and the checksum of a row."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any
from zlib import crc32

from causaliqa.api.data import PAIR_COLUMNS, SCORE_COLUMNS, ScoreKey, ScoreRow, columns

__all__ = [
    "COLUMNS",
    "FLAGS",
    "KEY",
    "LAYOUT",
    "METRIC_COLUMNS",
    "PAIR_NUMBERS",
    "PAIR_TEXTS",
    "PUT_PAIR",
    "PUT_SCORE",
    "SELECT_ROWS",
    "TABLES",
    "TAKE_PAIR",
    "TAKE_SCORE",
    "checksum",
    "with_checksum",
]

LAYOUT = 3
"""Version of the tables, kept in SQLite's header as ``user_version``."""
KEY = tuple(columns(ScoreKey))
_ROW = columns(ScoreRow)
PAIR_TEXTS = tuple(name for name in PAIR_COLUMNS if _ROW[name].kind is str)
PAIR_NUMBERS = tuple(name for name in PAIR_COLUMNS if _ROW[name].kind is not str)
_HASHES = ("img_hash", "ref_hash")
_PAIR = (*PAIR_TEXTS, *PAIR_NUMBERS, *_HASHES)
_SCORE = (*KEY, "name", *(name for name in SCORE_COLUMNS if name != "metric"))
COLUMNS = {"scores": _SCORE, "pairs": _PAIR}
"""Columns of each table without the checksum, which SQL calls ``sum``; ``name`` is the ``metric`` of a row."""
METRIC_COLUMNS = tuple(name for name in KEY if name not in ("dataset", *_HASHES))
"""Columns of a key that identify a metric."""
_TYPES = {**columns(ScoreKey), "name": _ROW["metric"], **{name: _ROW[name] for name in _ROW if name != "metric"}}
FLAGS = tuple(name for name, column in _ROW.items() if column.kind is bool)


def _declared(names: Iterable[str]) -> str:
    """Return the columns of a table in SQL."""
    sql = {str: "TEXT", float: "REAL", int: "INTEGER", bool: "INTEGER"}
    return ", ".join(f"{name} {sql[_TYPES[name].kind]}{'' if _TYPES[name].optional else ' NOT NULL'}" for name in names)


TABLES = f"""
CREATE TABLE scores (
    {_declared(_SCORE)},
    sum INTEGER NOT NULL, CHECK ((score IS NULL) = (error <> '')),
    PRIMARY KEY ({", ".join(KEY)})
) WITHOUT ROWID;
CREATE TABLE pairs (
    {_declared(_PAIR)},
    sum INTEGER NOT NULL, PRIMARY KEY (dataset, ref, dist)
) WITHOUT ROWID;
CREATE INDEX pairs_by_image ON pairs (dataset, img_hash, ref_hash);
"""
PUT_SCORE = f"""
INSERT INTO scores VALUES ({", ".join("?" * len(_SCORE))}, ?)
ON CONFLICT DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in (*_SCORE[len(KEY) :], "sum"))}
WHERE scores.score IS NULL
"""
TAKE_SCORE = f"{PUT_SCORE} AND excluded.score IS NOT NULL"
PUT_PAIR = f"INSERT OR REPLACE INTO pairs VALUES ({', '.join('?' * len(_PAIR))}, ?)"
TAKE_PAIR = PUT_PAIR.replace("REPLACE", "IGNORE")
SELECT_ROWS = f"""
SELECT {", ".join(dict.fromkeys((*_SCORE, *_PAIR)))}
FROM pairs JOIN scores USING (dataset, img_hash, ref_hash)
{{where}}
ORDER BY dataset, name, metric, version, options, weights, seed, protocol, ref, dist
"""


def with_checksum(table: str, line: Sequence[Any]) -> tuple[Any, ...]:
    """Return the values of a row as SQLite returns them, followed by their checksum.

    >>> with_checksum("pairs", ("d", "r", "i", "", "", "", 3, True, None, None, float("nan"), "a", "b"))[6:]
    (3.0, 1, None, None, None, 'a', 'b', 3380912349)
    """
    values = []
    for name, value in zip(COLUMNS[table], line, strict=True):
        kept = value
        if _TYPES[name].kind is float and value is not None:
            kept = float(value) + 0.0 if not math.isnan(value) else None  # SQLite stores neither -0.0 nor NaN
        elif name in FLAGS:
            kept = int(value)
        values.append(kept)
    return (*values, checksum(values))


def checksum(values: Sequence[Any]) -> int:
    """Return the checksum of the values of a row, without its stored checksum."""
    return crc32(repr(tuple(values)).encode("utf-8", "replace"))
