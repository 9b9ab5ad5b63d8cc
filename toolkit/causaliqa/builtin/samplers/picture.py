"""The patches of a library by their gradient magnitude, as in Figure 17 of the paper."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from torch import Tensor

from causaliqa.functional.patches import gradient_magnitude
from causaliqa.utils.figures import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_patches"]

_EDGES = (0, 128, 256, 384, 512, math.inf)
"""Ranges of the gradient magnitude of 8 x 8 patches: those of the paper, and what is above them."""
_EACH = 8
"""Patches that are shown of a range."""


def draw_patches(patches: Tensor) -> Figure:
    """Draw the density of the gradient magnitude G of patches, and some patches of five ranges with their G.

    The ranges are those of the paper for patches of 8 x 8 pixels, and grow with the number of pixel pairs; of each the
    patches at even ranks are shown.

    Args:
        patches: 8-bit ``(P, 3, s, s)``.

    Source: CEM, Eq. 5 and Figure 17.

    Example:
        >>> import torch
        >>> figure = draw_patches(torch.randint(0, 256, (50, 3, 8, 8), dtype=torch.uint8))
        >>> len(figure.axes) >= 1
        True
    """
    size = patches.shape[-1]
    magnitude, order = gradient_magnitude(patches.float() / 255).sort()
    edges = [edge * size * (size - 1) / 56 for edge in _EDGES]
    figure = new_figure(6.2, 6.4)
    grid = figure.add_gridspec(1 + len(edges[1:]), _EACH, height_ratios=[2.2, *[1] * len(edges[1:])])
    density = figure.add_subplot(grid[0, :])
    density.hist(magnitude.numpy(), bins=80, range=(0, float(magnitude.quantile(0.995))), density=True, color="#7f8fa6")
    for edge in edges[1:-1]:
        density.axvline(edge, color="k", linewidth=0.6, linestyle=":")
    density.set_xlabel("gradient magnitude G", fontsize=8, labelpad=2)
    density.set_ylabel("density D", fontsize=8)
    density.tick_params(labelsize=7)
    for row, (low, high) in enumerate(pairwise(edges), 1):
        inside = ((magnitude >= low) & (magnitude < high)).nonzero()[:, 0]
        share = 100 * len(inside) / len(magnitude)
        said = f"{low:.0f} to {high:.0f}" if math.isfinite(high) else f"from {low:.0f}"
        for column in range(min(_EACH, len(inside))):
            at = int(inside[(2 * column + 1) * len(inside) // (2 * min(_EACH, len(inside)))])
            axes = figure.add_subplot(grid[row, column])
            _show(axes, patches[order[at]], f"{float(magnitude[at]):.0f}", "" if column else f"{said}\n{share:.1f} %")
    return figure


def _show(axes: Axes, patch: Tensor, title: str, label: str) -> None:
    axes.imshow(patch.permute(1, 2, 0).numpy(), interpolation="nearest")
    axes.set_title(title, fontsize=7, pad=2)
    axes.set(xticks=[], yticks=[])
    axes.set_ylabel(label, fontsize=7)
