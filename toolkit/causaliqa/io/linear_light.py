"""Images of linear light: OpenEXR, Radiance HDR and PFM."""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from causaliqa.api.errors import ImageError, InputError
from causaliqa.io.file_kinds import HDR_KINDS, HDR_SUFFIXES, kind_of
from causaliqa.io.images import check_size, reading

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

__all__ = ["read_light"]

_PFM = re.compile(rb"(P[Ff])\s+(\d{1,9})\s+(\d{1,9})\s+([-+]?[0-9.eE+-]{1,20})[ \t\r]?\n|(P[Ff])")
"""Head of a PFM; one whitespace character before the pixels, which is the line feed but for a carriage return."""
_RADIANCE_SIZE = re.compile(rb"\n([-+][XY]) +(\d{1,9}) +([-+][XY]) +(\d{1,9})\n")
_HEAD = 65536
"""Bytes within which the head of a Radiance file must end."""


def read_light(path: str | os.PathLike[str]) -> Array:
    """Read linear light as it is stored: ``(H, W, 3)`` linear RGB or ``(H, W, 1)`` luminance, float32.

    Args:
        path: ``.exr`` (channels R, G, B or Y of the first part; needs the package OpenEXR), ``.hdr`` or ``.pfm``; its
            first bytes say which.

    Raises:
        ImageError: the file cannot be read, is of another kind, or holds values that are negative or not finite.
        InputError: the package is missing.
    """
    path = Path(path)
    kind = kind_of(path)
    with reading(path):
        if kind not in HDR_KINDS:
            raise ImageError(
                f"image {path} holds no linear light, expected {', '.join(sorted(HDR_SUFFIXES))}; leave --hdr pu21 "
                "out, or say --hdr pq for 16-bit images in PQ"
            )
        light = {"exr": _exr, "hdr": _radiance, "pfm": _pfm}[kind](path)
        if not np.isfinite(light).all():
            raise ImageError(f"image {path} holds values that are NaN or infinite, expected light of 0 or more")
        if (lowest := float(light.min())) < 0:
            raise ImageError(
                f"image {path} holds negative light, down to {lowest:g}, expected 0 or more; clip it first"
            )
        return light


def _pfm(path: Path) -> Array:
    with path.open("rb") as file:
        found = _PFM.match(file.read(128))
        if found is None or found[1] is None:
            raise ValueError("its head is damaged, expected PF or Pf, width, height and scale")
        channels = 3 if found[1] == b"PF" else 1
        width, height, scale = int(found[2]), int(found[3]), float(found[4])
        check_size(path, (width, height), channels=channels)
        if abs(scale) != 1:
            raise ValueError(f"its scale is {scale:g}, which programs read in different ways; expected 1 or -1")
        file.seek(found.end())
        wanted = width * height * channels
        data = file.read(4 * wanted)
    if len(data) < 4 * wanted:
        raise ValueError(f"it is cut off: got {len(data)} bytes of pixels, expected {4 * wanted}")
    pixels = np.frombuffer(data, "<f4" if scale < 0 else ">f4").reshape(height, width, channels)
    return pixels[::-1].astype(np.float32)  # the last row comes first


def _radiance(path: Path) -> Array:
    import cv2

    data = path.read_bytes()
    size = _RADIANCE_SIZE.search(data, 0, _HEAD)
    if size is None:
        raise ValueError("its head is damaged, expected a line as in -Y 512 +X 768")
    if (size[1], size[3]) != (b"-Y", b"+X"):
        raise ValueError(f"its rows or columns run the other way ({size[0].decode().strip()}); turn it first")
    head = data[: size.start()]
    if b"32-bit_rle_xyze" in head:
        raise ValueError("its colours are XYZ; convert it to RGB")
    exposure = np.prod([float(value) for value in re.findall(rb"\nEXPOSURE=\s*([0-9.eE+-]{1,20})", head)])
    check_size(path, (int(size[4]), int(size[2])))
    with _quiet_opencv():
        found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None:
        raise ValueError("it is damaged or cut off")
    # What stands in the file was multiplied by the exposure.
    return np.asarray(found[..., ::-1] / np.float32(exposure), dtype=np.float32)


def _exr(path: Path) -> Array:
    try:
        import OpenEXR
    except ImportError as error:
        raise InputError(f"image {path} is OpenEXR: install the package with pip install 'causaliqa[hdr]'") from error

    head = OpenEXR.File(str(path), header_only=True).header()
    window, shown = (np.asarray(head[name]) for name in ("dataWindow", "displayWindow"))
    if not np.array_equal(window, shown):
        raise ValueError("its data window is not its display window; save the whole image")
    width, height = (int(side) for side in window[1] - window[0] + 1)
    check_size(path, (width, height), channels=4)
    # What it says of damage goes to stdout, which is for results.
    with contextlib.redirect_stdout(io.StringIO()), OpenEXR.File(str(path)) as file:
        if not file.parts:
            raise ValueError("its pixels are damaged or cut off")
        channels = {name: np.array(channel.pixels) for name, channel in file.channels().items()}
    for name in ("RGB", "RGBA", "Y"):
        if name in channels:
            pixels = channels[name].reshape(height, width, -1).astype(np.float32)
            return pixels[..., :3]
    raise ValueError(f"it holds {', '.join(sorted(channels)) or 'no channel'}, expected channels R, G, B or Y")


@contextlib.contextmanager
def _quiet_opencv() -> Iterator[None]:
    """Keep off stderr what OpenCV says of damaged files; an error is raised."""
    import cv2

    log: Any = cv2.utils.logging
    before = log.setLogLevel(log.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        log.setLogLevel(before)
