"""Blocks that several architectures share."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = [
    "MEAN",
    "ChannelAttention",
    "ChannelNorm",
    "ConvRelu",
    "GatedFeedForward",
    "MeanShift",
    "ResidualBlock",
    "conv",
    "gate",
    "upsampler",
]

MEAN = (0.4488, 0.4371, 0.4040)
"""Mean colour of DIV2K."""


def conv(
    inputs: int, outputs: int, side: int = 3, *, bias: bool = True, groups: int = 1, dilation: int = 1
) -> nn.Conv2d:
    """Make a convolution that keeps the size."""
    return nn.Conv2d(inputs, outputs, side, padding=side // 2 * dilation, bias=bias, groups=groups, dilation=dilation)


def upsampler(
    scale: int, width: int, *, groups: int = 1, activation: Callable[[], nn.Module] | None = None, before: bool = False
) -> nn.Sequential:
    """Make sub-pixel convolutions: one for each factor of 2, or one for a scale of 3.

    Args:
        scale: 1, 2, 3, 4 or 8.
        width: channels before and after.
        groups: groups of the convolutions.
        activation: makes what follows each of them, if anything does.
        before: put it before the shuffle instead of after it.
    """
    layers: list[nn.Module] = []
    for step in [3] if scale == 3 else [2] * (scale.bit_length() - 1):
        shuffle: list[nn.Module] = [nn.PixelShuffle(step)]
        if activation is not None:
            shuffle.insert(0 if before else 1, activation())
        layers += [conv(width, step**2 * width, groups=groups), *shuffle]
    return nn.Sequential(*layers)


class MeanShift(nn.Conv2d):
    """Add or subtract the mean colour; a 1 x 1 convolution, because checkpoints hold it as one."""

    def __init__(self, sign: int, white: float = 1.0) -> None:
        super().__init__(3, 3, 1)
        with torch.no_grad():
            self.weight.copy_(torch.eye(3).view(3, 3, 1, 1))
            if self.bias is not None:
                self.bias.copy_(sign * white * torch.tensor(MEAN))


class ResidualBlock(nn.Module):
    """Two convolutions and a skip (EDSR)."""

    def __init__(self, width: int, factor: float = 1.0) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(width, width), nn.ReLU(), conv(width, width))
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape."""
        return x + self.body(x) * self.factor


class ConvRelu(nn.Module):
    """A convolution and a ReLU."""

    def __init__(self, inputs: int, outputs: int, side: int = 1, *, dilation: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(inputs, outputs, side, dilation=dilation), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, inputs, h, w)`` to ``(N, outputs, h, w)``."""
        return self.body(x)


def gate(width: int, narrow: int, *, bias: bool = True) -> nn.Sequential:
    """Make weights in (0, 1) for channels from a summary of each (squeeze and excitation)."""
    return nn.Sequential(conv(width, narrow, 1, bias=bias), nn.ReLU(), conv(narrow, width, 1, bias=bias), nn.Sigmoid())


class ChannelAttention(nn.Module):
    """Weigh every channel by a function of the channels' means.

    Args:
        width: channels.
        narrow: channels inside.
        bias: whether its convolutions have one.
        pool: side of the blocks whose means count; 0 for one mean over the whole image.
    """

    def __init__(self, width: int, narrow: int, *, bias: bool = True, pool: int = 0) -> None:
        super().__init__()
        self.pool = pool
        self.conv_du = gate(width, narrow, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape."""
        if not self.pool:
            return x * self.conv_du(x.mean((2, 3), keepdim=True))
        means = F.avg_pool2d(x, self.pool, ceil_mode=True, count_include_pad=False)
        weights = self.conv_du(means).repeat_interleave(self.pool, 2).repeat_interleave(self.pool, 3)
        return x * weights[..., : x.shape[2], : x.shape[3]]


class _Affine(nn.Module):
    def __init__(self, width: int, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if bias else None


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of each pixel; without bias the mean stays, as in Restormer."""

    def __init__(self, width: int, *, bias: bool = True) -> None:
        super().__init__()
        self.body = _Affine(width, bias)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape of ``(N, C, h, w)``."""
        mean = x.mean(1, keepdim=True)
        deviation = ((x - mean).square().mean(1, keepdim=True) + 1e-5).sqrt()
        weight = self.body.weight.view(-1, 1, 1)
        if self.body.bias is None:
            return x / deviation * weight
        return (x - mean) / deviation * weight + self.body.bias.view(-1, 1, 1)


class GatedFeedForward(nn.Module):
    """Restormer's feed-forward network: one half of the channels is the gate of the other."""

    def __init__(self, width: int, hidden: int, *, bias: bool = False) -> None:
        super().__init__()
        self.project_in = conv(width, 2 * hidden, 1, bias=bias)
        self.dwconv = conv(2 * hidden, 2 * hidden, bias=bias, groups=2 * hidden)
        self.project_out = conv(hidden, width, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape."""
        control, value = self.dwconv(self.project_in(x)).chunk(2, 1)
        return self.project_out(F.gelu(control) * value)
