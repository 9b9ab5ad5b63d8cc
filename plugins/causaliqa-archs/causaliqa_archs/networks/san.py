"""SAN: attention from the covariance of the channels, and non-local attention in the four quarters of the image.

Source: Dai et al., "Second-order Attention Network for Single Image Super-Resolution", 2019 (CVPR).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from causaliqa_archs.networks.base import State, count
from causaliqa_archs.networks.blocks import conv, gate
from causaliqa_archs.networks.edsr import MeanShifted

__all__ = ["SAN", "matrix_root"]

_LARGEST = 1000
"""Side of the centre that the covariance of a larger map is taken from."""


def matrix_root(matrix: Tensor, steps: int = 5) -> Tensor:
    """Approximate the square roots of covariance matrices ``(N, C, C)`` by Newton and Schulz's iteration.

    Source: Li et al., "Towards Faster Training of Global Covariance Pooling Networks", 2018, arXiv:1712.01034.

    Example:
        >>> matrix_root(4 * torch.eye(2)[None], steps=12).round(decimals=3)[0]
        tensor([[2., 0.],
                [0., 2.]])
    """
    trace = matrix.diagonal(dim1=1, dim2=2).sum(1).clamp_min(1e-12).view(-1, 1, 1)
    eye = torch.eye(matrix.shape[1], dtype=matrix.dtype, device=matrix.device).expand_as(matrix)
    root, inverse = matrix / trace, eye
    for _ in range(steps):
        step = (3 * eye - inverse @ root) / 2
        root, inverse = root @ step, step @ inverse
    return root * trace.sqrt()


class _CovarianceAttention(nn.Module):
    def __init__(self, width: int, narrow: int) -> None:
        super().__init__()
        self.conv_du = gate(width, narrow)

    def forward(self, x: Tensor) -> Tensor:
        top, left = (max(0, side - _LARGEST) // 2 for side in x.shape[2:])
        centred = x[..., top : top + _LARGEST, left : left + _LARGEST].flatten(2)
        centred = centred - centred.mean(2, keepdim=True)
        root = matrix_root(centred @ centred.mT / centred.shape[2])
        return x * self.conv_du(root.mean(1)[..., None, None])


class _NonLocal(nn.Module):
    """Attention between all places, with keys and values at half the size."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.theta = conv(width, inner, 1)
        self.phi, self.g = (nn.Sequential(conv(width, inner, 1), nn.MaxPool2d(2)) for _ in range(2))
        self.W = conv(inner, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (layer(x).flatten(2) for layer in (self.theta, self.phi, self.g))
        weights = (query.mT @ key).softmax(2)
        found = value @ weights.mT
        return x + self.W(found.unflatten(2, x.shape[2:]))


class _Quarters(nn.Module):
    """Non-local attention within each quarter of the image; ``soca`` is in the files and not used."""

    def __init__(self, width: int, inner: int, narrow: int) -> None:
        super().__init__()
        self.soca = _CovarianceAttention(width, narrow)
        self.non_local = _NonLocal(width, inner)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape."""
        cuts = [[side // 2, side - side // 2] for side in x.shape[2:]]
        rows = [torch.cat([self.non_local(part) for part in row.split(cuts[1], 3)], 3) for row in x.split(cuts[0], 2)]
        return torch.cat(rows, 2)


class _ConvPair(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv_first = nn.Sequential(conv(width, width), nn.ReLU(), conv(width, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_first(x)


class _Group(nn.Module):
    """A residual group; its own ``gamma`` is in the files and not used."""

    def __init__(self, width: int, blocks: int, narrow: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1))
        self.rcab = nn.ModuleList(_ConvPair(width) for _ in range(blocks))
        self.soca = _CovarianceAttention(width, narrow)
        self.conv_last = conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape."""
        out = x
        for block in self.rcab:
            out = block(out)
        return x + self.conv_last(self.soca(out))


class SAN(MeanShifted):
    """Second-order attention network; every pixel reaches every other.

    Args:
        width: channels of the features.
        groups: number of residual groups.
        blocks: blocks of a group.
        narrow: channels inside the attention of a group.
        scale: 1, 2, 3, 4 or 8.
        input_range: what white is, 1 or 255.
    """

    smallest = 4

    def __init__(
        self,
        *,
        width: int = 64,
        groups: int = 20,
        blocks: int = 10,
        narrow: int = 4,
        scale: int = 4,
        input_range: float = 255.0,
    ) -> None:
        super().__init__(width=width, scale=scale, input_range=input_range)
        self.gamma = nn.Parameter(torch.zeros(1))
        self.RG = nn.ModuleList(_Group(width, blocks, narrow) for _ in range(groups))
        self.conv_last = conv(width, width)  # in the files, and not used
        self.non_local = _Quarters(width, width // 8, width // 8)

    @classmethod
    def options(cls, state: State) -> dict[str, Any]:
        return cls.frame(state) | {
            "groups": count(state, r"RG\.(\d+)\."),
            "blocks": count(state, r"RG\.0\.rcab\.(\d+)\."),
            "narrow": state["RG.0.soca.conv_du.0.weight"].shape[0],
        }

    def features(self, x: Tensor) -> Tensor:
        source = out = self.non_local(x)
        for group in self.RG:
            out = group(out) + self.gamma * source
        return x + self.non_local(out)
