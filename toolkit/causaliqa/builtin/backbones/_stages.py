"""Backbones as a chain of stages whose outputs are the feature maps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor, nn

__all__ = ["StageInfo", "StagedBackbone", "freeze"]


class StageInfo:
    """Channels and strides of the maps, with the interface of timm's ``feature_info``."""

    def __init__(self, channels: Sequence[int], reduction: Sequence[int]) -> None:
        self._channels, self._reduction = list(channels), list(reduction)

    def channels(self) -> list[int]:
        """Number of channels of every map."""
        return list(self._channels)

    def reduction(self) -> list[int]:
        """Stride of every map relative to the input."""
        return list(self._reduction)


class StagedBackbone(nn.Module):
    """Run stages in sequence and return the output of each.

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
    """Set a module to evaluation mode and its weights to constant."""
    return module.eval().requires_grad_(False)
