"""Tables of protocols beside each other, of several data sets taken together, and of all pairs of metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from causaliqa.evaluation.groups import Group
from causaliqa.evaluation.side_table import SideTable, table_name
from causaliqa.functional.best import Comparison, compare_sets
from causaliqa.functional.protocols import SMALLEST, flips, over_sets
from causaliqa.functional.significance import FEWEST

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["pair_tables", "protocol_table", "sets_table"]

Array = NDArray[np.float64]

_MOST_FLIPS = 5
"""Warnings on contradicting orders that are written out; the rest is counted."""


def protocol_table(group: Group) -> SideTable | None:
    """Return SRCC over all images beside SRCC within references; None where the latter is unknown.

    Args:
        group: one data set.
    """
    if not group.by_reference or not group.draws:
        return None
    board, within = group.protocols, group.protocols.srcc("within")
    if not np.isfinite(within).any():
        return None
    dataset = str(group.names["dataset"])
    columns: dict[str, Iterable[Any]] = {"metric": group.metrics}
    for name, values, compared in (("all", group.srcc, group.best), ("within", within, group.best_within)):
        columns[f"srcc_{name}"] = values
        columns[f"srcc_{name}_ci"] = board.intervals(name).tolist()
        columns[f"srcc_{name}_best"] = compared.tied()
        columns[f"p_{name}"] = compared.p_best
        columns[f"rank_{name}"] = _ranks(values)
    columns["references"] = board.references("within")
    return SideTable(
        name=table_name("protocols", dataset),
        title=f"Protocols on {dataset}",
        note=(
            "SRCC over all images, which asks for one scale across contents, and within references: the mean over "
            f"references of the SRCC of each. A reference counts with {SMALLEST} scored images or more whose labels "
            "differ; where only the scores are constant it counts as 0. Intervals (95 %) come from the same resampled "
            "references; p tests that the metric is the best under the protocol, and marked are those that may be, at "
            "5 %. Two protocols contradict each other where both order two metrics significantly and "
            "differently (largest |t| over all pairs and both protocols, at most 5 % false alarms in a table; Gail and "
            "Simon, Biometrics 41(2), 1985)."
        ),
        frame=_frame(columns, group.order),
        warnings=(
            *_few(group),
            *_contradictions(group.metrics, (group.best, group.best_within), ("over all images", "within references")),
        ),
    )


def sets_table(groups: Sequence[Group], *, seed: int = 0) -> SideTable | None:
    """Return mean, worst set and mean rank over data sets; None with fewer than two sets or no common metric.

    Args:
        groups: one for every data set, with as many draws each.
        seed: seed of the comparison over sets.
    """
    common = [m for m in groups[0].metrics if all(m in group.metrics for group in groups)] if groups else []
    if len(groups) < 2 or not common or not groups[0].draws:
        return None
    places = [[group.metrics.index(m) for m in common] for group in groups]
    names = [str(group.names["dataset"]) for group in groups]
    found = over_sets([group.protocols.take(place) for group, place in zip(groups, places, strict=True)])
    compared = compare_sets(
        [(group.scores[place], group.labels, group.clusters) for group, place in zip(groups, places, strict=True)],
        draws=max(2, groups[0].draws),
        seed=seed,
    )
    single = [_taken(group.best, place) for group, place in zip(groups, places, strict=True)]
    left_out = sorted({m for group in groups for m in group.metrics} - set(common))
    missing = f" Left out, as a data set lacks them: {', '.join(left_out)}." if left_out else ""
    warnings = [line for group in groups for line in _few(group, named=True)]
    for a, b in combinations(range(len(groups)), 2):
        warnings += _contradictions(common, (single[a], _reordered(single[b], b)), (f"on {names[a]}", f"on {names[b]}"))
    columns: dict[str, Iterable[Any]] = {
        "metric": common,
        "srcc_mean": found.mean,
        "srcc_mean_ci": found.mean_interval.tolist(),
        "srcc_mean_best": compared.tied(),
        "srcc_worst": found.worst,
        "srcc_worst_ci": found.worst_interval.tolist(),
        "worst_set": [names[k] if k >= 0 else "" for k in found.worst_set],
        "rank_mean": found.rank,
        "rank_mean_ci": found.rank_interval.tolist(),
    }
    return SideTable(
        name="over-sets",
        title=f"Over {len(groups)} data sets",
        note=(
            f"SRCC over all images of {', '.join(names)}: mean, lowest (the worst case over distributions, Eq. 3 of "
            "the causal paper) and mean rank, every data set counting the same. Intervals (95 %) come from the draws "
            "of the single sets; that of the worst holds whichever set is the worst (Berger, Technometrics 24(4), "
            "1982), that of the rank, which depends on the other metrics, is the middle of the draws. Marked are the "
            f"metrics whose mean may be the best, at 5 %.{missing}"
        ),
        frame=_frame(columns, np.argsort(-found.mean, kind="stable").tolist()),
        warnings=tuple(warnings),
    )


def pair_tables(group: Group) -> tuple[SideTable, ...]:
    """Return all pairs of metrics as two matrices: differences of SRCC (row less column), and p of each.

    Args:
        group: one data set.
    """
    if not group.draws or len(group.metrics) < 2:
        return ()
    dataset, order = str(group.names["dataset"]), group.order
    difference = group.srcc[:, None] - group.srcc[None]
    names = [group.metrics[m] for m in order]
    rule = (
        "p of Student's t of the difference of Fisher's z, jackknife standard error over references, on the images "
        f"that both metrics scored; not corrected for the number of pairs, unknown below {FEWEST} references."
    )
    made = []
    for kind, title, note, values in (
        ("pairs", "Differences of SRCC", "SRCC of the row less SRCC of the column, over all images.", difference),
        ("pairs-p", "p of the differences of SRCC", f"Two-sided {rule}", group.best.p),
    ):
        columns: dict[str, Iterable[Any]] = {
            "metric": names,
            **{names[b]: values[order, m] for b, m in enumerate(order)},
        }
        frame = _frame(columns, range(len(names)))
        made.append(
            SideTable(
                name=table_name(kind, dataset),
                title=f"{title} on {dataset}",
                note=note,
                frame=frame,
                warnings=_few(group),
            )
        )
    return tuple(made)


def _frame(columns: Mapping[str, Iterable[Any]], order: Sequence[int]) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame({name: list(values) for name, values in columns.items()})
    return frame.iloc[list(order)].reset_index(drop=True)


def _ranks(values: Array) -> Array:
    """Return 1 for the highest value; equal values share the better rank, unknown ones have none."""
    ranks = stats.rankdata(np.where(np.isnan(values), np.inf, -values), method="min").astype(np.float64)
    return np.where(np.isnan(values), np.nan, ranks)


def _few(group: Group, *, named: bool = False) -> tuple[str, ...]:
    where = f"{group.names['dataset']}: " if named else ""
    what = "reference" if group.by_reference else "image"
    count = f"{group.references} {what}{'' if group.references == 1 else 's'}"
    lacking = f"{where}{count}, too few for intervals and for saying who may be the best; expected {FEWEST} or more"
    return (lacking,) if group.too_few else ()


def _taken(compared: Comparison, place: Sequence[int]) -> Comparison:
    """Return some of the metrics; the correction for all of them stays, which makes it stricter."""
    square = np.ix_(place, place)
    return replace(
        compared,
        srcc=compared.srcc[place],
        difference=compared.difference[square],
        t=compared.t[square],
        p=compared.p[square],
        p_best=compared.p_best[place],
    )


def _reordered(compared: Comparison, place: int) -> Comparison:
    """Return a comparison whose draws are paired at random with those of another data set: the two are independent."""
    return replace(compared, largest=np.random.default_rng(place).permutation(compared.largest))


def _contradictions(
    metrics: Sequence[str], compared: tuple[Comparison, Comparison], names: tuple[str, str]
) -> list[str]:
    """Return a line for every two metrics that two protocols order differently beyond chance, with all numbers."""
    found = flips(*compared)
    lines = []
    for flip in found[:_MOST_FLIPS]:
        one, other = (metrics[m] for m in flip.metrics)
        lines.append(
            f"{one} is better than {other} {names[0]} (SRCC {flip.first[0]:.3f} to {flip.first[1]:.3f}) and worse "
            f"{names[1]} ({flip.second[0]:.3f} to {flip.second[1]:.3f}), p {flip.p:.3f} corrected for all pairs"
        )
    if more := len(found) - len(lines):
        pairs = "pair of metrics is" if more == 1 else "pairs of metrics are"
        lines.append(f"{more} more {pairs} ordered differently {names[0]} and {names[1]} beyond chance")
    return lines
