"""Formats of tables, and columns that they may be broken down by; nothing is imported."""

from __future__ import annotations

__all__ = ["BREAKDOWNS", "FORMATS", "PAGE_FORMATS"]

FORMATS = ("plain", "github", "csv", "json", "latex")
"""Formats that :func:`causaliqa.report.table.render` writes."""

PAGE_FORMATS = (*FORMATS, "html")
"""Formats that a leaderboard and a table of effect maps can be written in."""

BREAKDOWNS = ("type", "level", "split")
"""Columns of a manifest that a leaderboard may be broken down by."""
