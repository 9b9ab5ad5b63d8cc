"""Tables with their provenance, in every format: what comparisons of outputs and of encoders have in common."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.evaluation.side_table import SideTable
from causaliqa.report.formats import format_of
from causaliqa.report.provenance import Provenance
from causaliqa.report.side_text import side_csv, side_document, side_text
from causaliqa.report.table import json_value, rows_csv
from causaliqa.utils.files import write_text
from causaliqa.utils.text import one_line

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TableSet"]


@dataclass(frozen=True, kw_only=True)
class TableSet:
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

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the page, and write it to a file if there is a path."""
        return self._written("html", path)

    def to_latex(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the tables for booktabs, and write them to a file if there is a path."""
        return self._written("latex", path)

    def to_markdown(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the tables in GitHub's Markdown, and write them to a file if there is a path."""
        return self._written("github", path)

    def to_csv(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the single scores as csv; with a path, write them, and the tables beside them."""
        return self._written("csv", path)

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
        more = {out.with_name(f"{out.stem}.{table.name}{out.suffix}"): table for table in self.tables}
        for path_of_table, table in more.items():
            write_text(side_csv(table), path_of_table)
        facts = {key: value for key, value in self._document().items() if key not in ("rows", "tables")}
        beside = out.with_name(f"{out.name}.json")
        write_text(json.dumps(facts, indent=2, default=str), beside)
        return [out, beside, *more]

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

        return page(None, self.provenance, tables=self.tables, title=self.title)

    def _written(self, form: str, path: str | os.PathLike[str] | None) -> str:
        if path is not None:
            self.save(path, form)
        return self.to_text(form)

    def __str__(self) -> str:
        return self.to_text("plain")

    def __repr__(self) -> str:
        return f"{self.title}: {len(self.rows)} scores, tables {', '.join(table.name for table in self.tables)}"

    def _repr_html_(self) -> str:
        import html

        parts = [f"<h4>{html.escape(t.title)}</h4>{t.frame.to_html(index=False)}" for t in self.tables]
        return "".join(parts)
