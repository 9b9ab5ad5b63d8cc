"""A leaderboard as one self-contained HTML page: no server, no network.

The tables are complete without JavaScript, which adds sorting, filters, names of dots and downloads.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from causaliqa.evaluation.rank import rank
from causaliqa.report import _svg
from causaliqa.report.cost_maps import Explainer
from causaliqa.report.formats import BREAKDOWNS
from causaliqa.report.image_scores import ImageScores, image_scores, points_data
from causaliqa.report.page_pairs import pair_groups
from causaliqa.report.page_tables import fact_columns, matrix, rank_rows, scale_start, side_table, with_mean
from causaliqa.report.scatter_data import Panel, panels
from causaliqa.report.table import document
from causaliqa.report.templates import assets, templates
from causaliqa.report.thumbnails import Files, Thumbnail, thumbnails

if TYPE_CHECKING:
    import pandas as pd

    from causaliqa.evaluation.side_table import SideTable
    from causaliqa.report.map_table import Gallery
    from causaliqa.report.provenance import MetricFacts, Provenance
    from causaliqa.report.strips import Strip

__all__ = ["BREAKDOWN_DRAWS", "MOST_POINTS", "Board", "Drawing", "board", "page"]

_LOG = logging.getLogger(__name__)

MOST_POINTS = 2000
"""Most points of a scatter plot; of more, a fixed random subset is drawn, and the plot states it."""

BREAKDOWN_DRAWS = 200
"""Bootstrap draws for the ties of a breakdown, enough for their standard errors; there are many such tables."""

_COLOURS = len(_svg.GLYPHS)
"""Most types with a colour and a mark each; with more types all points share one."""


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure that stands above the tables of a page."""

    title: str
    """Heading."""
    note: str
    """What is drawn, in one sentence."""
    picture: str
    """The figure as a ``data:`` address."""


@dataclass(frozen=True, kw_only=True)
class Board:
    """Content of the page of one run."""

    table: pd.DataFrame
    """Statistics over whole data sets."""
    breakdowns: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    """Statistics by type, level or split."""
    panels: Sequence[Panel] = ()
    """Scatter plots."""
    points: Mapping[str, ImageScores] = field(default_factory=dict)
    """Names and scores of the dots of every data set."""
    tables: Sequence[SideTable] = ()
    """Further tables, such as protocols beside each other."""
    thumbnails: Mapping[str, tuple[ImageScores, Sequence[Thumbnail]]] = field(default_factory=dict)
    """Images to show of every data set, and the scores of all its images."""
    explained: str = ""
    """Metric whose cost maps stand beside these images."""


def board(
    frame: pd.DataFrame,
    table: pd.DataFrame | None = None,
    *,
    tables: Sequence[SideTable] = (),
    files: Files | None = None,
    count: int = 0,
    explainer: Explainer | None = None,
) -> Board:
    """Compute the content of a page from rows.

    Args:
        frame: rows, as :func:`causaliqa.evaluate` returns them.
        table: their statistics from :func:`causaliqa.rank`, if known already.
        tables: further tables.
        files: where the images are; None if that is unknown.
        count: most images to show, those that metrics and labels, or metrics and metrics, disagree on most.
        explainer: makes cost maps of these images.
    """
    table = rank(frame) if table is None else table
    # A data set without types is left out of the breakdown by type.
    known = {c: frame[frame[c].map(bool) & frame[c].notna()] for c in BREAKDOWNS if c in frame.columns}
    breakdowns = {}
    for column, part in known.items():
        if part[column].nunique() > 1:
            _LOG.info("computing statistics by %s", column)
            breakdowns[column] = rank(part, by=column, draws=BREAKDOWN_DRAWS)
    drawn = panels(frame, table, most=MOST_POINTS)
    return Board(
        table=table,
        breakdowns=breakdowns,
        panels=drawn,
        points={
            name: image_scores(frame.iloc[np.concatenate([panel.rows for panel in own])])
            for name, own in _by_dataset(drawn).items()
        },
        tables=tables,
        thumbnails=thumbnails(frame, table, files or _nowhere, count, explainer),
        explained=explainer.name if explainer else "",
    )


def _nowhere(dataset: str, name: str) -> None:
    """Find no file."""


def _by_dataset(drawn: Sequence[Panel]) -> dict[str, list[Panel]]:
    return {name: list(own) for name, own in groupby(drawn, key=lambda panel: panel.dataset)}


