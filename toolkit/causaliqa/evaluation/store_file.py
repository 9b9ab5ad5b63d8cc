"""The file of a score store: opened, checked in full before anything is written, and every fault of it explained."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from causaliqa.api.errors import CausaliqaError, InputError, OutputError
from causaliqa.evaluation.store_tables import COLUMNS, LAYOUT, TABLES, checksum
from causaliqa.utils.locks import has_locks
from causaliqa.utils.text import shorten

__all__ = ["StoreFile", "check_locks"]

_APPLICATION = 0x43495141
"""Application id in SQLite's header that identifies a score store (the letters CIQA)."""
_BUSY = 60.0
"""Seconds to wait for a lock of another process."""


class StoreFile:
    """An open SQLite file with the tables of a store; closed at the end of a ``with`` statement.

    Args:
        path: the file; created if it does not exist.
        create: False to require an existing file.

    Raises:
        InputError: the file cannot be opened, is damaged, is no score store, or has another layout.
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
        if create and str(path) != ":memory:":
            check_locks(self.path)
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
            if not has_locks(self.path.absolute().parent):
                raise sqlite3.OperationalError("its file system has no locks")
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
        if any(sign in what for sign in ("lock", "I/O")) and not has_locks(self.path.absolute().parent):
            return _no_locks(self.path)
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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; all rows are committed already."""
        self._db.close()


def check_locks(path: str | os.PathLike[str]) -> None:
    """Refuse a store on a file system without locks, before any work.

    Raises:
        InputError: files beside the store cannot be locked.
    """
    if not has_locks(Path(path).absolute().parent):
        raise _no_locks(path)


def _no_locks(path: str | os.PathLike[str]) -> InputError:
    return InputError(
        f"store {os.fspath(path)}: its file system has no locks, which SQLite needs (Lustre without -o flock, or NFS "
        "whose lock daemon is down); put the store into a local folder, one store a shard, and join them with --merge"
    )
