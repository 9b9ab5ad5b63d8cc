"""Images that are scored channel by channel: each as a gray image, the score is the mean."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from causaliqa.evaluation.preparation import Preparation

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["as_gray", "channel_note", "channel_notes"]

_MEAN = re.compile(r"mean over \d+ channels")


def as_gray(img: Tensor, ref: Tensor | None, prepare: Preparation) -> list[tuple[Tensor, Tensor | None]]:
    """Return what a metric scores: the pair itself, or every channel of it as three equal ones.

    Args:
        img: image ``(1, C, H, W)``.
        ref: its reference, or None.
        prepare: says whether the channels of RGB are taken one by one, too.

    Example:
        >>> import torch
        >>> from causaliqa.evaluation.preparation import AS_THEY_ARE
        >>> [tuple(one.shape) for one, _ in as_gray(torch.rand(1, 5, 8, 9), None, AS_THEY_ARE)][:2]
        [(1, 3, 8, 9), (1, 3, 8, 9)]
    """
    if img.shape[1] == 3 and prepare.channel != "each":
        return [(img, ref)]
    return [(_gray(img, channel), None if ref is None else _gray(ref, channel)) for channel in range(img.shape[1])]


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


def _gray(img: Tensor, channel: int) -> Tensor:
    return img[:, channel : channel + 1].expand(-1, 3, -1, -1).contiguous()
