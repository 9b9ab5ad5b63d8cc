"""Faster windows for metrics of pyiqa: an average over n x n pixels as one over columns and one over rows.

pyiqa filters with the whole window, which is the bottleneck of its SSIM and VIF on a CPU. The windows are outer
products, so 2 n instead of n * n multiplications a pixel suffice. Nothing of pyiqa is changed: torch announces every
convolution to a function mode. What it saves and by how much scores differ: ``benchmarks/separable.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

__all__ = ["SEPARABLE", "SeparableWindows", "outer_product"]

SEPARABLE = frozenset({"ms_ssim", "ssim", "ssimc", "vif"})
"""pyiqa's metrics that gain by it (``benchmarks/results/separable.csv``)."""

_SIDE = 9
"""Windows with smaller sides are faster as they are."""


def outer_product(window: Tensor) -> tuple[Tensor, Tensor] | None:
    """Return a column ``(n,)`` and a row ``(m,)`` whose product is the window ``(n, m)``; None if there are none.

    They are the window's sums, so that the product has the same total: flat regions stay as flat as they were.

    Example:
        >>> outer_product(torch.full((2, 2), 0.25))
        (tensor([0.5000, 0.5000]), tensor([0.5000, 0.5000]))
        >>> outer_product(torch.eye(2)) is None
        True
    """
    column, row = window.sum(1), window.sum(0) / window.sum()
    # Windows in double precision that hold numbers of single precision are as exact as these.
    single = window.dtype == torch.float64 and torch.equal(window, window.float().double())
    digits = torch.finfo(torch.float32 if single else window.dtype).eps
    off = (column[:, None] * row - window).abs().max()
    return (column, row) if off <= 4 * digits * window.abs().max() else None


class SeparableWindows(TorchFunctionMode):
    """While it is entered, convolutions of single channels with one window for all become two, where that is exact.

    Exact means: up to the rounding of the window's values. Only on the CPU and without gradients.

    Example:
        >>> img, window = torch.rand(1, 1, 20, 20), torch.full((1, 1, 11, 11), 1 / 121)
        >>> with torch.no_grad(), SeparableWindows() as mode:
        ...     fast = torch.nn.functional.conv2d(img, window)
        >>> torch.allclose(fast, torch.nn.functional.conv2d(img, window), atol=1e-6), mode.split
        (True, 1)
    """

    def __init__(self) -> None:
        super().__init__()
        self.split = 0
        """How many convolutions were made as two so far."""

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call a function of torch, convolutions with an outer product as two of them."""
        options = dict(kwargs or {})
        found = _window(*args, **options) if func is torch.conv2d and not torch.is_grad_enabled() else None
        if found is None:
            return func(*args, **options)
        self.split += 1
        img, (column, row), channels = found
        img = torch.conv2d(img, column.view(1, 1, -1, 1).repeat(channels, 1, 1, 1), groups=channels)
        return torch.conv2d(img, row.view(1, 1, 1, -1).repeat(channels, 1, 1, 1), groups=channels)


def _window(
    img: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> tuple[Tensor, tuple[Tensor, Tensor], int] | None:
    """Return image, column and row of the window, and the number of channels; None if this is another convolution."""
    channels, depth, *sides = weight.shape
    if img.device.type != "cpu" or depth != 1 or min(sides) < _SIDE or groups != channels or bias is not None:
        return None
    if [stride, dilation, padding] != [1, 1, 0]:
        return None
    if channels > 1 and not torch.equal(weight, weight[:1].expand_as(weight)):
        return None
    found = outer_product(weight[0, 0])
    return None if found is None else (img, found, channels)
