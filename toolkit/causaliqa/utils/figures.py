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

__all__ = ["SUFFIXES", "data_url", "html_summary", "new_figure", "save"]

SUFFIXES = (".png", ".pdf", ".svg")
"""Suffixes of the formats that figures are written in."""


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
    with atomic(path) as part:
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
