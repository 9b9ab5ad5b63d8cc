"""Writing images as PNG, with a note on how they were made."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from causaliqa.utils.files import atomic

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["png_note", "write_png"]

_KEY = "causaliqa"


def write_png(img: Tensor, path: str | os.PathLike[str], note: str = "") -> Path:
    """Write an image as 8-bit RGB, whole or not at all.

    Args:
        img: ``(3, H, W)``; values are clipped to [0, 1] and rounded.
        path: the file.
        note: text that the file also holds, see :func:`png_note`.

    Raises:
        OutputError: the file cannot be written; what was there before is unchanged.

    Example:
        >>> import tempfile, torch
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     png_note(write_png(torch.rand(3, 8, 8), f"{folder}/a.png", "made by me"))
        'made by me'
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    pixels = (img.detach().cpu().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
    info = PngInfo()
    if note:
        info.add_text(_KEY, note)
    with atomic(path) as part:
        Image.fromarray(pixels).save(part, "PNG", pnginfo=info)
    return Path(path)


def png_note(path: str | os.PathLike[str]) -> str:
    """Return the note of a file that :func:`write_png` wrote; empty for any other file."""
    from PIL import Image

    with suppress(Exception), Image.open(path, formats=("PNG",)) as image:  # damaged files raise almost anything
        return str(image.info.get(_KEY, ""))
    return ""
