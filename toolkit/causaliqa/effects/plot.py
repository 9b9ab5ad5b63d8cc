"""Pictures of causal effect maps and of local attribution maps.

Colours as in the paper: red patches help, blue patches mislead, green is the region of interest.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from causaliqa.utils.figures import new_figure
from causaliqa.utils.text import figure_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from causaliqa.effects.effect_map import EffectMap
    from causaliqa.effects.lam import Attribution

__all__ = ["colour_strength", "draw_attribution", "draw_map", "draw_pie", "paint"]

_RED, _BLUE, _GREEN, _GRAY = "#d7191c", "#2b5fd9", "#17b978", "#c9c9c9"
_POWER = 1 / 1.2
"""Exponent of the colour strength of effects, as in the paper."""
_LAM_POWER = 0.5
"""Exponent of the colour strength of attributions: they span decades, and the root shows the weak ones, too."""


def colour_strength(effect: NDArray[np.float64], bound: float) -> NDArray[np.float64]:
    """Return the opacity of the colour of effects, in [0, 1]: ``(|phi| / bound) ** (1 / 1.2)``.

    Example:
        >>> colour_strength(np.array([0.0, -1.0, 9.0]), bound=1.0)
        array([0., 1., 1.])
    """
    return np.clip(np.abs(effect) / bound, 0, 1) ** _POWER


def paint(axes: Axes, made: EffectMap, *, bound: float) -> None:
    """Draw input, effects and region into axes.

    Effects below the tolerance leave the input as it is; the stronger an effect, the more of the input it covers.
    """
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Rectangle

    scale = int(made.facts.get("scale", 1))
    height, width = (side * scale for side in made.image.shape[:2])
    # Gray and lighter: the input says where, colour says what.
    gray = made.image.astype(float) @ [0.299, 0.587, 0.114] / 255
    axes.imshow(
        np.repeat((0.25 + 0.75 * gray)[..., None], 3, axis=-1), extent=(0, width, height, 0), interpolation="nearest"
    )
    effect = np.nan_to_num(made.effect)
    overlay = np.zeros((*effect.shape, 4))
    overlay[..., :3] = np.where(effect[..., None] > 0, to_rgb(_RED), to_rgb(_BLUE))
    shown = np.abs(effect) >= made.tolerance
    overlay[..., 3] = np.where(shown, 0.15 + 0.85 * colour_strength(effect, bound), 0)
    side = made.patch_size
    axes.imshow(overlay, extent=(0, effect.shape[1] * side, effect.shape[0] * side, 0), interpolation="nearest")
    roi = made.roi
    axes.add_patch(Rectangle((roi.x, roi.y), roi.width, roi.height, facecolor=_GREEN, alpha=0.75, edgecolor="none"))
    axes.add_patch(Rectangle((roi.x, roi.y), roi.width, roi.height, fill=False, edgecolor="white", linewidth=0.8))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_xticks([])
    axes.set_yticks([])


def _colour_bar(axes: Axes, made: EffectMap, *, bound: float) -> None:
    """Draw the colour bar, with lines at the smallest and the largest effect of the map."""
    from matplotlib.colors import to_rgb

    values = np.linspace(bound, -bound, 401)
    strength = np.where(np.abs(values) >= made.tolerance, 0.15 + 0.85 * colour_strength(values, bound), 0)[:, None]
    colour = np.where(values[:, None] > 0, to_rgb(_RED), to_rgb(_BLUE))
    axes.imshow(
        (strength * colour + (1 - strength))[:, None], extent=(0, 1, -bound, bound), aspect="auto", interpolation="none"
    )
    low, high = (made.summary()[key] for key in ("min", "max"))
    for value in (low, high):
        axes.plot([0, 1], [np.clip(value, -bound, bound)] * 2, color="black", linewidth=1.2)
    axes.set_xticks([])
    axes.yaxis.tick_right()
    axes.set_title("dB", fontsize=9)
    axes.tick_params(labelsize=8)


def draw_map(made: EffectMap, *, bound: float | None = None, title: str = "") -> Figure:
    """Draw a map over its input with a colour bar; the black lines on the bar are the smallest and largest effect.

    Args:
        made: the map.
        bound: effect in dB at which the colour map saturates; None for the largest effect of this map.
        title: heading.
    """
    bound = made.bound if bound is None else bound
    height, width = made.image.shape[:2]
    lines = textwrap.wrap(figure_text(title), 48)
    figure = new_figure(5.2, 0.45 + 0.2 * len(lines) + 4.4 * height / width)
    left, right = figure.subplots(1, 2, width_ratios=[24, 1])
    paint(left, made, bound=bound)
    _colour_bar(right, made, bound=bound)
    summary = made.summary()
    span = f"{summary['min']:+.3f} to {summary['max']:+.3f} dB, region {made.base:.2f} dB"
    left.set_title("\n".join([*lines, span]), fontsize=10)
    return figure


def draw_pie(made: EffectMap, *, counting: str = "paper") -> Figure:
    """Draw the shares of positive, negative and neutral patches as a pie chart."""
    summary = made.summary(counting)
    figure = new_figure(3.4, 2.6)
    axes = figure.subplots()
    shares = [summary[f"{kind}_percent"] for kind in ("positive", "negative", "none")]
    names = [f"{n} {s:.1f} %" for n, s in zip(("positive", "negative", "none"), shares, strict=True)]
    drawn = axes.pie(shares, colors=[_RED, _BLUE, _GRAY], startangle=90, counterclock=False)
    axes.legend(drawn[0], names, loc="center left", bbox_to_anchor=(0.98, 0.5), frameon=False, fontsize=9)
    return figure


def _draw_roi(axes: Axes, made: Attribution) -> None:
    from matplotlib.patches import Rectangle

    roi = made.roi
    axes.add_patch(Rectangle((roi.x, roi.y), roi.width, roi.height, fill=False, edgecolor=_GREEN, linewidth=2))
    axes.set_axis_off()


def draw_attribution(made: Attribution, *, effects: EffectMap | None = None, title: str = "") -> Figure:
    """Draw the input, the attribution of its pixels, and a causal effect map if there is one.

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
    strength = (made.strength / max(float(made.strength.max()), 1e-30)) ** _LAM_POWER
    overlay = np.zeros((*strength.shape, 4))
    overlay[..., 0], overlay[..., 3] = 0.85, strength
    axes[1].imshow(overlay, extent=extent, interpolation="nearest")
    axes[1].set_title(f"attribution, diffusion index {made.diffusion_index:.1f}")
    for axis in axes[:2]:
        _draw_roi(axis, made)
    if effects is not None:
        paint(axes[2], effects, bound=effects.bound)
        axes[2].set_title("causal effects: red helps, blue misleads")
    figure.suptitle(figure_text(title), fontsize=10)
    return figure
