"""The score store: one SQLite file; if a run is killed, every pair finished before is in it.

Two tables. ``scores`` holds scores by everything they depend on (images by their content, see
:class:`~causaliqa.api.data.ScoreKey`). ``pairs`` holds the facts of a data set about its images (names, label, type):
after a correction of labels nothing is computed again, and identical images share one score. Every row carries a
checksum of its values, so that a changed value is detected even in a file that SQLite accepts.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from causaliqa.api.data import ScoreKey, ScoreRow
from causaliqa.api.errors import CausaliqaError, InputError, OutputError
from causaliqa.evaluation.store_tables import (
    COLUMNS,
    FLAGS,
    KEY,
    LAYOUT,
    METRIC_COLUMNS,
    PAIR_NUMBERS,
    PAIR_TEXTS,
    PUT_PAIR,
    PUT_SCORE,
    SELECT_ROWS,
    TABLES,
    TAKE_PAIR,
    TAKE_SCORE,
    checksum,
    with_checksum,
)
from causaliqa.utils.text import shorten

__all__ = ["ScoreStore", "StoredScore", "open_store"]

_APPLICATION = 0x43495141
"""Application id in SQLite's header that identifies a score store (the letters CIQA)."""
_BUSY = 60.0
"""Seconds to wait for a lock of another process."""


@dataclass(frozen=True, kw_only=True)
class StoredScore:
    """Stored result of one key."""

    score: float | None
    """Score; None if the metric failed."""
    error: str
    """Why it failed; empty if it did not."""
    seconds: float
    """Time that the metric took, in seconds."""


