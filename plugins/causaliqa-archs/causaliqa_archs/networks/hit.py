"""HiT-SR: correlation between places and between channels in windows that grow from block to block.

Source: Zhang et al., "HiT-SR: Hierarchical Transformer for Efficient Image Super-Resolution", 2024, arXiv:2407.05878.
"""

from __future__ import annotations

from math import isqrt
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from causaliqa_archs.networks.base import Network, State, count
from causaliqa_archs.networks.blocks import MEAN, conv
from causaliqa_archs.networks.ngram import WindowContext
from causaliqa_archs.networks.windows import PositionBias, cut, distances, join

__all__ = ["HiT"]

_RATIOS = (0.5, 1, 2, 4, 6, 8)
"""Side of a block's windows divided by that of the base window."""


class _DualFeatures(nn.Module):
    """The product of a narrow convolution and a linear layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        narrow = width // 5
        self.conv = nn.Sequential(
            conv(width, narrow, 1), nn.LeakyReLU(0.2), conv(narrow, narrow), nn.LeakyReLU(0.2), conv(narrow, width, 1)
        )
        self.linear = conv(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape of ``(N, C, h, w)``."""
        return self.conv(x) * self.linear(x)


class _Correlation(nn.Module):
    """Correlation between places, and between channels, in windows.

    The values of a window are gathered to the base window first, so that the cost of a place does not grow with it.

    Args:
        width: channels.
        heads: number of heads.
        window: side of the windows.
        base: side of the base window.
        context: add what a window gets from its neighbours.
    """

    index: Tensor
    places: Tensor

    def __init__(self, width: int, heads: int, window: int, base: int, *, context: bool) -> None:
        super().__init__()
        self.heads, self.window, self.context = heads, window, context
        if context:
            self.ngram_window_partition = nn.ModuleDict({"ngram_context": WindowContext(width, heads, window)})
        self.base = min(window, base)
        self.step = window // self.base
        self.qv, self.proj = _DualFeatures(width), nn.Linear(width, width)
        self.spatial_linear = nn.Linear(self.step**2, 1)
        self.pos = PositionBias(width // 16, heads)
        # Place y and the cell from a * step on are y - a * step apart, shifted so that the table begins at 0.
        apart = torch.arange(window)[:, None] - self.step * torch.arange(self.base) + window - self.step
        index = apart[:, None, :, None] * (2 * window - self.step) + apart[None, :, None]
        self.register_buffer("index", index.reshape(window**2, self.base**2), persistent=False)
        self.register_buffer("places", distances((window, window)), persistent=False)

    def _gather(self, x: Tensor) -> Tensor:
        """Map ``(..., window ** 2)`` to the cells of the base window, ``(..., base ** 2, step ** 2)``."""
        x = x.unflatten(-1, (self.base, self.step, self.base, self.step)).transpose(-3, -2)
        return x.flatten(-4, -3).flatten(-2)

    def _bias(self) -> Tensor:
        """Return the mean position bias between a place and a cell, ``(heads, window ** 2, base ** 2)``."""
        table = self.pos(self.places).mT.unflatten(1, (2 * self.window - 1, -1))
        means: Tensor = F.avg_pool2d(table[None], self.step, stride=1)[0].flatten(1)
        return means[:, self.index]

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape of ``(N, h, w, C)``; the sides are multiples of the window."""
        sides, size = (self.window, self.window), (x.shape[1], x.shape[2])
        features = self.qv(x.permute(0, 3, 1, 2))
        if self.context:
            around = self.ngram_window_partition["ngram_context"](features)
            features = features + around.repeat_interleave(self.window, 2).repeat_interleave(self.window, 3)
        query, value = cut(features.permute(0, 2, 3, 1), sides).chunk(2, -1)
        found = torch.cat([self._spatial(query, value), self._channels(query, value)], -1)
        return self.proj(join(found, sides, size))

    def _spatial(self, query: Tensor, value: Tensor) -> Tensor:
        query, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (query, value))
        gathered = self.spatial_linear(self._gather(value.mT)).squeeze(-1).mT
        found = (query @ gathered.mT / query.shape[-1] + self._bias()) @ gathered
        return found.transpose(1, 2).flatten(2)

    def _channels(self, query: Tensor, value: Tensor) -> Tensor:
        return (query.mT @ value / value.shape[1] @ value.mT).mT


class _Depthwise(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise_conv = nn.Sequential(conv(width, width, 5, groups=width), nn.GELU())

    def forward(self, x: Tensor) -> Tensor:
        return self.depthwise_conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class _FeedForward(nn.Module):
    def __init__(self, width: int, hidden: int, *, depthwise: bool) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.dwconv = _Depthwise(hidden) if depthwise else None

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.fc1(x))
        return self.fc2(x if self.dwconv is None else x + self.dwconv(x))


class _Block(nn.Module):
    def __init__(
        self, width: int, heads: int, window: int, base: int, hidden: int, *, depthwise: bool, context: bool
    ) -> None:
        super().__init__()
        # A window needs another to get anything from.
        self.multiple = 2 * window if context else window
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.correlation = _Correlation(width, heads, window, base, context=context)
        self.mlp = _FeedForward(width, hidden, depthwise=depthwise)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape of ``(N, h, w, C)``."""
        height, width = x.shape[1:3]
        found = self.correlation(_pad(x, self.multiple))[:, :height, :width]
        x = x + self.norm1(found)
        return x + self.norm2(self.mlp(x))


def _pad(x: Tensor, side: int) -> Tensor:
    """Reflect ``(N, h, w, C)`` to the right and below, up to a multiple and as often as needed."""
    x = x.permute(0, 3, 1, 2)
    while any(missing := [-length % side for length in x.shape[2:]]):
        down, right = (min(m, length - 1) for m, length in zip(missing, x.shape[2:], strict=True))
        x = F.pad(x, (0, right, 0, down), mode="reflect")
    return x.permute(0, 2, 3, 1)


class _Layer(nn.Module):
    def __init__(
        self, width: int, depth: int, heads: int, base: int, hidden: int, *, depthwise: bool, context: bool
    ) -> None:
        super().__init__()
        blocks = (
            _Block(width, heads, int(base * ratio), base, hidden, depthwise=depthwise, context=context)
            for ratio in _RATIOS[:depth]
        )
        self.residual_group = nn.ModuleDict({"blocks": nn.ModuleList(blocks)})
        self.conv = conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape of ``(N, h, w, C)``."""
        out = x
        for block in self.residual_group["blocks"].children():
            out = block(out)
        out = self.conv(out.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return x + out


class HiT(Network):
    """HiT-SRF, with depthwise convolutions in its feed-forward networks; HiT-SNG, with context of windows; HiT-SIR.

    Args:
        width: channels of the features.
        depths: blocks of each layer, at most 6.
        heads: number of heads.
        base: side of the base window.
        hidden: channels inside the feed-forward networks.
        depthwise: whether these have depthwise convolutions (HiT-SRF).
        context: whether windows get something from those around them (HiT-SNG).
        scale: enlargement.
    """

    smallest = 2

    def __init__(
        self,
        *,
        width: int = 60,
        depths: tuple[int, ...] = (6, 6, 6, 6),
        heads: int = 6,
        base: int = 8,
        hidden: int = 120,
        depthwise: bool = True,
        context: bool = False,
        scale: int = 4,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.conv_first = conv(3, width)
        self.patch_embed = nn.ModuleDict({"norm": nn.LayerNorm(width)})
        self.layers = nn.ModuleList(
            _Layer(width, depth, heads, base, hidden, depthwise=depthwise, context=context) for depth in depths
        )
        self.norm = nn.LayerNorm(width)
        self.conv_after_body = conv(width, width)
        self.upsample = nn.Sequential(conv(width, 3 * scale**2), nn.PixelShuffle(scale))

    @classmethod
    def options(cls, state: State) -> dict[str, Any]:
        block = "layers.0.residual_group.blocks.0."
        return {
            "width": state["conv_first.weight"].shape[0],
            "depths": tuple(
                count(state, rf"layers\.{k}\.residual_group\.blocks\.(\d+)\.")
                for k in range(count(state, r"layers\.(\d+)\."))
            ),
            "heads": state[block + "correlation.pos.pos3.2.weight"].shape[0],
            "hidden": state[block + "mlp.fc1.weight"].shape[0],
            "depthwise": block + "mlp.dwconv.depthwise_conv.0.weight" in state,
            "context": block + "correlation.ngram_window_partition.ngram_context.merge.weight" in state,
            "scale": isqrt(state["upsample.0.weight"].shape[0] // 3),
        }

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge ``(N, 3, h, w)`` in [0, 1]."""
        mean = self.get_buffer("mean")
        first = self.conv_first(x - mean)
        out = self.patch_embed["norm"](first.permute(0, 2, 3, 1))
        for layer in self.layers:
            out = layer(out)
        out = self.norm(out).permute(0, 3, 1, 2)
        return self.upsample(first + self.conv_after_body(out)) + mean
