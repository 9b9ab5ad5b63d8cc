"""RNAN: residual blocks beside masks that see the image at half size, the first and last mask with non-local attention.

Source: Zhang et al., "Residual Non-local Attention Networks for Image Restoration", 2019, arXiv:1903.10082.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from causaliqa_archs.networks.base import Network, State, count, shuffle_scale
from causaliqa_archs.networks.blocks import MeanShift, ResidualBlock, conv, upsampler
from causaliqa_archs.networks.edsr import MeanShifted

__all__ = ["RNAN"]


class _NonLocal(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.theta, self.phi, self.g = (conv(width, width // 2, 1) for _ in range(3))
        self.W = conv(width // 2, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (layer(x).flatten(2) for layer in (self.theta, self.phi, self.g))
        # Public files were trained with weights that sum to one over the queries, not over the keys.
        weights = (query.mT @ key).softmax(1)
        return x + self.W((value @ weights.mT).unflatten(2, x.shape[2:]))


class _Mask(nn.Module):
    def __init__(self, width: int, non_local: bool) -> None:
        super().__init__()
        first: list[nn.Module] = [_NonLocal(width)] if non_local else []
        self.MB_RB1 = nn.Sequential(*first, ResidualBlock(width))
        self.MB_Down = nn.Sequential(nn.Conv2d(width, width, 3, stride=2, padding=1))
        self.MB_RB2 = nn.Sequential(ResidualBlock(width), ResidualBlock(width))
        self.MB_Up = nn.Sequential(nn.ConvTranspose2d(width, width, 6, stride=2, padding=2))
        self.MB_RB3 = nn.Sequential(ResidualBlock(width))
        self.MB_1x1conv = nn.Sequential(conv(width, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return weights in (0, 1) of the shape of the input."""
        fine = self.MB_RB1(x)
        coarse = self.MB_Up(self.MB_RB2(self.MB_Down(fine)))
        return self.MB_1x1conv(self.MB_RB3(fine + coarse)).sigmoid()


class _Trunk(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(ResidualBlock(width), ResidualBlock(width))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class _AttentionBlock(nn.Module):
    def __init__(self, width: int, non_local: bool) -> None:
        super().__init__()
        self.RA_RB1 = nn.Sequential(ResidualBlock(width))
        self.RA_TB = nn.Sequential(_Trunk(width))
        self.RA_MB = nn.Sequential(_Mask(width, non_local))
        self.RA_tail = nn.Sequential(ResidualBlock(width), ResidualBlock(width))

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape."""
        first = self.RA_RB1(x)
        return self.RA_tail(self.RA_TB(first) * self.RA_MB(first) + first)


class _Group(nn.Module):
    def __init__(self, width: int, *, non_local: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(_AttentionBlock(width, non_local), conv(width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape."""
        return self.body(x)


class RNAN(Network):
    """Residual non-local attention network; every pixel reaches every other.

    Args:
        width: channels of the features.
        groups: number of groups, the first and last of which have non-local attention.
        scale: 1 for noise and artefacts, else 2, 3, 4 or 8.
        input_range: what white is, 1 or 255.
    """

    multiple = 2

    def __init__(self, *, width: int = 64, groups: int = 10, scale: int = 4, input_range: float = 255.0) -> None:
        super().__init__()
        self.scale, self.input_range = scale, input_range
        self.head = nn.Sequential(conv(3, width))
        self.body_nl_low = nn.Sequential(_Group(width, non_local=True))
        self.body = nn.Sequential(*(_Group(width) for _ in range(groups - 2)), conv(width, width))
        self.body_nl_high = nn.Sequential(_Group(width, non_local=True))
        if scale == 1:
            self.tail = nn.Sequential(conv(width, 3))
        else:
            self.sub_mean, self.add_mean = MeanShift(-1, input_range), MeanShift(1, input_range)
            self.tail = nn.Sequential(upsampler(scale, width), conv(width, 3))

    @classmethod
    def options(cls, state: State) -> dict[str, Any]:
        found = MeanShifted.frame(state)
        scale = shuffle_scale(state, "tail.0.", found["width"]) if "sub_mean.bias" in state else 1
        return found | {"groups": count(state, r"body\.(\d+)\.body\.") + 2, "scale": scale}

    def forward(self, x: Tensor) -> Tensor:
        """Restore ``(N, 3, h, w)`` in [0, input_range]."""
        if self.scale == 1:
            return x + self.tail(self._features(self.head(x)))
        first = self.head(self.sub_mean(x))
        return self.add_mean(self.tail(first + self._features(first)))

    def _features(self, x: Tensor) -> Tensor:
        return self.body_nl_high(self.body(self.body_nl_low(x)))
