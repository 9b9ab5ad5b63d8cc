"""ADNet: a chain of plain and dilated convolutions, whose noise is weighed by the image.

Source: Tian et al., "Attention-guided CNN for Image Denoising", 2020 (Neural Networks 124).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from causaliqa_archs.networks.base import Network, State
from causaliqa_archs.networks.blocks import conv

__all__ = ["ADNet"]

_DILATED = (2, 5, 9, 12)
"""Layers with a dilation of 2."""


class ADNet(Network):
    """Attention-guided denoising network of 16 layers.

    Args:
        channels: 1 or 3; a network of one channel restores the three colours on their own.
        width: channels of the features.
    """

    def __init__(self, *, channels: int = 3, width: int = 64) -> None:
        super().__init__()
        self.channels = channels
        for k in range(1, 16):
            inputs, dilation = channels if k == 1 else width, 2 if k in _DILATED else 1
            layer = conv(inputs, width, bias=False, dilation=dilation)
            self.add_module(f"conv1_{k}", nn.Sequential(layer, nn.BatchNorm2d(width), nn.ReLU()))
        self.conv1_16 = conv(width, channels, bias=False)
        self.conv3 = conv(2 * channels, channels, 1)

    @classmethod
    def options(cls, state: State) -> dict[str, Any]:
        width, channels = state["conv1_1.0.weight"].shape[:2]
        return {"channels": channels, "width": width}

    def forward(self, x: Tensor) -> Tensor:
        """Denoise ``(N, channels, h, w)``."""
        noise = x
        for k in range(1, 17):
            noise = self.get_submodule(f"conv1_{k}")(noise)
        weights = self.conv3(torch.cat([x, noise], 1).tanh())
        return x - weights * noise

    def restore(self, img: Tensor) -> Tensor:
        planes = img.reshape(-1, self.channels, *img.shape[2:])
        return self(planes).reshape(img.shape)
