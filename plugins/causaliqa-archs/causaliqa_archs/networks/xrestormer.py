"""X-Restormer: a U-shaped transformer with attention between channels and between overlapping windows.

Source: Chen et al., "A Comparative Study of Image Restoration Networks for General Backbone Network Design", 2024,
arXiv:2310.11881.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from causaliqa_archs.networks.base import Network, State, count
from causaliqa_archs.networks.blocks import ChannelNorm, GatedFeedForward, conv

__all__ = ["XRestormer"]

_LEVELS = ("encoder_level1", "encoder_level2", "encoder_level3", "latent")


class _ChannelAttention(nn.Module):
    """Attention between the channels of each head over the whole image."""

    def __init__(self, width: int, heads: int, *, bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = conv(width, 3 * width, 1, bias=bias)
        self.qkv_dwconv = conv(3 * width, 3 * width, bias=bias, groups=3 * width)
        self.project_out = conv(width, width, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape."""
        parts = self.qkv_dwconv(self.qkv(x)).chunk(3, 1)
        query, key, value = (part.unflatten(1, (self.heads, -1)).flatten(3) for part in parts)
        weights = F.normalize(query, dim=-1) @ F.normalize(key, dim=-1).mT * self.temperature
        found = weights.softmax(-1) @ value
        return self.project_out(found.reshape(x.shape))


class _RelativePosition(nn.Module):
    """Learned vectors for the distance between a pixel of a window and one of the larger window around it."""

    def __init__(self, window: int, reach: int, size: int) -> None:
        super().__init__()
        self.rel_height = nn.Parameter(torch.randn(2 * reach - 1, size) * size**-0.5)
        self.rel_width = nn.Parameter(torch.randn(2 * reach - 1, size) * size**-0.5)
        # Query i and key j meet in the row j - i + reach - 1 of a table.
        steps = torch.arange(reach)[None] - torch.arange(window)[:, None] + reach - 1
        self.register_buffer("steps", steps, persistent=False)

    steps: Tensor

    def forward(self, query: Tensor) -> Tensor:
        """Map queries ``(B, window, window, size)`` to logits ``(B, window ** 2, reach ** 2)``."""
        down = torch.einsum("byxd,yjd->byxj", query, self.rel_height[self.steps])
        across = torch.einsum("byxd,xjd->byxj", query, self.rel_width[self.steps])
        return (down[..., :, None] + across[..., None, :]).flatten(3).flatten(1, 2)


class _WindowAttention(nn.Module):
    """Attention from the pixels of a window to those of a larger window around it."""

    def __init__(self, width: int, heads: int, size: int, window: int, reach: int, *, bias: bool) -> None:
        super().__init__()
        self.heads, self.size, self.window, self.reach = heads, size, window, reach
        self.qkv = conv(width, 3 * heads * size, 1, bias=bias)
        self.project_out = conv(heads * size, width, 1, bias=bias)
        self.rel_pos_emb = _RelativePosition(window, reach, size)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape; the sides are multiples of the window."""
        count_, _, height, width = x.shape
        query, key, value = self.qkv(x).chunk(3, 1)
        query = self._split(query, self.window, 0) * self.size**-0.5
        key, value = (self._split(part, self.reach, (self.reach - self.window) // 2) for part in (key, value))
        places = query.unflatten(1, (self.window, self.window))
        found = (query @ key.mT + self.rel_pos_emb(places)).softmax(-1) @ value
        # (N rows cols heads, window ** 2, size) back to the image.
        rows, cols = height // self.window, width // self.window
        found = found.reshape(count_, rows, cols, self.heads, self.window, self.window, self.size)
        found = found.permute(0, 3, 6, 1, 4, 2, 5).reshape(count_, -1, height, width)
        return self.project_out(found)

    def _split(self, x: Tensor, side: int, padding: int) -> Tensor:
        """Cut ``(N, heads size, h, w)`` into windows: ``(N windows heads, side ** 2, size)``."""
        parts = F.unfold(x, side, padding=padding, stride=self.window).mT
        return parts.reshape(-1, self.size, side * side).mT


class _Block(nn.Module):
    def __init__(
        self,
        width: int,
        *,
        heads: tuple[int, int],
        size: int,
        window: int,
        reach: int,
        hidden: int,
        bias: bool,
        norm_bias: bool,
    ) -> None:
        super().__init__()
        self.spatial_attn = _WindowAttention(width, heads[1], size, window, reach, bias=bias)
        self.channel_attn = _ChannelAttention(width, heads[0], bias=bias)
        for k in (1, 2, 3, 4):
            self.add_module(f"norm{k}", ChannelNorm(width, bias=norm_bias))
        self.channel_ffn = GatedFeedForward(width, hidden, bias=bias)
        self.spatial_ffn = GatedFeedForward(width, hidden, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape."""
        layers = (self.channel_attn, self.channel_ffn, self.spatial_attn, self.spatial_ffn)
        for k, layer in enumerate(layers, start=1):
            x = x + layer(self.get_submodule(f"norm{k}")(x))
        return x


