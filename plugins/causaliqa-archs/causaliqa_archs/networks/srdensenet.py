"""SRDenseNet: dense blocks, all joined before the enlargement.

Source: Tong et al., "Image Super-Resolution Using Dense Skip Connections", 2017 (ICCV).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from causaliqa_archs.networks.base import Network, State, count
from causaliqa_archs.networks.blocks import conv
from causaliqa_archs.networks.colour import on_luma

__all__ = ["SRDenseNet"]


class _Layer(nn.Module):
    """A convolution with ReLU; ``keep`` puts the input before its output."""

    def __init__(self, inputs: int, outputs: int, *, keep: bool = False) -> None:
        super().__init__()
        self.conv = conv(inputs, outputs)
        self.keep = keep

    def forward(self, x: Tensor) -> Tensor:
        new = self.conv(x).relu()
        return torch.cat([x, new], 1) if self.keep else new


class _DenseBlock(nn.Module):
    def __init__(self, inputs: int, growth: int, layers: int) -> None:
        super().__init__()
        later = [_Layer(growth * k, growth, keep=True) for k in range(1, layers)]
        self.block = nn.Sequential(_Layer(inputs, growth), *later)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.block(x)], 1)


class SRDenseNet(Network):
    """Dense blocks whose outputs are all kept, a bottleneck, two transposed convolutions.

    Args:
        channels: 1 for the luma, 3 for RGB.
        growth: new channels of each layer.
        blocks: number of dense blocks.
        layers: layers of a block.
        width: channels after the bottleneck.
        scale: 2 or 4.
    """

    def __init__(
        self,
        *,
        channels: int = 1,
        growth: int = 16,
        blocks: int = 8,
        layers: int = 8,
        width: int = 256,
        scale: int = 4,
    ) -> None:
        super().__init__()
        self.scale, self.channels = scale, channels
        block = growth * layers
        self.conv = _Layer(channels, block)
        self.dense_blocks = nn.Sequential(*(_DenseBlock(block * (k + 1), growth, layers) for k in range(blocks)))
        self.bottleneck = nn.Sequential(conv(block * (blocks + 1), width, 1), nn.ReLU())
        enlarging: list[nn.Module] = []
        for _ in range(scale.bit_length() - 1):
            enlarging += [nn.ConvTranspose2d(width, width, 3, stride=2, padding=1, output_padding=1), nn.ReLU()]
        self.deconv = nn.Sequential(*enlarging)
        self.reconstruction = conv(width, channels)

    @classmethod
    def options(cls, state: State) -> dict[str, Any]:
        block, channels = state["conv.conv.weight"].shape[:2]
        layers = count(state, r"dense_blocks\.0\.block\.(\d+)\.")
        return {
            "channels": channels,
            "growth": block // layers if layers else 0,
            "blocks": count(state, r"dense_blocks\.(\d+)\."),
            "layers": layers,
            "width": state["bottleneck.0.weight"].shape[0],
            "scale": 2 ** (count(state, r"deconv\.(\d+)\.weight") // 2 + 1),
        }

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge ``(N, channels, h, w)``."""
        return self.reconstruction(self.deconv(self.bottleneck(self.dense_blocks(self.conv(x)))))

    def restore(self, img: Tensor) -> Tensor:
        return on_luma(self, img, self.scale, enlarged=False) if self.channels == 1 else super().restore(img)
