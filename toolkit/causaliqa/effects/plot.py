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

__all__ = ["KIND_COLOURS", "colour_strength", "draw_attribution", "draw_map", "draw_pie", "paint"]

_RED, _BLUE, _GREEN, _GRAY = "#d7191c", "#2b5fd9", "#17b978", "#c9c9c9"
_POWER = 1 / 1.2
"""Exponent of the colour strength of effects, as in the paper."""
_BESIDE = (1.02, 0, 0.04, 1)
"""Place of a colour bar right of a picture, in shares of it."""
KIND_COLOURS = {"positive": _RED, "negative": _BLUE, "none": _GRAY}
"""Kinds of patches, and their colours."""
_SLICE = 5.0
"""Smallest share in percent that is drawn as a slice of a pie."""
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
    axes.yaxis.set_label_position("right")
    axes.set_ylabel(f"effect on {figure_text(made.measure)}" + (f" ({made.unit})" if made.unit else ""), fontsize=8)
    axes.tick_params(labelsize=8)


def _legend(figure: Figure, made: EffectMap) -> None:
    """Explain the colours, the gap at the tolerance, and the lines of the colour bar."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    gap = made.quantity(made.tolerance, ".3g")
    figure.legend(
        handles=[
            Patch(color=_RED, label="helps"),
            Patch(color=_BLUE, label="misleads"),
            Patch(color=_GREEN, label="region of interest"),
            Patch(facecolor="white", edgecolor=_GRAY, label=f"below the tolerance, {gap}"),
            Line2D([], [], color="black", linewidth=1.2, label="smallest and largest effect"),
        ],
        loc="outside lower center",
        ncols=3,
        fontsize=7.5,
        frameon=False,
        handlelength=1.2,
        columnspacing=1.2,
    )


def _input_crop(made: EffectMap) -> NDArray[np.uint8]:
    """Return the region of the degraded input, in input pixels."""
    scale, roi = int(made.facts.get("scale", 1)), made.roi
    top, left = roi.y // scale, roi.x // scale
    return made.image[top : -(-(roi.y + roi.height) // scale), left : -(-(roi.x + roi.width) // scale)]


def draw_map(made: EffectMap, *, bound: float | None = None, title: str = "") -> Figure:
    """Draw a map over its input, with ground truth, input and output of the region, colour bar and legend.

    Maps of earlier versions, which hold neither ground truth nor output, are drawn with the input alone.

    Args:
        made: the map.
        bound: effect in the unit of the measure at which the colour map saturates; None for the largest effect.
        title: heading.
    """
    bound = made.bound if bound is None else bound
    height, width = made.image.shape[:2]
    crops = {"ground truth": made.truth, "input": _input_crop(made), "output": made.output}
    shown = {name: crop for name, crop in crops.items() if crop is not None and crop.size}
    lines = textwrap.wrap(figure_text(title), 56)
    side = 4.4 * height / width
    figure = new_figure(6.9, 1.15 + 0.2 * len(lines) + max(side, 1.25 * len(shown)))
    grid = figure.add_gridspec(max(len(shown), 1), 3, width_ratios=[6, 24, 1])
    main, bar = figure.add_subplot(grid[:, 1]), figure.add_subplot(grid[:, 2])
    paint(main, made, bound=bound)
    _colour_bar(bar, made, bound=bound)
    for row, (name, crop) in enumerate(shown.items()):
        axes = figure.add_subplot(grid[row, 0])
        axes.imshow(crop, interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set(edgecolor=_GREEN, linewidth=1.5)
        axes.set_xlabel(name, fontsize=8, labelpad=2)
    summary = made.summary()
    low, high = (made.quantity(summary[key]) for key in ("min", "max"))
    name, base = figure_text(made.measure), made.quantity(made.base, ".2f")
    main.set_title("\n".join([*lines, f"{name} of the region {base}, effects {low} to {high}"]), fontsize=9)
    _legend(figure, made)
    return figure


def draw_pie(made: EffectMap, *, counting: str = "paper") -> Figure:
    """Draw the shares of positive, negative and neutral patches.

    A pie chart, as in the paper, where every share that is not zero is at least :data:`_SLICE` percent; thinner slices
    cannot be read, so two stacked bars then show all patches, and those with an effect enlarged.
    """
    summary = made.summary(counting)
    shares = np.nan_to_num([summary[f"{kind}_percent"] for kind in KIND_COLOURS])
    names = [f"{n} {s:.1f} %" for n, s in zip(KIND_COLOURS, shares, strict=True)]
    colours = list(KIND_COLOURS.values())
    if all(share >= _SLICE for share in shares if share > 0) and shares.sum() > 0:
        figure = new_figure(3.4, 2.6)
        axes = figure.subplots()
        drawn = axes.pie(shares, colors=colours, startangle=90, counterclock=False)[0]
        axes.legend(drawn, names, loc="center left", bbox_to_anchor=(0.98, 0.5), frameon=False, fontsize=9)
        return figure
    from matplotlib.patches import Patch

    figure = new_figure(3.4, 2.2)
    told = shares[:2].sum()
    whole, part = figure.subplots(2, 1)
    for axes, values, label in (
        (whole, shares, "all patches"),
        (part, shares[:2], f"patches with an effect, {told:.1f} %"),
    ):
        lefts = np.concatenate([[0.0], np.cumsum(values)[:-1]])
        axes.barh([0] * len(values), values, left=lefts, color=colours[: len(values)], height=1)
        axes.set(xlim=(0, max(float(np.sum(values)), 1e-9)), ylim=(-0.5, 0.5), yticks=[])
        axes.tick_params(labelsize=7)
        axes.set_title(label, fontsize=8, loc="left")
    if not told:
        part.set_visible(False)
    part.set_xlabel("share of the patches in %", fontsize=8)
    handles = [Patch(color=c, label=n) for c, n in zip(colours, names, strict=True)]
    whole.legend(
        handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.3), ncols=3, frameon=False, fontsize=7.5,
        handlelength=1, columnspacing=1,
    )  # fmt: skip
    return figure


def _draw_roi(axes: Axes, made: Attribution) -> None:
    from matplotlib.patches import Rectangle

    roi = made.roi
    axes.add_patch(
        Rectangle(
            (roi.x, roi.y), roi.width, roi.height, fill=False, edgecolor=_GREEN, linewidth=2, label="region of interest"
        )
    )
    axes.set_axis_off()


def draw_attribution(made: Attribution, *, effects: EffectMap | None = None, title: str = "") -> Figure:
    """Draw the input, the attribution of its pixels, and a causal effect map if there is one.

    Args:
        made: local attribution map.
        effects: causal effect map of the same region.
        title: heading.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, PowerNorm

    height, width = (side * made.scale for side in made.image.shape[:2])
    count = 2 if effects is None else 3
    figure = new_figure(4 * count, 4 * height / width + 0.9)
    axes = figure.subplots(1, count)
    extent = (0, width, height, 0)
    axes[0].imshow(made.image, extent=extent, interpolation="nearest")
    axes[0].set_title("input")
    gray = made.image.astype(float) @ [0.299, 0.587, 0.114] / 255
    axes[1].imshow(gray, cmap="gray", vmin=0, vmax=1.4, extent=extent, interpolation="nearest")
    top = max(float(made.strength.max()), 1e-30)
    norm = PowerNorm(_LAM_POWER, vmin=0, vmax=top)
    overlay = np.zeros((*made.strength.shape, 4))
    overlay[..., 0], overlay[..., 3] = 0.85, norm(made.strength)
    axes[1].imshow(overlay, extent=extent, interpolation="nearest")
    axes[1].set_title(f"attribution, diffusion index {made.diffusion_index:.1f}")
    shades = LinearSegmentedColormap.from_list("attribution", ["white", "#d90000"])
    bar = figure.colorbar(ScalarMappable(norm, shades), cax=axes[1].inset_axes(_BESIDE))
    bar.set_label("absolute attribution of the edges in the region", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    for axis in axes[:2]:
        _draw_roi(axis, made)
    if effects is not None:
        paint(axes[2], effects, bound=effects.bound)
        axes[2].set_title("causal effects: red helps, blue misleads")
        _colour_bar(axes[2].inset_axes(_BESIDE), effects, bound=effects.bound)
    axes[0].legend(loc="upper left", bbox_to_anchor=(0, -0.01), fontsize=8, frameon=False)
    figure.suptitle(figure_text(title), fontsize=10)
    return figure
