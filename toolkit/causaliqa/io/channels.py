"""Images of any number of channels: what :mod:`~causaliqa.io.images` reads, arrays, and TIFF of more channels."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from causaliqa.api.errors import ImageError
from causaliqa.io.file_kinds import kind_of
from causaliqa.io.images import check_size, read_pixels, reading
from causaliqa.io.pixels import fractions, upright
from causaliqa.io.tiff_samples import Samples, samples_of, tiff_page

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["load_channels", "read_channels"]


def load_channels(path: str | os.PathLike[str]) -> Tensor:
    """Read an image as ``(1, C, H, W)``, float32 in [0, 1]; gray becomes three equal channels.

    Args:
        path: an image; a TIFF whose samples are channels of their own; or an array ``.npy`` of shape ``(H, W)`` or
            ``(H, W, C)``, 8 or 16 bits, or floats in [0, 1].

    Raises:
        ImageError: as in :func:`~causaliqa.io.images.load_image`, or the array is of another shape, type or range.
    """
    import torch

    pixels = fractions(read_channels(path)).transpose(2, 0, 1)
    gray = pixels.repeat(3, axis=0) if len(pixels) == 1 else pixels
    return torch.from_numpy(np.ascontiguousarray(gray))[None]


def read_channels(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read an image as it is stored: ``(H, W, C)`` of 8 or 16 bits or floats in [0, 1], gray with one channel.

    Raises:
        ImageError: see :func:`load_channels`.
    """
    path = Path(path)
    kind = kind_of(path)
    if kind == "npy":
        with reading(path):
            return _array(path)
    samples = samples_of(path) if kind == "tiff" else None
    if samples is None or not samples.channels:
        return read_pixels(path)
    with reading(path):
        return _channels(path, samples)


def _channels(path: Path, samples: Samples) -> NDArray[Any]:
    check_size(path, samples.size, channels=len(samples.channels))
    return upright(tiff_page(path)[..., list(samples.channels)], samples.orientation)


def _array(path: Path) -> NDArray[Any]:
    found = np.load(path, mmap_mode="r", allow_pickle=False)
    if found.ndim not in (2, 3) or 0 in found.shape:
        raise ImageError(f"image {path}: got an array {found.shape}, expected (H, W) or (H, W, C)")
    height, width, channels = (*found.shape, 1)[:3]
    if channels > min(height, width):
        raise ImageError(
            f"image {path}: got an array {found.shape}, expected (H, W, C) with fewer channels than pixels on a side; "
            "are the channels first?"
        )
    check_size(path, (width, height), channels=channels)
    if found.dtype.name not in ("uint8", "uint16") and found.dtype.kind != "f":
        raise ImageError(f"image {path}: got an array of {found.dtype}, expected uint8, uint16 or floats in [0, 1]")
    if found.dtype.kind == "f" and not (found.min() >= 0 and found.max() <= 1):
        low, high = float(found.min()), float(found.max())
        raise ImageError(f"image {path}: got values from {low:g} to {high:g}, expected [0, 1]")
    return np.array(found).reshape(height, width, channels)
