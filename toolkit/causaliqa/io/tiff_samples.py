"""TIFF files read by tifffile: any number of samples per pixel, interleaved or one plane each."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Samples", "samples_of", "tiff_page"]

_UNSPECIFIED = 0
"""What a sample beyond the first is called that is no alpha channel."""


@dataclass(frozen=True, kw_only=True)
class Samples:
    """How the first page of a TIFF holds its samples."""

    size: tuple[int, int]
    """Width and height, as stored."""
    orientation: int
    """How it has to be turned, as in EXIF."""
    interleaved: bool
    """True if the samples of a pixel stand together."""
    channels: tuple[int, ...]
    """Samples that are channels of their own; none where the page is gray or of a known kind of colour."""


def samples_of(path: Path) -> Samples | None:
    """Return how the first page holds its samples; None if tifffile cannot tell."""
    import tifffile

    try:
        with _quiet(), tifffile.TiffFile(path) as file:
            page: Any = file.pages.first
            gray = page.photometric in (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.MINISWHITE)
            more = [k for k, kind in enumerate(page.extrasamples, start=1) if int(kind) == _UNSPECIFIED]
            tag = page.tags.get("Orientation")
            return Samples(
                size=(int(page.imagewidth), int(page.imagelength)),
                orientation=int(tag.value) if tag else 1,
                interleaved=page.planarconfig != tifffile.PLANARCONFIG.SEPARATE,
                channels=(0, *more) if gray and more else (),
            )
    except Exception:  # whoever decodes it says what is wrong
        return None


def tiff_page(path: Path) -> NDArray[Any]:
    """Return the samples of the first page as they are stored, ``(H, W, C)``, not turned, of 8 or 16 bits.

    Raises:
        ValueError: data is missing, or its kind or compression is unknown.
    """
    import tifffile

    with _quiet(), tifffile.TiffFile(path) as file:
        page: Any = file.pages.first
        size = path.stat().st_size
        ends = [start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
        if not ends or max(ends) > size:
            raise ValueError(f"it is cut off: got {size} bytes, expected {max(ends, default=0)}")
        if page.dtype is None or page.dtype.name not in ("uint8", "uint16"):
            raise ValueError(f"it holds samples of {page.dtype}; convert it to unsigned 8 or 16 bits")
        planes, _, height, width, together = page.shaped
        stored = np.asarray(page.asarray()).reshape(planes, height, width, together)
        negative = page.photometric == tifffile.PHOTOMETRIC.MINISWHITE
    samples = stored.transpose(1, 2, 0, 3).reshape(height, width, planes * together)
    return np.iinfo(samples.dtype).max - samples if negative else samples


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep off stderr what tifffile logs of damaged files; errors are raised."""
    log = logging.getLogger("tifffile")
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(before)
