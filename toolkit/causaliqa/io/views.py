"""Images as they are shown on pages: 8-bit RGB of whatever is scored."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from causaliqa.functional.luminance import pu21
from causaliqa.io.channels import read_channels
from causaliqa.io.file_kinds import HDR_KINDS, kind_of
from causaliqa.io.linear_light import read_light
from causaliqa.io.pixels import fractions

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["load_view"]

_SHOWN = 1000.0
"""Luminance in cd/m² that the brightest light of an image is shown at, before PU21 compresses it."""


def load_view(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Read an image for the eye, ``(H, W, 3)``: light by PU21, the mean of channels that are no RGB as gray.

    Raises:
        ImageError: the file cannot be read.
    """
    values: NDArray[Any]
    if kind_of(Path(path)) in HDR_KINDS:
        light = read_light(path).astype(np.float64)
        values = pu21(light * (_SHOWN / max(float(light.max()), 1e-9))) / float(pu21(_SHOWN))
    else:
        values = fractions(read_channels(path))
    rgb = values if values.shape[2] == 3 else values.mean(axis=2, keepdims=True).repeat(3, axis=2)
    return (rgb * 255).round().astype(np.uint8)
