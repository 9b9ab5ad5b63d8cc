"""DRLN: densely joined residual blocks with attention from convolutions of several dilations.

Source: Anwar and Barnes, "Densely Residual Laplacian Super-Resolution", 2020, arXiv:1906.12021.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from causaliqa_archs.networks.base import Network, State, shuffle_scale
from causaliqa_archs.networks.blocks import ConvRelu, MeanShift, conv, upsampler

__all__ = ["DRLN"]

_GROUPS = (3, 3, 3, 3, 4, 4)
"""Number of blocks of each group."""


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(width, width), nn.ReLU(), conv(width, width))

    def forward(self, x: Tensor) -> Tensor:
        return (self.body(x) + x).relu()


class _Sigmoid(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(inputs, outputs), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class _LaplacianAttention(nn.Module):
    def __init__(self, width: int, narrow: int) -> None:
        super().__init__()
        self.c1, self.c2, self.c3 = (ConvRelu(width, narrow, 3, dilation=d) for d in (3, 5, 7))
        self.c4 = _Sigmoid(3 * narrow, width)

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean((2, 3), keepdim=True)
        return x * self.c4(torch.cat([layer(means) for layer in (self.c1, self.c2, self.c3)], 1))


class _Block(nn.Module):
    def __init__(self, width: int, narrow: int) -> None:
        super().__init__()
        self.r1, self.r2, self.r3 = (_Residual(width * k) for k in (1, 2, 4))
        self.g = ConvRelu(8 * width, width)
        self.ca = _LaplacianAttention(width, narrow)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape."""
        for layer in (self.r1, self.r2, self.r3):
            x = torch.cat([x, layer(x)], 1)
        return self.ca(self.g(x))


class DRLN(Network):
    """Densely residual Laplacian network: 20 blocks in six groups; every pixel reaches every other.

    Args:
        width: channels of the features.
        narrow: channels inside the attention.
        scale: 2, 3, 4 or 8.
    """

    # The mean that is subtracted is one of [0, 1] all the same.
    input_range = 255.0

    def __init__(self, *, width: int = 64, narrow: int = 4, scale: int = 4) -> None:
        super().__init__()
        self.scale = scale
        self.sub_mean = nn.ModuleDict({"shifter": MeanShift(-1)})
        self.add_mean = nn.ModuleDict({"shifter": MeanShift(1)})
        self.head = conv(3, width)
        numbers = (k for size in _GROUPS for k in range(1, size + 1))
        for number, place in enumerate(numbers, start=1):
            self.add_module(f"b{number}", _Block(width, narrow))
            self.add_module(f"c{number}", ConvRelu((place + 1) * width, width, 3))
        body = upsampler(scale, width, activation=nn.ReLU, before=True)
        self.upsample = nn.ModuleDict({"up": nn.ModuleDict({"body": body})})
        self.tail = conv(width, 3)

    @classmethod
    def options(cls, state: State) -> dict[str, Any]:
        width = state["head.weight"].shape[0]
        return {
            "width": width,
            "narrow": state["b1.ca.c1.body.0.weight"].shape[0],
            "scale": shuffle_scale(state, "upsample.up.body.", width),
        }

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge ``(N, 3, h, w)`` in [0, 255]."""
        first = out = skip = self.head(self.sub_mean["shifter"](x))
        number = 0
        for size in _GROUPS:
            joined, source = out, skip
            for _ in range(size):
                number += 1
                joined = torch.cat([joined, self.get_submodule(f"b{number}")(source)], 1)
                out = self.get_submodule(f"c{number}")(joined)
                if number != 4:  # public files were trained with the fifth block beside the fourth, not behind it
                    source = out
            skip = out + skip
        out = self.tail(self.get_submodule("upsample.up.body")(skip + first))
        return self.add_mean["shifter"](out)