def _body(*layers: nn.Module) -> nn.ModuleDict:
    return nn.ModuleDict({"body": nn.Sequential(*layers)})


class XRestormer(Network):
    """X-Restormer; its attention between channels lets every pixel reach every other.

    Args:
        scale: 1, or the enlargement: the input is enlarged bilinearly first; no key tells it.
        width: channels of the first level.
        blocks: blocks of the four levels.
        refinement: blocks after the decoder.
        channel_heads: heads of the attention between channels on the four levels.
        spatial_heads: heads of the attention between windows on the four levels.
        head_size: channels of a head of the latter.
        window: side of the windows.
        overlap: share of the window by which the windows of the keys are larger.
        hidden: channels inside the feed-forward networks of the four levels.
        bias: whether the convolutions have one.
        norm_bias: whether the normalisation subtracts the mean and has a bias.
    """

    def __init__(
        self,
        *,
        scale: int = 1,
        width: int = 48,
        blocks: tuple[int, ...] = (2, 4, 4, 4),
        refinement: int = 4,
        channel_heads: tuple[int, ...] = (1, 1, 1, 1),
        spatial_heads: tuple[int, ...] = (1, 2, 4, 8),
        head_size: int = 16,
        window: int = 8,
        overlap: float = 0.5,
        hidden: tuple[int, ...] = (127, 255, 510, 1021),
        bias: bool = False,
        norm_bias: bool = True,
    ) -> None:
        super().__init__()
        self.scale = scale
        # The coarsest level has an eighth of the size, and must consist of whole windows.
        self.multiple = max(1, 8 * window // scale)

        def level(number: int, depth: int, wide: int) -> nn.Sequential:
            heads = (channel_heads[number], spatial_heads[number])
            return nn.Sequential(
                *(
                    _Block(
                        wide,
                        heads=heads,
                        size=head_size,
                        window=window,
                        reach=window + int(window * overlap),
                        hidden=hidden[(wide // width).bit_length() - 1],
                        bias=bias,
                        norm_bias=norm_bias,
                    )
                    for _ in range(depth)
                )
            )

        self.patch_embed = nn.ModuleDict({"proj": conv(3, width, bias=False)})
        for number, name in enumerate(_LEVELS):
            self.add_module(name, level(number, blocks[number], width * 2**number))
        for k in (1, 2, 3):
            here = width * 2 ** (k - 1)
            self.add_module(f"down{k}_{k + 1}", _body(conv(here, here // 2, bias=False), nn.PixelUnshuffle(2)))
            self.add_module(f"up{k + 1}_{k}", _body(conv(2 * here, 4 * here, bias=False), nn.PixelShuffle(2)))
            if k > 1:
                self.add_module(f"reduce_chan_level{k}", conv(2 * here, here, 1, bias=bias))
            self.add_module(f"decoder_level{k}", level(k - 1, blocks[k - 1], max(here, 2 * width)))
        self.refinement = level(0, refinement, 2 * width)
        self.output = conv(2 * width, 3, bias=bias)

    @classmethod
    def options(cls, state: State) -> dict[str, Any]:
        width = state["patch_embed.proj.weight"].shape[0]
        table, head_size = state["encoder_level1.0.spatial_attn.rel_pos_emb.rel_height"].shape
        return {
            "scale": None,
            "width": width,
            "blocks": tuple(count(state, rf"{name}\.(\d+)\.") for name in _LEVELS),
            "refinement": count(state, r"refinement\.(\d+)\."),
            "channel_heads": tuple(state[f"{name}.0.channel_attn.temperature"].shape[0] for name in _LEVELS),
            "spatial_heads": tuple(
                state[f"{name}.0.spatial_attn.qkv.weight"].shape[0] // (3 * head_size) for name in _LEVELS
            ),
            "head_size": head_size,
            "window": (table + 1) // 3,  # the larger window has one and a half times its side
            "hidden": tuple(state[f"{name}.0.channel_ffn.project_out.weight"].shape[1] for name in _LEVELS),
            "bias": "output.bias" in state,
            "norm_bias": "encoder_level1.0.norm1.body.bias" in state,
        }

    def forward(self, x: Tensor) -> Tensor:
        """Restore ``(N, 3, h, w)`` in [0, 1]; the enlarged sides are multiples of 8 windows."""
        if self.scale > 1:
            x = F.interpolate(x, scale_factor=float(self.scale), mode="bilinear", align_corners=False)
        out = self.patch_embed["proj"](x)
        levels = []
        for number, name in enumerate(_LEVELS, start=1):
            out = self.get_submodule(name)(out)
            if number < 4:
                levels.append(out)
                out = self.get_submodule(f"down{number}_{number + 1}.body")(out)
        for k in (3, 2, 1):
            out = torch.cat([self.get_submodule(f"up{k + 1}_{k}.body")(out), levels[k - 1]], 1)
            if k > 1:
                out = self.get_submodule(f"reduce_chan_level{k}")(out)
            out = self.get_submodule(f"decoder_level{k}")(out)
        return x + self.output(self.refinement(out))
