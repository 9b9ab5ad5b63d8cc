"""A backbone is a chain of stages whose outputs are the feature maps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor, nn

__all__ = ["StageInfo", "StagedBackbone", "freeze"]


class StageInfo:
    """Channels and strides of the maps, in the words of timm's ``feature_info``."""

    def __init__(self, channels: Sequence[int], reduction: Sequence[int]) -> None:
        self._channels, self._reduction = list(channels), list(reduction)

    def channels(self) -> list[int]:
        """Number of channels of every map."""
        return list(self._channels)

    def reduction(self) -> list[int]:
        """Stride of every map against the input."""
        return list(self._reduction)


class StagedBackbone(nn.Module):
    """Run stages one after the other and return what each of them gives.

    Example:
        >>> from torch import nn, ones
        >>> net = StagedBackbone([nn.Conv2d(3, 4, 1), nn.AvgPool2d(2)], channels=[4, 4], reduction=[1, 2])
        >>> [tuple(f.shape) for f in net(ones(1, 3, 8, 8))]
        [(1, 4, 8, 8), (1, 4, 4, 4)]
    """

    def __init__(self, stages: Iterable[nn.Module], *, channels: Sequence[int], reduction: Sequence[int]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.feature_info = StageInfo(channels, reduction)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map ``(N, 3, H, W)`` to one map ``(N, C_k, H_k, W_k)`` per stage."""
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


def freeze(module: nn.Module) -> nn.Module:
    """Put a module into evaluation mode for good, with constant weights."""
    return module.eval().requires_grad_(False)
