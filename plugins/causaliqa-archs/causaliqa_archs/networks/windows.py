"""What transformers of windows share: cutting, joining, and a position bias from a small network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["PositionBias", "cut", "distance_index", "distances", "join"]


def cut(x: Tensor, window: tuple[int, int]) -> Tensor:
    """Cut ``(N, h, w, C)`` into windows: ``(N h / H w / W, H W, C)``.

    Example:
        >>> cut(torch.rand(2, 8, 8, 3), (4, 2)).shape
        torch.Size([16, 8, 3])
    """
    count, height, width, channels = x.shape
    x = x.reshape(count, height // window[0], window[0], width // window[1], window[1], channels)
    return x.transpose(2, 3).reshape(-1, window[0] * window[1], channels)


def join(x: Tensor, window: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Undo :func:`cut` for an image of ``size``."""
    rows, cols = size[0] // window[0], size[1] // window[1]
    x = x.reshape(-1, rows, cols, *window, x.shape[-1]).transpose(2, 3)
    return x.reshape(-1, *size, x.shape[-1])


def distances(window: tuple[int, int]) -> Tensor:
    """Return all distances within a window, ``((2 H - 1) (2 W - 1), 2)``."""
    sides = [torch.arange(1.0 - side, side) for side in window]
    return torch.stack(torch.meshgrid(*sides, indexing="ij"), -1).reshape(-1, 2)


def distance_index(window: tuple[int, int]) -> Tensor:
    """Return where in :func:`distances` that between two places of a window stands, ``(H W, H W)``.

    Example:
        >>> distance_index((1, 2))
        tensor([[1, 0],
                [2, 1]])
    """
    sides = [torch.arange(side) for side in window]
    rows, cols = (grid.flatten() for grid in torch.meshgrid(*sides, indexing="ij"))
    down = rows[:, None] - rows[None] + window[0] - 1
    across = cols[:, None] - cols[None] + window[1] - 1
    return down * (2 * window[1] - 1) + across


class PositionBias(nn.Module):
    """A small network from a distance to the bias of each head (CrossFormer, arXiv:2108.00154).

    Args:
        width: channels inside.
        heads: number of heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.pos_proj = nn.Linear(2, width)
        self.pos1, self.pos2, self.pos3 = (
            nn.Sequential(nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, outputs))
            for outputs in (width, width, heads)
        )

    def forward(self, places: Tensor) -> Tensor:
        """Map distances ``(n, 2)`` to biases ``(n, heads)``."""
        return self.pos3(self.pos2(self.pos1(self.pos_proj(places))))
