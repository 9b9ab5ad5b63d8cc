"""Figures without a display, written completely or not at all."""

from __future__ import annotations

import os
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.api.errors import InputError
from causaliqa.utils.files import atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["SUFFIXES", "new_figure", "save"]

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
