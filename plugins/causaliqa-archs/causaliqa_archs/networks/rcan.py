"""RCAN: residual groups with channel attention, whose pooling is global or by blocks.

Sources: Zhang et al., "Image Super-Resolution Using Very Deep Residual Channel Attention Networks", 2018,
arXiv:1807.02758; "Interpreting Low-level Vision Models with Causal Effect Maps", figure 9, for the pooling by blocks.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from causaliqa_archs.networks.base import State, count, rename
from causaliqa_archs.networks.blocks import ChannelAttention, conv
from causaliqa_archs.networks.edsr import MeanShifted

__all__ = ["RCAN"]


class _Block(nn.Module):
    def __init__(self, width: int, narrow: int, pool: int) -> None:
        super().__init__()
        attention = ChannelAttention(width, narrow, pool=pool)
        self.body = nn.Sequential(conv(width, width), nn.ReLU(), conv(width, width), attention)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class _Group(nn.Module):
    def __init__(self, width: int, blocks: int, narrow: int, pool: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*(_Block(width, narrow, pool) for _ in range(blocks)), conv(width, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class RCAN(MeanShifted):
    """Residual groups with channel attention; its global pooling lets every pixel reach every other.

    Args:
        width: channels of the features.
        groups: number of residual groups.
        blocks: blocks of a group.
        narrow: channels inside the attention.
        scale: 1, 2, 3, 4 or 8.
        input_range: what white is, 1 or 255.
        pool: side of the blocks that the attention averages over, 16 for the paper's RCAN_AP16; 0 for the whole image.
    """

    def __init__(
        self,
        *,
        width: int = 64,
        groups: int = 10,
        blocks: int = 20,
        narrow: int = 4,
        scale: int = 4,
        input_range: float = 255.0,
        pool: int = 0,
    ) -> None:
        super().__init__(width=width, scale=scale, input_range=input_range)
        self.body = nn.Sequential(*(_Group(width, blocks, narrow, pool) for _ in range(groups)), conv(width, width))

    @classmethod
    def canonical(cls, state: State) -> dict[str, Tensor]:
        groups = count(state, r"body\.(\d+)\.residual_group\.")
        blocks = count(state, r"body\.0\.residual_group\.(\d+)\.")
        group = r"body\.(\d+)\.residual_group\.(\d+)\.rcab\."
        return rename(
            state,
            (r"conv_first\.", "head.0."),
            (group + r"3\.attention\.1\.", r"body.\1.body.\2.body.3.conv_du.0."),
            (group + r"3\.attention\.3\.", r"body.\1.body.\2.body.3.conv_du.2."),
            (group, r"body.\1.body.\2.body."),
            (r"body\.(\d+)\.conv\.", rf"body.\1.body.{blocks}."),
            (r"conv_after_body\.", f"body.{groups}."),
            (r"upsample\.", "tail.0."),
            (r"conv_last\.", "tail.1."),
        )

    @classmethod
    def options(cls, state: State) -> dict[str, Any]:
        return cls.frame(state) | {
            "groups": count(state, r"body\.(\d+)\.body\."),
            "blocks": count(state, r"body\.0\.body\.(\d+)\.body\."),
            "narrow": state["body.0.body.0.body.3.conv_du.0.weight"].shape[0],
        }

    def features(self, x: Tensor) -> Tensor:
        return x + self.body(x)
