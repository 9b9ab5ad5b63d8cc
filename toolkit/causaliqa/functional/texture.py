"""Where an image has texture: windows ranked by the gradient energy of its luma."""

from __future__ import annotations

import torch
from torch import Tensor

from causaliqa.functional.patches import luma

__all__ = ["gradient_energy", "textured_windows"]


def gradient_energy(img: Tensor) -> Tensor:
    """Return the gradient magnitude ``(H, W)`` of the luma of RGB ``(3, H, W)`` by central differences.

    The outermost pixels, which have no neighbour on one side, are 0. It is the detector of local attribution maps.

    Source: Gu and Dong, "Interpreting Super-Resolution Networks with Local Attribution Maps", CVPR 2021.

    Example:
        >>> ramp = torch.arange(4.0).expand(3, 4, 4)
        >>> gradient_energy(ramp)[1].tolist()
        [0.0, 1.0, 1.0, 0.0]
    """
    y = luma(img)
    found = torch.zeros_like(y)
    across, down = (y[1:-1, 2:] - y[1:-1, :-2]) / 2, (y[2:, 1:-1] - y[:-2, 1:-1]) / 2
    found[1:-1, 1:-1] = torch.hypot(across, down)
    return found


def textured_windows(img: Tensor, *, size: int, count: int = 1, step: int = 8) -> list[tuple[int, int]]:
    """Return the corners ``(x, y)`` of the windows with the most gradient energy, the strongest first.

    Windows stand on a grid of ``step`` pixels and keep their own size as distance to the border, or as much of it as
    leaves room for one. The strongest is taken, then the strongest that shares no pixel with those taken, and so on;
    of equal ones the upper, then the left one.

    Args:
        img: RGB ``(3, H, W)`` in [0, 1].
        size: side of a window in pixels.
        count: windows wanted; fewer are returned if no more have room.
        step: side of the cells of the grid.

    Example:
        >>> img = torch.zeros(3, 48, 64)
        >>> img[:, 20:28, 36:44] = torch.rand(8, 8, generator=torch.Generator().manual_seed(0))
        >>> textured_windows(img, size=16)
        [(32, 16)]
    """
    height, width = (side // step * step for side in img.shape[-2:])
    if min(height, width) < size or count < 1:
        return []
    energy = gradient_energy(img)[:height, :width].double()
    sums = torch.nn.functional.pad(energy.cumsum(0).cumsum(1), (1, 0, 1, 0))
    tops, lefts = (_starts(side, size, step) for side in (height, width))
    y, x = (grid.flatten() for grid in torch.meshgrid(tops, lefts, indexing="ij"))
    total = sums[y + size, x + size] - sums[y, x + size] - sums[y + size, x] + sums[y, x]
    found: list[tuple[int, int]] = []
    for k in torch.argsort(total, descending=True, stable=True).tolist():
        corner = int(x[k]), int(y[k])
        if all(max(abs(corner[0] - left), abs(corner[1] - top)) >= size for left, top in found):
            found.append(corner)
        if len(found) == count:
            break
    return found


def _starts(side: int, size: int, step: int) -> Tensor:
    """Return where windows may begin along one side: ``size`` away from both ends if there is room, else as far."""
    margin = min(size, (side - size) // 2) // step * step
    return torch.arange(margin, side - size - margin + 1, step)
