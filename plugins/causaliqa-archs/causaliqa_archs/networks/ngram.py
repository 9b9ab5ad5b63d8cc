"""Context of windows from their neighbours (N-gram in Swin Transformers, arXiv:2211.11436), for HiT-SNG."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from causaliqa_archs.networks.blocks import conv
from causaliqa_archs.networks.windows import distance_index

__all__ = ["WindowContext"]

_PAIR = (2, 2)
"""Rows and columns of windows that see each other."""


class _Attention(nn.Module):
    """Attention between four windows, with a bias from a table of their distances."""

    relative_position_index: Tensor

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.relative_position_bias_table = nn.Parameter(torch.zeros(9, heads))
        self.register_buffer("relative_position_index", distance_index(_PAIR))
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape of ``(n, 4, width)``."""
        parts = self.qkv(x).chunk(3, -1)
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        bias = self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)
        found = (query * query.shape[-1] ** -0.5 @ key.mT + bias).softmax(-1) @ value
        return self.proj(found.transpose(1, 2).flatten(2))


class WindowContext(nn.Module):
    """What each window gets from those around it: one vector for all of its pixels.

    Args:
        width: channels, an even number.
        heads: number of heads.
        window: side of the windows.
    """

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.unigram_embed = nn.Conv2d(2, 1, window, stride=window)
        self.ngram_attn = _Attention(width // 2, heads)
        self.merge = conv(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, C, h, w)``, at least two windows high and wide, to ``(N, C, h / window, w / window)``."""
        pairs = x.reshape(-1, 2, *x.shape[2:])
        words = self.unigram_embed(pairs).unflatten(0, (len(x), -1)).squeeze(2)
        ahead = self._meet(F.pad(words, (0, 1, 0, 1), mode="reflect"))
        behind = self._meet(F.pad(words, (1, 0, 1, 0), mode="reflect"))
        return self.merge(torch.cat([ahead, behind], 1))

    def _meet(self, words: Tensor) -> Tensor:
        """Average the attention of each four neighbours: ``(N, C, r + 1, c + 1)`` to ``(N, C, r, c)``."""
        count, width, rows, cols = words.shape
        fours = F.unfold(words, 2).unflatten(1, (width, 4)).permute(0, 3, 2, 1).flatten(0, 1)
        return self.ngram_attn(fours).mean(1).reshape(count, rows - 1, cols - 1, width).permute(0, 3, 1, 2)
