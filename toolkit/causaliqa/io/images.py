"""Reading images: formats that Pillow decodes become RGB in [0, 1]; failures are one-line errors (docs/images.md)."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from causaliqa.api.errors import CausaliqaError, ImageError, InputError
from causaliqa.io.tiff_layout import check_layout, is_white_zero
from causaliqa.io.weights import sha256
from causaliqa.utils import memory
from causaliqa.utils.environment import Environment
from causaliqa.utils.text import brief

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image as Picture
    from torch import Tensor

    Array = NDArray[np.float32]

__all__ = ["PROTOCOL", "as_image", "image_key", "image_size", "image_suffixes", "load_image", "max_pixels"]

PROTOCOL = "2"
"""Version of the reading; increased whenever the pixels of many kinds of files would change."""

_TIFF_HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_TIFF_VERSION = "3"
"""Version of the reading of TIFF, which changed alone: part of :func:`image_key`."""

_DEEP = frozenset({"I;16", "I;16B", "I;16L", "I;16N", "I"})
"""Pillow's 16-bit gray modes (``I`` may hold more), which Pillow's conversion to RGB would clip."""
_WHITE = 65535

_ORIENTATION, _SIDEWAYS = 0x0112, range(5, 9)
"""EXIF tag of the orientation, and its values that swap width and height."""

_FORMATS = ("PNG", "JPEG", "MPO", "BMP", "DIB", "WEBP", "TIFF", "PPM", "GIF", "JPEG2000", "AVIF", "TGA")

_BYTES = 27
"""Bytes per pixel while an image is decoded: 8-bit RGB, and float32 twice."""

T = TypeVar("T")


def image_key(path: Path) -> str:
    """Return what stored scores know an image by: the SHA-256 of its file, for TIFF with the version of its reading.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(4)
    return f"{sha256(path)}:{_TIFF_VERSION}" if head in _TIFF_HEADS else sha256(path)


def max_pixels() -> int:
    """Return the most pixels an image may have: ``CAUSALIQA_MAX_PIXELS``, by default Pillow's own limit.

    Raises:
        InputError: the variable is not a whole number above 0.

    Example:
        >>> max_pixels() >= 100_000_000
        True
    """
    from PIL import Image

    text = Environment.current().max_pixels
    if not text:
        # Pillow warns above its limit and refuses above twice that.
        return 2 * (Image.MAX_IMAGE_PIXELS or 89_478_485)
    if not (text.isascii() and text.isdecimal() and len(text) < 19 and int(text)):
        raise InputError(f"CAUSALIQA_MAX_PIXELS: got {text!r}, expected a whole number above 0")
    Image.MAX_IMAGE_PIXELS = int(text)
    return int(text)


@lru_cache(maxsize=1)
def image_suffixes() -> frozenset[str]:
    """Return the file name endings of the formats that are read: files with one count as images in a folder.

    Example:
        >>> {".png", ".jpg", ".tif", ".jp2", ".gif", ".tga"} <= image_suffixes(), ".csv" in image_suffixes()
        (True, False)
    """
    from PIL import Image

    formats = _formats()
    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in formats)


def image_size(path: str | os.PathLike[str], *, decode: bool = False) -> tuple[int, int]:
    """Return width and height from the header, with the EXIF orientation applied.

    Args:
        path: the file.
        decode: also decode the pixels, which detects truncated files.

    Raises:
        ImageError: the file is missing, no image, too large or, with ``decode``, damaged.
    """

    def look(image: Picture) -> tuple[int, int]:
        # Pillow applies the orientation of a TIFF itself.
        turned = image.format != "TIFF" and _orientation(image) in _SIDEWAYS
        if decode:
            image.load()
        return image.size[::-1] if turned else image.size

    return _opened(Path(path), look)


def load_image(path: str | os.PathLike[str]) -> Tensor:
    """Read an image as ``(1, 3, H, W)``, float32 RGB in [0, 1].

    Gray is repeated, alpha is dropped, the EXIF orientation is applied; of several frames the first is used.

    Raises:
        ImageError: the file is missing, no image, damaged, holds floats or integers of more than 16 bits, or has
            more pixels than :func:`max_pixels`.
        CausaliqaError: it does not fit into memory.
    """
    import torch

    return torch.from_numpy(_opened(Path(path), _pixels)).permute(2, 0, 1)[None].contiguous()


