"""Results of metrics on data that they were trained on: marked in tables, left out on request, counted in notes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from causaliqa.api.errors import InputError
from causaliqa.catalog.training import has_seen, training_text
from causaliqa.report.provenance import MetricFacts

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["training_notes", "unseen_rows", "with_seen", "with_training"]

logger = logging.getLogger(__name__)


def with_seen(
    facts: Iterable[MetricFacts], datasets: Iterable[str], origins: Mapping[str, str]
) -> tuple[MetricFacts, ...]:
    """Return facts that know which data sets of a table hold images of their metrics' training data.

    Args:
        facts: facts about the metrics.
        datasets: names of the data sets of the table.
        origins: data set that the images of another one come from, see :func:`causaliqa.catalog.training.has_seen`.
    """
    names = list(dict.fromkeys(datasets))
    return tuple(
        replace(fact, seen_on=tuple(name for name in names if has_seen(name, fact.trained_on, origins)))
        for fact in facts
    )


def with_training(table: pd.DataFrame, facts: Iterable[MetricFacts]) -> pd.DataFrame:
    """Return a table with what its metrics were trained on.

    Args:
        table: lines with the columns dataset and metric.
        facts: facts about the metrics; without them, training is unknown.

    Returns:
        The table with two more columns: ``trained_on``, the data sets as text, and ``seen``: whether the data set of
        the line is among them, None if that is unknown.

    Example:
        >>> import pandas as pd
        >>> fact = MetricFacts(name="m", lower_better=False, provider="p", trained_on=("live", "csiq"))
        >>> with_training(pd.DataFrame({"dataset": ["live", "pipal"], "metric": "m"}), [fact])
          dataset metric trained_on   seen
        0    live      m  live+csiq   True
        1   pipal      m  live+csiq  False
    """
    import pandas as pd

    known = {fact.name: fact for fact in facts if fact.trained_on is not None}
    found = [(d, known.get(m)) for d, m in zip(table["dataset"], table["metric"], strict=True)]
    return table.assign(
        trained_on=[training_text(fact.trained_on if fact else None) for _, fact in found],
        seen=pd.Series([fact.trained_here(d) if fact else None for d, fact in found], dtype=object, index=table.index),
    )


def unseen_rows(rows: pd.DataFrame, facts: Iterable[MetricFacts]) -> pd.DataFrame:
    """Return the rows of scores without those of metrics on data that they were trained on; unknown ones stay.

    Raises:
        InputError: no row is left.
    """
    results = rows[["dataset", "metric"]].drop_duplicates()
    marked = with_training(results, facts)
    seen = {(line.dataset, line.metric) for line in marked.itertuples() if line.seen}
    logger.info("%s on a metric's own training data left out", _counted(len(seen), "result"))
    kept = rows[[pair not in seen for pair in zip(rows["dataset"], rows["metric"], strict=True)]]
    if kept.empty:
        raise InputError("--unseen: nothing is left, every metric was trained on every data set; add others")
    return kept.reset_index(drop=True)


def training_notes(
    rows: pd.DataFrame,
    facts: Iterable[MetricFacts],
    *,
    unseen: bool = False,
) -> tuple[str, ...]:
    """Return sentences on how many results are on training data, and of how many metrics that is unknown.

    Args:
        rows: scores, the results on training data included.
        facts: facts about the metrics.
        unseen: results on training data are left out of the tables.
    """
    results = rows[["dataset", "metric"]].drop_duplicates()
    marked = with_training(results, facts)
    seen = [f"{line.metric} on {line.dataset}" for line in marked.itertuples() if line.seen]
    strange = list(dict.fromkeys(marked.loc[marked["trained_on"] == "unknown", "metric"]))
    notes = []
    if seen and unseen:
        notes.append(f"left out: {_counted(len(seen), 'result')} on a metric's own training data ({_some(seen)})")
    elif seen:
        notes.append(f"{_counted(len(seen), 'result')} on a metric's own training data, marked with an asterisk")
    elif unseen:
        notes.append("left out: nothing, no result is known to be on a metric's own training data")
    if strange:
        of = _counted(results["metric"].nunique(), "metric")
        notes.append(f"nothing is known about the training data of {len(strange)} of {of} ({_some(strange)})")
    return tuple(notes)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _some(names: list[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
