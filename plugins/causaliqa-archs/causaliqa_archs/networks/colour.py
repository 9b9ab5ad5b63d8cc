"""Networks of the luma alone: RGB to YCbCr (BT.601, studio range) and back, bicubic enlargement for the colour."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["enlarge", "from_ycbcr", "on_luma", "to_ycbcr"]

_MATRIX = ((65.481, 128.553, 24.966), (-37.797, -74.203, 112.0), (112.0, -93.786, -18.214))
_OFFSET = (16.0, 128.0, 128.0)


def _constants(like: Tensor, *, inverse: bool = False) -> tuple[Tensor, Tensor]:
    """Return the matrix, or the inverse one, and the offset, on the device of an image."""
    matrix = torch.tensor(_MATRIX, dtype=torch.float64) / 255
    offset = torch.tensor(_OFFSET, dtype=torch.float64).view(3, 1, 1) / 255
    return (matrix.inverse() if inverse else matrix).to(like), offset.to(like)


def to_ycbcr(img: Tensor) -> Tensor:
    """Map RGB in [0, 1] to YCbCr, ``(N, 3, h, w)``; Y lies in [16/255, 235/255].

    Example:
        >>> (to_ycbcr(torch.ones(1, 3, 1, 1)) * 255).round().flatten().tolist()
        [235.0, 128.0, 128.0]
    """
    matrix, offset = _constants(img)
    return torch.einsum("ij,njhw->nihw", matrix, img) + offset


def from_ycbcr(img: Tensor) -> Tensor:
    """Undo :func:`to_ycbcr`."""
    matrix, offset = _constants(img, inverse=True)
    return torch.einsum("ij,njhw->nihw", matrix, img - offset)


def enlarge(img: Tensor, scale: int) -> Tensor:
    """Enlarge by a whole number with PIL's and MATLAB's bicubic kernel (a = -0.5)."""
    size = [side * scale for side in img.shape[-2:]]
    return F.interpolate(img, size=size, mode="bicubic", antialias=True, align_corners=False)


def on_luma(network: Callable[[Tensor], Tensor], img: Tensor, scale: int, *, enlarged: bool) -> Tensor:
    """Let a network enlarge the luma; the colour is enlarged by the bicubic kernel.

    Args:
        network: ``(N, 1, h, w)`` to ``(N, 1, s h, s w)``.
        img: ``(N, 3, h, w)`` in [0, 1].
        scale: s.
        enlarged: the network wants its input enlarged already.
    """
    large = to_ycbcr(enlarge(img, scale))
    luma = network(large[:, :1] if enlarged else to_ycbcr(img)[:, :1])
    return from_ycbcr(torch.cat([luma, large[:, 1:]], 1))
