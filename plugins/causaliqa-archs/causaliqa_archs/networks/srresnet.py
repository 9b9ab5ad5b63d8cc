"""SRResNet with batch normalisation as published, and the later one without it.

Sources: Ledig et al., "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network", 2017,
arXiv:1609.04802; Wang et al., "ESRGAN", 2018, arXiv:1809.00219, for the one without (MSRResNet).
"""

from __future__ import annotations

from math import isqrt
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from causaliqa_archs.networks.base import Network, State, count, rename
from causaliqa_archs.networks.blocks import conv

__all__ = ["SRResNet", "SRResNetBN"]


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv(width, width), conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(self.conv1(x).relu())


class SRResNet(Network):
    """Residual blocks without normalisation, on top of a bilinear enlargement (MSRResNet).

    Args:
        width: channels of the features.
        blocks: number of residual blocks.
        scale: 2, 3 or 4.
    """

    def __init__(self, *, width: int = 64, blocks: int = 16, scale: int = 4) -> None:
        super().__init__()
        self.scale = scale
        self.steps = (2, 2) if scale == 4 else (scale,)
        self.conv_first = conv(3, width)
        self.body = nn.Sequential(*(_Block(width) for _ in range(blocks)))
        for k, step in enumerate(self.steps, start=1):
            self.add_module(f"upconv{k}", conv(width, step**2 * width))
        self.conv_hr, self.conv_last = conv(width, width), conv(width, 3)

    @classmethod
    def canonical(cls, state: State) -> dict[str, Tensor]:
        return rename(state, (r"recon_trunk\.", "body."), (r"HRconv\.", "conv_hr."))

    @classmethod
    def options(cls, state: State) -> dict[str, Any]:
        outputs, width = state["upconv1.weight"].shape[:2]
        scale = 4 if "upconv2.weight" in state else isqrt(outputs // width)
        return {"width": width, "blocks": count(state, r"body\.(\d+)\."), "scale": scale}

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge ``(N, 3, h, w)`` in [0, 1]."""
        out = self.body(F.leaky_relu(self.conv_first(x), 0.1))
        for k, step in enumerate(self.steps, start=1):
            out = F.leaky_relu(F.pixel_shuffle(self.get_submodule(f"upconv{k}")(out), step), 0.1)
        out = self.conv_last(F.leaky_relu(self.conv_hr(out), 0.1))
        return out + F.interpolate(x, scale_factor=float(self.scale), mode="bilinear", align_corners=False)


class _NormalisedBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.rcb = nn.Sequential(
            conv(width, width, bias=False),
            nn.BatchNorm2d(width),
            nn.PReLU(),
            conv(width, width, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.rcb(x)


class SRResNetBN(Network):
    """The published SRResNet: batch normalisation, PReLU, kernels of 9 at both ends.

    Args:
        width: channels of the features.
        blocks: number of residual blocks.
        scale: 2, 4 or 8.
    """

    def __init__(self, *, width: int = 64, blocks: int = 16, scale: int = 4) -> None:
        super().__init__()
        self.scale = scale
        self.conv1 = nn.Sequential(conv(3, width, 9), nn.PReLU())
        self.trunk = nn.Sequential(*(_NormalisedBlock(width) for _ in range(blocks)))
        self.conv2 = nn.Sequential(conv(width, width, bias=False), nn.BatchNorm2d(width))
        step = [
            nn.Sequential(conv(width, 4 * width), nn.PixelShuffle(2), nn.PReLU()) for _ in range(scale.bit_length() - 1)
        ]
        self.upsampling = nn.Sequential(*(nn.ModuleDict({"upsample_block": layers}) for layers in step))
        self.conv3 = conv(width, 3, 9)

    @classmethod
    def options(cls, state: State) -> dict[str, Any]:
        return {
            "width": state["conv1.0.weight"].shape[0],
            "blocks": count(state, r"trunk\.(\d+)\."),
            "scale": 2 ** count(state, r"upsampling\.(\d+)\."),
        }

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge ``(N, 3, h, w)`` in [0, 1]."""
        first = self.conv1(x)
        out = first + self.conv2(self.trunk(first))
        for step in self.upsampling:
            out = step["upsample_block"](out)  # type: ignore[index]
        return self.conv3(out)
