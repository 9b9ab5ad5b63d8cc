"""Read score rows from score stores and csv files, and join them into one frame with unambiguous metric names."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from causaliqa.api.data import RANKED_COLUMNS, ScoreRow, columns
from causaliqa.api.errors import InputError
from causaliqa.catalog.training import parse_training
from causaliqa.evaluation.store import ScoreStore
from causaliqa.evaluation.store_tables import METRIC_COLUMNS
from causaliqa.report.provenance import MetricFacts, published_facts, published_options
from causaliqa.utils.text import csv_text, distinct_names, number

if TYPE_CHECKING:
    import pandas as pd

    from causaliqa.catalog.host import Registration

__all__ = ["Source", "is_store", "join", "read_rows", "read_store"]

_KINDS = {
    kind: [name for name, column in columns(ScoreRow).items() if column.kind is kind] for kind in (str, bool, float)
}
"""Columns of rows by type."""
_PIECE = 50_000
"""Rows that are turned into a frame at once."""
_IDENTITY = ("metric_name", *(name for name in METRIC_COLUMNS if name != "metric"))


@dataclass(frozen=True, kw_only=True)
class Source:
    """One file of rows."""

    path: Path
    """Path of the file."""
    rows: pd.DataFrame
    """Rows as :func:`causaliqa.evaluate` returns them."""
    metrics: tuple[MetricFacts, ...]
    """Facts about every metric in it."""


def is_store(path: str | os.PathLike[str]) -> bool:
    """Return whether a file is an SQLite file.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return file.read(16) == b"SQLite format 3\0"
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def read_store(path: str | os.PathLike[str], records: Mapping[str, Registration[Any]]) -> Source:
    """Return the rows of a score store; different versions, options, weights or seeds of a metric get distinct names.

    Args:
        path: file that ``--store`` wrote.
        records: registered metrics by name, for their licences.

    Raises:
        InputError: the file is no score store, or holds no scores.
    """
    import pandas as pd

    path = Path(path)
    with ScoreStore(path, create=False) as store:
        stored = store.rows()
        # In pieces: one dict a row would need ten times the memory of the frame.
        pieces = [pd.DataFrame(piece) for piece in iter(lambda: list(islice(stored, _PIECE)), [])]
    if not pieces:
        raise InputError(
            f"store {path}: it holds no scores of labelled pairs; expected one that leaderboard --store has filled"
        )
    rows = pd.concat(pieces, ignore_index=True)
    kinds: dict[str, list[tuple[Any, ...]]] = {}
    for shown, *rest in rows[["metric", *_IDENTITY]].drop_duplicates().itertuples(index=False):
        kinds.setdefault(shown, []).append(tuple(rest))
    labels = {
        (shown, identity): label
        for shown, several in kinds.items()
        for identity, label in zip(several, _labels(shown, several), strict=True)
    }
    keys = zip(rows["metric"], rows[list(_IDENTITY)].itertuples(index=False, name=None), strict=True)
    rows["metric"] = [labels[key] for key in keys]
    directions = rows.drop_duplicates("metric").set_index("metric")["lower_better"]
    facts = []
    for (_, identity), label in labels.items():
        name, version, options, weights, seed, _ = identity
        record = records.get(name)
        facts.append(
            MetricFacts(
                name=label,
                lower_better=bool(directions[label]),
                provider=record.provider if record else f"{name}, which is not installed here",
                licence=record.spec.licence if record else "not stated",
                version=version,
                options=published_options(options),
                weights=f"sha256:{weights}" if weights else "no weights file",
                seed=seed,
                **published_facts(record, json.loads(options)),
            )
        )
    return Source(path=path, rows=rows.drop(columns=list(_IDENTITY)), metrics=tuple(facts))


def _labels(shown: str, identities: Sequence[tuple[Any, ...]]) -> list[str]:
    """Return one name per identity, which states everything in which they differ.

    >>> _labels("m", [("m", "1", "{}", "", 0, "1"), ("m", "2", "{}", "", 0, "1")])
    ['m [version 1]', 'm [version 2]']
    """
    differ = [k for k, values in enumerate(zip(*identities, strict=True)) if len(set(values)) > 1]
    names = []
    for identity in identities:
        stated = [f"{_IDENTITY[k].removesuffix('_name')} {_short(_IDENTITY[k], identity[k])}" for k in differ]
        names.append(f"{shown} [{', '.join(stated)}]" if stated else shown)
    return names


