"""The score store: one SQLite file; if a run is killed, every pair finished before is in it.

Two tables. ``scores`` holds scores by everything they depend on (images by their content, see
:class:`~causaliqa.api.data.ScoreKey`). ``pairs`` holds the facts of a data set about its images (names, label, type):
after a correction of labels nothing is computed again, and identical images share one score. Every row carries a
checksum of its values, so that a changed value is detected even in a file that SQLite accepts.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from causaliqa.api.data import ScoreKey, ScoreRow
from causaliqa.api.errors import InputError
from causaliqa.evaluation.store_file import StoreFile
from causaliqa.evaluation.store_tables import (
    COLUMNS,
    FLAGS,
    KEY,
    METRIC_COLUMNS,
    PAIR_NUMBERS,
    PAIR_TEXTS,
    PUT_PAIR,
    PUT_SCORE,
    SELECT_ROWS,
    TAKE_PAIR,
    TAKE_SCORE,
    with_checksum,
)

__all__ = ["ScoreStore", "StoredScore", "open_store"]


@dataclass(frozen=True, kw_only=True)
class StoredScore:
    """Stored result of one key."""

    score: float | None
    """Score; None if the metric failed."""
    error: str
    """Why it failed; empty if it did not."""
    seconds: float
    """Time that the metric took, in seconds."""


class ScoreStore(StoreFile):
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

    def __enter__(self) -> ScoreStore:
        return self

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

    def put_score(self, key: ScoreKey, *, name: str, lower_better: bool, score: float, seconds: float) -> None:
        """Write the score of images that belong to no data set, and commit it before returning.

        :meth:`get` finds it; :meth:`rows`, which lists labelled pairs, does not.

        Args:
            key: what the score depends on.
            name: what tables call the metric.
            lower_better: direction of the metric.
            score: the score.
            seconds: time that the metric took.
        """
        line = (*astuple(key), name, lower_better, score, "", seconds)
        with self._errors(), self._transaction():
            self._db.execute(PUT_SCORE, with_checksum("scores", line))

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
