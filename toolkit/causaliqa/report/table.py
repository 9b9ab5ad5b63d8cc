"""Leaderboards as text: plain, GitHub Markdown, csv, JSON and LaTeX."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from causaliqa.api.errors import InputError
from causaliqa.report.formats import BREAKDOWNS, TEXT_FORMATS
from causaliqa.report.provenance import Provenance
from causaliqa.utils.text import csv_cell, latex, markdown, one_line, text_table

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "COLUMNS",
    "document",
    "flat_csv",
    "json_value",
    "marks",
    "printed",
    "render",
    "rows_csv",
    "to_html_table",
]

COLUMNS = ("dataset", "metric", "n", "n_failed", "plcc", "srcc", "srcc_ci", "krcc", "rmse", "best_group")
"""Columns of the printed table; csv and json hold more."""

_LOWER = ("rmse",)
_HEADINGS = {
    "dataset": "Data set",
    "metric": "Metric",
    "n": "$n$",
    "n_failed": "Failed",
    "plcc": "PLCC",
    "srcc": "SRCC",
    "srcc_ci": r"95\,\% interval",
    "krcc": "KRCC",
    "rmse": "RMSE",
}
_TIED = "best SRCC, or not significantly below it"
_SEEN = "the metric was trained or tuned on this data set, or on images that it holds"
_SEEN_COLUMNS = ("plcc", "srcc", "krcc")
"""Columns with an asterisk where a metric was trained on the data set, as in Table 1 of the causal paper."""


def render(table: pd.DataFrame, fmt: str, provenance: Provenance) -> str:
    r"""Write a table as text, with where it comes from.

    Args:
        table: what :func:`causaliqa.rank` returns.
        fmt: one of :data:`~causaliqa.report.formats.TEXT_FORMATS`. ``csv`` is the table only; text that a spreadsheet
            would read as a formula is prefixed with an apostrophe (:func:`~causaliqa.utils.text.csv_cell`).
        provenance: printed below the table, shortened for ``plain``; part of the document in ``json``.

    Raises:
        InputError: the format is unknown.

    Example:
        >>> import pandas as pd
        >>> table = pd.DataFrame({"dataset": "d", "metric": ["a_b", "c"], "n": 9, "srcc": [0.9, 0.8]})
        >>> print(render(table, "latex", Provenance()).splitlines()[4])
        d & a\_b & 9 & \textbf{0.900} \\
    """
    if fmt == "json":
        return json.dumps(document(table, provenance), indent=2, allow_nan=False, default=str)
    if fmt == "csv":
        return flat_csv(table)
    if fmt == "latex":
        return _latex(table, provenance)
    if fmt == "github":
        footer = "\n".join(f"- {markdown(line)}" for line in (*_legend(table), *provenance.lines()))
        return f"{_text(table, 'github', markdown)}\n\n{footer}"
    if fmt == "plain":
        return "\n".join([_text(table, "simple", one_line), "", *_legend(table), *provenance.brief()])
    raise InputError(f"format: got {fmt!r}, expected one of {', '.join(TEXT_FORMATS)}")


def document(table: pd.DataFrame, provenance: Provenance) -> dict[str, Any]:
    """Return table and provenance as one JSON document without NaN."""
    rows = [json_value(row) for row in table.to_dict(orient="records")]
    facts: dict[str, Any] = json_value(provenance.as_dict())
    return {"schema": 1, "versions": facts.pop("versions"), "settings": facts.pop("settings"), "rows": rows, **facts}


def json_value(value: Any) -> Any:
    """Return a value without NaN and NumPy scalars, which JSON does not have."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, dict):
        return {k: json_value(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def flat_csv(table: pd.DataFrame) -> str:
    """Return a table as csv: fits and intervals in columns of their own, no seconds."""
    # Without seconds, which differ from run to run, equal scores give equal bytes.
    flat = table.drop(columns="seconds", errors="ignore").copy()
    if "fit" in flat:
        fits = flat.pop("fit")
        flat["fit"] = [fit["kind"] for fit in fits]
        flat["fit_converged"] = [fit["converged"] for fit in fits]
        flat["fit_params"] = [" ".join(repr(p) for p in fit["params"]) for fit in fits]
    for column in [c for c in map(str, flat) if c.endswith("_ci")]:
        flat[f"{column}_low"], flat[f"{column}_high"] = zip(*flat.pop(column), strict=True)
    return rows_csv(flat)


def rows_csv(frame: pd.DataFrame) -> str:
    """Return a frame as csv in which no text reads as a formula in spreadsheets; numbers are unchanged."""
    safe: dict[str, Any] = {str(c): frame[c].map(lambda v: csv_cell(v) if isinstance(v, str) else v) for c in frame}
    cells = frame.assign(**safe)
    # pandas quotes line feeds, but not carriage returns, which also end a line.
    texts = cells.select_dtypes(exclude=["number", "bool"])
    returns = any(isinstance(v, str) and "\r" in v for c in texts for v in texts[c])
    quoting: Literal[0, 2] = 2 if returns else 0  # csv.QUOTE_NONNUMERIC, csv.QUOTE_MINIMAL
    return str(cells.to_csv(index=False, quoting=quoting)).rstrip("\n")


def _shown(table: pd.DataFrame) -> list[str]:
    extra = [c for c in BREAKDOWNS if c in table.columns]
    return [c for c in (*COLUMNS[:2], *extra, *COLUMNS[2:]) if c in table.columns]


def _text(table: pd.DataFrame, style: str, escape: Any) -> str:
    shown = _shown(table)
    cells = [
        [escape(_cell(row[c]) + ("*" if c == "metric" and _seen(row) else "")) for c in shown]
        for row in table.to_dict(orient="records")
    ]
    align = ["left" if c in ("dataset", "metric", *BREAKDOWNS) else "right" for c in shown]
    return text_table(cells, headers=shown, style=style, align=align)


def _seen(row: Mapping[Any, Any]) -> bool:
    """Return whether the metric of a line was trained on its data set; the value is None where that is unknown."""
    return row.get("seen") is True


def _legend(table: pd.DataFrame) -> list[str]:
    """Return the line that explains the asterisks, if there are any."""
    return [f"* {_SEEN}"] if any(map(_seen, table.to_dict(orient="records"))) else []


def to_html_table(table: pd.DataFrame) -> str:
    """Return a leaderboard as an HTML table, as notebooks show it; text from data is escaped."""
    return _text(table, "html", one_line)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, list):
        if not np.isfinite(value).all():
            return ""
        return "-".join(f"{v:.3f}" for v in value) if value[0] >= 0 else f"{value[0]:.3f} to {value[1]:.3f}"
    if isinstance(value, bool | np.bool_):
        return "tied" if value else ""
    return str(value)


def printed(column: str, value: float) -> str:
    """Return a statistic as papers print it: three decimals, or four digits if it has the unit of the labels.

    >>> printed("srcc", 0.98765), printed("rmse", 12.3456), printed("rmse", 0.05)
    ('0.988', '12.35', '0.05000')
    """
    return "" if not np.isfinite(value) else f"{value:#.4g}" if column in _LOWER else f"{value:.3f}"


def marks(table: pd.DataFrame, column: str) -> list[str]:
    """Return ``best``, ``second`` or an empty string for every row, within its data set (and type, level, split).

    Equal printed values get equal marks; a group with fewer than two metrics has no best one.

    >>> import pandas as pd
    >>> marks(pd.DataFrame({"dataset": "d", "srcc": [0.8, 0.90001, 0.90002, 0.7]}), "srcc")
    ['second', 'best', 'best', '']
    """
    groups = ["dataset", *(c for c in BREAKDOWNS if c in table.columns)]
    values = table[column].map(lambda v: float(printed(column, v) or "nan")) * (-1 if column in _LOWER else 1)
    found = dict.fromkeys(table.index, "")
    for _, part in values.groupby([table[g] for g in groups], sort=False):
        known = part.dropna()
        for place, value in zip(("best", "second"), sorted(set(known), reverse=True), strict=False):
            if len(known) > 1:
                found |= dict.fromkeys(known.index[known == value], place)
    return list(found.values())


def _latex(table: pd.DataFrame, provenance: Provenance) -> str:
    """Return a LaTeX table for the package booktabs, one block per data set."""
    table = table.reset_index(drop=True)
    shown = [c for c in _shown(table) if c != "best_group"]
    if "n_failed" in shown and not table["n_failed"].any():
        shown.remove("n_failed")
    styles = {c: marks(table, c) for c in ("plcc", "srcc", "krcc", "rmse") if c in shown}
    texts = ("dataset", "metric", *BREAKDOWNS)
    lines = []
    before = None
    for k, row in enumerate(table.to_dict(orient="records")):
        if before is not None and row["dataset"] != before:
            lines.append(r"\midrule")
        cells = [_latex_cell(c, row, styles[c][k] if c in styles else "", trained=_seen(row)) for c in shown]
        cells[0] = "" if row["dataset"] == before else cells[0]
        lines.append(f"{' & '.join(cells)} \\\\")
        before = row["dataset"]
    columns = "".join("l" if c in texts else "r" for c in shown)
    heading = " & ".join(_HEADINGS.get(c, c.capitalize()) for c in shown)
    facts = ["needs \\usepackage{booktabs}; bold: best, underlined: second best of a data set", *provenance.lines()]
    note = []
    if "best_group" in table and table["best_group"].any():
        note = [rf"\multicolumn{{{len(shown)}}}{{l}}{{\footnotesize $^\dagger$ {_TIED}}} \\"]
        facts.insert(1, "dagger: tied with the best SRCC, as explained below")
    if _legend(table):
        note.append(rf"\multicolumn{{{len(shown)}}}{{l}}{{\footnotesize $^*$ {_SEEN}}} \\")
        facts.insert(1, f"asterisk: {_SEEN}")
    return "\n".join(
        [
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            f"{heading} \\\\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            *note,
            r"\end{tabular}",
            *(f"% {line}" for line in facts),
        ]
    )


def _latex_cell(column: str, row: Mapping[Any, Any], style: str, *, trained: bool = False) -> str:
    value = row[column]
    if isinstance(value, list):
        low, high = (f"{v:.3f}" for v in value)
        return f"[${low}$, ${high}$]" if np.isfinite(value).all() else "--"
    if isinstance(value, float):
        number = printed(column, value).replace("-", "$-$") or "--"
        number = {"best": rf"\textbf{{{number}}}", "second": rf"\underline{{{number}}}"}.get(style, number)
        return f"{number}$^*$" if trained and column in _SEEN_COLUMNS and np.isfinite(value) else number
    text = latex(str(value))
    return rf"{text}$^\dagger$" if column == "metric" and row.get("best_group") else text
