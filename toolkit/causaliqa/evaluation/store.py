"""The score store: one SQLite file that a killed run leaves complete up to its last finished pair.

Two tables. ``scores`` holds what was computed, under everything that it depends on (images by their content, see
:class:`~causaliqa.api.data.ScoreKey`). ``pairs`` holds what a data set says of its images (names, label, type): a
corrected label file has nothing computed again, and identical images share one score. Every row carries a sum of its
values: a disk that changed one is noticed, whatever SQLite thinks of the file.
"""

from __future__ import annotations

import math
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any
from zlib import crc32

from causaliqa.api.data import ScoreKey, ScoreRow
from causaliqa.api.errors import CausaliqaError, InputError, OutputError

__all__ = ["COLUMNS", "LAYOUT", "ScoreStore", "StoredScore", "open_store", "summed"]

_APPLICATION = 0x43495141
"""Marks the file as ours (the letters CIQA) in SQLite's own header."""
LAYOUT = 3
"""Of the tables; a file says in its header which it has."""
_BUSY = 60.0
"""Seconds to wait for another process that writes."""

_KEY = tuple(field.name for field in fields(ScoreKey))
_TEXTS = ("dataset", "ref", "dist", "type", "level", "split")
_NUMBERS = ("label", "label_lower_better", "label_std", "label_low", "label_high")
_PAIR = (*_TEXTS, *_NUMBERS, "img_hash", "ref_hash")
_SCORE = (*_KEY, "name", "lower_better", "score", "error", "seconds")
COLUMNS = {"scores": _SCORE, "pairs": _PAIR}
"""What a row of a table holds, before its sum."""
_REALS = {"score", "seconds", *_NUMBERS} - {"label_lower_better"}
_FLAGS = ("label_lower_better", "lower_better")
_SAME_METRIC = ("metric", "version", "options", "weights", "seed", "protocol")
"""The part of a key that tells metrics apart."""
_TABLES = f"""
CREATE TABLE scores (
    {", ".join(f"{name} {'INTEGER' if name == 'seed' else 'TEXT'} NOT NULL" for name in _KEY)},
    name TEXT NOT NULL, lower_better INTEGER NOT NULL, score REAL, error TEXT NOT NULL, seconds REAL NOT NULL,
    sum INTEGER NOT NULL, CHECK ((score IS NULL) = (error <> '')),
    PRIMARY KEY ({", ".join(_KEY)})
) WITHOUT ROWID;
CREATE TABLE pairs (
    {", ".join(f"{name} TEXT NOT NULL" for name in _TEXTS)},
    label REAL NOT NULL, label_lower_better INTEGER NOT NULL, label_std REAL, label_low REAL, label_high REAL,
    img_hash TEXT NOT NULL, ref_hash TEXT NOT NULL,
    sum INTEGER NOT NULL, PRIMARY KEY (dataset, ref, dist)
) WITHOUT ROWID;
CREATE INDEX pairs_by_image ON pairs (dataset, img_hash, ref_hash);
"""
_PUT_SCORE = f"""
INSERT INTO scores VALUES ({", ".join("?" * len(_SCORE))}, ?)
ON CONFLICT DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in (*_SCORE[len(_KEY) :], "sum"))}
WHERE scores.score IS NULL
"""
_TAKE_SCORE = f"{_PUT_SCORE} AND excluded.score IS NOT NULL"
_PUT_PAIR = f"INSERT OR REPLACE INTO pairs VALUES ({', '.join('?' * len(_PAIR))}, ?)"
_TAKE_PAIR = _PUT_PAIR.replace("REPLACE", "IGNORE")
_ROWS = f"""
SELECT {", ".join(dict.fromkeys((*_SCORE, *_PAIR)))}
FROM pairs JOIN scores USING (dataset, img_hash, ref_hash)
{{where}}
ORDER BY dataset, name, metric, version, options, weights, seed, protocol, ref, dist
"""


