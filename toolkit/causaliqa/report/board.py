"""A leaderboard: rows, tables, and where they come from, written in every format."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.api.data import PairDataset
from causaliqa.evaluation.rank import wrong_directions
from causaliqa.evaluation.side_table import SideTable
from causaliqa.report.formats import format_of
from causaliqa.report.provenance import Provenance
from causaliqa.report.side_text import side_document, side_text
from causaliqa.report.table import document, render, rows_csv
from causaliqa.report.written import Written, write_beside
from causaliqa.utils.files import write_text

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Leaderboard"]


@dataclass(frozen=True, kw_only=True)
class Leaderboard(Written):
    """What :func:`leaderboard` returns."""

    rows: pd.DataFrame = field(repr=False)
    """One line per pair and metric, columns of :class:`~causaliqa.api.data.ScoreRow`."""
    table: pd.DataFrame
    """Statistics per data set and metric (and type, level or split), as :func:`causaliqa.rank` returns them."""
    overall: pd.DataFrame = field(repr=False)
    """Statistics over whole data sets; the same as :attr:`table` unless that is broken down."""
    provenance: Provenance = field(repr=False)
    """Versions, settings, seeds, weights and licences behind the numbers."""
    tables: tuple[SideTable, ...] = field(default=(), repr=False)
    """Further tables: protocols beside each other, VQEG's measures, pairs of metrics."""
    datasets: Sequence[PairDataset] = field(default=(), repr=False)
    """The labelled pairs, which tell where images are."""
    built: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The metrics that computed scores here; one that explains itself draws cost maps."""

    @property
    def failures(self) -> pd.DataFrame:
        """The rows without a score."""
        return self.rows[self.rows["error"] != ""]

    @property
    def wrong_directions(self) -> list[str]:
        """One line for every correlation that contradicts the declared directions significantly."""
        return wrong_directions(self.overall)

    def to_text(self, form: str = "plain", *, thumbnails: int = 0) -> str:
        """Return the leaderboard in one of the formats ``plain``, ``github``, ``csv``, ``json``, ``latex``, ``html``.

        All but csv hold the further tables, too.

        Args:
            form: the format.
            thumbnails: most images that a page shows, those that metrics and labels, or metrics and metrics, disagree
                on most; other formats show none.

        Raises:
            InputError: the format is unknown.
        """
        if form == "html":
            from causaliqa.report.cost_maps import explainer_of
            from causaliqa.report.page import board, page
            from causaliqa.report.thumbnails import files_of

            made = board(
                self.rows,
                self.overall,
                tables=self.tables,
                files=files_of(self.datasets),
                count=thumbnails,
                explainer=explainer_of(self.built, self.overall["metric"]) if thumbnails else None,
            )
            return page(made, self.provenance)
        if form == "json":
            facts = document(self.table, self.provenance) | {"tables": [side_document(t) for t in self.tables]}
            return json.dumps(facts, indent=2, allow_nan=False, default=str)
        text = render(self.table, form, self.provenance)
        return text if form == "csv" or not self.tables else f"{text}\n{side_text(self.tables, form)}"

    def to_html(self, path: str | os.PathLike[str] | None = None, *, thumbnails: int = 0) -> str:
        """Return the page, with the images that are disagreed on most, and write it to a file if there is a path."""
        return self._written("html", path, thumbnails=thumbnails)

    def save(self, path: str | os.PathLike[str], form: str | None = None, *, thumbnails: int = 0) -> list[Path]:
        """Write the leaderboard in a format, by default that of the suffix.

        A csv file ``board.csv`` gets ``board.csv.json`` with its provenance beside it, and a file such as
        ``board.protocols-tid2013.csv`` for each further table.

        Returns:
            The files that were written.

        Raises:
            InputError: the format is unknown, or another one than the suffix says.
            OutputError: a file cannot be written.
        """
        out, form = Path(path), format_of(path, form)
        write_text(self.to_text(form, thumbnails=thumbnails), out)
        if form != "csv":
            return [out]
        documents = [document(self.table, self.provenance), *map(side_document, self.tables)]
        facts, *sides = ({key: value for key, value in one.items() if key != "rows"} for one in documents)
        return [out, *write_beside(out, self.tables, facts | {"tables": sides})]

    def save_rows(self, path: str | os.PathLike[str]) -> Path:
        """Write every single score as csv; :func:`causaliqa.rank` and ``causaliqa report`` read it again."""
        write_text(rows_csv(self.rows), Path(path))
        return Path(path)

    def figure(
        self, path: str | os.PathLike[str], *, title: str = "", label: str = "", normalised: bool = False
    ) -> Path:
        """Draw scores against labels with the fitted curves, as PNG, PDF or SVG by the suffix.

        Args:
            path: the file.
            title: heading.
            label: name of the vertical axis.
            normalised: scores and labels on [0, 1], the better the higher, as in Figure 2 of the paper.

        Raises:
            InputError: the suffix names no kind of picture.
            OutputError: the file cannot be written.
        """
        from causaliqa.report.scatter import scatter_panels

        return scatter_panels(
            self.rows, Path(path), table=self.overall, title=title, label=label, normalised=normalised
        )

    def __repr__(self) -> str:
        sets = ", ".join(dict.fromkeys(self.table["dataset"]))
        failed = f", {len(self.failures)} failed" if len(self.failures) else ""
        return f"Leaderboard of {self.table['metric'].nunique()} metrics on {sets}: {len(self.rows)} scores{failed}"

    def _repr_html_(self) -> str:
        from causaliqa.report.table import to_html_table

        return to_html_table(self.table)
