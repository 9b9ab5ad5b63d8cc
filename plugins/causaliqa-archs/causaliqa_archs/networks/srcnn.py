"""SRCNN and FSRCNN: the first networks for super-resolution.

Sources: Dong et al., "Image Super-Resolution Using Deep Convolutional Networks", 2014, arXiv:1501.00092; Dong et al.,
"Accelerating the Super-Resolution Convolutional Neural Network", 2016, arXiv:1608.00367.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from causaliqa_archs.networks.base import Network, State, count
from causaliqa_archs.networks.blocks import conv
from causaliqa_archs.networks.colour import enlarge, on_luma

__all__ = ["FSRCNN", "SRCNN"]


class SRCNN(Network):
    """Three convolutions on a bicubic enlargement, mostly of the luma.

    Args:
        scale: enlargement; no key tells it.
        channels: 1 for the luma, 3 for RGB.
        widths: channels after the first and the second convolution.
        sides: of the three kernels.
    """

    def __init__(
        self,
        *,
        scale: int = 4,
        channels: int = 1,
        widths: tuple[int, int] = (64, 32),
        sides: tuple[int, int, int] = (9, 5, 5),
    ) -> None:
        super().__init__()
        self.scale, self.channels = scale, channels
        self.conv1 = conv(channels, widths[0], sides[0])
        self.conv2 = conv(widths[0], widths[1], sides[1])
        self.conv3 = conv(widths[1], channels, sides[2])

    @classmethod
    def options(cls, state: State) -> dict[str, Any]:
        weights = [state[f"conv{k}.weight"].shape for k in (1, 2, 3)]
        return {
            "scale": None,
            "channels": weights[0][1],
            "widths": (weights[0][0], weights[1][0]),
            "sides": tuple(w[-1] for w in weights),
        }

    def forward(self, x: Tensor) -> Tensor:
        """Restore ``(N, channels, h, w)``, already enlarged."""
        return self.conv3(self.conv2(self.conv1(x).relu()).relu())

    def restore(self, img: Tensor) -> Tensor:
        if self.channels == 1:
            return on_luma(self, img, self.scale, enlarged=True)
        return self(enlarge(img, self.scale))


class FSRCNN(Network):
    """Shrink, map, expand, and a transposed convolution that enlarges.

    Args:
        scale: enlargement; no key tells it.
        channels: 1 for the luma, 3 for RGB.
        width: channels of the features.
        narrow: channels in between.
        layers: number of mapping layers.
    """

    def __init__(
        self, *, scale: int = 4, channels: int = 1, width: int = 56, narrow: int = 12, layers: int = 4
    ) -> None:
        super().__init__()
        self.scale, self.channels = scale, channels
        self.first_part = nn.Sequential(conv(channels, width, 5), nn.PReLU(width))
        middle = [conv(width, narrow, 1), nn.PReLU(narrow)]
        for _ in range(layers):
            middle += [conv(narrow, narrow), nn.PReLU(narrow)]
        self.mid_part = nn.Sequential(*middle, conv(narrow, width, 1), nn.PReLU(width))
        self.last_part = nn.ConvTranspose2d(width, channels, 9, stride=scale, padding=4, output_padding=scale - 1)

    @classmethod
    def options(cls, state: State) -> dict[str, Any]:
        width, channels = state["first_part.0.weight"].shape[:2]
        return {
            "scale": None,
            "channels": channels,
            "width": width,
            "narrow": state["mid_part.0.weight"].shape[0],
            "layers": count(state, r"mid_part\.(\d+)\.") // 2 - 2,
        }

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge ``(N, channels, h, w)``."""
        return self.last_part(self.mid_part(self.first_part(x)))

    def restore(self, img: Tensor) -> Tensor:
        return on_luma(self, img, self.scale, enlarged=False) if self.channels == 1 else super().restore(img)
