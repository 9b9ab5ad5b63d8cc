"""A pair of files as tensors: ordinary images, images of many channels, high dynamic range."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from causaliqa.api.errors import ImageError
from causaliqa.evaluation.preparation import Preparation
from causaliqa.functional.luminance import PU21_WHITE, luminance, pq_to_luminance, pu21
from causaliqa.io.channels import load_channels, read_channels
from causaliqa.io.linear_light import read_light
from causaliqa.io.pixels import fractions

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["load_pair"]

_PRIMARIES = {"pu21": "bt709", "pq": "bt2020"}
"""Primaries whose luminance is computed."""


def load_pair(img: Path, ref: Path | None, prepare: Preparation) -> tuple[Tensor, Tensor | None]:
    """Read an image and its reference as ``(1, C, H, W)``, float32; gray becomes three equal channels.

    Args:
        img: the image.
        ref: its reference, or None.
        prepare: says whether the files hold high dynamic range, and of what kind.

    Returns:
        Values in [0, 1]; of high dynamic range PU21 values, of which 256 is 1, up to 2.33.

    Raises:
        ImageError: a file cannot be read, or the two have different channels.
    """
    paths = [img] if ref is None else [img, ref]
    images = _encoded(paths, prepare) if prepare.hdr else [load_channels(path) for path in paths]
    counts = [image.shape[1] for image in images]
    if len(set(counts)) > 1:
        raise ImageError(f"channels differ: {img} has {counts[0]}, {ref} has {counts[1]}; expected the same")
    return images[0], images[1] if ref is not None else None


def _encoded(paths: list[Path], prepare: Preparation) -> list[Tensor]:
    import torch

    lights = [_light(path, prepare) for path in paths]
    if prepare.peak is not None:
        # The last is the reference: a fault of the image must not change the scale.
        largest = float(lights[-1].max())
        if not largest:
            raise ImageError(
                f"image {paths[-1]} is black: its largest value cannot be brought to {prepare.peak:g} cd/m2"
            )
        lights = [light * (prepare.peak / largest) for light in lights]
    if prepare.channel == "y":
        lights = [_luminance(light, prepare.hdr) for light in lights]
    encoded = [(pu21(light) / PU21_WHITE).astype(np.float32).transpose(2, 0, 1) for light in lights]
    return [torch.from_numpy(np.ascontiguousarray(x.repeat(3, axis=0) if len(x) == 1 else x))[None] for x in encoded]


def _luminance(light: NDArray[Any], hdr: str) -> NDArray[Any]:
    if light.shape[2] not in (1, 3):
        raise ImageError(f"channel y: got {light.shape[2]} channels, expected gray or RGB")
    return luminance(light, _PRIMARIES[hdr]) if light.shape[2] == 3 else light


def _light(path: Path, prepare: Preparation) -> NDArray[Any]:
    """Return light ``(H, W, C)``: in cd/m² from PQ, as stored from files of linear light."""
    if prepare.light:
        return read_light(path).astype(np.float64)
    stored = read_channels(path)
    if stored.dtype != np.uint16:
        raise ImageError(f"image {path} holds values of {stored.dtype}, expected PQ of 16 bits")
    return pq_to_luminance(fractions(stored))
