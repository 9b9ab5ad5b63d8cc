"""Figures without a display, written completely or not at all."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from functools import lru_cache
from html import escape
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.api.errors import InputError
from causaliqa.utils.files import atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "MARKERS", "SUFFIXES", "data_url", "formats", "html_summary", "new_figure", "save"]

SUFFIXES = (".png", ".pdf", ".svg")
"""Suffixes of the formats that figures are written in."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")
"""Colours that colour-blind readers tell apart, by Okabe and Ito (Color Universal Design, 2008); gray for yellow,
which is hardly seen on paper."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""Matplotlib's markers; one less than there are colours, so that every pair occurs before one comes again."""

_PRINT: dict[Any, Any] = {"pdf.fonttype": 42, "ps.fonttype": 42, "svg.fonttype": "none"}
"""Text stays text: TrueType fonts in PDF, which publishers ask for, and characters instead of outlines in SVG."""


def formats(text: str) -> tuple[str, ...]:
    """Return the suffixes that a list such as ``"png,pdf"`` names, each once.

    Raises:
        InputError: one of them is no format of figures.

    Example:
        >>> formats("png, PDF")
        ('.png', '.pdf')
    """
    found = tuple(dict.fromkeys(f".{part.strip().lower().removeprefix('.')}" for part in text.split(",")))
    if wrong := [suffix for suffix in found if suffix not in SUFFIXES]:
        known = ", ".join(suffix[1:] for suffix in SUFFIXES)
        raise InputError(f"figures: got {wrong[0][1:]!r}, expected one of {known}, or several with commas between")
    return found


@lru_cache(maxsize=1)
def _kind() -> type[Figure]:
    from matplotlib.figure import Figure

    class Picture(Figure):
        """A figure that notebooks display, with or without pyplot."""

        def _repr_png_(self) -> bytes:
            out = BytesIO()
            self.savefig(out, format="png", dpi=100)
            return out.getvalue()

    return Picture


def new_figure(width: float, height: float) -> Figure:
    """Return a figure of the given size in inches, independent of any display and of pyplot's state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = _kind()(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Any, path: str | os.PathLike[str]) -> Path:
    """Write a figure in the format of the suffix (PNG, PDF, SVG) and return the path.

    Raises:
        InputError: the suffix is not one of :data:`SUFFIXES`.
        OutputError: the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: got a picture of kind {path.suffix!r}, expected one of {', '.join(SUFFIXES)}")
    from matplotlib import rc_context

    with atomic(path) as part, rc_context(_PRINT):
        figure.savefig(part, dpi=130)
    return path


def data_url(figure: Any, *, dpi: int = 90) -> str:
    """Return a figure as a PNG in a ``data:`` address, to be put into a page."""
    buffer = BytesIO()
    figure.savefig(buffer, dpi=dpi, format="png")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def html_summary(facts: Mapping[str, Any], figure: Any) -> str:
    """Return a table of facts and a picture as HTML, for notebooks."""
    texts = {key: f"{value:.4g}" if isinstance(value, float) else str(value) for key, value in facts.items()}
    rows = "".join(f"<tr><th>{escape(key)}</th><td>{escape(text)}</td></tr>" for key, text in texts.items())
    return f'<img alt="" src="{data_url(figure)}"><table>{rows}</table>'
