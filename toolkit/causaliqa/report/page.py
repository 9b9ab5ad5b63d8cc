"""A leaderboard as one self-contained HTML page: no server, no network.

The tables are complete without JavaScript, which adds sorting, filters and the download of the numbers.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from causaliqa.evaluation.rank import rank
from causaliqa.functional.statistics import contradicts
from causaliqa.report import _svg
from causaliqa.report.formats import BREAKDOWNS
from causaliqa.report.scatter_data import Panel, panels
from causaliqa.report.table import document, marks, printed
from causaliqa.utils.text import number

if TYPE_CHECKING:
    import pandas as pd

    from causaliqa.report.map_table import Gallery
    from causaliqa.report.provenance import Provenance

__all__ = ["BREAKDOWN_DRAWS", "MOST_POINTS", "Board", "board", "page"]

_LOG = logging.getLogger(__name__)

MOST_POINTS = 2000
"""Most points of a scatter plot; of more, a fixed random subset is drawn, and the plot states it."""

BREAKDOWN_DRAWS = 200
"""Bootstrap draws for the ties of a breakdown, enough for their standard errors; there are many such tables."""

_COLOURS = len(_svg.GLYPHS)
"""Most types with a colour and a mark each; with more types all points share one."""
_STATISTICS = ("srcc", "plcc", "krcc", "rmse")


@dataclass(frozen=True, kw_only=True)
class Board:
    """Content of the page of one run."""

    table: pd.DataFrame
    """Statistics over whole data sets."""
    breakdowns: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    """Statistics by type, level or split."""
    panels: Sequence[Panel] = ()
    """Scatter plots."""


def board(frame: pd.DataFrame, table: pd.DataFrame | None = None) -> Board:
    """Compute the content of a page from rows.

    Args:
        frame: rows, as :func:`causaliqa.evaluate` returns them.
        table: their statistics from :func:`causaliqa.rank`, if known already.
    """
    table = rank(frame) if table is None else table
    # A data set without types is left out of the breakdown by type.
    known = {c: frame[frame[c].map(bool) & frame[c].notna()] for c in BREAKDOWNS if c in frame.columns}
    breakdowns = {}
    for column, part in known.items():
        if part[column].nunique() > 1:
            _LOG.info("computing statistics by %s", column)
            breakdowns[column] = rank(part, by=column, draws=BREAKDOWN_DRAWS)
    return Board(
        table=table,
        breakdowns=breakdowns,
        panels=panels(frame, table, most=MOST_POINTS),
    )


def page(made: Board | None, provenance: Provenance, *, gallery: Gallery | None = None, title: str = "") -> str:
    """Return the page.

    All text from data is escaped: names of metrics, types and files cannot become markup.

    Args:
        made: content of a leaderboard; None for a page of causal effect maps only.
        provenance: origin of the numbers.
        gallery: causal effect maps.
        title: heading; by default the kind of content.

    Example:
        >>> import pandas as pd
        >>> from causaliqa.report.provenance import Provenance
        >>> rows = pd.DataFrame({"dataset": "d", "metric": "<i>", "score": [3.0, 2.0, 1.0], "label": [1.0, 2.0, 3.0]})
        >>> text = page(board(rows.assign(label_lower_better=False, lower_better=True)), Provenance())
        >>> "&lt;i&gt;" in text, "<i>" in text
        (True, False)
    """
    from importlib.resources import files

    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("causaliqa.report", "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Long names of metrics may break after these characters.
    metrics = list(dict.fromkeys(made.table["metric"])) if made else []
    environment.filters["breakable"] = lambda text: Markup("<wbr>").join(re.split(r"(?<=[_:,+/])(?=.)", str(text)))
    assets = files("causaliqa.report") / "assets"
    style, script = (Markup((assets / name).read_text("utf-8")) for name in ("page.css", "page.js"))
    return environment.get_template("page.html").render(
        title=title or ("Leaderboard" if made else "Causal effect maps"),
        style=style,
        script=script,
        sections=_sections(made) if made else [],
        overview=_matrix(made.table, "dataset", metrics) if made and made.table["dataset"].nunique() > 1 else None,
        metrics=metrics,
        breakdown_draws=BREAKDOWN_DRAWS if made and made.breakdowns else 0,
        keys=_svg.KEYS,
        size=(_svg.WIDTH, _svg.HEIGHT),
        gallery=gallery,
        provenance=provenance,
        settings=json.dumps(dict(provenance.settings), indent=2, ensure_ascii=False, default=str),
        data=Markup(_embedded(document(made.table, provenance))) if made else "",
    )


def _embedded(facts: Mapping[str, Any]) -> str:
    """Return JSON that cannot end the script element that holds it."""
    text = json.dumps(facts, allow_nan=False, default=str)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _value(column: str, value: Any, mark: str = "") -> dict[str, Any]:
    """Return a number as text and as sort key; both are empty for NaN."""
    number = float(value) if value is not None else float("nan")
    return {
        "text": printed(column, number) or "–",
        "sort": repr(number) if np.isfinite(number) else "",
        "mark": mark,
    }


def _sections(made: Board) -> list[dict[str, Any]]:
    """Return one section per data set."""
    drawn = {name: list(own) for name, own in groupby(made.panels, key=lambda panel: panel.dataset)}
    sections = []
    for name, part in made.table.groupby("dataset", sort=False):
        own = drawn.get(str(name), [])
        types = sorted({kind for panel in own for kind in panel.points})
        colours = {t: k if 1 < len(types) <= _COLOURS else 0 for k, t in enumerate(types)}
        sections.append(
            {
                "dataset": str(name),
                "n": int((part["n"] + part["n_failed"]).max()),
                "failed": bool(part["n_failed"].any()),
                "lowest": _lowest(part),
                "rows": (rows := _rows(part)),
                "drawn": any(row["drawn"] for row in rows),
                "seconds": any(row["seconds"] for row in rows),
                "resampled": "srcc_ci" in part,
                "views": [
                    _matrix(table[table["dataset"] == name], by, part["metric"])
                    for by, table in made.breakdowns.items()
                    if (table["dataset"] == name).any()
                ],
                "panels": [(panel, _svg.draw(panel, colours)) for panel in own],
                "label": own[0].label if own else "",
                "legend": colours if 1 < len(types) <= _COLOURS else {},
                "colours": colours,
            }
        )
    return sections


def _lowest(part: pd.DataFrame) -> float:
    """Return the lower end of the common axis of SRCC intervals, a multiple of 0.1."""
    ends = [ci[0] for ci in part.get("srcc_ci", []) if np.isfinite(ci[0])] or [0.0]
    return float(max(-1.0, min(0.9, np.floor(min(ends) * 10) / 10)))


def _rows(part: pd.DataFrame) -> list[dict[str, Any]]:
    part = part.reset_index(drop=True)
    styles = {c: marks(part, c) for c in _STATISTICS}
    lowest = _lowest(part)
    rows = []
    for k, row in enumerate(part.to_dict(orient="records")):
        ci = row.get("srcc_ci")
        share = (
            [100 * (v - lowest) / (1 - lowest) for v in (*ci, row["srcc"])] if ci and np.isfinite(ci).all() else None
        )
        rows.append(
            {
                "metric": row["metric"],
                "tied": bool(row.get("best_group", False)),
                "wrong": contradicts(row["srcc"], row["n"]),
                "loose": not row["fit"]["converged"],
                "statistics": {c: _value(c, row[c], styles[c][k]) for c in _STATISTICS},
                "intervals": {c: _interval(row.get(f"{c}_ci")) for c in ("srcc", "plcc")},
                "drawn": [f"{v:.2f}" for v in share] if share else None,
                "n": row["n"],
                "n_failed": row["n_failed"],
                # For scores computed elsewhere the time is unknown.
                "seconds": row["seconds"] if (row.get("seconds") or 0.0) > 0 else None,
            }
        )
    return rows


def _interval(ci: Any) -> str:
    return f"{ci[0]:.3f} to {ci[1]:.3f}" if isinstance(ci, list) and np.isfinite(ci).all() else ""


def _matrix(table: pd.DataFrame, by: str, metrics: Iterable[str]) -> dict[str, Any]:
    """Return SRCC as a table: metrics in the order given x types (or levels, splits, data sets)."""
    table = table.reset_index(drop=True)
    kinds = list(dict.fromkeys(table[by].astype(str)))
    styles = marks(table, "srcc")
    cells: dict[str, dict[str, Any]] = {metric: {} for metric in metrics}
    for k, row in enumerate(table.to_dict(orient="records")):
        facts = [
            f"n = {row['n']}",
            _interval(row.get("srcc_ci")),
            "tied with the best" if row.get("best_group") else "",
        ]
        cell = _value("srcc", row["srcc"], styles[k]) | {
            "tied": bool(row.get("best_group", False)),
            "facts": ", ".join(filter(None, facts)),
        }
        cells[row["metric"]][str(row[by])] = cell
    return {"by": by, "kinds": kinds if by == "dataset" else sorted(kinds, key=_natural), "rows": list(cells.items())}


def _natural(text: str) -> tuple[int, float, str]:
    """Sort key that orders levels numerically where they are numbers."""
    try:
        value = number(text)
    except ValueError:
        return (1, 0.0, text)
    return (0, value, "") if np.isfinite(value) else (1, 0.0, text)
