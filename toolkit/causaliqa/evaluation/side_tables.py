"""Further tables of a leaderboard from rows of scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from causaliqa.evaluation.groups import DRAWS, Group, groups_of
from causaliqa.evaluation.protocol_tables import pair_tables, protocol_table, sets_table
from causaliqa.evaluation.side_table import DEFAULT_TABLES, SideTable, check_subjects, check_tables
from causaliqa.evaluation.vqeg_tables import vqeg_table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["side_tables", "tables_of"]


def side_tables(
    frame: pd.DataFrame,
    tables: Iterable[str] = DEFAULT_TABLES,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    subjects: int | Mapping[str, int] | None = None,
) -> tuple[SideTable, ...]:
    """Turn scores into the tables beside a leaderboard.

    ``protocols``: SRCC over all images beside SRCC within references, with a warning for every two metrics that the
    two order differently beyond chance; over two data sets and more the mean, the worst set and the mean rank.
    ``vqeg``: Krasula's areas, resolving power and the errors of ITU-T P.1401. ``pairs``: difference and p of all pairs.
    A table is left out where it cannot be known: there is nothing within references where these are unknown.

    Args:
        frame: one line a pair and metric, as :func:`causaliqa.evaluate` returns it.
        tables: kinds, of ``protocols``, ``vqeg`` and ``pairs``.
        draws: resamples behind intervals and verdicts; 0 leaves out what needs them.
        seed: seed of the resamples.
        subjects: subjects behind every label, the same for all data sets or by data set, where ``label_std`` is the
            standard deviation between them; by default ``label_std`` is taken as the standard error of the label.

    Raises:
        InputError: columns are missing, a kind is unknown, or a number of subjects is below 2.

    Example:
        >>> import numpy as np, pandas as pd
        >>> label = np.arange(60.0)
        >>> rows = pd.DataFrame({"dataset": "d", "ref": np.arange(60) // 12, "label": label})
        >>> one, two = rows.assign(metric="one", score=label), rows.assign(metric="two", score=label % 12)
        >>> both = pd.concat([one, two]).assign(lower_better=False, label_lower_better=False)
        >>> (made,) = side_tables(both, draws=100)
        >>> made.frame[["metric", "srcc_all", "srcc_within"]].round(2).values.tolist()
        [['one', 1.0, 1.0], ['two', 0.2, 1.0]]
    """
    return tables_of(groups_of(frame, draws=draws, seed=seed), tables, subjects=subjects)


def tables_of(
    groups: Sequence[Group],
    tables: Iterable[str] = DEFAULT_TABLES,
    *,
    subjects: int | Mapping[str, int] | None = None,
) -> tuple[SideTable, ...]:
    """Return what :func:`side_tables` does for scores that were put beside each other already.

    Args:
        groups: one for every data set.
        tables: kinds.
        subjects: as for :func:`side_tables`.

    Raises:
        InputError: a kind is unknown, or a number of subjects is below 2.
    """
    kinds = check_tables(tables)
    check_subjects(subjects)
    counts = subjects if isinstance(subjects, Mapping) else {str(g.names["dataset"]): subjects for g in groups}
    return tuple(_distinct(_made(groups, kinds, counts)))


def _made(
    groups: Sequence[Group], kinds: Sequence[str], subjects: Mapping[str, int | None]
) -> Iterator[SideTable | None]:
    if "protocols" in kinds:
        yield sets_table(groups)
        yield from map(protocol_table, groups)
    if "vqeg" in kinds:
        yield from (vqeg_table(group, subjects=subjects.get(str(group.names["dataset"]))) for group in groups)
    if "pairs" in kinds:
        for group in groups:
            yield from pair_tables(group)


def _distinct(tables: Iterable[SideTable | None]) -> Iterator[SideTable]:
    """Leave out what could not be made, and number tables whose data sets have nearly the same name."""
    seen: dict[str, int] = {}
    for table in filter(None, tables):
        seen[table.name] = seen.get(table.name, 0) + 1
        yield replace(table, name=f"{table.name}-{seen[table.name]}") if seen[table.name] > 1 else table
