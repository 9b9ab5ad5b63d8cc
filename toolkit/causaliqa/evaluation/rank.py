"""The leaderboard job: rows of scores -> statistics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from causaliqa.api.data import RANKED_COLUMNS
from causaliqa.api.errors import InputError
from causaliqa.functional.best import compare
from causaliqa.functional.logistic import Fit
from causaliqa.functional.significance import ClusterBootstrap
from causaliqa.functional.statistics import Summary, contradicts, orient, summarise

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DRAWS", "rank", "wrong_directions"]

DRAWS = 1000
"""Resamples behind intervals and ties, by default."""


def rank(frame: pd.DataFrame, *, by: str | None = None, draws: int = DRAWS, seed: int = 0) -> pd.DataFrame:
    """Turn scores into one line of statistics per data set and metric, best SRCC first within a data set.

    Correlations are positive where metric and label agree *as declared*: nothing is made positive afterwards. Intervals
    and ties resample references, not images (:mod:`causaliqa.functional.significance`), with the fits held fixed.

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
        references are unknown).

    Raises:
        InputError: columns are missing.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"dataset": "d", "metric": "m", "score": [3.0, 2.0, 1.0], "label": [1.0, 2.0, 3.0]})
        >>> rank(frame.assign(label_lower_better=False, lower_better=True))[["n", "srcc"]].values.tolist()
        [[3.0, 1.0]]
    """
    import pandas as pd

    groups = ["dataset", *([by] if by else [])]
    if lacking := [c for c in (*RANKED_COLUMNS, *groups) if c not in frame.columns]:
        raise InputError(f"rank: column {lacking[0]!r} is missing; got {', '.join(map(str, frame.columns))}")
    tables = [
        _rank_group(part, dict(zip(groups, names, strict=True)), draws, seed)
        for names, part in frame.groupby(groups, sort=False)
    ]
    table = pd.DataFrame([line for lines in tables for line in lines])
    return table[["dataset", "metric", *groups[1:], *(c for c in table.columns if c not in ("metric", *groups))]]


def _rank_group(part: pd.DataFrame, names: Mapping[str, Any], draws: int, seed: int) -> list[dict[str, Any]]:
    """Rank all metrics on the same images."""
    import pandas as pd

    metrics = list(dict.fromkeys(part["metric"]))
    first = dict(iter(part.groupby("metric", sort=False)))
    # Pairs are matched by their names where there are any; by their place only among those of the same name.
    named = [c for c in ("ref", "dist") if c in part.columns] if "dist" in part.columns else []
    part = part.assign(_place=part.groupby(["metric", *named], sort=False).cumcount())
    keys = [*named, "_place"]
    images = part.drop_duplicates(keys).set_index(keys)
    labels = images["label"].to_numpy(dtype=float)
    label_lower_better = bool(images["label_lower_better"].iloc[0])
    lower_better = {m: bool(first[m]["lower_better"].iloc[0]) for m in metrics}
    scores = part.assign(score=pd.to_numeric(part["score"]))
    values = {
        m: scores[scores["metric"] == m].set_index(keys)["score"].reindex(images.index).to_numpy(dtype=float)
        for m in metrics
    }
    images = images.reset_index()
    spread, label_range = _label_facts(images)
    summaries = {
        m: summarise(
            values[m],
            labels,
            lower_better=lower_better[m],
            label_lower_better=label_lower_better,
            label_std=spread,
            label_range=label_range,
        )
        for m in metrics
    }
    lines = [{**names, "metric": m, **_statistics(summaries[m], first[m])} for m in metrics]
    if draws:
        scored = [orient(values[m], lower_better[m]) for m in metrics]
        fits = [summaries[m].fit for m in metrics]
        lines = _with_uncertainty(lines, scored, fits, orient(labels, label_lower_better), images, draws, seed)
    return sorted(lines, key=lambda line: -np.inf if np.isnan(line["srcc"]) else line["srcc"], reverse=True)


def _with_uncertainty(
    lines: list[dict[str, Any]],
    scores: list[NDArray[np.float64]],
    fits: list[Fit],
    labels: NDArray[np.float64],
    images: pd.DataFrame,
    draws: int,
    seed: int,
) -> list[dict[str, Any]]:
    """Add intervals and ties to the lines of metrics whose scores and labels are quality-oriented."""
    by_ref = "ref" in images and bool((images["ref"].fillna("").astype(str) != "").all())
    clusters = images["ref"].astype(str).to_numpy() if by_ref else np.arange(len(labels))
    boot = ClusterBootstrap(scores, labels, clusters, fits=fits, draws=draws, seed=seed, threads=2)
    best = compare(np.array(scores), labels, clusters, draws=max(2, draws), seed=seed, threads=2)
    tied = best.tied()
    return [
        {
            **line,
            "srcc_ci": list(boot.interval(k, "srcc")),
            "plcc_ci": list(boot.interval(k, "plcc")),
            "best_group": tied[k],
            "p_best": float(best.p_best[k]),
            "clusters": "ref" if by_ref else "image",
        }
        for k, line in enumerate(lines)
    ]


def _label_facts(images: pd.DataFrame) -> tuple[Any, tuple[float, float] | None]:
    """Deviations of the labels and the ends of their scale, where they are known."""
    spread = images["label_std"].to_numpy(dtype=float) if "label_std" in images else None
    ends = [images[c].to_numpy(dtype=float)[0] if c in images else np.nan for c in ("label_low", "label_high")]
    return (
        spread if spread is not None and np.isfinite(spread).any() else None,
        (ends[0], ends[1]) if np.isfinite(ends).all() else None,
    )


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
