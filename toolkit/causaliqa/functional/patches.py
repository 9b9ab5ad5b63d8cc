"""Patches of natural images: cropping, gradient magnitude, and evenly spread draws."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["cut_patches", "even_place", "gradient_magnitude", "luma", "spread_order"]


_MASK = 2**64 - 1


def luma(img: Tensor) -> Tensor:
    """Return the luma ``(..., H, W)`` of RGB ``(..., 3, H, W)``, full range (BT.601 weights).

    Example:
        >>> luma(torch.ones(3, 1, 1))
        tensor([[1.]])
    """
    weights = img.new_tensor([0.299, 0.587, 0.114])
    return (img * weights.view(3, 1, 1)).sum(-3)


def gradient_magnitude(patches: Tensor) -> Tensor:
    """Return the gradient magnitude G ``(P,)`` of patches ``(P, 3, s, s)`` in [0, 1], on the scale of 0 to 255.

    The sums of absolute horizontal and of absolute vertical luma differences, combined by the root of their squares.

    Source: CEM, Eq. 5, in the form of its published demo.

    Example:
        >>> step = torch.zeros(1, 3, 2, 2)
        >>> step[..., 1] = 1
        >>> [round(float(g)) for g in gradient_magnitude(step)]
        [510]
    """
    y = luma(patches) * 255
    across, down = y.diff(dim=-1).abs().sum((-1, -2)), y.diff(dim=-2).abs().sum((-1, -2))
    return torch.hypot(across, down)


def cut_patches(img: Tensor, size: int, count: int, generator: torch.Generator) -> Tensor:
    """Crop ``count`` patches ``(count, 3, size, size)`` at random positions of one image ``(3, H, W)``.

    Example:
        >>> cut_patches(torch.zeros(3, 16, 16), 8, 5, torch.Generator()).shape
        torch.Size([5, 3, 8, 8])
    """
    height, width = img.shape[-2:]
    tops = torch.randint(height - size + 1, (count,), generator=generator)
    lefts = torch.randint(width - size + 1, (count,), generator=generator)
    places = zip(tops.tolist(), lefts.tolist(), strict=True)
    return torch.stack([img[:, y : y + size, x : x + size] for y, x in places])


def spread_order(points: NDArray[np.float64]) -> NDArray[np.int64]:
    """Order points so that neighbours in the order are neighbours in space, by recursive bisection.

    Every block is split at its median along the axis of its largest variance. A sequence of positions in the order
    that is even at every scale then draws points evenly at every scale.

    Args:
        points: ``(N, k)``.

    Returns:
        Indices ``(N,)``.

    Example:
        >>> spread_order(np.array([[3.0], [1.0], [2.0], [0.0]])).tolist()
        [3, 1, 2, 0]
    """
    order = np.arange(len(points))
    starts = np.array([0])
    while len(starts) < len(points):
        sizes = np.diff(starts, append=len(points))
        block = np.repeat(np.arange(len(starts)), sizes)
        values = points[order]
        mean = np.add.reduceat(values, starts) / sizes[:, None]
        axis = np.add.reduceat((values - mean[block]) ** 2, starts).argmax(axis=1)
        order = order[np.lexsort((values[np.arange(len(order)), axis[block]], block))]
        halves = starts[sizes > 1] + sizes[sizes > 1] // 2
        starts = np.sort(np.concatenate([starts, halves]))
    return order


def even_place(number: int, seed: int) -> float:
    """Return element ``number`` of a randomised low-discrepancy sequence in [0, 1).

    Van der Corput's sequence with nested uniform (Owen) scrambling: at every node of the binary tree a hash of node and
    seed decides whether the halves are swapped. Over seeds every element is uniform, and elements in the same half are
    independent within it, which they are not after a random shift.

    Source: Owen 1995, "Randomly permuted (t, m, s)-nets and (t, s)-sequences".

    Example:
        >>> sorted(int(4 * even_place(k, 7)) for k in range(4))
        [0, 1, 2, 3]
    """
    digits = int(f"{number & 0xFFFFFFFF:032b}"[::-1], 2)
    place = 0
    for level in range(32):
        node = (1 << level) + (digits >> (32 - level))
        digit = (digits >> (31 - level)) & 1
        place = 2 * place + (digit ^ _coin(seed, node))
    return place / 2**32


def _coin(seed: int, node: int) -> int:
    """Return a random bit of seed and node (SplitMix64)."""
    z = (seed * 0xD1342543DE82EF95 + node * 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return (z ^ (z >> 31)) >> 63
