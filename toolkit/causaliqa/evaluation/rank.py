"""The leaderboard job: rows of scores -> statistics."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from causaliqa.evaluation.groups import DRAWS, Group, groups_of
from causaliqa.functional.statistics import Summary, contradicts

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DRAWS", "rank", "rank_groups", "wrong_directions"]


def rank(frame: pd.DataFrame, *, by: str | None = None, draws: int = DRAWS, seed: int = 0) -> pd.DataFrame:
    """Turn scores into one line of statistics per data set and metric, best SRCC first within a data set.

    Correlations are positive where metric and label agree *as declared*: nothing is made positive afterwards. Intervals
    and ties resample references, not images (:mod:`causaliqa.functional.significance`), with the fits held fixed. Two
    references or fewer get neither: two agree, or not, by chance.

    Args:
        frame: one line a pair and metric, as :func:`causaliqa.evaluate` returns it; where references are unknown
            every image counts as one of its own.
        by: a further column to break down by, for example ``"type"``.
        draws: resamples behind intervals and ties; 0 leaves them out.
        seed: seed of the resamples.

    Returns:
        Columns dataset, metric, (by,) n, n_failed, plcc (after the 4-parameter logistic fit), srcc, krcc, rmse (after
        the fit, in the unit of the labels), plcc_raw, fit, direction_ok, seconds (per pair), or (outlier ratio, where
        deviations of labels are known), srcc_ci, plcc_ci (95 %), best_group (may be the best by SRCC, at 5 %), p_best
        (p of the hypothesis that the metric is the best), clusters (what was resampled: ``ref``, or ``image`` where
        references are unknown), references (how many of them).

    Raises:
        InputError: columns are missing.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"dataset": "d", "metric": "m", "score": [3.0, 2.0, 1.0], "label": [1.0, 2.0, 3.0]})
        >>> rank(frame.assign(label_lower_better=False, lower_better=True))[["n", "srcc"]].values.tolist()
        [[3.0, 1.0]]
    """
    return rank_groups(groups_of(frame, by=by, draws=draws, seed=seed))


def rank_groups(groups: Iterable[Group]) -> pd.DataFrame:
    """Return what :func:`rank` does for scores that were put beside each other already."""
    import pandas as pd

    table = pd.DataFrame([line for group in groups for line in _lines(group)])
    first = ["dataset", "metric"]
    by = [c for c in table.columns[: list(table.columns).index("metric")] if c not in first]
    return table[[*first, *by, *(c for c in table.columns if c not in (*first, *by))]]


def _lines(group: Group) -> list[dict[str, Any]]:
    """Return a line for every metric, the best SRCC first."""
    lines = [
        {**group.names, "metric": m, **_statistics(summary, group.rows[m])}
        for m, summary in zip(group.metrics, group.summaries, strict=True)
    ]
    if group.draws:
        lines = [{**line, **_uncertainty(group, k)} for k, line in enumerate(lines)]
    return [lines[k] for k in group.order]


def _uncertainty(group: Group, metric: int) -> dict[str, Any]:
    """Return the interval of one metric, and whether it may be the best."""
    return {
        "srcc_ci": list(group.boot.interval(metric, "srcc")),
        "plcc_ci": list(group.boot.interval(metric, "plcc")),
        "best_group": group.best.tied()[metric],
        "p_best": float(group.best.p_best[metric]),
        "clusters": "ref" if group.by_reference else "image",
        "references": group.references,
    }


def _statistics(summary: Summary, rows: pd.DataFrame) -> dict[str, Any]:
    known = {} if summary.outlier_ratio is None else {"or": summary.outlier_ratio}
    return {
        "n": summary.n,
        "n_failed": summary.n_failed,
        "plcc": summary.plcc,
        "srcc": summary.srcc,
        "krcc": summary.krcc,
        "rmse": summary.rmse,
        "plcc_raw": summary.plcc_raw,
        "fit": {
            "kind": summary.fit.kind,
            "params": list(summary.fit.params),
            "converged": summary.fit.converged,
            "label_range": list(summary.label_range),
        },
        "direction_ok": summary.direction_ok,
        "seconds": float(rows["seconds"].mean()) if "seconds" in rows else None,
        **known,
    }


def wrong_directions(table: pd.DataFrame) -> list[str]:
    """Return a line for every rank whose correlation contradicts the declared directions significantly."""
    return [
        f"{row.metric} on {row.dataset}: SRCC {row.srcc:.3f} over {row.n} images contradicts the declared direction; "
        "check lower_better of the metric and mos or dmos of the labels"
        for row in table.itertuples()
        if contradicts(float(row.srcc), int(row.n))  # type: ignore[arg-type]
    ]
