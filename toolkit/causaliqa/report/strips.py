"""Images of all outputs beside each other, where a comparison is decided."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from causaliqa.api.errors import CausaliqaError
from causaliqa.evaluation.compare import OutputScores
from causaliqa.report.thumbnails import picture_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Strip", "StripPicture", "image_strips"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class StripPicture:
    """One image of a strip."""

    name: str
    """Output, or ``reference``."""
    picture: str
    """The image as a ``data:`` address; empty if it cannot be read."""
    scores: str
    """Its scores in words."""


@dataclass(frozen=True, kw_only=True)
class Strip:
    """One image of all outputs."""

    image: str
    """File stem."""
    pictures: tuple[StripPicture, ...]
    """Reference first."""


def image_strips(made: OutputScores, deciding: pd.DataFrame, count: int) -> tuple[Strip, ...]:
    """Return the images that decide, made small.

    Args:
        made: scores and files.
        deciding: the table ``images`` of a comparison.
        count: most images.
    """
    images = list(dict.fromkeys(deciding["image"]))[:count]
    rows = made.rows.set_index(["image", "output", "metric"])["score"].astype(float)
    strips = []
    for image in images:
        names = [*([""] if made.ref is not None else []), *made.outputs]
        pictures = [
            StripPicture(
                name=name or "reference",
                picture=_picture(made, name, image),
                scores=", ".join(_said(m.name, rows[image, name, m.name], m.unit) for m in made.metrics if name),
            )
            for name in names
        ]
        strips.append(Strip(image=image, pictures=tuple(pictures)))
    return tuple(strips)


def _said(metric: str, score: float, unit: str) -> str:
    return f"{metric} {score:.4g} {unit}".rstrip() if np.isfinite(score) else f"{metric} failed"


def _picture(made: OutputScores, output: str, image: str) -> str:
    try:
        return picture_of(made.files[output, image])
    except CausaliqaError as error:
        _LOG.warning("no picture of %s: %s", image, error)
        return ""
