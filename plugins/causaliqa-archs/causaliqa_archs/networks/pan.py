"""PAN: pixel attention, a weight for every channel of every pixel.

Source: Zhao et al., "Efficient Image Super-Resolution Using Pixel Attention", 2020, arXiv:2010.01073.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from causaliqa_archs.networks.base import Network, State, count
from causaliqa_archs.networks.blocks import conv

__all__ = ["PAN"]


class _PixelAttention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = conv(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.conv(x).sigmoid()


class _AttendedConv(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.k2 = conv(width, width, 1)
        self.k3, self.k4 = conv(width, width, bias=False), conv(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.k4(self.k3(x) * self.k2(x).sigmoid())


class _Block(nn.Module):
    """Half of the channels with attention, half without."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.conv1_a, self.conv1_b = conv(width, half, 1, bias=False), conv(width, half, 1, bias=False)
        self.k1 = nn.Sequential(conv(half, half, bias=False))
        self.PAConv = _AttendedConv(half)
        self.conv3 = conv(2 * half, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        plain = self.k1(F.leaky_relu(self.conv1_a(x), 0.2))
        attended = self.PAConv(F.leaky_relu(self.conv1_b(x), 0.2))
        return x + self.conv3(F.leaky_relu(torch.cat([plain, attended], 1), 0.2))


class PAN(Network):
    """Pixel attention network, on top of a bilinear enlargement.

    Args:
        width: channels of the features.
        late: channels after the enlargement.
        blocks: number of blocks.
        scale: 2, 3 or 4; no key tells 2 from 3.
    """

    assumed: ClassVar[Mapping[str, Any]] = {"scale": 2}

    def __init__(self, *, width: int = 40, late: int = 24, blocks: int = 16, scale: int = 4) -> None:
        super().__init__()
        self.scale = scale
        self.steps = (2, 2) if scale == 4 else (scale,)
        self.conv_first = conv(3, width)
        self.SCPA_trunk = nn.Sequential(*(_Block(width) for _ in range(blocks)))
        self.trunk_conv = conv(width, width)
        for k in range(1, len(self.steps) + 1):
            self.add_module(f"upconv{k}", conv(width if k == 1 else late, late))
            self.add_module(f"att{k}", _PixelAttention(late))
            self.add_module(f"HRconv{k}", conv(late, late))
        self.conv_last = conv(late, 3)

    @classmethod
    def options(cls, state: State) -> dict[str, Any]:
        return {
            "width": state["conv_first.weight"].shape[0],
            "late": state["upconv1.weight"].shape[0],
            "blocks": count(state, r"SCPA_trunk\.(\d+)\."),
            "scale": 4 if "upconv2.weight" in state else None,
        }

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge ``(N, 3, h, w)`` in [0, 1]."""
        first = self.conv_first(x)
        out = first + self.trunk_conv(self.SCPA_trunk(first))
        for k, step in enumerate(self.steps, start=1):
            out = self.get_submodule(f"upconv{k}")(F.interpolate(out, scale_factor=float(step), mode="nearest"))
            out = F.leaky_relu(self.get_submodule(f"att{k}")(out), 0.2)
            out = F.leaky_relu(self.get_submodule(f"HRconv{k}")(out), 0.2)
        base = F.interpolate(x, scale_factor=float(self.scale), mode="bilinear", align_corners=False)
        return self.conv_last(out) + base
