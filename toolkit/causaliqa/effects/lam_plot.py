"""Pictures of local attribution maps, alone or beside a causal effect map of the same region."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from causaliqa.effects.plot import paint
from causaliqa.utils.figures import new_figure
from causaliqa.utils.text import figure_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from causaliqa.effects.effect_map import EffectMap
    from causaliqa.effects.lam import Attribution

__all__ = ["draw_attribution"]

_GREEN = "#17b978"
_POWER = 0.5
"""Attributions span decades; their root shows the weak ones, too."""


def _frame(axes: Axes, made: Attribution) -> None:
    from matplotlib.patches import Rectangle

    roi = made.roi
    axes.add_patch(Rectangle((roi.x, roi.y), roi.width, roi.height, fill=False, edgecolor=_GREEN, linewidth=2))
    axes.set_axis_off()


def draw_attribution(made: Attribution, *, effects: EffectMap | None = None, title: str = "") -> Figure:
    """Draw the input, what each of its pixels adds to the edges of the region, and a causal effect map if there is one.

    Args:
        made: local attribution map.
        effects: causal effect map of the same region.
        title: heading.
    """
    height, width = (side * made.scale for side in made.image.shape[:2])
    count = 2 if effects is None else 3
    figure = new_figure(4 * count, 4 * height / width + 0.7)
    axes = figure.subplots(1, count)
    extent = (0, width, height, 0)
    axes[0].imshow(made.image, extent=extent, interpolation="nearest")
    axes[0].set_title("input")
    gray = made.image.astype(float) @ [0.299, 0.587, 0.114] / 255
    axes[1].imshow(gray, cmap="gray", vmin=0, vmax=1.4, extent=extent, interpolation="nearest")
    strength = (made.strength / max(float(made.strength.max()), 1e-30)) ** _POWER
    overlay = np.zeros((*strength.shape, 4))
    overlay[..., 0], overlay[..., 3] = 0.85, strength
    axes[1].imshow(overlay, extent=extent, interpolation="nearest")
    axes[1].set_title(f"attribution, diffusion index {made.diffusion_index:.1f}")
    for axis in axes[:2]:
        _frame(axis, made)
    if effects is not None:
        paint(axes[2], effects, bound=max(float(np.nanmax(np.abs(effects.effect), initial=0)), effects.tolerance))
        axes[2].set_title("causal effects: red helps, blue misleads")
    figure.suptitle(figure_text(title), fontsize=10)
    return figure