def _short(what: str, value: Any) -> str:
    if what == "options":
        return published_options(str(value))
    return (str(value)[:8] or "none") if what == "weights" else str(value)


def read_rows(path: str | os.PathLike[str]) -> Source:
    """Return the rows that ``causaliqa leaderboard --rows`` wrote.

    Raises:
        InputError: the file cannot be read, or is not such a file.
    """
    import pandas as pd

    path = Path(path)
    try:
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise InputError(f"{path} cannot be read: {error}; expected a csv file that --rows wrote") from error
    if lacking := [c for c in RANKED_COLUMNS if c not in rows.columns]:
        raise InputError(
            f"{path}: column {lacking[0]!r} is missing; expected a csv file that --rows wrote, with "
            f"{', '.join(RANKED_COLUMNS)}"
        )
    if rows.empty:
        raise InputError(f"{path}: it holds no rows")
    for column in [c for c in _KINDS[str] if c in rows]:
        rows[column] = rows[column].map(csv_text)
    for column in _KINDS[bool]:
        rows[column] = _flags(rows[column], f"{path}: column {column!r}")
    for column in [c for c in _KINDS[float] if c in rows]:
        rows[column] = _numbers(rows[column], f"{path}: column {column!r}")
    if "error" not in rows:
        rows["error"] = np.where(rows["score"].isna(), "no score", "")
    first = rows.drop_duplicates("metric")
    facts = tuple(
        MetricFacts(
            name=name,
            lower_better=bool(lower_better),
            provider=f"scores read from {path.name}",
            weights="weights unknown",
            trained_on=_training(path, training),
        )
        for name, lower_better, training in zip(
            first["metric"],
            first["lower_better"],
            first["trained_on"] if "trained_on" in first else ["unknown"] * len(first),
            strict=True,
        )
    )
    return Source(path=path, rows=rows, metrics=facts)


def _training(path: Path, cell: str) -> tuple[str, ...] | None:
    return parse_training(csv_text(cell) or "unknown", f"{path}: column 'trained_on'")


def _flags(values: pd.Series[Any], what: str) -> pd.Series[Any]:
    texts = values.astype(str).str.lower()
    if bad := sorted(set(texts) - {"true", "false"}):
        raise InputError(f"{what}: got {bad[0]!r}, expected True or False")
    return texts == "true"


def _numbers(values: pd.Series[Any], what: str) -> pd.Series[Any]:
    def read(cell: str) -> float:
        try:
            return number("nan" if cell.strip().lower() in ("", "none") else cell)
        except ValueError:
            raise InputError(f"{what}: got {cell!r}, expected a number") from None

    return values.map(read).astype(float)


def join(sources: Sequence[Source]) -> tuple[pd.DataFrame, tuple[MetricFacts, ...]]:
    """Return the rows of several files as one frame; a metric found in two of them carries the file in its name.

    Raises:
        InputError: two files give different directions for the labels of one data set.
    """
    import pandas as pd

    pairs = [set(zip(s.rows["dataset"], s.rows["metric"], strict=True)) for s in sources]
    frames, facts = [], []
    labels = distinct_names([source.path for source in sources])
    for own, source, label in zip(pairs, sources, labels, strict=True):
        others = set().union(*(p for p in pairs if p is not own))
        names = {metric: f"{metric} [{label}]" for _, metric in own & others}
        frames.append(source.rows.assign(metric=source.rows["metric"].map(lambda m, n=names: n.get(m, m))))
        facts += [replace(fact, name=names.get(fact.name, fact.name)) for fact in source.metrics]
    rows = pd.concat(frames, ignore_index=True)
    directions = rows.groupby("dataset", sort=False)["label_lower_better"].nunique()
    if mixed := directions[directions > 1].index.tolist():
        raise InputError(
            f"data set {mixed[0]!r}: its labels are low-is-good in one file and high-is-good in another; "
            "they are different data sets, make a page of each"
        )
    return rows, tuple(facts)
