"""Colour images of 16 bits a channel, of which Pillow would keep 8: PNG by OpenCV, TIFF by tifffile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from causaliqa.io.tiff_samples import samples_of, tiff_page

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["read_deep_colour"]


def read_deep_colour(path: Path, form: str) -> NDArray[Any]:
    """Return the colours of a file that Pillow has decoded without complaint, ``(H, W, 3)``, not turned.

    Args:
        path: the file.
        form: ``PNG`` or ``TIFF``.

    Raises:
        ValueError: it is compressed in a way that neither library knows at 16 bits.
    """
    found = _by_opencv(path) if form == "PNG" else _tiff(path)
    if found is None or found.dtype != np.uint16 or found.ndim != 3 or found.shape[2] < 3:
        raise ValueError("its 16 bits a channel cannot be read; save it as PNG, or as TIFF without compression")
    return found[..., :3]


def _tiff(path: Path) -> NDArray[Any] | None:
    try:
        return tiff_page(path)
    except ValueError as error:
        # tifffile decompresses little without another package; OpenCV mixes up separate planes, and turns some images.
        samples = samples_of(path)
        if "imagecodecs" not in str(error) or samples is None:
            raise
        return _by_opencv(path) if samples.interleaved and samples.orientation == 1 else None


def _by_opencv(path: Path) -> NDArray[Any] | None:
    import cv2

    # Bytes, since OpenCV opens no names that are not UTF-8; unchanged: not turned, all bits.
    found = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    return None if found is None or found.ndim != 3 else np.asarray(found)[..., 2::-1]
