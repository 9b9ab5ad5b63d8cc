"""Text from data: escaped for its destination, put into tables, or read as a number."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from causaliqa.api.data import printable

__all__ = [
    "brief",
    "csv_cell",
    "csv_text",
    "distinct_names",
    "figure_text",
    "latex",
    "markdown",
    "number",
    "one_line",
    "shorten",
    "text_table",
    "whole_number",
    "without_folders",
]

_FORMULA = re.compile(r"'*[=+\-@＝＋－＠\x00-\x1f\x7f]")
_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+|inf|nan)([eE][+-]?\d+)?"
_NUMBERS = re.compile(f"{_NUMBER}( {_NUMBER})*")
_DECIMAL = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf|nan)", re.ASCII | re.IGNORECASE)
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    **{c: f"\\{c}" for c in "&%$#_{}"},
}

_FOLDERS = re.compile(
    r"""(?<![^=,:\[\s'"])                             # at the start of a value
    (?:(?:~[\w.-]*|\.{1,2}|[A-Za-z]:|\\)[/\\](?=[^\s/\\])  # a home, a parent, a drive or a share,
    |/(?=[^\s/\\,=:'"]+/))                         # or a folder below the root
    (?:[^/\\,=:'"\n]+[/\\]+)*(?=[^/\\\s])""",
    re.VERBOSE,
)


def without_folders(text: str) -> str:
    """Return a request or an option with file names in the place of paths: what is published names no home folder.

    Relative paths below the current folder stay, as they name nothing of the machine.

    >>> without_folders("causal_vgg:weights=/home/ann/vgg.pth,terms=md"), without_folders("~/nets/net.py:make")
    ('causal_vgg:weights=vgg.pth,terms=md', 'net.py:make')
    >>> without_folders("../net.py:make"), without_folders("nets/net.py"), without_folders("C:/Users/ann/net.py")
    ('net.py:make', 'nets/net.py', 'net.py')
    """
    return _FOLDERS.sub("", text)


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """Return a name for every path: the last part, with the folder before it or a number where that is not unique.

    >>> distinct_names([Path("/a/x/s.csv"), Path("/a/y/s.csv"), Path("/b/t.csv")])
    ['x/s.csv', 'y/s.csv', 't.csv']
    >>> distinct_names([Path("/a/x/s.csv"), Path("/b/x/s.csv")])
    ['x/s.csv (1)', 'x/s.csv (2)']
    """
    paths = [path.absolute() for path in paths]
    last = [path.name for path in paths]
    names = [
        name if last.count(name) == 1 else "/".join(path.parts[-2:]) for name, path in zip(last, paths, strict=True)
    ]
    return [
        name if names.count(name) == 1 else f"{name} ({names[: place + 1].count(name)})"
        for place, name in enumerate(names)
    ]


def one_line(text: str) -> str:
    r"""Return text as one line without control characters.

    Each run of control characters, line breaks and bidirectional marks becomes a space; undecodable bytes of file
    names are shown as escapes.

    >>> one_line("a\nb\x1b[31m")
    'a b [31m'
    >>> one_line("\udcff.png")
    '\\udcff.png'
    """
    plain = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+", " ", text).strip()
    return printable(plain)


def shorten(text: str, length: int) -> str:
    """Return text with every run of white space as one space, cut after ``length`` characters.

    >>> shorten("one\\n  two three", 7)
    'one two'
    """
    return " ".join(text.split())[:length]


def brief(error: BaseException, length: int = 300, *, kind: bool = True) -> str:
    """Return an exception as one line for a message.

    Args:
        error: the exception.
        length: most characters of its text.
        kind: prefix the name of its class.

    Example:
        >>> brief(ValueError("one\\n two")), brief(KeyError()), brief(OSError("full"), kind=False)
        ('ValueError: one two', 'KeyError', 'full')
    """
    text = one_line(" ".join(str(error).split()))[:length]
    name = type(error).__name__
    return f"{name}: {text}" if text and kind else text or name


def figure_text(text: str) -> str:
    r"""Return text that Matplotlib draws verbatim; between two dollars it would parse a formula.

    >>> figure_text("a$_1$")
    'a\\$_1\\$'
    """
    return one_line(text).replace("$", r"\$")


def csv_cell(text: str) -> str:
    """Return text that no spreadsheet reads as a formula: an apostrophe precedes what could begin one.

    Numbers are unchanged. :func:`csv_text` is the exact inverse.

    >>> [csv_cell(t) for t in ("psnr", "=1+1", "-x", "-1.5", "'=a")]
    ['psnr', "'=1+1", "'-x", '-1.5', "''=a"]
    """
    return f"'{text}" if _is_formula(text) else text


def csv_text(cell: str) -> str:
    """Return the original text of a cell from :func:`csv_cell`.

    >>> [csv_text(csv_cell(t)) for t in ("'a", "=1", "'=1")]
    ["'a", '=1', "'=1"]
    """
    return cell[1:] if cell.startswith("'") and _is_formula(cell) else cell


def _is_formula(text: str) -> bool:
    return bool(_FORMULA.match(text)) and not _NUMBERS.fullmatch(text.lstrip("'"))


def markdown(text: str) -> str:
    """Return text escaped for a table cell in GitHub's Markdown.

    >>> markdown("a|b_c <i>")
    'a\\\\|b_c &lt;i>'
    """
    return re.sub(r"([\\|*`\[\]~])", r"\\\1", one_line(text)).replace("&", "&amp;").replace("<", "&lt;")


def latex(text: str) -> str:
    """Return text that LaTeX prints verbatim.

    >>> latex("causal_vgg: 5 %")
    'causal\\\\_vgg: 5 \\\\%'
    """
    return "".join(_LATEX.get(c, c) for c in one_line(text))


def number(text: str) -> float:
    """Return the number that a cell holds: decimal, with or without exponent, ``inf`` or ``nan``.

    What only Python takes for a number is refused: ``1_000``, ``infinity``, digits of other scripts.

    Raises:
        ValueError: it is none.

    Example:
        >>> number(" -1.5e3 "), number("NaN"), number(".5")
        (-1500.0, nan, 0.5)
    """
    plain = text.strip(" \t")
    if not _DECIMAL.fullmatch(plain):
        raise ValueError(f"{one_line(text)!r} is no number")
    return float(plain)


def whole_number(text: str) -> int:
    """Return the whole number that a cell holds.

    Raises:
        ValueError: it is none.

    Example:
        >>> whole_number("07")
        7
    """
    plain = text.strip(" \t")
    if not _WHOLE.fullmatch(plain) or len(plain) > 18:
        raise ValueError(f"{one_line(text)!r} is no whole number")
    return int(plain)


def text_table(
    rows: Sequence[Mapping[str, Any]] | Sequence[Sequence[Any]],
    *,
    headers: Sequence[str] | None = None,
    style: str = "simple",
    align: Sequence[str] | None = None,
) -> str:
    """Return a table whose cells are printed as they are: a version 1.10 is no number 1.1.

    Args:
        rows: mappings, whose keys are the headings, or lists of cells.
        headers: headings of lists.
        style: a table format of tabulate.
        align: ``left`` or ``right`` for every column; by default all are on the left.

    Example:
        >>> print(text_table([{"plugin": "ten", "version": "1.10"}]))
        plugin    version
        --------  ---------
        ten       1.10
    """
    from tabulate import tabulate

    names = list(headers) if headers is not None else list(dict.fromkeys(key for row in rows for key in row))
    lines = [[row.get(name, "") for name in names] if isinstance(row, Mapping) else list(row) for row in rows]
    cells = [["" if cell is None else one_line(str(cell)) for cell in line] for line in lines]
    sides = list(align) if align is not None else ["left"] * len(names)
    return str(tabulate(cells, headers=names, tablefmt=style, disable_numparse=True, colalign=sides if cells else None))
