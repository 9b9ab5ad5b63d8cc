"""Scores of files as text: for people, as csv and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from causaliqa.api.errors import InputError
from causaliqa.report.table import rows_csv
from causaliqa.utils.text import one_line, text_table
from causaliqa.utils.versions import versions

if TYPE_CHECKING:
    from causaliqa.evaluation.file_scores import Scores

__all__ = ["score_format", "scores_text"]


def score_format(out: Path | None, asked: str | None) -> str:
    """Return the format that is asked for, else that of the suffix, else plain text.

    Raises:
        InputError: the suffix says another format.

    Example:
        >>> score_format(Path("scores.csv"), None), score_format(None, None)
        ('csv', 'plain')
    """
    told = {".csv": "csv", ".json": "json"}.get(out.suffix.lower()) if out else None
    if asked and told and asked != told:
        raise InputError(f"--out {out}: got --format {asked}, expected a name that does not end in {out.suffix}")  # type: ignore[union-attr]
    return asked or told or "plain"


def scores_text(made: Mapping[str, Scores], form: str) -> str:
    """Return scores in one of :data:`causaliqa.report.formats.SCORE_FORMATS`.

    Plain text of one metric is for scripts: the number of a single image alone, else a line ``IMAGE<tab>SCORE`` for
    every image that has one. Of several metrics it is a table of images by metrics with units and directions, and a
    line per metric: mean, its interval, the worst image.

    Args:
        made: scores by metric, of the same images.
        form: format.
    """
    if form == "json":
        return json.dumps(_document(made), indent=2)
    if form == "csv":
        return rows_csv(_frame(made))
    first = next(iter(made.values()))
    if len(made) == 1:
        alone = len(first) == 1
        return "\n".join(
            f"{p.score:.6g}" if alone else f"{one_line(str(p.img))}\t{p.score:.6g}" for p in first.finished
        )
    prepared = [f"images: {first.prepared}"] if first.prepared else []
    return "\n".join([_table(made), "", *prepared, *(scores.summary() for scores in made.values())])


def _frame(made: Mapping[str, Scores]) -> Any:
    import pandas as pd

    lines = [
        scores.frame.assign(metric=name, unit=scores.unit, prepared=scores.prepared) for name, scores in made.items()
    ]
    return pd.concat(lines)[["metric", "img", "ref", "score", "unit", "error", "prepared", "note"]]


def _table(made: Mapping[str, Scores]) -> str:
    columns = list(made.values())
    cells = [
        [one_line(str(pair.img)), *("failed" if s[k].score is None else f"{s[k].score:.6g}" for s in columns)]
        for k, pair in enumerate(columns[0])
    ]
    headers = ["image", *(f"{one_line(name)} ({scores.scale})" for name, scores in made.items())]
    return text_table(cells, headers=headers, style="simple", align=["left", *["right"] * len(made)])


def _document(made: Mapping[str, Scores]) -> dict[str, Any]:
    """One metric at the top level, as ever; several in a list."""
    first = next(iter(made.values()))
    facts = {"seed": first.seed, "device": first.device, "prepared": first.prepared, "versions": versions()}
    if len(made) == 1:
        own = _facts(first)
        scores = own.pop("scores")
        return {"schema": 1, **own, **facts, "scores": scores}
    return {"schema": 1, **facts, "metrics": [_facts(scores) for scores in made.values()]}


def _facts(scores: Scores) -> dict[str, Any]:
    interval = [None if np.isnan(end) else end for end in scores.interval]
    return {
        "metric": scores.metric,
        "lower_better": scores.lower_better,
        "unit": scores.unit,
        "mean": None if np.isnan(scores.mean) else scores.mean,
        "mean_ci": interval,
        "worst": str(scores.worst.img) if scores.worst else None,
        "scores": [
            {"img": str(pair.img), "ref": str(pair.ref) if pair.ref else None, "score": pair.score}
            | {key: said for key in ("error", "note") if (said := getattr(pair, key))}
            for pair in scores
        ],
    }
