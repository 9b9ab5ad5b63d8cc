"""Which value range a network was trained for, where no key tells: only in that one does it return about the image."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["likely_range"]

_SIDE = 32
_RANGES = (255.0, 1.0)
"""What white may be; the first where nothing can be seen, as in a network without training."""
_SMALL = 0.05
"""Largest error, root of mean squares, of a network that returns about the image."""


def likely_range(restorer_for: Callable[[float], Callable[[Tensor], Tensor]]) -> float:
    """Return 255 or 1: the range in which the output, made small again, is closer to the input.

    Args:
        restorer_for: returns the restorer ``(N, 3, h, w)`` in [0, 1] to ``(N, 3, s h, s w)`` whose network gets values
            from 0 to the argument.

    Example:
        >>> likely_range(lambda white: lambda img: (img * white + 0.1) / white)
        255.0
        >>> likely_range(lambda white: lambda img: (img * white).clamp(max=1) / white)
        1.0
    """
    errors = {white: _error(restorer_for(white)) for white in _RANGES}
    best = min(errors, key=lambda white: errors[white])
    return best if errors[best] < _SMALL else _RANGES[0]


def _picture() -> Tensor:
    """Return slow waves of three colours and edges between them, ``(1, 3, side, side)`` in [0, 1]."""
    y, x = torch.meshgrid(torch.arange(float(_SIDE)), torch.arange(float(_SIDE)), indexing="ij")
    waves = torch.stack([torch.sin(x / 7 + k) * torch.cos(y / 9 - k) for k in range(3)])
    fields = ((x // 6 + y // 8) % 2)[None]
    return (0.43 + 0.3 * waves + 0.15 * fields)[None]


@torch.no_grad()
def _error(restorer: Callable[[Tensor], Tensor]) -> float:
    img = _picture()
    out = restorer(img)
    if out.shape != img.shape:
        out = F.interpolate(out, size=(_SIDE, _SIDE), mode="bicubic", antialias=True)
    return float((out - img).square().mean().sqrt().nan_to_num(nan=torch.inf))
