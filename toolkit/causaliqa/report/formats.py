"""Formats of tables, and the columns that tables can be broken down by; imports nothing heavy."""

from __future__ import annotations

import os
from pathlib import Path

from causaliqa.api.data import PAIR_COLUMNS, ScoreRow, columns
from causaliqa.api.errors import InputError

__all__ = ["BREAKDOWNS", "FORMATS", "SCORE_FORMATS", "TEXT_FORMATS", "format_of"]

TEXT_FORMATS = ("plain", "github", "csv", "json", "latex")
"""Formats of :func:`causaliqa.report.table.render`."""

FORMATS = (*TEXT_FORMATS, "html")
"""All formats; ``html`` is a page, see :func:`causaliqa.report.page.page`."""

SCORE_FORMATS = ("plain", "csv", "json")
"""Formats of :func:`causaliqa.report.score_table.scores_text`."""

BREAKDOWNS = tuple(c for c in PAIR_COLUMNS if columns(ScoreRow)[c].kind is str and c not in ("dataset", "ref", "dist"))
"""Columns that a table can be broken down by: type, level, split."""

_SUFFIXES = {
    ".txt": "plain",
    ".md": "github",
    ".markdown": "github",
    ".csv": "csv",
    ".json": "json",
    ".tex": "latex",
    ".html": "html",
    ".htm": "html",
}


def format_of(out: str | os.PathLike[str] | None, asked: str | None = None, *, option: str = "--format") -> str:
    """Return the format of a table: the one that was asked for, else that of the suffix of its file, else plain.

    Args:
        out: file that it is written to, if any.
        asked: format that was asked for, if any.
        option: what the message calls the choice.

    Raises:
        InputError: the two contradict each other, or nothing tells the format of a file.

    Example:
        >>> format_of("board.html"), format_of("board.dat", "csv"), format_of(None), format_of("/dev/stdout")
        ('html', 'csv', 'plain', 'plain')
        >>> format_of("board.html", "csv")
        Traceback (most recent call last):
        causaliqa.api.errors.InputError: board.html: got --format csv, which belongs into another kind of file than \
.html; leave one of the two out
    """
    suffix = Path(out).suffix.lower() if out is not None else ""
    usual = _SUFFIXES.get(suffix)
    if asked is None:
        if suffix and usual is None:
            known = ", ".join(_SUFFIXES)
            raise InputError(f"{out}: the suffix names no format; expected one of {known}, or {option} beside it")
        return usual or "plain"
    # Text is text: a LaTeX or Markdown table in a .txt file is no contradiction.
    if usual not in (None, asked) and (usual != "plain" or asked == "html"):
        raise InputError(
            f"{out}: got {option} {asked}, which belongs into another kind of file than {suffix}; leave one of the two "
            "out"
        )
    return asked
