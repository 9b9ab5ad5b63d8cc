"""Formats of tables, and the columns that tables can be broken down by; imports nothing heavy."""

from __future__ import annotations

from causaliqa.api.data import PAIR_COLUMNS, ScoreRow, columns

__all__ = ["BREAKDOWNS", "FORMATS", "TEXT_FORMATS"]

TEXT_FORMATS = ("plain", "github", "csv", "json", "latex")
"""Formats of :func:`causaliqa.report.table.render`."""

FORMATS = (*TEXT_FORMATS, "html")
"""All formats; ``html`` is a page, see :func:`causaliqa.report.page.page`."""

BREAKDOWNS = tuple(c for c in PAIR_COLUMNS if columns(ScoreRow)[c].kind is str and c not in ("dataset", "ref", "dist"))
"""Columns that a table can be broken down by: type, level, split."""
