"""CRAFT: attention in rectangles and high frequencies from convolutions, joined by attention between channels.

Source: Li et al., "Feature Modulation Transformer: Cross-Refinement of Global Representation via High-Frequency Prior
for Image Super-Resolution", 2023, arXiv:2308.05022.
"""

from __future__ import annotations

from math import isqrt
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from causaliqa_archs.networks.base import Network, State, count
from causaliqa_archs.networks.blocks import MEAN, ChannelNorm, GatedFeedForward, conv
from causaliqa_archs.networks.windows import PositionBias, cut, distance_index, distances, join

__all__ = ["CRAFT"]

Position = tuple[Tensor, Tensor]
"""Distances within a window, and the index of that between two of its places."""


class _Attention(nn.Module):
    """Attention within windows for half of the channels.

    Args:
        width: channels.
        heads: number of heads.
        window: rows and columns.
    """

    def __init__(self, width: int, heads: int, window: tuple[int, int]) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.pos = PositionBias(width // 32, heads)

    def forward(self, qkv: list[Tensor], position: Position) -> Tensor:
        """Map queries, keys and values ``(N, h, w, C)`` to ``(N, h, w, C)``."""
        size = (qkv[0].shape[1], qkv[0].shape[2])
        query, key, value = (cut(part, self.window).unflatten(2, (self.heads, -1)).transpose(1, 2) for part in qkv)
        bias = self.pos(position[0])[position[1]].permute(2, 0, 1)
        weights = query * query.shape[-1] ** -0.5 @ key.mT + bias
        found = weights.softmax(-1) @ value
        return join(found.transpose(1, 2).flatten(2), self.window, size)


class _Mlp(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class _RectangleBlock(nn.Module):
    """Attention in wide windows for one half of the channels, in high ones for the other; shifted windows or not."""

    def __init__(self, width: int, heads: int, window: tuple[int, int], hidden: int, *, shifted: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.get_v = conv(width, width, groups=width)
        windows = (window, window[::-1])
        self.attns = nn.ModuleList(_Attention(width, heads // 2, w) for w in windows)
        self.shifts = [tuple(side // 2 * shifted for side in w) for w in windows]
        self.mlp = _Mlp(width, hidden)

    def forward(self, x: Tensor, positions: list[Position]) -> Tensor:
        """Keep the shape of ``(N, h, w, C)``."""
        qkv = self.qkv(self.norm1(x)).chunk(3, -1)
        halves = [part.chunk(2, -1) for part in qkv]
        found = []
        for k, attention in enumerate(self.attns):
            back, ahead = [-s for s in self.shifts[k]], list(self.shifts[k])
            rolled = [torch.roll(half[k], back, (1, 2)) for half in halves]
            found.append(torch.roll(attention(rolled, positions[k]), ahead, (1, 2)))
        local = self.get_v(qkv[2].permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        x = x + self.proj(torch.cat(found, -1) + local)
        return x + self.mlp(self.norm2(x))


class _HighFrequencies(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.conv, self.fc, self.last_fc = conv(half, half), conv(half, half, 1), conv(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        first, second = x.chunk(2, 1)
        local = F.gelu(self.conv(first))
        peaks = F.gelu(self.fc(F.max_pool2d(second, 3, stride=1, padding=1)))
        return x + self.last_fc(torch.cat([local, peaks], 1))


class _CrossAttention(nn.Module):
    """Attention between channels: queries from the high frequencies, keys and values from the others."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.q, self.kv = conv(width, width, 1, bias=False), conv(width, 2 * width, 1, bias=False)
        self.q_dwconv = conv(width, width, bias=False, groups=width)
        self.kv_dwconv = conv(2 * width, 2 * width, bias=False, groups=2 * width)
        self.project_out = conv(width, width, 1, bias=False)

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        """Keep the shape."""
        parts = (self.q_dwconv(self.q(high)), *self.kv_dwconv(self.kv(low)).chunk(2, 1))
        query, key, value = (part.unflatten(1, (self.heads, -1)).flatten(3) for part in parts)
        weights = F.normalize(query, dim=-1) @ F.normalize(key, dim=-1).mT * self.temperature
        return self.project_out((weights.softmax(-1) @ value).reshape(low.shape))


class _Fusion(nn.Module):
    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = ChannelNorm(width), ChannelNorm(width)
        self.attn = _CrossAttention(width, heads)
        self.ffn = GatedFeedForward(width, hidden)

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        x = low + self.attn(self.norm1(low), high)
        return x + self.ffn(self.norm2(x))


class _Group(nn.Module):
    def __init__(self, width: int, depth: int, heads: int, window: tuple[int, int], hidden: int, gated: int) -> None:
        super().__init__()
        rectangles = (_RectangleBlock(width, heads, window, hidden, shifted=k % 2 == 1) for k in range(2 * depth))
        self.residual_group = nn.ModuleDict(
            {
                "srwa_blocks": nn.ModuleList(rectangles),
                "hfer_blocks": nn.ModuleList(_HighFrequencies(width) for _ in range(depth)),
                "hf_blocks": nn.ModuleList(_Fusion(width, heads, gated) for _ in range(depth)),
            }
        )
        self.depth = depth
        self.conv = conv(width, width)

    def forward(self, x: Tensor, positions: list[Position]) -> Tensor:
        """Keep the shape of ``(N, C, h, w)``."""
        rectangles, peaks, fusions = (
            list(self.residual_group[name].children()) for name in ("srwa_blocks", "hfer_blocks", "hf_blocks")
        )
        out = x
        for k in range(self.depth):
            low = out.permute(0, 2, 3, 1)
            for block in rectangles[2 * k : 2 * k + 2]:
                low = block(low, positions)
            out = fusions[k](low.permute(0, 3, 1, 2), peaks[k](out))
        return x + self.conv(out)


class CRAFT(Network):
    """Cross-refinement adaptive feature modulation transformer; every pixel reaches every other.

    Args:
        width: channels of the features.
        depths: blocks of each group.
        heads: number of heads.
        window: rows and columns of the wide windows; the others are turned.
        hidden: channels inside the networks behind the windows.
        gated: channels inside the networks behind the fusion.
        scale: enlargement.
    """

    def __init__(
        self,
        *,
        width: int = 48,
        depths: tuple[int, ...] = (2, 2, 2, 2),
        heads: int = 6,
        window: tuple[int, int] = (4, 16),
        hidden: int = 96,
        gated: int = 127,
        scale: int = 4,
    ) -> None:
        super().__init__()
        self.scale, self.multiple = scale, max(window)
        for name, sides in (("h", window), ("v", window[::-1])):
            self.register_buffer(f"relative_position_index_{name}", distance_index(sides))
            self.register_buffer(f"biases_{name}", distances(sides))
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.conv_first = conv(3, width)
        self.layers = nn.ModuleList(_Group(width, depth, heads, window, hidden, gated) for depth in depths)
        self.norm = ChannelNorm(width)
        self.conv_after_body = conv(width, width)
        self.upsample = nn.Sequential(conv(width, 3 * scale**2), nn.PixelShuffle(scale))

    @classmethod
    def options(cls, state: State) -> dict[str, Any]:
        group = "layers.0.residual_group."
        return {
            "width": state["conv_first.weight"].shape[0],
            "depths": tuple(
                count(state, rf"layers\.{k}\.residual_group\.hf_blocks\.(\d+)\.")
                for k in range(count(state, r"layers\.(\d+)\."))
            ),
            "heads": state[group + "hf_blocks.0.attn.temperature"].shape[0],
            "window": tuple(int(side) + 1 for side in state["biases_h"].amax(0)),
            "hidden": state[group + "srwa_blocks.0.mlp.fc1.weight"].shape[0],
            "gated": state[group + "hf_blocks.0.ffn.project_out.weight"].shape[1],
            "scale": isqrt(state["upsample.0.weight"].shape[0] // 3),
        }

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge ``(N, 3, h, w)`` in [0, 1]; the sides are multiples of the longer side of a window."""
        positions = [
            (self.get_buffer(f"biases_{name}"), self.get_buffer(f"relative_position_index_{name}")) for name in "hv"
        ]
        mean = self.get_buffer("mean")
        first = out = self.conv_first(x - mean)
        for layer in self.layers:
            out = layer(out, positions)
        return self.upsample(first + self.conv_after_body(self.norm(out))) + mean
