"""pyiqa's metrics that pool a map over the image, pooled over the part of it that a mask counts.

Their maps are no results of pyiqa's, but torch announces every sum, mean and standard deviation to a function mode,
which can leave out what lies outside. Nothing of pyiqa is changed, and its own code computes the map.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from causaliqa.functional.masking import counted

__all__ = ["MASKED", "MapMask", "MaskedPooling"]

_POOLS = frozenset(getattr(place, name) for place in (torch, Tensor) for name in ("mean", "sum", "std"))


class MapMask(NamedTuple):
    """How a metric's map lies on the image."""

    shares: Callable[[Tensor], Tensor]
    """Takes the mask as floats ``(1, 1, H, W)``; returns the share of every pixel of the map that lies inside."""
    pools: int
    """How often one score pools the map."""

    def inside(self, mask: Tensor) -> Tensor:
        """Return which pixels of the map count, ``(h, w)``.

        Raises:
            ImageError: none does.
        """
        return counted(self.shares(mask.float()[None, None])[0, 0])


def _halved(mask: Tensor) -> Tensor:
    return F.avg_pool2d(mask, 2)


def _valid(mask: Tensor) -> Tensor:
    """Pixels around which SSIM's window of 11 x 11 fits into the image."""
    return mask[..., 5:-5, 5:-5]


def _factor(mask: Tensor) -> int:
    """FSIM and VSI average images down to about 256 pixels."""
    return max(1, round(min(mask.shape[-2:]) / 256))


def _averaged(mask: Tensor) -> Tensor:
    return F.avg_pool2d(mask, _factor(mask))


def _averaged_with_border(mask: Tensor) -> Tensor:
    factor = _factor(mask)
    before, after = factor // 2, (factor - 1) // 2
    return F.avg_pool2d(F.pad(mask, (before, after, before, after), mode="replicate"), factor)


MASKED: Mapping[str, MapMask] = {
    "psnr": MapMask(lambda mask: mask, 1),
    "psnry": MapMask(lambda mask: mask, 1),
    "ssim": MapMask(_valid, 1),
    "ssimc": MapMask(_valid, 1),
    "gmsd": MapMask(_halved, 1),
    "fsim": MapMask(_averaged, 2),
    "vsi": MapMask(_averaged_with_border, 2),
}
"""pyiqa's metrics whose map can be pooled over a mask, by name."""


class MaskedPooling(TorchFunctionMode):
    """While it is entered, sums, means and deviations over all pixels of a map take the pixels inside only.

    Args:
        inside: which pixels of the map count, ``(h, w)``.

    Example:
        >>> with MaskedPooling(torch.tensor([[True, False]])) as mode:
        ...     torch.tensor([[[[3.0, 5.0]]]]).mean([1, 2, 3]), mode.pools
        (tensor([3.]), 1)
    """

    def __init__(self, inside: Tensor) -> None:
        super().__init__()
        self.inside = inside
        self.pools = 0
        """How often something was pooled so far."""

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call a function of torch, on the pixels inside where it pools the map."""
        options = dict(kwargs or {})
        found = self._pooled(*args, **options) if func in _POOLS else None
        if found is None:
            return func(*args, **options)
        self.pools += 1
        pixels, options["dim"] = found
        return func(pixels, **options)

    def _pooled(
        self, x: Tensor, dim: Any = None, keepdim: bool = False, *, keepdims: bool = False, **_options: Any
    ) -> tuple[Tensor, tuple[int, ...]] | None:
        """Return the pixels inside and the axes to pool over; None if this is no pooling of the map.

        Maps are ``(N, C, h, w)``, pooled over pixels and perhaps over channels, or ``(N, h * w)``.
        """
        if dim is None or keepdim or keepdims:
            return None
        axes = {axis % x.ndim for axis in (dim if isinstance(dim, Sequence) else (dim,))}
        if x.ndim == 4 and x.shape[-2:] == self.inside.shape and {2, 3} <= axes <= {1, 2, 3}:
            return x[..., self.inside], (1, 2) if 1 in axes else (2,)
        if x.ndim == 2 and x.shape[1] == self.inside.numel() and axes == {1}:
            return x[:, self.inside.flatten()], (1,)
        return None
