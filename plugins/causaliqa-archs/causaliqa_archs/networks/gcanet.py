"""GCANet: smoothed dilated convolutions and instance normalisation, for haze and rain.

Source: Chen et al., "Gated Context Aggregation Network for Image Dehazing and Deraining", 2019, arXiv:1811.08747.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from causaliqa_archs.networks.base import Network, State
from causaliqa_archs.networks.blocks import conv

__all__ = ["GCANet"]


class _Smoothing(nn.Module):
    """One small kernel for all channels, which joins the grids of a dilated convolution."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, 1, side, side))
        with torch.no_grad():
            self.weight[..., side // 2, side // 2] = 1

    def forward(self, x: Tensor) -> Tensor:
        width, side = x.shape[1], self.weight.shape[-1]
        return F.conv2d(x, self.weight.expand(width, 1, side, side), padding=side // 2, groups=width)


class _Block(nn.Module):
    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        for k in (1, 2):
            if dilation > 1:
                self.add_module(f"pre_conv{k}", _Smoothing(2 * dilation - 1))
            self.add_module(f"conv{k}", conv(width, width, bias=False, dilation=dilation))
            self.add_module(f"norm{k}", nn.InstanceNorm2d(width, affine=True))
        self.smoothed = dilation > 1

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for k in (1, 2):
            if self.smoothed:
                out = self.get_submodule(f"pre_conv{k}")(out)
            out = self.get_submodule(f"norm{k}")(self.get_submodule(f"conv{k}")(out))
            out = (out if k == 1 else out + x).relu()
        return out


class GCANet(Network):
    """Gated context aggregation network; its instance normalisation lets every pixel reach every other.

    Args:
        task: ``dehaze``, where the network predicts what to add, or ``derain``, where it predicts the image, as the
            public files do; no key tells which.
        width: channels of the features.
    """

    multiple = 4
    smallest = 8

    def __init__(self, *, task: str = "dehaze", width: int = 64) -> None:
        super().__init__()
        self.residual = task == "dehaze"
        for k, inputs in ((1, 4), (2, width), (3, width)):
            layer = nn.Conv2d(inputs, width, 3, stride=2 if k == 3 else 1, padding=1, bias=False)
            self.add_module(f"conv{k}", layer)
        for k in range(1, 6):
            self.add_module(f"norm{k}", nn.InstanceNorm2d(width, affine=True))
        for k, dilation in enumerate((2, 2, 2, 4, 4, 4, 1), start=1):
            self.add_module(f"res{k}", _Block(width, dilation))
        self.gate = conv(3 * width, 3)
        self.deconv3 = nn.ConvTranspose2d(width, width, 4, stride=2, padding=1)
        self.deconv2, self.deconv1 = conv(width, width), conv(width, 3, 1)

    @classmethod
    def options(cls, state: State) -> dict[str, Any]:
        return {"task": None, "width": state["gate.weight"].shape[1] // 3}

    def forward(self, x: Tensor) -> Tensor:
        """Map colours and edges ``(N, 4, h, w)``, 0 to 255 less 128, to an image or to what is missing of it."""
        for k in (1, 2, 3):
            x = self._norm(k, self.get_submodule(f"conv{k}")(x))
        kept = [x]
        for k in range(1, 8):
            x = self.get_submodule(f"res{k}")(x)
            if k in (4, 7):
                kept.append(x)
        weights = self.gate(torch.cat(kept, 1)).split(1, 1)
        out = torch.stack([part * weight for part, weight in zip(kept, weights, strict=True)]).sum(0)
        out = self.deconv1(self._norm(5, self.deconv2(self._norm(4, self.deconv3(out)))))
        return out if self.residual else out.relu()

    def _norm(self, number: int, x: Tensor) -> Tensor:
        return self.get_submodule(f"norm{number}")(x).relu()

    def restore(self, img: Tensor) -> Tensor:
        bright = img * 255
        out: Tensor = self(torch.cat([bright, _edges(bright)], 1) - 128)
        return (out + bright if self.residual else out) / 255


def _edges(img: Tensor) -> Tensor:
    """Return the mean absolute difference from the four neighbours, ``(N, 1, h, w)``."""
    across = F.pad(img.diff(dim=3).abs(), (1, 1, 0, 0))
    down = F.pad(img.diff(dim=2).abs(), (0, 0, 1, 1))
    total = across[..., 1:] + across[..., :-1] + down[..., 1:, :] + down[..., :-1, :]
    return total.mean(1, keepdim=True) / 4
