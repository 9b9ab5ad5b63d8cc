"""IMDN: blocks that keep a quarter of the channels at each step and refine the rest.

Sources: Hui et al., "Lightweight Image Super-Resolution with Information Multi-distillation Network", 2019,
arXiv:1909.11856; Zhang et al., "AIM 2019 Challenge on Constrained Super-Resolution", for the simpler one.
"""

from __future__ import annotations

from math import isqrt
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from causaliqa_archs.networks.base import Network, State, count
from causaliqa_archs.networks.blocks import conv, gate

__all__ = ["IMDN", "IMDNPlain"]


class _ContrastAttention(nn.Module):
    """Weights for channels from their mean and standard deviation over the whole image."""

    def __init__(self, width: int, narrow: int) -> None:
        super().__init__()
        self.conv_du = gate(width, narrow)

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean((2, 3), keepdim=True)
        variance = (x - mean).square().mean((2, 3), keepdim=True)
        return x * self.conv_du(mean + variance.clamp_min(1e-12).sqrt())  # the root of 0 has no gradient


def _distil(x: Tensor, layers: list[nn.Module], sizes: list[int]) -> list[Tensor]:
    """Return what each layer keeps, and what is left after the last."""
    kept = []
    for layer in layers:
        part, x = F.leaky_relu(layer(x), 0.05).split(sizes, 1)
        kept.append(part)
    return [*kept, x]


class _Block(nn.Module):
    def __init__(self, width: int, narrow: int) -> None:
        super().__init__()
        self.sizes = [width // 4, width - width // 4]
        self.c1, self.c2, self.c3 = conv(width, width), conv(self.sizes[1], width), conv(self.sizes[1], width)
        self.c4 = conv(self.sizes[1], self.sizes[0])
        self.cca = _ContrastAttention(4 * self.sizes[0], narrow)
        self.c5 = conv(4 * self.sizes[0], width, 1)

    def forward(self, x: Tensor) -> Tensor:
        *kept, rest = _distil(x, [self.c1, self.c2, self.c3], self.sizes)
        return x + self.c5(self.cca(torch.cat([*kept, self.c4(rest)], 1)))


class IMDN(Network):
    """Information multi-distillation network; its contrast attention lets every pixel reach every other.

    Args:
        width: channels of the features.
        blocks: number of blocks.
        narrow: channels inside the attention.
        scale: enlargement.
    """

    def __init__(self, *, width: int = 64, blocks: int = 6, narrow: int = 4, scale: int = 4) -> None:
        super().__init__()
        self.scale, self.blocks = scale, blocks
        self.fea_conv = conv(3, width)
        for k in range(1, blocks + 1):
            self.add_module(f"IMDB{k}", _Block(width, narrow))
        self.c = nn.Sequential(conv(blocks * width, width, 1), nn.LeakyReLU(0.05))
        self.LR_conv = conv(width, width)
        self.upsampler = nn.Sequential(conv(width, 3 * scale**2), nn.PixelShuffle(scale))

    @classmethod
    def options(cls, state: State) -> dict[str, Any]:
        return {
            "width": state["fea_conv.weight"].shape[0],
            "blocks": count(state, r"IMDB(\d+)\.") - 1,
            "narrow": state["IMDB1.cca.conv_du.0.weight"].shape[0],
            "scale": isqrt(state["upsampler.0.weight"].shape[0] // 3),
        }

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge ``(N, 3, h, w)`` in [0, 1]."""
        first = out = self.fea_conv(x)
        outs = []
        for k in range(1, self.blocks + 1):
            out = self.get_submodule(f"IMDB{k}")(out)
            outs.append(out)
        return self.upsampler(first + self.LR_conv(self.c(torch.cat(outs, 1))))


class _PlainBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.sizes = [width // 4, width - width // 4]
        widths = (width, self.sizes[1], self.sizes[1])
        for k, inputs in enumerate(widths, start=1):
            self.add_module(f"conv{k}", nn.Sequential(conv(inputs, width)))
        self.conv4 = conv(self.sizes[1], self.sizes[0])
        self.conv1x1 = conv(4 * self.sizes[0], width, 1)

    def forward(self, x: Tensor) -> Tensor:
        *kept, rest = _distil(x, [self.get_submodule(f"conv{k}") for k in (1, 2, 3)], self.sizes)
        return x + self.conv1x1(torch.cat([*kept, self.conv4(rest)], 1))


class _Skip(nn.Module):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.sub = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.sub(x)


class IMDNPlain(Network):
    """The IMDN of challenges since AIM 2019: no attention, no fusion of all blocks; its reach is local.

    Args:
        width: channels of the features.
        blocks: number of blocks.
        scale: enlargement.
    """

    def __init__(self, *, width: int = 64, blocks: int = 8, scale: int = 4) -> None:
        super().__init__()
        self.scale = scale
        body = _Skip(*(_PlainBlock(width) for _ in range(blocks)), conv(width, width))
        self.model = nn.Sequential(conv(3, width), body, conv(width, 3 * scale**2), nn.PixelShuffle(scale))

    @classmethod
    def options(cls, state: State) -> dict[str, Any]:
        return {
            "width": state["model.0.weight"].shape[0],
            "blocks": count(state, r"model\.1\.sub\.(\d+)\.conv1\."),
            "scale": isqrt(state["model.2.weight"].shape[0] // 3),
        }

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge ``(N, 3, h, w)`` in [0, 1]."""
        return self.model(x)
