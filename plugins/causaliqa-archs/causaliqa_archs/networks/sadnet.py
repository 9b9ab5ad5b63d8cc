"""SADNet: a U-shaped denoiser whose decoder samples by deformable convolutions.

Source: Chang et al., "Spatial-Adaptive Network for Single Image Denoising", 2020, arXiv:2001.10291.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

from causaliqa_archs.networks.base import Network, State
from causaliqa_archs.networks.blocks import conv

__all__ = ["SADNet"]

_SAMPLES = 8 * 9
"""Offset groups times the points of a 3 x 3 kernel."""


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2)


class _Block(nn.Module):
    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        if inputs != width:
            self.conv0 = conv(inputs, width, 1)
        self.conv1, self.conv2 = conv(width, width), conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        if hasattr(self, "conv0"):
            x = self.conv0(x)
        return x + self.conv2(_leaky(self.conv1(x)))


class _Deformable(nn.Module):
    """A modulated deformable 3 x 3 convolution, whose offsets and mask come from other features."""

    def __init__(self, width: int, guide: int) -> None:
        super().__init__()
        self.conv_offset_mask = conv(guide, 3 * _SAMPLES)
        nn.init.zeros_(self.conv_offset_mask.weight)
        if self.conv_offset_mask.bias is not None:
            nn.init.zeros_(self.conv_offset_mask.bias)
        bound = 1 / sqrt(9 * width)
        self.weight = nn.Parameter(torch.empty(width, width, 3, 3).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        """Keep the shape of x."""
        offset, mask = self.conv_offset_mask(guide).split([2 * _SAMPLES, _SAMPLES], 1)
        # torchvision reads beyond the image where an offset is no number; the mask, made beside it, is none either.
        offset = offset.nan_to_num(0.0)
        return deform_conv2d(x, offset, self.weight, self.bias, padding=1, mask=mask.sigmoid())


class _AdaptiveBlock(nn.Module):
    def __init__(self, width: int, guide: int) -> None:
        super().__init__()
        self.dcnpack = _Deformable(width, guide)
        self.conv1 = conv(width, width)

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        """Keep the shape of x."""
        return x + self.conv1(_leaky(self.dcnpack(x, guide)))


class _Guide(nn.Module):
    """Features that offsets are made of; ``coarser`` takes those of the level below."""

    def __init__(self, width: int, guide: int, *, coarser: bool) -> None:
        super().__init__()
        self.offset_conv1 = conv(width, guide)
        if coarser:
            self.offset_conv2 = conv(2 * guide, guide)
        self.offset_conv3 = conv(guide, guide)

    def forward(self, x: Tensor, below: Tensor | None = None) -> Tensor:
        """Map ``(N, width, h, w)`` to ``(N, guide, h, w)``."""
        out = _leaky(self.offset_conv1(x))
        if below is not None:
            below = F.interpolate(below, scale_factor=2.0, mode="bilinear", align_corners=False)
            out = _leaky(self.offset_conv2(torch.cat([out, 2 * below], 1)))
        return _leaky(self.offset_conv3(out))


class _Context(nn.Module):
    """Convolutions of four dilations side by side."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.conv0 = conv(width, inner, 1)
        for k in (1, 2, 3, 4):
            self.add_module(f"conv{k}", conv(inner, inner, dilation=k))
        self.fusion = conv(4 * inner, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape."""
        first = self.conv0(x)
        parts = [_leaky(self.get_submodule(f"conv{k}")(first)) for k in (1, 2, 3, 4)]
        return x + self.fusion(torch.cat(parts, 1))


class SADNet(Network):
    """Spatial-adaptive denoising network of four levels.

    Args:
        width: channels of the first level.
        guide: channels of the features that offsets are made of.
    """

    multiple = 8
    res4: nn.Module
    offset4: nn.Module
    dres4: nn.Module

    def __init__(self, *, width: int = 32, guide: int = 32) -> None:
        super().__init__()
        for level in (1, 2, 3, 4):
            here = width * 2 ** (level - 1)
            self.add_module(f"res{level}", _Block(3 if level == 1 else here, here))
            self.add_module(f"offset{level}", _Guide(here, guide, coarser=level < 4))
            self.add_module(f"dres{level}", _AdaptiveBlock(here, guide))
            if level < 4:
                self.add_module(f"down{level}", nn.Conv2d(here, 2 * here, 2, stride=2))
                self.add_module(f"up{level}", nn.ConvTranspose2d(2 * here, here, 2, stride=2))
                self.add_module(f"dconv{level}_1", conv(2 * here, here, 1))
        self.context = _Context(8 * width, 2 * width)
        self.out = conv(width, 3)

    @classmethod
    def options(cls, state: State) -> dict[str, Any]:
        return {"width": state["out.weight"].shape[1], "guide": state["offset1.offset_conv1.weight"].shape[0]}

    def forward(self, x: Tensor) -> Tensor:
        """Denoise ``(N, 3, h, w)`` in [0, 1]; the sides are multiples of 8."""
        levels, out = [], x
        for level in (1, 2, 3):
            out = self.get_submodule(f"res{level}")(out)
            levels.append(out)
            out = _leaky(self.get_submodule(f"down{level}")(out))
        out = self.context(self.res4(out))
        guide = self.offset4(out)
        out = self.dres4(out, guide)
        for level in (3, 2, 1):
            out = torch.cat([self.get_submodule(f"up{level}")(out), levels[level - 1]], 1)
            out = self.get_submodule(f"dconv{level}_1")(out)
            guide = self.get_submodule(f"offset{level}")(out, guide)
            out = self.get_submodule(f"dres{level}")(out, guide)
        return x + self.out(out)
