"""Tables of the page as plain data for the template: numbers as text, as sort keys, with marks and asterisks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from causaliqa.functional.statistics import contradicts
from causaliqa.report.provenance import MetricFacts
from causaliqa.report.table import marks, printed
from causaliqa.utils.text import number

if TYPE_CHECKING:
    import pandas as pd

    from causaliqa.evaluation.side_table import SideTable

__all__ = ["fact_columns", "matrix", "rank_rows", "scale_start", "side_table", "value", "with_mean"]

_STATISTICS = ("srcc", "plcc", "krcc", "rmse")
_UPPER = ("srcc", "plcc", "krcc", "rmse", "auc", "id", "fr", "nr", "mos", "dmos", "mae")
_WIDE = 12
"""Columns beyond which a table is set smaller, its headings upright."""


def value(column: str, given: Any, mark: str = "") -> dict[str, Any]:
    """Return a number as text and as sort key; both are empty for NaN."""
    number = float(given) if given is not None else float("nan")
    return {
        "text": printed(column, number) or "–",
        "sort": repr(number) if np.isfinite(number) else "",
        "mark": mark,
    }


def scale_start(part: pd.DataFrame) -> float:
    """Return the lower end of the common axis of SRCC intervals, a multiple of 0.1."""
    ends = [ci[0] for ci in part.get("srcc_ci", []) if np.isfinite(ci[0])] or [0.0]
    return float(max(-1.0, min(0.9, np.floor(min(ends) * 10) / 10)))


def rank_rows(part: pd.DataFrame, facts: Mapping[str, MetricFacts] = {}) -> list[dict[str, Any]]:
    """Return one row a metric of one data set, best SRCC first."""
    part = part.reset_index(drop=True)
    place = part["srcc"].rank(ascending=False, method="min")
    styles = {c: marks(part, c) for c in _STATISTICS}
    lowest = scale_start(part)
    rows = []
    for k, row in enumerate(part.to_dict(orient="records")):
        ci = row.get("srcc_ci")
        share = (
            [100 * (v - lowest) / (1 - lowest) for v in (*ci, row["srcc"])] if ci and np.isfinite(ci).all() else None
        )
        rows.append(
            {
                "metric": row["metric"],
                "place": int(place[k]) if np.isfinite(place[k]) else None,
                "seen": (fact := facts.get(row["metric"])) is not None and fact.trained_here(row["dataset"]),
                "tied": bool(row.get("best_group", False)),
                "wrong": contradicts(row["srcc"], row["n"]),
                "loose": not row["fit"]["converged"],
                "statistics": {c: value(c, row[c], styles[c][k]) for c in _STATISTICS},
                "intervals": {c: _interval(row.get(f"{c}_ci")) for c in ("srcc", "plcc")},
                "ends": _ends(ci),
                "drawn": [f"{v:.2f}" for v in share] if share else None,
                "n": row["n"],
                "n_failed": row["n_failed"],
                # For scores computed elsewhere the time is unknown.
                "seconds": row["seconds"] if (row.get("seconds") or 0.0) > 0 else None,
            }
        )
    return rows


def _interval(ci: Any) -> str:
    return " to ".join(_figure(float(end)) for end in _ends(ci))


def _ends(ci: Any) -> list[str]:
    """Return both ends of an interval exactly; nothing where it is unknown."""
    known = isinstance(ci, list | tuple | np.ndarray) and len(ci) == 2 and np.isfinite(np.asarray(ci, float)).all()
    return [repr(float(end)) for end in ci] if known else []


def matrix(
    table: pd.DataFrame, by: str, metrics: Iterable[str], facts: Mapping[str, MetricFacts] = {}
) -> dict[str, Any]:
    """Return SRCC as a table: metrics in the order given x types (or levels, splits, data sets)."""
    table = table.reset_index(drop=True)
    kinds = list(dict.fromkeys(table[by].astype(str)))
    styles = marks(table, "srcc")
    cells: dict[str, dict[str, Any]] = {metric: {} for metric in metrics}
    for k, row in enumerate(table.to_dict(orient="records")):
        notes = [
            f"n = {row['n']}",
            _interval(row.get("srcc_ci")),
            "tied with the best" if row.get("best_group") else "",
        ]
        cell = value("srcc", row["srcc"], styles[k]) | {
            "tied": bool(row.get("best_group", False)),
            "facts": ", ".join(filter(None, notes)),
            "seen": (fact := facts.get(row["metric"])) is not None and fact.trained_here(row["dataset"]),
        }
        cells[row["metric"]][str(row[by])] = cell
    kinds = kinds if by == "dataset" else sorted(kinds, key=_natural)
    return {"by": by, "kinds": kinds, "rows": list(cells.items()), "wide": len(kinds) > _WIDE}


def with_mean(view: dict[str, Any]) -> dict[str, Any]:
    """Return a table of data sets with the mean over them, and the metrics ordered by it.

    A metric that lacks a data set has no mean: one over fewer sets could not be compared.
    """
    rows = []
    for name, cells in view["rows"]:
        known = [float(cells[kind]["sort"]) for kind in view["kinds"] if kind in cells and cells[kind]["sort"]]
        mean = float(np.mean(known)) if len(known) == len(view["kinds"]) else float("nan")
        seen = any(cell["seen"] for cell in cells.values())
        rows.append((name, cells, value("srcc", mean) | {"seen": seen, "mean": mean}))
    rows.sort(key=lambda row: -row[2]["mean"] if np.isfinite(row[2]["mean"]) else np.inf)
    shown = [row[2]["text"] for row in rows if np.isfinite(row[2]["mean"])]
    order = list(dict.fromkeys(shown))
    styles = dict(zip(order, ("best", "second"), strict=False)) if len(shown) > 1 else {}
    means = {name: facts | {"mark": styles.get(facts["text"], "")} for name, _, facts in rows}
    return view | {"rows": [(name, cells) for name, cells, _ in rows], "means": means}


def _natural(text: str) -> tuple[int, float, str]:
    """Sort key that orders levels numerically where they are numbers."""
    try:
        found = number(text)
    except ValueError:
        return (1, 0.0, text)
    return (0, found, "") if np.isfinite(found) else (1, 0.0, text)


def fact_columns(facts: Sequence[MetricFacts]) -> list[dict[str, Any]]:
    """Return the columns about metrics of which something is known: heading, note, and a cell for every metric."""
    columns = [
        ("FR / NR", "full reference or no reference", {f.name: f.metric_mode for f in facts}),
        ("Trained on", "data sets of human opinions that it was fitted to", {f.name: _trained(f) for f in facts}),
        ("Year", "of publication", {f.name: str(f.year or "") for f in facts}),
        ("Licence", "of code and weights", {f.name: f.licence for f in facts}),
    ]
    known = (
        any(f.metric_mode for f in facts),
        any(f.trained_on is not None for f in facts),
        any(f.year for f in facts),
        any(f.licence != MetricFacts.licence for f in facts),
    )
    return [
        {"heading": heading, "note": note, "cells": cells}
        for (heading, note, cells), shown in zip(columns, known, strict=True)
        if shown
    ]


def _trained(fact: MetricFacts) -> str:
    return "not known" if fact.trained_on is None else ", ".join(fact.trained_on) or "none"


def side_table(table: SideTable, metrics: Iterable[str]) -> dict[str, Any]:
    """Return a further table of a leaderboard.

    Args:
        table: the table.
        metrics: names of metrics, which are headings as they are.
    """
    frame = table.frame.reset_index(drop=True)
    names = {*metrics, *frame.get("metric", ())}
    extra = {f"{c}{end}" for c in frame for end in ("_ci", "_best") if f"{c}{end}" in frame}
    shown = [str(c) for c in frame if c not in extra]
    first = "metric" if "metric" in shown else shown[0] if shown else ""
    rows = frame.to_dict(orient="records")
    cells = [
        [_side_cell(row[c], row.get(f"{c}_ci"), row.get(f"{c}_best")) | {"head": c == first} for c in shown]
        for row in rows
    ]
    numbers = {c: any(line[k]["sort"] is not None for line in cells) for k, c in enumerate(shown)}
    return {
        "name": table.name,
        "title": table.title,
        "note": table.note,
        "warnings": list(table.warnings),
        "columns": [{"heading": c if c in names else _heading(c), "text": not numbers[c]} for c in shown],
        "rows": [
            {"cells": line, **{c: str(row.get(c, "")) for c in ("metric", "dataset")}}
            for line, row in zip(cells, rows, strict=True)
        ],
        "wide": len(shown) > _WIDE,
    }


def _heading(column: str) -> str:
    """Return a heading for the name of a column.

    >>> _heading("mean_rank"), _heading("srcc")
    ('Mean rank', 'SRCC')
    """
    words = [word.upper() if word in _UPPER else word for word in re.split("_+", column) if word]
    text = {"dataset": "data set"}.get(column, " ".join(words) or column)
    # Statistics of one letter (n, p) are written small.
    return text if len(text) == 1 else text[:1].upper() + text[1:]


def _side_cell(given: Any, ci: Any, best: Any) -> dict[str, Any]:
    plain = given.item() if isinstance(given, np.generic) else given
    sort = None
    if isinstance(plain, bool):
        text = "yes" if plain else "no"
    elif isinstance(plain, int | float):
        sort = repr(plain) if np.isfinite(plain) else ""
        text = _figure(plain) if sort else "–"
    else:
        text = "" if plain is None else str(plain)
    shown = _interval(ci)
    ends = [repr(float(v)) for v in ci] if shown else []
    return {
        "text": text,
        "sort": sort,
        "ci": shown,
        "ends": ends,
        "best": isinstance(best, bool | np.bool_) and bool(best),
    }


def _figure(number: float) -> str:
    """Return a number with three decimals, or four digits where that would show too few or too many.

    >>> [_figure(n) for n in (3, 0.12345, 123.456, 0.00001, -0.5)]
    ['3', '0.123', '123.5', '1.0e-05', '-0.500']
    """
    if isinstance(number, int) or number == 0:
        return str(int(number))
    size = abs(number)
    return f"{number:.1e}" if size < 0.0005 else f"{number:.3f}" if size < 100 else f"{number:.4g}"
