"""Results that are written in several formats: what leaderboards and comparisons have in common."""

from __future__ import annotations

import json
import os
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from causaliqa.evaluation.side_table import SideTable
from causaliqa.report.formats import format_of
from causaliqa.report.side_text import side_csv
from causaliqa.utils.files import write_text

__all__ = ["Written", "write_beside"]


class Written:
    """A result with a text in every format."""

    @abstractmethod
    def to_text(self, form: str = "plain") -> str:
        """Return the text in a format."""

    @abstractmethod
    def save(self, path: str | os.PathLike[str], form: str | None = None) -> list[Path]:
        """Write the text, and what belongs beside it."""

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
        """Return what the csv file holds; with a path, write it and the files beside it."""
        if path is not None:
            self.save(path, "csv")
        return self.to_text("csv")

    def __str__(self) -> str:
        return self.to_text("plain")

    def _written(self, form: str, path: str | os.PathLike[str] | None, **options: Any) -> str:
        """Return a text that nothing stands beside, made once."""
        if path is not None:
            format_of(path, form)
        text = self.to_text(form, **options)
        if path is not None:
            write_text(text, Path(path))
        return text


def write_beside(out: Path, tables: Iterable[SideTable], facts: Mapping[str, Any]) -> list[Path]:
    """Write ``OUT.json`` and a csv file for each table beside a csv file.

    Args:
        out: the csv file.
        tables: the tables.
        facts: what the JSON file says.

    Returns:
        The files.

    Raises:
        OutputError: a file cannot be written.
    """
    beside = out.with_name(f"{out.name}.json")
    write_text(json.dumps(facts, indent=2, default=str), beside)
    more = {out.with_name(f"{out.stem}.{table.name}{out.suffix}"): table for table in tables}
    for path, table in more.items():
        write_text(side_csv(table), path)
    return [beside, *more]
