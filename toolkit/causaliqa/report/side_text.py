"""Further tables of a leaderboard as text, csv and JSON; the page draws them itself."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Any

import numpy as np

from causaliqa.evaluation.side_table import SideTable
from causaliqa.report.table import flat_csv, json_value
from causaliqa.utils.text import latex, markdown, one_line, text_table

__all__ = ["side_csv", "side_document", "side_text"]

_WIDTH = 100
"""Width of running text between plain tables."""
_MAY_BE_BEST = "may be the best, at 5 %"


def side_text(tables: Iterable[SideTable], form: str) -> str:
    r"""Return tables as text that follows the main table.

    Args:
        tables: in the order of printing.
        form: ``plain``, ``github`` or ``latex``.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"metric": ["a_b"], "srcc": [0.5], "srcc_ci": [[0.4, 0.6]], "srcc_best": [True]})
        >>> table = SideTable(name="t", title="One", note="Made up.", frame=frame)
        >>> print(side_text([table], "plain"))
        <BLANKLINE>
        One
        metric      srcc  srcc_ci
        --------  ------  -------------
        a_b       0.500+  0.400 - 0.600
        <BLANKLINE>
        Made up. +: may be the best, at 5 %.
        >>> side_text([table], "latex").splitlines()[6]
        'a\\_b & 0.500$^\\dagger$ & [$0.400$, $0.600$] \\\\'
    """
    write = {"plain": _plain, "github": _github, "latex": _latex}[form]
    return "".join(f"\n{write(table)}\n" for table in tables).rstrip("\n")


def side_csv(table: SideTable) -> str:
    """Return one table as csv, intervals in two columns; no text reads as a formula in spreadsheets."""
    return flat_csv(table.frame)


def side_document(table: SideTable) -> dict[str, Any]:
    """Return one table as JSON without NaN."""
    rows = [json_value(row) for row in table.frame.to_dict(orient="records")]
    return {
        "name": table.name,
        "title": table.title,
        "note": table.note,
        "warnings": list(table.warnings),
        "rows": rows,
    }


def _marked(table: SideTable) -> set[str]:
    """Return the columns some of whose cells may be the best."""
    return {c for c in map(str, table.frame) if f"{c}_best" in table.frame and table.frame[f"{c}_best"].any()}


def _shown(table: SideTable) -> list[str]:
    """Return the columns to print: marks stand at what they mark."""
    return [c for c in map(str, table.frame) if not (c.endswith("_best") and c.removesuffix("_best") in table.frame)]


def _numbers(table: SideTable, column: str) -> list[str] | None:
    """Return the cells of a column of numbers, whole ones without decimals; None for other columns."""
    values = table.frame[column]
    if values.dtype == bool or values.dtype.kind not in "iuf":
        return None
    known = values[np.isfinite(values.to_numpy(dtype=float))]
    whole = bool((known == known.round()).all()) and bool((known.abs() < 1e9).all())
    whole = whole and (values.dtype.kind in "iu" or column.startswith("rank"))
    if column == "p":  # of a test: never 0
        return ["" if not np.isfinite(v) else f"{v:.3f}" if v >= 0.0005 else "< 0.001" for v in values.tolist()]
    return ["" if not np.isfinite(v) else f"{v:.0f}" if whole else _decimals(v) for v in values.tolist()]


def _decimals(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 10 else f"{value:#.4g}"


def _interval(value: Any) -> tuple[str, str] | None:
    if not np.isfinite(value).all():
        return None
    low, high = map(_decimals, value)
    return low, high


def _columns(table: SideTable, escape: Any, mark: str) -> dict[str, list[str]]:
    """Return the text of every shown column."""
    out: dict[str, list[str]] = {}
    marked = _marked(table)
    for column in _shown(table):
        values = table.frame[column].tolist()
        numbers = _numbers(table, column)
        if numbers is not None:
            stars = table.frame[f"{column}_best"].tolist() if column in marked else [False] * len(values)
            out[column] = [escape(n) + mark * (star and bool(n)) for n, star in zip(numbers, stars, strict=True)]
        elif column.endswith("_ci"):
            ends = [_interval(v) for v in values]
            out[column] = ["" if end is None else f"{end[0]} {'to' if '-' in end[0] else '-'} {end[1]}" for end in ends]
        else:
            out[column] = [escape(str(v)) for v in values]
    return out


def _grid(table: SideTable, style: str, escape: Any) -> str:
    columns = _columns(table, escape, "+")
    align = ["left" if c.endswith("_ci") or _numbers(table, c) is None else "right" for c in columns]
    lines = list(zip(*columns.values(), strict=True))
    return text_table(lines, headers=[escape(c) for c in columns], style=style, align=align)


def _notes(table: SideTable) -> str:
    note = f"{table.note} +: {_MAY_BE_BEST}." if _marked(table) else table.note
    return one_line(note)


def _plain(table: SideTable) -> str:
    lines = [textwrap.fill(_notes(table), _WIDTH)]
    lines += [textwrap.fill(one_line(f"note: {w}"), _WIDTH, subsequent_indent="  ") for w in table.warnings]
    return "\n".join([one_line(table.title), _grid(table, "simple", one_line), "", *lines])


def _github(table: SideTable) -> str:
    lines = [f"- {markdown(line)}" for line in (_notes(table), *table.warnings)]
    return "\n".join([f"### {markdown(table.title)}", "", _grid(table, "github", markdown), "", *lines])


def _latex(table: SideTable) -> str:
    marked = _marked(table)
    columns = _columns(table, latex, r"$^\dagger$")
    for column in [c for c in columns if c.endswith("_ci")]:
        ends = [_interval(v) for v in table.frame[column].tolist()]
        columns[column] = ["--" if end is None else f"[${end[0]}$, ${end[1]}$]" for end in ends]
    cells = [
        [c.replace("-0.", "$-$0.") if _numbers(table, n) is not None else c for c in v] for n, v in columns.items()
    ]
    kinds = "".join("l" if _numbers(table, c) is None else "r" for c in columns)
    heads = " & ".join(r"95\,\% interval" if c.endswith("_ci") else latex(_heading(c)) for c in columns)
    note = rf"\multicolumn{{{len(columns)}}}{{l}}{{\footnotesize $^\dagger$ {latex(_MAY_BE_BEST)}}} \\"
    return "\n".join(
        [
            f"% {one_line(table.title)}",
            rf"\begin{{tabular}}{{{kinds}}}",
            r"\toprule",
            f"{heads} \\\\",
            r"\midrule",
            *(" & ".join(cell or "--" for cell in line) + r" \\" for line in zip(*cells, strict=True)),
            r"\bottomrule",
            *([note] if marked else []),
            r"\end{tabular}",
            *(f"% {one_line(line)}" for line in (table.note, *table.warnings)),
        ]
    )


def _heading(column: str) -> str:
    words = [word.upper() if word in ("srcc", "rmse", "plcc") else word for word in column.split("_")]
    return " ".join(words)
