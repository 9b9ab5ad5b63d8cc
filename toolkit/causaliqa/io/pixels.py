"""Pixels of an opened image file, upright, with the bits that the file holds."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.io.file_kinds import kind_of
from causaliqa.io.tiff_layout import check_layout, has_deep_colour, is_white_zero

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image as Picture

__all__ = ["SIDEWAYS", "fractions", "orientation_of", "stored_pixels", "upright"]

_DEEP = frozenset({"I;16", "I;16B", "I;16L", "I;16N", "I"})
"""Pillow's 16-bit gray modes (``I`` may hold more), which Pillow's conversion to RGB would clip."""
_WHITE = 65535

_ORIENTATION = 0x0112
"""EXIF tag of the orientation."""
SIDEWAYS = range(5, 9)
"""Orientations that swap width and height."""


def fractions(values: NDArray[Any]) -> NDArray[np.float32]:
    """Return 8- or 16-bit values as fractions of white, floats as they are.

    Example:
        >>> import numpy as np
        >>> fractions(np.array([0, 65535], np.uint16)).tolist()
        [0.0, 1.0]
    """
    import numpy as np

    white = {"uint8": 255, "uint16": _WHITE}.get(values.dtype.name, 1)
    return np.asarray(values.astype(np.float32) / np.float32(white))


def orientation_of(image: Picture) -> int:
    """Return the EXIF orientation; 1 if there is none or the metadata cannot be parsed."""
    with suppress(Exception):
        return int(image.getexif().get(_ORIENTATION, 1))
    return 1


def stored_pixels(image: Picture) -> NDArray[Any]:
    """Return an opened image as gray ``(H, W, 1)`` or RGB ``(H, W, 3)``, upright, of 8 or 16 bits.

    Raises:
        ValueError: the white level is unknown, or Pillow decodes the layout to other pixels.
    """
    import numpy as np
    from PIL import ImageOps

    if image.format == "TIFF":
        check_layout(image)
    negative, deep = is_white_zero(image), _is_deep_colour(image)
    orientation = orientation_of(image)
    image.load()  # detects damage, also in files that are then read by other libraries
    if deep:
        from causaliqa.io.deep_colour import read_deep_colour

        return upright(read_deep_colour(_path(image), str(image.format)), orientation)
    image = ImageOps.exif_transpose(image) if orientation > 1 else image
    if image.mode == "F":
        raise ValueError("it holds floating-point numbers of unknown range; convert it to 8 or 16 bits")
    if image.mode in _DEEP:
        gray = np.asarray(image).astype(np.int64)
        if gray.min() < 0 or gray.max() > _WHITE:
            raise ValueError(f"gray values from {gray.min():g} to {gray.max():g}, expected 8 or 16 bits; convert it")
        return (_WHITE - gray if negative else gray).astype(np.uint16)[..., None]
    # A transparent palette or gray value acts as an alpha channel, too.
    plain = image.convert("RGBA") if "transparency" in image.info else image
    return np.asarray(plain.convert("RGB"))


def _is_deep_colour(image: Picture) -> bool:
    """Return whether the file holds 16 bits a channel and more channels than gray, of which Pillow keeps 8 bits."""
    if image.format == "TIFF":
        return has_deep_colour(image)
    return image.format == "PNG" and kind_of(_path(image)) == "png48"


def _path(image: Picture) -> Path:
    return Path(image.filename)  # type: ignore[attr-defined]


def upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn ``(H, W, C)`` as an EXIF orientation says, like Pillow's ``exif_transpose`` for what Pillow can hold."""
    import numpy as np

    if orientation in SIDEWAYS:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
