"""Tables with their provenance, in every format: what comparisons of outputs and of encoders have in common."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.api.protocols import Metric
from causaliqa.api.specs import MetricSpec
from causaliqa.catalog.catalog import Catalog
from causaliqa.catalog.request import parse_request
from causaliqa.evaluation.side_table import SideTable
from causaliqa.report.formats import format_of
from causaliqa.report.provenance import PYIQA_NOTE, MetricFacts, Provenance, metric_facts, plugin_versions
from causaliqa.report.side_text import side_document, side_text
from causaliqa.report.table import json_value, rows_csv
from causaliqa.report.written import Written, write_beside
from causaliqa.utils.files import write_text
from causaliqa.utils.text import one_line
from causaliqa.utils.versions import versions

if TYPE_CHECKING:
    import pandas as pd

    from causaliqa.report.page import Drawing
    from causaliqa.report.strips import Strip

__all__ = ["TableSet", "scores_provenance"]


def scores_provenance(
    catalog: Catalog,
    built: Mapping[str, Metric],
    settings: Mapping[str, Any],
    *,
    seed: int,
    elsewhere: Iterable[MetricFacts] = (),
) -> Provenance:
    """Return where scores of image files come from.

    Args:
        catalog: where the metrics were looked up.
        built: the metrics that computed scores.
        settings: what is stated of the settings.
        seed: seed of the metrics.
        elsewhere: facts about metrics whose scores were given.
    """
    records = {name: catalog.get(MetricSpec, parse_request(name)[0]) for name in built}
    computed = (metric_facts(name, built[name], record) for name, record in records.items())
    return Provenance(
        versions=versions(),
        plugins=plugin_versions(list(records.values())),
        metrics=(*computed, *elsewhere),
        settings=settings,
        seed=seed,
        notes=(PYIQA_NOTE,),
    )


@dataclass(frozen=True, kw_only=True)
class TableSet(Written):
    """Several tables of one question."""

    title: str
    """Heading."""
    tables: tuple[SideTable, ...] = field(repr=False)
    """The tables, in the order of reading."""
    rows: pd.DataFrame = field(repr=False)
    """Every single score."""
    provenance: Provenance = field(repr=False)
    """Versions, settings, seeds, weights and licences behind the numbers."""
    notes: tuple[str, ...] = ()
    """What is true of all tables: what was left out, what was done to the images."""

    def table(self, name: str) -> pd.DataFrame:
        """Return one table by its name.

        Raises:
            KeyError: there is none of that name.
        """
        return {table.name: table.frame for table in self.tables}[name]

    @property
    def warnings(self) -> list[str]:
        """What a reader must not overlook."""
        return [line for table in self.tables for line in table.warnings]

    @property
    def failures(self) -> Sequence[str]:
        """A line for every score that could not be computed."""
        return ()

    def to_text(self, form: str = "plain") -> str:
        """Return the tables in one of the formats ``plain``, ``github``, ``csv``, ``json``, ``latex``, ``html``.

        As csv the single scores are returned; :meth:`save` writes the tables beside them.

        Raises:
            InputError: the format is unknown.
        """
        if form == "html":
            return self._page()
        if form == "csv":
            return rows_csv(self.rows)
        if form == "json":
            return json.dumps(self._document(), indent=2, allow_nan=False, default=str)
        mark = {"latex": "% ", "github": ""}.get(form, "")
        lines = [f"{mark}{one_line(line)}" for line in (*self.notes, *self.provenance.brief())]
        return "\n".join([side_text(self.tables, form).lstrip("\n"), "", *lines])

    def save(self, path: str | os.PathLike[str], form: str | None = None) -> list[Path]:
        """Write the tables in a format, by default that of the suffix.

        A csv file ``made.csv`` holds the single scores; each table gets a file such as ``made.means.csv`` beside it,
        and all that is known of them stands in ``made.csv.json``.

        Returns:
            The files that were written.

        Raises:
            InputError: the format is unknown, or another one than the suffix says.
            OutputError: a file cannot be written.
        """
        out, form = Path(path), format_of(path, form)
        write_text(self.to_text(form), out)
        if form != "csv":
            return [out]
        facts = {key: value for key, value in self._document().items() if key not in ("rows", "tables")}
        return [out, *write_beside(out, self.tables, facts)]

    def _document(self) -> dict[str, Any]:
        facts: dict[str, Any] = json_value(self.provenance.as_dict())
        return {
            "schema": 1,
            "title": self.title,
            "versions": facts.pop("versions"),
            "settings": facts.pop("settings"),
            "remarks": list(self.notes),
            "tables": [side_document(table) for table in self.tables],
            "rows": [json_value(row) for row in self.rows.to_dict(orient="records")],
            **facts,
        }

    def _page(self) -> str:
        from causaliqa.report.page import page

        return page(
            None,
            self.provenance,
            tables=self.tables,
            strips=self._strips(),
            drawing=self._drawing(),
            notes=self.notes,
            title=self.title,
        )

    def _strips(self) -> tuple[Strip, ...]:
        """Return images to show on the page."""
        return ()

    def _drawing(self) -> Drawing | None:
        """Return the figure of the page."""
        return None

    def __repr__(self) -> str:
        return f"{self.title}: {len(self.rows)} scores, tables {', '.join(table.name for table in self.tables)}"

    def _repr_html_(self) -> str:
        import html

        parts = [f"<h4>{html.escape(t.title)}</h4>{t.frame.to_html(index=False)}" for t in self.tables]
        return "".join(parts)
