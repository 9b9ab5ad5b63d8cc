"""Recover intact rows from a damaged score store.

SQLite stops at the first damaged page. Here every page of the file and of its write-ahead log is read on its own, and
the checksum of a row decides whether it is intact. Rows that SQLite can still read take precedence, because unused
pages may hold outdated rows. File format: https://sqlite.org/fileformat2.html.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from causaliqa.api.errors import CausaliqaError, InputError
from causaliqa.evaluation.store import ScoreStore
from causaliqa.evaluation.store_tables import COLUMNS, LAYOUT, with_checksum
from causaliqa.utils.files import unwritten

__all__ = ["Recovered", "recover"]

_PAGE = 4096
"""Page size in bytes if the header is damaged: SQLite's default since 2016."""
_LEAF, _INNER = 0x0A, 0x02
"""Types of pages with rows of a WITHOUT ROWID table."""
_INTEGERS = (0, 1, 2, 3, 4, 6, 8)
"""Bytes of an integer by serial type."""


@dataclass(frozen=True, kw_only=True)
class Recovered:
    """Counts of recovered rows."""

    scores: int
    """Scores and failures."""
    pairs: int
    """Pairs."""
    damaged: int
    """Rows found whose checksum does not match."""


def recover(store: str | os.PathLike[str], new: str | os.PathLike[str]) -> Recovered:
    """Write the intact rows of a damaged store, or of one with an older layout, to a new store.

    Args:
        store: the file; it is not modified.
        new: the new store; written completely or not at all.

    Raises:
        InputError: the file does not exist, or the new one does.
        CausaliqaError: no row is intact.
        OutputError: the new store cannot be written.
    """
    store, new = Path(store), Path(new)
    if not store.is_file():
        raise InputError(f"store {store}: there is no such file; expected one that --store has written")
    if new.exists():
        raise InputError(f"store {new}: it is there already; choose another name")
    found: dict[str, list[tuple[Any, ...]]] = {table: [] for table in COLUMNS}
    damaged = 0
    for values in _rows_by_page(store):
        table = next((t for t, columns in COLUMNS.items() if len(values) == len(columns) + 1), None)
        if table is None:
            continue
        with suppress(ValueError, TypeError, OverflowError):
            line = with_checksum(table, values[:-1])
            if line[-1] == values[-1]:
                found[table].append(line)
                continue
        damaged += 1
    try:
        with tempfile.TemporaryDirectory(dir=new.absolute().parent, prefix=".recover-") as folder:
            part = Path(folder) / "new.sqlite"
            with ScoreStore(part) as kept:
                for lines in ({t: _rows_by_sqlite(store, Path(folder), t) for t in COLUMNS}, found):
                    kept.take(lines["scores"], lines["pairs"])
                pairs = sum(1 for _ in kept.lines("pairs"))
                scores = len(kept)
            if not scores:
                raise CausaliqaError(f"store {store}: not one sound row was found, so {new} was not made")
            part.replace(new)
    except OSError as error:
        raise unwritten(new, error) from error
    return Recovered(scores=scores, pairs=pairs, damaged=damaged)


def _rows_by_sqlite(store: Path, folder: Path, table: str) -> Iterator[tuple[Any, ...]]:
    """Yield the rows that SQLite reads from a copy, up to the first damaged page."""
    copy = folder / "copy.sqlite"
    for end in ("", "-wal"):
        with suppress(FileNotFoundError):
            shutil.copyfile(f"{store}{end}", f"{copy}{end}")
    with suppress(sqlite3.Error, UnicodeDecodeError), closing(sqlite3.connect(copy)) as db:
        layout = db.execute("PRAGMA user_version").fetchone()[0]
        columns = [*COLUMNS[table], *(["sum"] if layout == LAYOUT else [])]
        for values in db.execute(f"SELECT {', '.join(columns)} FROM {table}"):
            with suppress(ValueError, TypeError, OverflowError):
                line = with_checksum(table, values[: len(COLUMNS[table])])
                # Older layouts had no checksums.
                if layout < LAYOUT or line[-1] == values[-1]:
                    yield line


def _rows_by_page(store: Path) -> Iterator[list[Any]]:
    """Yield every row of every page, intact or not."""
    content = store.read_bytes()
    size = int.from_bytes(content[16:18], "big")
    size = size if size in (512, 1024, 2048, 4096, 8192, 16384, 32768) else _PAGE
    pages = {k // size + 1: content[k : k + size] for k in range(0, len(content), size)}
    for page in list(pages.values()):
        yield from _rows_of(page, pages)
    log = Path(f"{store}-wal")
    frames = log.read_bytes() if log.is_file() else b""
    for k in range(32, len(frames) - size - 23, size + 24):
        if frames[k + 8 : k + 16] == frames[16:24]:  # otherwise the frame is left from an earlier use of the log
            page = frames[k + 24 : k + 24 + size]
            pages[int.from_bytes(frames[k : k + 4], "big")] = page
            yield from _rows_of(page, pages)


def _rows_of(page: bytes, pages: dict[int, bytes]) -> Iterator[list[Any]]:
    if len(page) < 12 or page[0] not in (_LEAF, _INNER):
        return
    start = 8 if page[0] == _LEAF else 12
    count = min(int.from_bytes(page[3:5], "big"), (len(page) - start) // 2)
    for (place,) in struct.iter_unpack(">H", page[start : start + 2 * count]):
        with suppress(IndexError, ValueError, struct.error, OverflowError):
            yield _record(_payload(page, place + (0 if page[0] == _LEAF else 4), pages))


def _payload(page: bytes, at: int, pages: dict[int, bytes]) -> bytes:
    """Return the bytes of a cell, including its overflow pages."""
    length, at = _varint(page, at)
    usable = len(page)
    most, least = (usable - 12) * 64 // 255 - 23, (usable - 12) * 32 // 255 - 23
    if length <= most:
        return page[at : at + length]
    here = least + (length - least) % (usable - 4)
    payload = page[at : at + (here := here if here <= most else least)]
    following = int.from_bytes(page[at + here : at + here + 4], "big")
    while following and len(payload) < length:
        further = pages.get(following, b"")
        if len(further) <= 4:
            raise ValueError("a page is missing")
        payload += further[4:]
        following = int.from_bytes(further[:4], "big")
    return payload[:length]


def _record(payload: bytes) -> list[Any]:
    """Read the values of a row."""
    end, at = _varint(payload, 0)
    place = end
    values: list[Any] = []
    while at < end:
        kind, at = _varint(payload, at)
        if kind in (0, 8, 9):
            values.append({0: None, 8: 0, 9: 1}[kind])
            continue
        length = _INTEGERS[kind] if kind < 7 else 8 if kind == 7 else (kind - 12) // 2
        part = payload[place : place + length]
        if len(part) < length:
            raise ValueError("a value is cut off")
        place += length
        if kind < 7:
            values.append(int.from_bytes(part, "big", signed=True))
        elif kind == 7:
            values.append(struct.unpack(">d", part)[0])
        else:
            values.append(part.decode() if kind % 2 else part)
    return values


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a variable-length integer (1 to 9 bytes) and the position after it."""
    value = 0
    for k in range(9):
        byte = data[at + k]
        if k == 8:
            return value << 8 | byte, at + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + k + 1
    raise ValueError("no number")
