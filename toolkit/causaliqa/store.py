"""The score store: one SQLite file that a killed run leaves complete up to its last finished pair.

Two tables. ``scores`` holds what was computed, under everything that it depends on (images by their content, see
:class:`~causaliqa.specs.ScoreKey`). ``pairs`` holds what a data set says of its images (names, label, type): a
corrected label file has nothing computed again, and identical images share one score.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any

from causaliqa.errors import InputError
from causaliqa.specs import ScoreKey, ScoreRow

__all__ = ["ScoreStore", "StoredScore"]

_APPLICATION = 0x43495141
"""Marks the file as ours (the letters CIQA) in SQLite's own header."""
_SCHEMA = 2
_BUSY = 60.0
"""Seconds to wait for another process that writes."""

_KEY = tuple(field.name for field in fields(ScoreKey))
_TEXTS = ("dataset", "ref", "dist", "type", "level", "split")
_NUMBERS = ("label", "label_lower_better", "label_std", "label_low", "label_high")
_PAIR = (*_TEXTS, *_NUMBERS, "img_hash", "ref_hash")
_SCORE = (*_KEY, "name", "lower_better", "score", "error", "seconds")
_FLAGS = ("label_lower_better", "lower_better")
_SAME_METRIC = ("metric", "version", "options", "weights", "seed", "protocol")
"""The part of a key that tells metrics apart."""
_TABLES = f"""
CREATE TABLE scores (
    {", ".join(f"{name} {'INTEGER' if name == 'seed' else 'TEXT'} NOT NULL" for name in _KEY)},
    name TEXT NOT NULL, lower_better INTEGER NOT NULL, score REAL, error TEXT NOT NULL, seconds REAL NOT NULL,
    CHECK ((score IS NULL) = (error <> '')),
    PRIMARY KEY ({", ".join(_KEY)})
) WITHOUT ROWID;
CREATE TABLE pairs (
    {", ".join(f"{name} TEXT NOT NULL" for name in _TEXTS)},
    label REAL NOT NULL, label_lower_better INTEGER NOT NULL, label_std REAL, label_low REAL, label_high REAL,
    img_hash TEXT NOT NULL, ref_hash TEXT NOT NULL,
    PRIMARY KEY (dataset, ref, dist)
) WITHOUT ROWID;
CREATE INDEX pairs_by_image ON pairs (dataset, img_hash, ref_hash);
"""
_PUT_SCORE = f"""
INSERT INTO scores VALUES ({", ".join("?" * len(_SCORE))})
ON CONFLICT DO UPDATE SET score = excluded.score, error = excluded.error, seconds = excluded.seconds
WHERE scores.score IS NULL
"""
_PUT_PAIR = f"INSERT OR REPLACE INTO pairs VALUES ({', '.join('?' * len(_PAIR))})"
_ROWS = f"""
SELECT {", ".join(dict.fromkeys((*_SCORE, *_PAIR)))}
FROM pairs JOIN scores USING (dataset, img_hash, ref_hash)
{{where}}
ORDER BY dataset, name, metric, version, options, weights, seed, protocol, ref, dist
"""


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
        if self._is_foreign():
            raise InputError(f"store {path}: no score store, but a file of another kind; choose another name")
        with self._errors():
            self._db = sqlite3.connect(self.path, timeout=_BUSY, isolation_level=None)
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise

    def _is_foreign(self) -> bool:
        """SQLite would take the shortest files for empty ones, and overwrite them."""
        if not self.path.is_file() or not self.path.stat().st_size:
            return False
        with self.path.open("rb") as file:
            return file.read(16) != b"SQLite format 3\0"

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
                    self._db.execute(f"PRAGMA user_version = {_SCHEMA}")
        if self._pragma("application_id") != _APPLICATION:
            raise InputError(f"store {self.path}: an SQLite file of another program; choose another name")
        if (version := self._pragma("user_version")) != _SCHEMA:
            raise InputError(
                f"store {self.path}: got layout {version}, expected {_SCHEMA}; use the causaliqa that wrote it"
            )
        if (state := self._pragma("quick_check")) != "ok":
            raise InputError(f"store {self.path}: damaged ({state}); restore a copy or start a new file")
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
        except sqlite3.OperationalError as error:
            raise InputError(f"store {self.path}: {error}; expected a file that can be read and written") from error
        except sqlite3.DatabaseError as error:
            raise InputError(
                f"store {self.path}: no score store, or damaged ({error}); restore a copy or choose another name"
            ) from error

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
            self._db.execute(_PUT_SCORE, line)
            self._db.execute(_PUT_PAIR, pair)

    def merge(self, other: Path) -> int:
        """Take over what another store has and this one lacks; returns how many scores and failures came.

        The order of merges does not matter to the scores: a score is never replaced, a failure gives way to one.

        Raises:
            InputError: the other file is no score store.
        """
        with ScoreStore(other, create=False):
            pass
        before = len(self)
        columns = ", ".join(_SCORE)
        with self._errors():
            self._db.execute("ATTACH ? AS other", (str(other),))
            try:
                with self._transaction():
                    self._db.execute(
                        f"INSERT INTO scores SELECT {columns} FROM other.scores WHERE true "
                        "ON CONFLICT DO UPDATE SET score = excluded.score, error = excluded.error, "
                        "seconds = excluded.seconds WHERE scores.score IS NULL AND excluded.score IS NOT NULL"
                    )
                    self._db.execute(f"INSERT OR IGNORE INTO pairs SELECT {', '.join(_PAIR)} FROM other.pairs")
            finally:
                self._db.execute("DETACH other")
        return len(self) - before

    def rows(self, *, like: ScoreKey | None = None) -> Iterator[dict[str, Any]]:
        """Yield every pair and score as a plain dict, in an order that does not depend on when they were written.

        Keys: the fields of :class:`~causaliqa.specs.ScoreRow` and of :class:`~causaliqa.specs.ScoreKey`; ``metric`` is
        the name that the row was shown under, ``metric_name`` that of the key. Scores of images that have changed
        since are left out.

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
