"""PReNet: one small recurrent network several times over, with a convolutional LSTM.

Source: Ren et al., "Progressive Image Deraining Networks: A Better and Simpler Baseline", 2019, arXiv:1901.09221.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from causaliqa_archs.networks.base import Network, State, count
from causaliqa_archs.networks.blocks import conv

__all__ = ["PReNet"]


class PReNet(Network):
    """Progressive recurrent network for rain.

    Args:
        width: channels of the features.
        blocks: residual blocks of a stage.
        rounds: how often each block is applied; 5 for the one block of PReNet_r.
        stages: how often the network is applied; no key tells it, and the paper's is 6.
    """

    def __init__(self, *, width: int = 32, blocks: int = 5, rounds: int = 1, stages: int = 6) -> None:
        super().__init__()
        self.width, self.stages = width, stages
        self.order = [k for k in range(1, blocks + 1) for _ in range(rounds)]
        self.conv0 = nn.Sequential(conv(6, width), nn.ReLU())
        for k in range(1, blocks + 1):
            block = nn.Sequential(conv(width, width), nn.ReLU(), conv(width, width), nn.ReLU())
            self.add_module(f"res_conv{k}", block)
        for name in "ifgo":
            last = nn.Tanh() if name == "g" else nn.Sigmoid()
            self.add_module(f"conv_{name}", nn.Sequential(conv(2 * width, width), last))
        self.conv = nn.Sequential(conv(width, 3))

    @classmethod
    def options(cls, state: State) -> dict[str, Any]:
        blocks = count(state, r"res_conv(\d+)\.") - 1
        return {"width": state["conv0.0.weight"].shape[0], "blocks": blocks, "rounds": 5 if blocks == 1 else 1}

    def forward(self, x: Tensor) -> Tensor:
        """Derain ``(N, 3, h, w)`` in [0, 1]."""
        out = x
        hidden = cell = x.new_zeros(len(x), self.width, *x.shape[2:])
        for _ in range(self.stages):
            joint = torch.cat([self.conv0(torch.cat([x, out], 1)), hidden], 1)
            write, keep, new, show = (self.get_submodule(f"conv_{name}")(joint) for name in "ifgo")
            cell = keep * cell + write * new
            hidden = features = show * cell.tanh()
            for k in self.order:
                features = (self.get_submodule(f"res_conv{k}")(features) + features).relu()
            out = self.conv(features) + x
        return out
