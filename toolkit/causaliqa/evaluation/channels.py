"""Images that are scored channel by channel: each as a gray image, the score is the mean."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["channel_note", "channel_notes", "gray_channels"]

_MEAN = re.compile(r"mean over \d+ channels")


def gray_channels(img: Tensor) -> list[Tensor]:
    """Return every channel of ``(1, C, H, W)`` as three equal ones ``(1, 3, H, W)``.

    Example:
        >>> import torch
        >>> [tuple(one.shape) for one in gray_channels(torch.rand(1, 2, 8, 9))]
        [(1, 3, 8, 9), (1, 3, 8, 9)]
    """
    return [img[:, k : k + 1].expand(-1, 3, -1, -1).contiguous() for k in range(img.shape[1])]


def channel_note(img: Tensor) -> str:
    """Say that a score is a mean over channels, where the file and not an option decides it."""
    return "" if img.shape[1] == 3 else f"mean over {img.shape[1]} channels"


def channel_notes(notes: Iterable[str]) -> list[str]:
    """Return a line for every number of channels that notes of scores name.

    Example:
        >>> channel_notes(["", "shift +1.00 rows, +0.00 columns undone; mean over 5 channels", "mean over 5 channels"])
        ['2 scores are means over 5 channels']
    """
    found = Counter(match[0] for note in notes if (match := _MEAN.search(note)))
    return [f"{count} scores are {text.replace('mean', 'means')}" for text, count in sorted(found.items())]