def as_image(image: Tensor | NDArray[Any] | str | os.PathLike[str]) -> Tensor:
    """Return an image given as path, array or tensor as ``(1, 3, H, W)``, float32 RGB in [0, 1].

    Args:
        image: a path; an array ``(H, W, 3)`` or ``(H, W)`` of 8 or 16 bits or of floats in [0, 1]; or a tensor
            ``(3, H, W)`` or ``(1, 3, H, W)`` of floats in [0, 1].

    Raises:
        ImageError: the file cannot be read, or shape, type or range of the array or tensor is wrong.

    Example:
        >>> import numpy as np
        >>> as_image(np.full((8, 9), 255, np.uint8)).shape
        torch.Size([1, 3, 8, 9])
    """
    import numpy as np
    import torch

    if isinstance(image, str | os.PathLike):
        return load_image(Path(image))
    if isinstance(image, torch.Tensor):
        found = image.detach()[None] if image.dim() == 3 else image.detach()
        if not found.is_floating_point() or found.dim() != 4 or found.shape[0] != 1 or found.shape[1] != 3:
            raise ImageError(f"image: got a tensor {tuple(image.shape)} {image.dtype}, expected floats (3, H, W)")
        return _in_range(found.float())
    if not isinstance(image, np.ndarray) or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
        got = f"an array {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ImageError(f"image: got {got}, expected a path, a tensor (3, H, W) or an array (H, W, 3) or (H, W)")
    white = {"uint8": 255, "uint16": _WHITE}.get(image.dtype.name, 1)
    if white == 1 and image.dtype.kind != "f":
        raise ImageError(f"image: got an array of {image.dtype}, expected uint8, uint16 or floats in [0, 1]")
    values = image.astype(np.float32) / np.float32(white)
    rgb = np.repeat(values[..., None], 3, axis=2) if values.ndim == 2 else values
    return _in_range(torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)))[None])


def _in_range(image: Tensor) -> Tensor:
    low, high = (float(image.min()), float(image.max())) if image.numel() else (0.0, 0.0)
    if not (low >= 0 and high <= 1):
        raise ImageError(f"image: got values from {low:g} to {high:g}, expected [0, 1]; divide 8-bit values by 255")
    return image


def _opened(path: Path, use: Callable[[Picture], T]) -> T:
    """Open a file, check its header and apply ``use``; any exception of a decoder becomes a one-line error."""
    from PIL import Image, UnidentifiedImageError

    limit = max_pixels()
    if not path.exists():
        raise ImageError(f"image {path} does not exist")
    if not path.is_file():
        raise ImageError(f"image {path} cannot be read: it is a folder or a device, expected a file")
    try:
        with warnings.catch_warnings():
            # What Pillow warns about is refused or handled below.
            warnings.simplefilter("ignore")
            with Image.open(path, formats=_formats()) as image:
                _check_size(path, image.size, limit)
                return use(image)
    except CausaliqaError:
        raise
    except UnidentifiedImageError:
        empty = "is empty (0 bytes)" if not path.stat().st_size else "is no image that Pillow can read"
        raise ImageError(f"image {path} {empty}") from None
    except Image.DecompressionBombError as error:
        raise _too_large(path, str(error), limit) from error
    except MemoryError as error:
        raise CausaliqaError(f"image {path} does not fit into memory; crop it or make it smaller") from error
    except Exception as error:
        # Decoders raise almost anything on damaged bytes: struct.error, IndexError, zlib.error ...
        raise ImageError(f"image {path} cannot be read: {brief(error, 200, kind=False)}") from error


@lru_cache(maxsize=1)
def _formats() -> tuple[str, ...]:
    """Formats that hold pixels only; Pillow would pass PostScript to an interpreter."""
    from PIL import Image

    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _check_size(path: Path, size: tuple[int, int], limit: int) -> None:
    pixels = size[0] * size[1]
    if not pixels:
        raise ImageError(f"image {path} cannot be read: it has no pixels, got {size[0]} x {size[1]}")
    if pixels > limit:
        raise _too_large(path, f"{size[0]} x {size[1]} pixels", limit)
    memory.require(pixels * _BYTES, f"image {path}", remedy="crop it or make it smaller")


def _too_large(path: Path, got: str, limit: int) -> ImageError:
    return ImageError(
        f"image {path} is too large: got {got}, expected at most {limit} pixels; is it a decompression bomb? "
        "If not, set CAUSALIQA_MAX_PIXELS"
    )


def _orientation(image: Picture) -> int:
    """Return the EXIF orientation; 1 if there is none or the metadata cannot be parsed."""
    with suppress(Exception):
        return int(image.getexif().get(_ORIENTATION, 1))
    return 1


def _pixels(image: Picture) -> Array:
    """Return an opened image as RGB ``(H, W, 3)`` in [0, 1], upright."""
    import numpy as np
    from PIL import ImageOps

    if image.format == "TIFF":
        check_layout(image)
    negative = is_white_zero(image)
    turned = _orientation(image) > 1
    image.load()
    image = ImageOps.exif_transpose(image) if turned else image
    if image.mode == "F":
        raise ValueError("it holds floating-point numbers of unknown range; convert it to 8 or 16 bits")
    if image.mode in _DEEP:
        gray = np.asarray(image).astype(np.float32)
        if gray.min() < 0 or gray.max() > _WHITE:
            raise ValueError(f"gray values from {gray.min():g} to {gray.max():g}, expected 8 or 16 bits; convert it")
        gray = _WHITE - gray if negative else gray
        return np.repeat((gray / np.float32(_WHITE))[..., None], 3, axis=2)
    # A transparent palette or gray value acts as an alpha channel, too.
    plain = image.convert("RGBA") if "transparency" in image.info else image
    return np.asarray(plain.convert("RGB")).astype(np.float32) / np.float32(255)
