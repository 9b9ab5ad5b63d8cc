"""RFDN and RLFN: small residual blocks and enhanced spatial attention.

Sources: Liu et al., "Residual Feature Distillation Network for Lightweight Image Super-Resolution", 2020,
arXiv:2009.11551; Kong et al., "Residual Local Feature Network for Efficient Super-Resolution", 2022, arXiv:2205.07514.
"""

from __future__ import annotations

from math import isqrt
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from causaliqa_archs.networks.base import Network, State, count
from causaliqa_archs.networks.blocks import conv

__all__ = ["RFDN", "RLFN"]


class _SpatialAttention(nn.Module):
    """Weights for every place from a coarse map of the surroundings.

    Args:
        width: channels.
        narrow: channels inside.
        deep: three convolutions on the coarse map (RFDN) instead of one (RLFN).
    """

    def __init__(self, width: int, narrow: int, *, deep: bool) -> None:
        super().__init__()
        self.conv1, self.conv_f = conv(width, narrow, 1), conv(narrow, narrow, 1)
        self.conv2 = nn.Conv2d(narrow, narrow, 3, stride=2)
        self.deep = deep
        if deep:
            self.conv_max, self.conv3_ = conv(narrow, narrow), conv(narrow, narrow)
        self.conv3, self.conv4 = conv(narrow, narrow), conv(narrow, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape."""
        first = self.conv1(x)
        coarse = F.max_pool2d(self.conv2(first), 7, stride=3)
        if self.deep:
            coarse = self.conv_max(coarse).relu()
        coarse = self.conv3(coarse)
        if self.deep:
            coarse = self.conv3_(coarse.relu())
        coarse = F.interpolate(coarse, x.shape[2:], mode="bilinear", align_corners=False)
        return x * self.conv4(coarse + self.conv_f(first)).sigmoid()


class _DistillationBlock(nn.Module):
    def __init__(self, width: int, kept: int, narrow: int) -> None:
        super().__init__()
        for k in (1, 2, 3):
            self.add_module(f"c{k}_d", conv(width, kept, 1))
            self.add_module(f"c{k}_r", conv(width, width))
        self.c4, self.c5 = conv(width, kept), conv(4 * kept, width, 1)
        self.esa = _SpatialAttention(width, narrow, deep=True)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape."""
        kept = []
        for k in (1, 2, 3):
            kept.append(self.get_submodule(f"c{k}_d")(x))
            x = F.leaky_relu(self.get_submodule(f"c{k}_r")(x) + x, 0.05)
        joined = F.leaky_relu(torch.cat([*kept, self.c4(x)], 1), 0.05)
        return self.esa(self.c5(joined))


class RFDN(Network):
    """Residual feature distillation network.

    Args:
        width: channels of the features.
        kept: channels that a block keeps at each step.
        narrow: channels inside the attention.
        blocks: number of blocks.
        scale: enlargement.
        input_range: what white is, 1 or 255.
    """

    smallest = 15

    def __init__(
        self,
        *,
        width: int = 50,
        kept: int = 25,
        narrow: int = 12,
        blocks: int = 4,
        scale: int = 4,
        input_range: float = 255.0,
    ) -> None:
        super().__init__()
        self.scale, self.blocks, self.input_range = scale, blocks, input_range
        self.fea_conv = conv(3, width)
        for k in range(1, blocks + 1):
            self.add_module(f"B{k}", _DistillationBlock(width, kept, narrow))
        self.c = nn.Sequential(conv(blocks * width, width, 1), nn.LeakyReLU(0.05))
        self.LR_conv = conv(width, width)
        self.upsampler = nn.Sequential(conv(width, 3 * scale**2), nn.PixelShuffle(scale))

    @classmethod
    def options(cls, state: State) -> dict[str, Any]:
        return {
            "width": state["fea_conv.weight"].shape[0],
            "kept": state["B1.c1_d.weight"].shape[0],
            "narrow": state["B1.esa.conv1.weight"].shape[0],
            "blocks": count(state, r"B(\d+)\.") - 1,
            "scale": isqrt(state["upsampler.0.weight"].shape[0] // 3),
            "input_range": None,
        }

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge ``(N, 3, h, w)`` in [0, input_range]."""
        first = out = self.fea_conv(x)
        outs = []
        for k in range(1, self.blocks + 1):
            out = self.get_submodule(f"B{k}")(out)
            outs.append(out)
        return self.upsampler(first + self.LR_conv(self.c(torch.cat(outs, 1))))


class _LocalBlock(nn.Module):
    def __init__(self, width: int, inner: int, narrow: int) -> None:
        super().__init__()
        self.c1_r, self.c2_r, self.c3_r = conv(width, inner), conv(inner, inner), conv(inner, width)
        self.c5 = conv(width, width, 1)
        self.esa = _SpatialAttention(width, narrow, deep=False)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape."""
        out = x
        for layer in (self.c1_r, self.c2_r, self.c3_r):
            out = F.leaky_relu(layer(out), 0.05)
        return self.esa(self.c5(out + x))


class RLFN(Network):
    """Residual local feature network.

    Args:
        width: channels of the features.
        inner: channels inside a block.
        narrow: channels inside the attention.
        blocks: number of blocks.
        scale: enlargement.
        input_range: what white is, 1 or 255.
    """

    smallest = 15

    def __init__(
        self,
        *,
        width: int = 52,
        inner: int = 52,
        narrow: int = 16,
        blocks: int = 6,
        scale: int = 4,
        input_range: float = 255.0,
    ) -> None:
        super().__init__()
        self.scale, self.blocks, self.input_range = scale, blocks, input_range
        self.conv_1 = conv(3, width)
        for k in range(1, blocks + 1):
            self.add_module(f"block_{k}", _LocalBlock(width, inner, narrow))
        self.conv_2 = conv(width, width)
        self.upsampler = nn.Sequential(conv(width, 3 * scale**2), nn.PixelShuffle(scale))

    @classmethod
    def options(cls, state: State) -> dict[str, Any]:
        return {
            "width": state["conv_1.weight"].shape[0],
            "inner": state["block_1.c1_r.weight"].shape[0],
            "narrow": state["block_1.esa.conv1.weight"].shape[0],
            "blocks": count(state, r"block_(\d+)\.") - 1,
            "scale": isqrt(state["upsampler.0.weight"].shape[0] // 3),
            "input_range": None,
        }

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge ``(N, 3, h, w)`` in [0, input_range]."""
        first = out = self.conv_1(x)
        for k in range(1, self.blocks + 1):
            out = self.get_submodule(f"block_{k}")(out)
        return self.upsampler(first + self.conv_2(out))
