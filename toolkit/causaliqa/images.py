"""Reading images: any file that Pillow opens becomes RGB in [0, 1]."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from causaliqa.errors import ImageError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["PROTOCOL", "SUFFIXES", "load_image"]

PROTOCOL = "1"
"""Version of how images are read; raised when any image would be read otherwise."""

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
"""File name endings that count as images in a folder."""

_DEEP = {"I;16": 65535.0, "I;16B": 65535.0, "I;16L": 65535.0, "I": 65535.0}
"""Pillow's 16-bit gray modes, which its own conversion to RGB would clip."""


def load_image(path: Path) -> Tensor:
    """Read an image as ``(1, 3, H, W)``, float32 RGB in [0, 1]; gray is repeated, alpha is dropped.

    Raises:
        ImageError: the file is missing, no image, truncated or too large for Pillow's guard.
    """
    import numpy as np
    import torch
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            if image.mode in _DEEP:
                gray = np.asarray(image, dtype=np.float32) / _DEEP[image.mode]
                data = np.repeat(gray[..., None], 3, axis=2)
            else:
                data = np.asarray(image.convert("RGB"), dtype=np.float32) / 255
    except FileNotFoundError:
        raise ImageError(f"image {path} does not exist") from None
    except UnidentifiedImageError:
        raise ImageError(f"image {path} is no image that Pillow can read") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageError(f"image {path} cannot be read: {' '.join(str(error).split())}") from error
    return torch.from_numpy(np.array(data)).permute(2, 0, 1)[None].contiguous()
