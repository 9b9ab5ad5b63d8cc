"""Images of which only a part counts: what lies outside a mask is made equal to the reference, then cut or not counted.

A mask is a tensor of booleans ``(H, W)``, true where pixels count, for all images of a batch.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from causaliqa.api.errors import ImageError
from causaliqa.functional.image import pad_to_windows, windows

__all__ = ["box_of", "counted", "crop_to", "fill_outside", "window_shares"]


def fill_outside(img: Tensor, ref: Tensor, mask: Tensor) -> Tensor:
    """Return images ``(N, C, H, W)`` whose pixels outside the mask are those of their references.

    Example:
        >>> mask = torch.tensor([[True, False]])
        >>> fill_outside(torch.ones(1, 1, 1, 2), torch.zeros(1, 1, 1, 2), mask)
        tensor([[[[1., 0.]]]])
    """
    return torch.where(mask, img, ref)


def box_of(mask: Tensor) -> tuple[slice, slice]:
    """Return rows and columns of the smallest rectangle that holds a mask, which is not empty.

    Example:
        >>> box_of(torch.tensor([[0, 0, 0], [0, 1, 1]]).bool())
        (slice(1, 2, None), slice(1, 3, None))
    """
    sides = (torch.nonzero(mask.any(dim=axis)).flatten() for axis in (1, 0))
    rows, columns = (slice(int(side[0]), int(side[-1]) + 1) for side in sides)
    return rows, columns


def crop_to(img: Tensor, ref: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return images and references, filled outside the mask and cut to its bounding box."""
    box = (..., *box_of(mask))
    return fill_outside(img, ref, mask)[box], ref[box]


def counted(shares: Tensor) -> Tensor:
    """Return which cells of a coarser grid count: those at least half of which lies inside the mask.

    Where there is none, those of the largest share count.

    Args:
        shares: share of each cell that lies inside the mask, from 0 to 1, of any shape.

    Raises:
        ImageError: no cell has a share.

    Example:
        >>> counted(torch.tensor([0.2, 0.5, 1.0])).tolist(), counted(torch.tensor([0.1, 0.4])).tolist()
        ([False, True, True], [False, True])
    """
    most = float(shares.max()) if shares.numel() else 0.0
    if not most > 0:
        raise ImageError("mask: it lies at the border, where this metric computes nothing; use a larger one")
    return shares >= min(0.5, most)


def window_shares(mask: Tensor, size: tuple[int, int], window: int, protocol: str = "pad") -> Tensor:
    """Return the share of every window of a feature map that lies inside the mask, ``(P,)``.

    Padding belongs to no window: of a window at the border, only what lies on the map counts.

    Args:
        mask: floats ``(H, W)``: 1 inside, 0 outside, and shares in between.
        size: height and width of the feature map.
        window: side of the windows, in feature pixels.
        protocol: see :func:`~causaliqa.functional.image.pad_to_windows`.

    Example:
        >>> mask = torch.zeros(6, 8)
        >>> mask[:, :4] = 1
        >>> window_shares(mask, (3, 4), 2)
        tensor([1., 0., 1., 0.])
    """
    level = F.adaptive_avg_pool2d(mask[None], size)
    padded = pad_to_windows(torch.cat([level, torch.ones_like(level)]), window, protocol)
    shares: Tensor = windows(padded[:1], window).sum(dim=2) / windows(padded[1:], window).sum(dim=2).clamp(min=1)
    return shares[0]
