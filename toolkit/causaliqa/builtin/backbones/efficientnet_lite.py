"""EfficientNet-Lite0 with trained weights, five stages.

timm has the same network, and a test compares both bit by bit; but loading timm takes longer than scoring many pairs.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from causaliqa.api.errors import WeightsInputError
from causaliqa.builtin.backbones._stages import StagedBackbone, freeze
from causaliqa.io.weights import load_state

__all__ = ["SamePadding", "build", "lite0"]


class _Blocks(NamedTuple):
    """Blocks of one width; the first has the stride."""

    repeats: int
    expansion: int
    kernel: int
    stride: int
    channels: int


_WIDTHS = (
    _Blocks(1, 1, 3, 1, 16),
    _Blocks(2, 6, 3, 2, 24),
    _Blocks(2, 6, 5, 2, 40),
    _Blocks(3, 6, 3, 2, 80),
    _Blocks(3, 6, 5, 1, 112),
    _Blocks(4, 6, 5, 2, 192),
    _Blocks(1, 6, 3, 1, 320),
)
_STAGES = ((0,), (1,), (2,), (3, 4), (5, 6))
"""Widths of each stage: a stage ends before the next stride."""
_STEM = 32
_HEAD = [(1280, 320, 1, 1), *[(1280,)] * 4, (), (1000, 1280), (1000,)]
"""Shapes in a file that belong to the classifier."""


class SamePadding(nn.Module):
    """Zeros around ``(N, C, H, W)`` so that a convolution gives ``ceil(side / stride)``; the odd one right and below.

    Example:
        >>> from torch import ones
        >>> SamePadding(3, 2)(ones(1, 1, 8, 7)).shape
        torch.Size([1, 1, 9, 9])
    """

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        """Pad."""
        sides = x.shape[-2:]
        down, right = (max((-(-side // self.stride) - 1) * self.stride + self.kernel - side, 0) for side in sides)
        return F.pad(x, (right // 2, right - right // 2, down // 2, down - down // 2))


def _convolution(
    inside: int, outside: int, kernel: int = 1, stride: int = 1, groups: int = 1, *, active: bool = True
) -> list[nn.Module]:
    """Convolution, normalisation and, where ``active``, ReLU6."""
    conv = nn.Conv2d(
        inside, outside, kernel, stride, padding=kernel // 2 if stride == 1 else 0, groups=groups, bias=False
    )
    padding = [SamePadding(kernel, stride)] if stride > 1 else []
    return [*padding, conv, nn.BatchNorm2d(outside, eps=1e-3), *([nn.ReLU6(inplace=True)] if active else [])]


class _Block(nn.Module):
    """Widen, convolve each channel, narrow; add the input where the shape is kept."""

    def __init__(self, inside: int, outside: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        width = inside * expansion
        self.layers = nn.Sequential(
            *(_convolution(inside, width) if expansion > 1 else []),
            *_convolution(width, width, kernel, stride, groups=width),
            *_convolution(width, outside, active=False),
        )
        self.adds = stride == 1 and inside == outside

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return out + x if self.adds else out


def lite0() -> StagedBackbone:
    """Build the network with random weights; maps have strides 2, 4, 8, 16 and 32."""
    widths, inside = [], _STEM
    for repeats, expansion, kernel, stride, channels in _WIDTHS:
        blocks = []
        for k in range(repeats):
            blocks.append(_Block(inside, channels, expansion, kernel, stride if k == 0 else 1))
            inside = channels
        widths.append(nn.Sequential(*blocks))
    stages = [nn.Sequential(*(widths[k] for k in stage)) for stage in _STAGES]
    stages[0] = nn.Sequential(*_convolution(3, _STEM, 3, 2), *stages[0])
    return StagedBackbone(
        stages, channels=[_WIDTHS[stage[-1]].channels for stage in _STAGES], reduction=[2, 4, 8, 16, 32]
    )


def build(*, weights: Path | None) -> nn.Module:
    """Build the backbone.

    Args:
        weights: state dict of EfficientNet-Lite0 whose tensors have the order of the layers, whatever their names;
            None for timm's network with random weights.

    Raises:
        WeightsInputError: the tensors are those of another network.
    """
    if weights is None:
        from causaliqa.builtin.backbones.timm_features import build as build_timm

        return build_timm(model="tf_efficientnet_lite0", weights=None)
    network, state = lite0(), list(load_state(weights).values())
    own = network.state_dict()
    if [v.shape for v in state] != [*(v.shape for v in own.values()), *_HEAD]:
        raise WeightsInputError(
            f"weights {weights} do not fit EfficientNet-Lite0: its tensors differ in number, order or shape"
        )
    network.load_state_dict(OrderedDict(zip(own, state, strict=False)))
    return freeze(network)