class ScoreStore:
    """Scores in one SQLite file, each committed at once; use it as a context manager.

    Args:
        path: the file; created if it does not exist.
        create: False to require an existing file.

    Raises:
        InputError: the file cannot be opened, is damaged, is no score store, or has another layout.

    Example:
        >>> import tempfile
        >>> key = ScoreKey(metric="psnr", version="1", dataset="d", img_hash="a", ref_hash="b", protocol="1")
        >>> row = ScoreRow(dataset="d", metric="psnr", ref="r.png", dist="i.png", label=3.0, score=30.5)
        >>> with tempfile.TemporaryDirectory() as folder, ScoreStore(Path(folder) / "scores.sqlite") as store:
        ...     store.put(key, row)
        ...     store.get([key])[key].score
        30.5
    """

    def __init__(self, path: str | os.PathLike[str], *, create: bool = True) -> None:
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
                # While the write-ahead log is created or removed, SQLite fails at once, whatever its timeout.
                if "locked" not in str(error) or time.monotonic() > until:
                    raise
                time.sleep(0.01)
            else:
                return

    def _open(self, there: bool, create: bool) -> None:
        alone = self._check_rows() if there else False
        where = f"{self.path.absolute().as_uri()}?immutable=1" if alone and not create else self.path
        self._db = sqlite3.connect(where, timeout=_BUSY, isolation_level=None, uri=where is not self.path)
        try:
            self._prepare()
        except BaseException:
            self._db.close()
            raise

    def _log(self) -> Path:
        """Return the path of SQLite's write-ahead log, which a killed process leaves behind."""
        return self.path.with_name(f"{self.path.name}-wal")

    def _check_kind(self) -> None:
        """Refuse other files: SQLite takes very short ones for empty databases and overwrites them."""
        with self.path.open("rb") as file:
            head = file.read(100)
        if head[:16] == b"SQLite format 3\0":
            return
        if head[68:72] == _APPLICATION.to_bytes(4, "big"):
            raise self._damaged("its first bytes are not those of a store")
        raise InputError(f"store {self.path}: no score store, but a file of another kind; choose another name")

    def _check_rows(self) -> bool:
        """Check every row before anything is written; return whether the file is on a read-only disk.

        Opens read-only, so that a damaged file and its log stay unchanged for :func:`recover`.
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
                # quick_check does not compare an index with its table.
                if (state := self._pragma("integrity_check(1)")) != "ok":
                    raise self._damaged(shorten(str(state), 100))
                for table, columns in COLUMNS.items():
                    for line in db.execute(f"SELECT {', '.join(columns)}, sum FROM {table}"):
                        if checksum(line[:-1]) != line[-1]:
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
        """Check the layout, or create the tables; two processes may do so at the same time."""
        if self._is_empty():
            self._db.execute("PRAGMA journal_mode = WAL")
            with self._transaction():
                if self._is_empty():
                    # executescript would commit in between.
                    for statement in TABLES.split(";\n"):
                        self._db.execute(statement)
                    self._db.execute(f"PRAGMA application_id = {_APPLICATION}")
                    self._db.execute(f"PRAGMA user_version = {LAYOUT}")
        self._check_layout()
        # In WAL mode a killed process loses nothing; only a power failure can lose the last rows.
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
            raise self._explained(str(error)) from error
        except UnicodeDecodeError as error:  # SQLite's own message quotes what is damaged
            raise self._damaged("its text is no UTF-8") from error

    def _explained(self, what: str) -> CausaliqaError:
        """Return the error that explains an SQLite message to users."""
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
        """Close the file; all rows are committed already."""
        self._db.close()

    def __len__(self) -> int:
        """Number of scores and failures."""
        with self._errors():
            return int(self._db.execute("SELECT count(*) FROM scores").fetchone()[0])

    def get(self, keys: Iterable[ScoreKey], *, failed: bool = False) -> dict[ScoreKey, StoredScore]:
        """Return the stored results of those keys that have one.

        Args:
            keys: keys to look up.
            failed: also return failures; otherwise they are left out, so that callers try them again.
        """
        query = f"SELECT score, error, seconds FROM scores WHERE {' AND '.join(f'{name} = ?' for name in KEY)}"
        found = {}
        with self._errors():
            for key in keys:
                line = self._db.execute(query, astuple(key)).fetchone()
                if line is not None and (failed or line[0] is not None):
                    found[key] = StoredScore(score=line[0], error=line[1], seconds=line[2])
        return found

    def put(self, key: ScoreKey, row: ScoreRow) -> None:
        """Write one row, and commit it before returning.

        An existing score is kept, a failure is replaced. The facts about the pair replace older ones: also put rows
        whose score came from :meth:`get`, so that :meth:`rows` returns every pair.

        Raises:
            InputError: key and row name different data sets, or the row has neither score nor error.
        """
        if key.dataset != row.dataset:
            raise InputError(f"store: got data set {row.dataset!r} under the key of {key.dataset!r}")
        score = row.score if row.score is not None and row.score == row.score else None
        if (score is None) != bool(row.error):
            raise InputError(f"store: got score {row.score} and error {row.error!r}, expected one of them")
        pair = (*(getattr(row, name) for name in (*PAIR_TEXTS, *PAIR_NUMBERS)), key.img_hash, key.ref_hash)
        line = (*astuple(key), row.metric, row.lower_better, score, row.error, row.seconds)
        with self._errors(), self._transaction():
            self._db.execute(PUT_SCORE, with_checksum("scores", line))
            self._db.execute(PUT_PAIR, with_checksum("pairs", pair))

    def merge(self, other: str | os.PathLike[str]) -> int:
        """Add what another store has and this one lacks; return the number of scores and failures added.

        The order of merges does not change the scores: a score is never replaced, a failure is replaced by a score.

        Raises:
            InputError: the other file is no score store.
        """
        with ScoreStore(other, create=False) as source:
            return self.take(source.lines("scores"), source.lines("pairs"))

    def lines(self, table: str) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a table (one of :data:`COLUMNS`) as they are stored, each with its checksum."""
        with self._errors():
            yield from self._db.execute(f"SELECT {', '.join(COLUMNS[table])}, sum FROM {table}")

    def take(self, scores: Iterable[tuple[Any, ...]], pairs: Iterable[tuple[Any, ...]]) -> int:
        """Add rows as :meth:`lines` yields them, all or none; return the number of scores and failures added.

        Existing scores and pairs are kept; a failure is replaced by a score.
        """
        before = len(self)
        with self._errors(), self._transaction():
            self._db.executemany(TAKE_SCORE, scores)
            self._db.executemany(TAKE_PAIR, pairs)
        return len(self) - before

    def rows(self, *, like: ScoreKey | None = None) -> Iterator[dict[str, Any]]:
        """Yield every pair with every score as a dict, in an order that does not depend on the order of writing.

        Keys: the fields of :class:`~causaliqa.api.data.ScoreRow` and :class:`~causaliqa.api.data.ScoreKey`;
        ``metric`` is the name in tables, ``metric_name`` that of the key. Scores of images that have changed since
        are left out.

        Args:
            like: only rows with the same :data:`METRIC_COLUMNS`, so that different settings of a metric never mix in
                one table; a metric's ``key`` is such a key.
        """
        where = f"WHERE {' AND '.join(f'{name} = ?' for name in METRIC_COLUMNS)}" if like else ""
        with self._errors():
            cursor = self._db.execute(
                SELECT_ROWS.format(where=where), [getattr(like, name) for name in METRIC_COLUMNS] if like else []
            )
            names = [column[0] for column in cursor.description]
            for line in cursor:
                row = dict(zip(names, line, strict=True))
                row.update({flag: bool(row[flag]) for flag in FLAGS})
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