def summed(table: str, line: Sequence[Any]) -> tuple[Any, ...]:
    """Return the values of a row as SQLite gives them back, and their sum.

    >>> summed("pairs", ("d", "r", "i", "", "", "", 3, True, None, None, float("nan"), "a", "b"))[6:]
    (3.0, 1, None, None, None, 'a', 'b', 3380912349)
    """
    values = []
    for name, value in zip(COLUMNS[table], line, strict=True):
        kept = value
        if name in _REALS and value is not None:
            kept = float(value) + 0.0 if not math.isnan(value) else None  # SQLite knows neither -0.0 nor NaN
        elif name in _FLAGS:
            kept = int(value)
        values.append(kept)
    return (*values, _sum(values))


def _sum(values: Sequence[Any]) -> int:
    return crc32(repr(tuple(values)).encode("utf-8", "replace"))


@dataclass(frozen=True, kw_only=True)
class StoredScore:
    """What the store knows of one key."""

    score: float | None
    """The score; None if the metric failed."""
    error: str
    """Why it failed; empty if it did not."""
    seconds: float
    """Time that the metric took."""


class ScoreStore:
    """Scores in one SQLite file, written as they come; use it as a context manager.

    Args:
        path: the file; made if it is not there.
        create: whether it may be made.

    Raises:
        InputError: the file cannot be opened, is damaged, is no score store, or comes from a newer version.

    Example:
        >>> import tempfile
        >>> key = ScoreKey(metric="psnr", version="1", dataset="d", img_hash="a", ref_hash="b", protocol="1")
        >>> row = ScoreRow(dataset="d", metric="psnr", ref="r.png", dist="i.png", label=3.0, score=30.5)
        >>> with tempfile.TemporaryDirectory() as folder, ScoreStore(Path(folder) / "scores.sqlite") as store:
        ...     store.put(key, row)
        ...     store.get([key])[key].score
        30.5
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self.path = Path(path)
        if self.path.is_dir() or not self.path.absolute().parent.is_dir():
            raise InputError(f"store {path}: got a folder or a path below none, expected a file; choose another name")
        if not create and not self.path.is_file():
            raise InputError(f"store {path}: there is no such file; expected one that --store has written")
        there = self.path.is_file() and self.path.stat().st_size > 0
        if not create and not there and not self._log().is_file():
            raise InputError(f"store {path}: the file is empty; expected one that --store has written")
        if there:
            self._check_kind()
        with self._errors():
            self._open_when_free(there, create)

    def _open_when_free(self, there: bool, create: bool) -> None:
        until = time.monotonic() + _BUSY
        while True:
            try:
                self._open(there, create)
            except sqlite3.OperationalError as error:
                # While a log is made, read back or removed, SQLite refuses at once, whatever its timeout.
                if "locked" not in str(error) or time.monotonic() > until:
                    raise
                time.sleep(0.01)
            else:
                return

    def _open(self, there: bool, create: bool) -> None:
        alone = self._check_rows() if there else False
        how = f"{self.path.absolute().as_uri()}?immutable=1" if alone and not create else self.path
        self._db = sqlite3.connect(how, timeout=_BUSY, isolation_level=None, uri=how is not self.path)
        try:
            self._prepare()
        except BaseException:
            self._db.close()
            raise

    def _log(self) -> Path:
        """Return the file of what SQLite has not yet moved into the store; a killed process leaves it."""
        return self.path.with_name(f"{self.path.name}-wal")

    def _check_kind(self) -> None:
        """Refuse other files: SQLite would take the shortest of them for empty ones, and overwrite them."""
        with self.path.open("rb") as file:
            head = file.read(100)
        if head[:16] == b"SQLite format 3\0":
            return
        if head[68:72] == _APPLICATION.to_bytes(4, "big"):
            raise self._damaged("its first bytes are not those of a store")
        raise InputError(f"store {self.path}: no score store, but a file of another kind; choose another name")

    def _check_rows(self) -> bool:
        """Read every row before anything may be written; return whether the file lies where nothing can be written.

        Read-only, so that a damaged file and what SQLite has beside it stay as they are for :func:`recover`.
        """
        where = self.path.absolute().as_uri()
        alone = False
        try:
            db = sqlite3.connect(f"{where}?mode=ro", timeout=_BUSY, isolation_level=None, uri=True)
            db.execute("SELECT count(*) FROM sqlite_master")
        except sqlite3.OperationalError:
            if self._log().is_file() and self._log().stat().st_size:
                raise
            alone = True
            db = sqlite3.connect(f"{where}?immutable=1", isolation_level=None, uri=True)
        with closing(db):
            self._db = db
            if not self._is_empty():
                self._check_layout()
                # Not quick_check, which does not compare an index with its table.
                if (state := self._pragma("integrity_check(1)")) != "ok":
                    raise self._damaged(" ".join(str(state).split())[:100])
                for table, columns in COLUMNS.items():
                    for line in db.execute(f"SELECT {', '.join(columns)}, sum FROM {table}"):
                        if _sum(line[:-1]) != line[-1]:
                            raise self._damaged(f"a row of {table} is not what was written")
        return alone

    def _check_layout(self) -> None:
        if self._pragma("application_id") != _APPLICATION:
            raise InputError(f"store {self.path}: an SQLite file of another program; choose another name")
        version = self._pragma("user_version")
        if version > LAYOUT:
            raise InputError(
                f"store {self.path}: got layout {version}, expected {LAYOUT}; use the newer causaliqa that wrote it"
            )
        if version != LAYOUT:
            raise InputError(
                f"store {self.path}: got layout {version} of an older causaliqa, expected {LAYOUT}; {self._recover()}"
            )

    def _recover(self) -> str:
        return f"`causaliqa store recover {self.path} --out NEW` takes its sound rows over"

    def _damaged(self, what: str) -> InputError:
        return InputError(f"store {self.path}: damaged ({what}); it is left as it is, {self._recover()}")

    def _prepare(self) -> None:
        """Recognise our file, or make a new one; two processes may do so at the same time."""
        if self._is_empty():
            self._db.execute("PRAGMA journal_mode = WAL")
            with self._transaction():
                if self._is_empty():
                    # Not executescript: it would commit in between.
                    for statement in _TABLES.split(";\n"):
                        self._db.execute(statement)
                    self._db.execute(f"PRAGMA application_id = {_APPLICATION}")
                    self._db.execute(f"PRAGMA user_version = {LAYOUT}")
        self._check_layout()
        # A killed process loses nothing in WAL mode; only a power cut may take the last rows.
        self._db.execute("PRAGMA synchronous = NORMAL")

    def _is_empty(self) -> bool:
        return not self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] and not (
            self._pragma("application_id") or self._pragma("user_version")
        )

    def _pragma(self, name: str) -> Any:
        return self._db.execute(f"PRAGMA {name}").fetchone()[0]

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._told(str(error)) from error
        except UnicodeDecodeError as error:  # SQLite's own message quotes what is damaged
            raise self._damaged("its text is no UTF-8") from error

    def _told(self, what: str) -> CausaliqaError:
        """Return what an error of SQLite means to a user."""
        if "full" in what or "I/O" in what:
            return OutputError(f"store {self.path} cannot be written: {what}; make room")
        if "locked" in what:
            return OutputError(
                f"store {self.path}: another process kept it locked for {_BUSY:.0f} s; wait for it, and run it again"
            )
        if "decode" in what or "malformed" in what or "not a database" in what:
            return self._damaged(what)
        return InputError(f"store {self.path}: {what}; expected a file that can be read and written")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def __enter__(self) -> ScoreStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; everything is written already."""
        self._db.close()

    def __len__(self) -> int:
        """Number of scores and failures."""
        with self._errors():
            return int(self._db.execute("SELECT count(*) FROM scores").fetchone()[0])

    def get(self, keys: Iterable[ScoreKey], *, failed: bool = False) -> dict[ScoreKey, StoredScore]:
        """Return what is stored under those of the keys that are there.

        Args:
            keys: what is wanted.
            failed: return failures too; without it they are missing, so that they are tried again.
        """
        query = f"SELECT score, error, seconds FROM scores WHERE {' AND '.join(f'{name} = ?' for name in _KEY)}"
        found = {}
        with self._errors():
            for key in keys:
                line = self._db.execute(query, astuple(key)).fetchone()
                if line is not None and (failed or line[0] is not None):
                    found[key] = StoredScore(score=line[0], error=line[1], seconds=line[2])
        return found

    def put(self, key: ScoreKey, row: ScoreRow) -> None:
        """Write one row, and commit it before returning.

        A score that is there stays as it is; a failure gives way. What the row says of its pair replaces what was
        there: put rows whose score came from :meth:`get` as well, so that :meth:`rows` knows every pair.

        Raises:
            InputError: key and row name different data sets, or the row has neither score nor error.
        """
        if key.dataset != row.dataset:
            raise InputError(f"store: got data set {row.dataset!r} under the key of {key.dataset!r}")
        score = row.score if row.score is not None and row.score == row.score else None
        if (score is None) != bool(row.error):
            raise InputError(f"store: got score {row.score} and error {row.error!r}, expected one of them")
        pair = (*(getattr(row, name) for name in (*_TEXTS, *_NUMBERS)), key.img_hash, key.ref_hash)
        line = (*astuple(key), row.metric, row.lower_better, score, row.error, row.seconds)
        with self._errors(), self._transaction():
            self._db.execute(_PUT_SCORE, summed("scores", line))
            self._db.execute(_PUT_PAIR, summed("pairs", pair))

    def merge(self, other: Path) -> int:
        """Take over what another store has and this one lacks; returns how many scores and failures came.

        The order of merges does not matter to the scores: a score is never replaced, a failure gives way to one.

        Raises:
            InputError: the other file is no score store.
        """
        with ScoreStore(other, create=False) as source:
            return self.take(source.lines("scores"), source.lines("pairs"))

    def lines(self, table: str) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a table (one of :data:`COLUMNS`) as they are stored, each with its sum."""
        with self._errors():
            yield from self._db.execute(f"SELECT {', '.join(COLUMNS[table])}, sum FROM {table}")

    def take(self, scores: Iterable[tuple[Any, ...]], pairs: Iterable[tuple[Any, ...]]) -> int:
        """Take over rows as :meth:`lines` gives them, all or none of them; returns how many scores and failures came.

        A score that is there stays, a failure gives way to one; a pair that is there stays.
        """
        before = len(self)
        with self._errors(), self._transaction():
            self._db.executemany(_TAKE_SCORE, scores)
            self._db.executemany(_TAKE_PAIR, pairs)
        return len(self) - before

    def rows(self, *, like: ScoreKey | None = None) -> Iterator[dict[str, Any]]:
        """Yield every pair and score as a plain dict, in an order that does not depend on when they were written.

        Keys: the fields of :class:`~causaliqa.api.data.ScoreRow` and :class:`~causaliqa.api.data.ScoreKey`;
        ``metric`` is the name that the row was shown under, ``metric_name`` that of the key. Scores of images that
        have changed since are left out.

        Args:
            like: only rows of the same metric, version, options, weights, seed and protocol, so that those of others
                never mix into one table; a metric's ``key`` is such a key.
        """
        where = f"WHERE {' AND '.join(f'{name} = ?' for name in _SAME_METRIC)}" if like else ""
        with self._errors():
            cursor = self._db.execute(
                _ROWS.format(where=where), [getattr(like, name) for name in _SAME_METRIC] if like else []
            )
            names = [column[0] for column in cursor.description]
            for line in cursor:
                row = dict(zip(names, line, strict=True))
                row.update({flag: bool(row[flag]) for flag in _FLAGS})
                row["metric_name"], row["metric"] = row["metric"], row.pop("name")
                yield row


def open_store(path: str | os.PathLike[str], *, create: bool = True) -> ScoreStore:
    """Open a score store; use it as a context manager.

    Args:
        path: the file that ``leaderboard --store`` writes.
        create: make it where it does not exist.

    Raises:
        InputError: the file is damaged or no score store.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, open_store(f"{folder}/scores.sqlite") as store:
        ...     len(store)
        0
    """
    return ScoreStore(Path(path), create=create)
