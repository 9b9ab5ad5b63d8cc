"""Reading images: formats that Pillow decodes become RGB in [0, 1]; failures are one-line errors (docs/images.md)."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from causaliqa.api.errors import CausaliqaError, ImageError, InputError
from causaliqa.io.file_kinds import HDR_KINDS, kind_of
from causaliqa.io.pixels import SIDEWAYS, fractions, orientation_of, stored_pixels
from causaliqa.io.weights import sha256
from causaliqa.utils import memory
from causaliqa.utils.environment import Environment
from causaliqa.utils.text import brief

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image as Picture
    from torch import Tensor

__all__ = [
    "PROTOCOL",
    "as_image",
    "check_size",
    "image_key",
    "image_size",
    "image_suffixes",
    "load_image",
    "max_pixels",
    "read_pixels",
    "reading",
]

PROTOCOL = "2"
"""Version of the reading; increased whenever the pixels of many kinds of files would change."""

_VERSIONS = {"tiff": "4", "png48": "3"}
"""Versions of the reading of kinds of files that changed alone: part of :func:`image_key`."""

_FORMATS = ("PNG", "JPEG", "MPO", "BMP", "DIB", "WEBP", "TIFF", "PPM", "GIF", "JPEG2000", "AVIF", "TGA")

_BYTES = 27
"""Bytes per pixel while an image is decoded: 8-bit RGB, and float32 twice."""

_LIGHT = (
    "holds linear light: score it with --hdr pu21 (in Python Preparation(hdr='pu21')), or convert it to 8 or 16 bits"
)
_ADVICE = {
    **dict.fromkeys(HDR_KINDS, _LIGHT),
    "npy": "is an array: only score, compare and rd read those; in Python load it and pass the array",
}
"""What messages say of files that others than Pillow read."""

T = TypeVar("T")


def image_key(path: Path) -> str:
    """Return what stored scores know an image by: the SHA-256 of its file, where the reading of such files
    changed alone with its version.

    Raises:
        OSError: the file cannot be read.
    """
    version = _VERSIONS.get(kind_of(path))
    return f"{sha256(path)}:{version}" if version else sha256(path)


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
        turned = image.format != "TIFF" and orientation_of(image) in SIDEWAYS
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

    rgb = torch.from_numpy(fractions(read_pixels(path))).permute(2, 0, 1)[None]
    return rgb.expand(-1, 3, -1, -1).contiguous()


def read_pixels(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read an image as it is stored: gray ``(H, W, 1)`` or RGB ``(H, W, 3)`` of 8 or 16 bits, upright.

    Raises:
        ImageError: see :func:`load_image`.
        CausaliqaError: it does not fit into memory.
    """
    return _opened(Path(path), stored_pixels)


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
    if image.dtype.name not in ("uint8", "uint16") and image.dtype.kind != "f":
        raise ImageError(f"image: got an array of {image.dtype}, expected uint8, uint16 or floats in [0, 1]")
    values = fractions(image)
    rgb = np.repeat(values[..., None], 3, axis=2) if values.ndim == 2 else values
    return _in_range(torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)))[None])


def _in_range(image: Tensor) -> Tensor:
    low, high = (float(image.min()), float(image.max())) if image.numel() else (0.0, 0.0)
    if not (low >= 0 and high <= 1):
        raise ImageError(f"image: got values from {low:g} to {high:g}, expected [0, 1]; divide 8-bit values by 255")
    return image


def _opened(path: Path, use: Callable[[Picture], T]) -> T:
    """Open a file with Pillow, check its header and apply ``use``."""
    from PIL import Image

    limit = max_pixels()
    with reading(path), warnings.catch_warnings():
        if advice := _ADVICE.get(kind_of(path)):
            raise ImageError(f"image {path} {advice}")
        # What Pillow warns about is refused or handled below.
        warnings.simplefilter("ignore")
        try:
            with Image.open(path, formats=_formats()) as image:
                check_size(path, image.size)
                return use(image)
        except Image.DecompressionBombError as error:
            raise _too_large(path, str(error), limit) from error


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Make one line of any exception of a decoder.

    Raises:
        ImageError: the path is no file, or what the decoder raised.
        CausaliqaError: memory ran out.
    """
    from PIL import UnidentifiedImageError

    if not path.exists():
        raise ImageError(f"image {path} does not exist")
    if not path.is_file():
        raise ImageError(f"image {path} cannot be read: it is a folder or a device, expected a file")
    try:
        yield
    except CausaliqaError:
        raise
    except UnidentifiedImageError:
        empty = "is empty (0 bytes)" if not path.stat().st_size else "is no image that Pillow can read"
        raise ImageError(f"image {path} {empty}") from None
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


def check_size(path: Path, size: tuple[int, int], *, channels: int = 3) -> None:
    """Check what a header says before anything is decoded.

    Args:
        path: the file, for messages.
        size: width and height.
        channels: numbers per pixel; three of them are one pixel of the limit.

    Raises:
        ImageError: there is no pixel, or there are more than :func:`max_pixels`.
        CausaliqaError: it does not fit into memory.
    """
    pixels, limit = size[0] * size[1] * max(1, channels / 3), max_pixels()
    if not pixels:
        raise ImageError(f"image {path} cannot be read: it has no pixels, got {size[0]} x {size[1]}")
    if pixels > limit:
        more = f" of {channels} channels" if channels > 3 else ""
        raise _too_large(path, f"{size[0]} x {size[1]} pixels{more}", limit)
    memory.require(pixels * _BYTES, f"image {path}", remedy="crop it or make it smaller")


def _too_large(path: Path, got: str, limit: int) -> ImageError:
    return ImageError(
        f"image {path} is too large: got {got}, expected at most {limit} pixels; is it a decompression bomb? "
        "If not, set CAUSALIQA_MAX_PIXELS"
    )