def page(
    made: Board | None,
    provenance: Provenance,
    *,
    gallery: Gallery | None = None,
    tables: Sequence[SideTable] = (),
    strips: Sequence[Strip] = (),
    drawing: Drawing | None = None,
    notes: Sequence[str] = (),
    title: str = "",
) -> str:
    """Return the page.

    All text from data is escaped: names of metrics, types and files cannot become markup.

    Args:
        made: content of a leaderboard; None for a page of other things only.
        provenance: origin of the numbers.
        gallery: causal effect maps.
        tables: tables that belong to no leaderboard.
        strips: images of all outputs beside each other.
        drawing: figure above the tables.
        notes: sentences below the heading.
        title: heading; by default the kind of content.

    Example:
        >>> import pandas as pd
        >>> from causaliqa.report.provenance import Provenance
        >>> rows = pd.DataFrame({"dataset": "d", "metric": "<i>", "score": [3.0, 2.0, 1.0], "label": [1.0, 2.0, 3.0]})
        >>> text = page(board(rows.assign(label_lower_better=False, lower_better=True)), Provenance())
        >>> "&lt;i&gt;" in text, "<i>" in text
        (True, False)
    """

    facts = {fact.name: fact for fact in provenance.metrics}
    shared = {
        "title": title or ("Leaderboard" if made else "Tables" if tables else "Causal effect maps"),
        "tables": [side_table(table, facts) for table in (*(made.tables if made else ()), *tables)],
        "style": assets("page.css"),
        "script": assets("page.js", "points.js", "export.js"),
        "gallery": gallery,
        "strips": strips,
        "drawing": drawing,
        "notes": notes,
        "provenance": provenance,
        "settings": json.dumps(dict(provenance.settings), indent=2, ensure_ascii=False, default=str),
        "keys": _svg.KEYS,
        "size": (_svg.WIDTH, _svg.HEIGHT),
    }
    content = _content(made, provenance, facts) if made else _EMPTY
    return str(templates().get_template("page.html").render(**shared, **content))


_EMPTY: Mapping[str, Any] = {
    "sections": [], "overview": None, "metrics": [], "fact_columns": [], "seen": False, "unknown": 0,
    "breakdown_draws": 0, "pairs": [], "explained": "", "numbers": "", "points": "",
}  # fmt: skip
"""What a page without a leaderboard has not."""


def _content(made: Board, provenance: Provenance, facts: Mapping[str, MetricFacts]) -> dict[str, Any]:
    """Return what a leaderboard adds to the page."""
    from markupsafe import Markup

    metrics = list(dict.fromkeys(made.table["metric"]))
    known = [facts[name] for name in metrics if name in facts]
    several = made.table["dataset"].nunique() > 1
    own = _by_dataset(made.panels)
    points = points_data([(images, own[name]) for name, images in made.points.items()])
    return {
        "sections": _sections(made, facts),
        "overview": with_mean(matrix(made.table, "dataset", metrics, facts)) if several else None,
        "metrics": metrics,
        "fact_columns": fact_columns(known),
        "seen": any(fact.trained_here(name) for fact in known for name in set(made.table["dataset"])),
        "unknown": sum(fact.trained_on is None for fact in known) if known else 0,
        "breakdown_draws": BREAKDOWN_DRAWS if made.breakdowns else 0,
        "pairs": pair_groups(made.thumbnails),
        "explained": made.explained,
        "numbers": Markup(_embedded(document(made.table, provenance))),
        "points": Markup(_embedded(points)),
    }


def _embedded(facts: Any) -> str:
    """Return JSON that cannot end the script element that holds it."""
    text = json.dumps(facts, allow_nan=False, default=str)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _sections(made: Board, facts: Mapping[str, MetricFacts]) -> list[dict[str, Any]]:
    """Return one section per data set."""
    drawn = _by_dataset(made.panels)
    sections = []
    for name, part in made.table.groupby("dataset", sort=False):
        own = drawn.get(str(name), [])
        types = sorted({kind for panel in own for kind in panel.points})
        colours = {t: k if 1 < len(types) <= _COLOURS else 0 for k, t in enumerate(types)}
        sections.append(
            {
                "dataset": str(name),
                "n": int((part["n"] + part["n_failed"]).max()),
                "counted": part["n"].nunique() > 1 or bool(part["n_failed"].any()),
                "failed": bool(part["n_failed"].any()),
                "lowest": scale_start(part),
                "rows": (rows := rank_rows(part, facts)),
                "drawn": any(row["drawn"] for row in rows),
                "seconds": any(row["seconds"] for row in rows),
                "resampled": "srcc_ci" in part,
                "views": [
                    matrix(table[table["dataset"] == name], by, part["metric"])
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
