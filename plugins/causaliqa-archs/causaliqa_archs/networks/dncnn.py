"""Plain chains of convolutions: DnCNN, IRCNN, FFDNet and SRMD, which differ in what goes in and comes out.

Sources: Zhang et al., "Beyond a Gaussian Denoiser", 2017, arXiv:1608.03981; "Learning Deep CNN Denoiser Prior for Image
Restoration", 2017, arXiv:1704.03264; "FFDNet", 2018, arXiv:1710.04026; "Learning a Single Convolutional
Super-Resolution Network for Multiple Degradations", 2018, arXiv:1712.06116.
"""

from __future__ import annotations

from math import isqrt
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from causaliqa_archs.networks.base import Network, State, count, rename
from causaliqa_archs.networks.blocks import conv

__all__ = ["IRCNN", "SRMD", "DnCNN", "FFDNet"]


def _chain(inputs: int, width: int, outputs: int, depth: int) -> nn.Sequential:
    layers: list[nn.Module] = [conv(inputs, width), nn.ReLU()]
    for _ in range(depth - 2):
        layers += [conv(width, width), nn.ReLU()]
    return nn.Sequential(*layers, conv(width, outputs))


def _read(state: State) -> dict[str, int]:
    """Read inputs, width, outputs and depth of a chain without normalisation."""
    last = count(state, r"model\.(\d+)\.weight") - 1
    width, inputs = state["model.0.weight"].shape[:2]
    return {
        "inputs": inputs,
        "width": width,
        "outputs": state[f"model.{last}.weight"].shape[0],
        "depth": last // 2 + 1,
    }


class DnCNN(Network):
    """A chain of convolutions that predicts the noise; the output is the input less it.

    A network of one channel restores the three colours on their own.

    Args:
        channels: 1 or 3.
        width: channels of the features.
        depth: number of convolutions.
        norm: batch normalisation between the first and the last of them.
        bias: whether the convolutions with normalisation have one.
    """

    def __init__(
        self, *, channels: int = 3, width: int = 64, depth: int = 20, norm: bool = False, bias: bool = True
    ) -> None:
        super().__init__()
        self.channels = channels
        if not norm:
            self.model = _chain(channels, width, channels, depth)
            return
        layers: list[nn.Module] = [conv(channels, width, bias=bias), nn.ReLU()]
        # Public files with biases before the normalisation were trained with 1e-4.
        eps = 1e-4 if bias else 1e-5
        for _ in range(depth - 2):
            layers += [conv(width, width, bias=bias), nn.BatchNorm2d(width, eps=eps), nn.ReLU()]
        self.model = nn.Sequential(*layers, conv(width, channels, bias=bias))

    @classmethod
    def canonical(cls, state: State) -> dict[str, Tensor]:
        return rename(state, (r"dncnn\.", "model."))

    @classmethod
    def options(cls, state: State) -> dict[str, Any]:
        norm = "model.3.running_mean" in state
        last = count(state, r"model\.(\d+)\.weight") - 1
        width, channels = state["model.0.weight"].shape[:2]
        return {
            "channels": channels,
            "width": width,
            "depth": (last - 2) // 3 + 2 if norm else last // 2 + 1,
            "norm": norm,
            "bias": "model.0.bias" in state,
        }

    def forward(self, x: Tensor) -> Tensor:
        """Denoise ``(N, channels, h, w)``."""
        return x - self.model(x)

    def restore(self, img: Tensor) -> Tensor:
        planes = img.reshape(-1, self.channels, *img.shape[2:])
        return self(planes).reshape(img.shape)


class IRCNN(DnCNN):
    """Seven convolutions of dilation 1, 2, 3, 4, 3, 2, 1 that predict the noise of one strength.

    Args:
        channels: 1 or 3.
        width: channels of the features.
    """

    def __init__(self, *, channels: int = 3, width: int = 64) -> None:
        Network.__init__(self)
        self.channels = channels
        dilations = (1, 2, 3, 4, 3, 2, 1)
        widths = (channels, *(width,) * (len(dilations) - 1), channels)
        layers: list[nn.Module] = []
        for k, dilation in enumerate(dilations):
            layers += [conv(widths[k], widths[k + 1], dilation=dilation), nn.ReLU()]
        self.model = nn.Sequential(*layers[:-1])

    @classmethod
    def options(cls, state: State) -> dict[str, Any]:
        found = _read(state)
        return {"channels": found["inputs"], "width": found["width"]}


class FFDNet(Network):
    """A chain of convolutions on four sub-images and a map of the noise level.

    Args:
        channels: 1 or 3.
        width: channels of the features.
        depth: number of convolutions.
        sigma: standard deviation of the noise it is told of, on the scale of 0 to 255.
    """

    def __init__(self, *, channels: int = 3, width: int = 96, depth: int = 12, sigma: float = 50.0) -> None:
        super().__init__()
        self.channels, self.sigma = channels, sigma
        self.model = _chain(4 * channels + 1, width, 4 * channels, depth)

    @classmethod
    def options(cls, state: State) -> dict[str, Any]:
        found = _read(state)
        return {"channels": found["outputs"] // 4, "width": found["width"], "depth": found["depth"]}

    def forward(self, x: Tensor) -> Tensor:
        """Denoise ``(N, channels, h, w)`` of any size."""
        height, width = x.shape[2:]
        parts = F.pixel_unshuffle(F.pad(x, (0, width % 2, 0, height % 2), mode="replicate"), 2)
        level = torch.full_like(parts[:, :1], self.sigma / 255)
        out = F.pixel_shuffle(self.model(torch.cat([parts, level], 1)), 2)
        return out[..., :height, :width]

    def restore(self, img: Tensor) -> Tensor:
        planes = img.reshape(-1, self.channels, *img.shape[2:])
        return self(planes).reshape(img.shape)


class SRMD(Network):
    """A chain of convolutions on the image and maps of its degradation, with a sub-pixel enlargement.

    Args:
        degradation: numbers that describe the blur, repeated over the image: the file that they come in.
        noise: a map of the noise level comes after them (SRMD); without it, SRMDNF.
        sigma: standard deviation of the noise it is told of, on the scale of 0 to 255.
        width: channels of the features.
        depth: number of convolutions.
        scale: enlargement.
    """

    degradation: Tensor

    def __init__(
        self,
        *,
        degradation: tuple[float, ...] = (0.0,) * 15,
        noise: bool = False,
        sigma: float = 0.0,
        width: int = 128,
        depth: int = 12,
        scale: int = 4,
    ) -> None:
        super().__init__()
        self.scale = scale
        known = (*degradation, sigma / 255) if noise else degradation
        self.register_buffer("degradation", torch.tensor(known), persistent=False)
        self.model = _chain(3 + len(known), width, 3 * scale**2, depth)

    @classmethod
    def options(cls, state: State) -> dict[str, Any]:
        found = _read(state)
        return {
            "degradation": None,
            "noise": found["inputs"] == 3 + 15 + 1,
            "width": found["width"],
            "depth": found["depth"],
            "scale": isqrt(found["outputs"] // 3),
        }

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge ``(N, 3 + number of maps, h, w)``."""
        return F.pixel_shuffle(self.model(x), self.scale)

    def restore(self, img: Tensor) -> Tensor:
        maps = self.degradation.to(img).view(1, -1, 1, 1).expand(len(img), -1, *img.shape[2:])
        return self(torch.cat([img, maps], 1))
