"""Figures of explanations: the channel strips of the paper's Figure 3, and the map of the cost of any metric.

Several distorted images of one reference stand side by side, as in that figure.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from causaliqa.builtin.metrics.explanation import level_name
from causaliqa.utils.figures import new_figure
from causaliqa.utils.text import figure_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from causaliqa.builtin.metrics.explanation import CausalExplanation, LevelExplanation

__all__ = ["cost_figure", "strip_figure"]


def _drops_nothing(made: Sequence[CausalExplanation]) -> bool:
    """Say whether every channel responds at every strength, so that strips of strength would all be one colour."""
    return all(one.full_strength(k) == len(strength) for one in made for k, strength in enumerate(one.strengths))


def strip_figure(made: Sequence[CausalExplanation], *, names: Sequence[str] = (), title: str = "") -> Figure:
    """Return one strip per level that shows the causal strength of every channel, a column per distorted image.

    Where every channel of all images responds at every strength of the intervention, the mask drops nothing and all
    strips would be of one colour: they then show the share of every channel in the score instead.

    Args:
        made: what :meth:`~causaliqa.builtin.metrics.causal.CausalMetric.explain` returned, for one or several
            distorted images of one reference.
        names: of the distorted images.
        title: heading.
    """
    by_share = _drops_nothing(made)
    count = len(made[0].strengths)
    wide = 10.0 if len(made) == 1 else min(4.6 * len(made), 16.0)
    figure = new_figure(wide, 0.75 * count + 1.0)
    axes = figure.subplots(count, len(made), squeeze=False)
    strip: Any = None
    values = [one.shares if by_share else one.strengths for one in made]
    top = max(float(v.max()) for own in values for v in own) or 1.0 if by_share else made[0].top
    for column, one in enumerate(made):
        for level in range(count):
            strip = _strip(axes[level, column], values[column][level], top, "viridis" if by_share else "magma")
            note = "" if by_share else f"{one.full_strength(level)} of {len(one.strengths[level])}"
            share = f"{100 * float(one.shares[level].sum()):.0f} %"
            axes[level, column].text(
                1.01, 0.5, share if by_share else note, transform=axes[level, column].transAxes, va="center", fontsize=8
            )
        if column < len(names):
            axes[0, column].set_title(f"{figure_text(names[column])}\nscore {one.score:.4g}", fontsize=8)
        axes[-1, column].set_xlabel("channel", fontsize=8)
    for level in range(count):
        axes[level, 0].set_ylabel(level_name(level), rotation=0, ha="right", va="center")
    label = "share of the score" if by_share else "causal strength\n(bright: responds everywhere)"
    figure.colorbar(strip, ax=axes[:, -1], pad=0.09 if len(made) == 1 else 0.16, label=label)
    told = (
        "all channels respond to the intervention at every strength, so the shares of the score are shown; "
        "right of each strip: share of the level"
        if by_share
        else "channels that respond to the intervention at every strength: right of each strip"
    )
    lines = [*textwrap.wrap(figure_text(title), int(13 * wide)), *textwrap.wrap(told, int(15 * wide))]
    figure.suptitle("\n".join(lines), fontsize=9)
    return figure


def _strip(axes: Axes, values: Any, top: float, colours: str) -> Any:
    drawn = axes.imshow(values[None].cpu().numpy(), aspect="auto", cmap=colours, vmin=0, vmax=top, interpolation="none")
    axes.set_yticks([])
    axes.tick_params(axis="x", labelsize=7)
    axes.locator_params(axis="x", integer=True)
    return drawn


def cost_figure(made: Sequence[LevelExplanation], *, names: Sequence[str] = (), title: str = "") -> Figure:
    """Return the reference, each distorted image, and the cost over it.

    Args:
        made: of one metric, for one or several distorted images of one reference, which then share a colour bar.
        names: of the distorted images.
        title: heading.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    height, width = made[0].img.shape[-2:]
    figure = new_figure(11, (11 / 3 * height / width + 0.35) * len(made) + 0.65)
    axes = figure.subplots(len(made), 3, squeeze=False)
    extent = (0, width, height, 0)
    top = max(float(one.cost_map.max()) for one in made) or 1.0
    for row, (one, places) in enumerate(zip(made, axes, strict=True)):
        ref, img = (x.permute(1, 2, 0).clamp(0, 1).cpu().numpy() for x in (one.ref, one.img))
        places[0].imshow(ref, extent=extent)
        places[1].imshow(img, extent=extent)
        places[2].imshow(img.mean(axis=2), cmap="gray", extent=extent)
        cost = one.cost_map.cpu().numpy()
        places[2].imshow(cost, cmap="inferno", alpha=0.75, extent=extent, vmin=0, vmax=top, interpolation="nearest")
        name = figure_text(names[row]) if row < len(names) else "distorted"
        for axis, text in zip(places, ("reference", name, f"{one.cost_title}, score {one.score:.4g}"), strict=True):
            axis.set_title(text, fontsize=9)
            axis.set_xticks([])
            axis.set_yticks([])
    bar = ScalarMappable(norm=Normalize(0, top), cmap="inferno")
    figure.colorbar(bar, ax=axes[:, 2], label=made[0].cost_label, shrink=0.8)
    figure.suptitle(f"{figure_text(title)}   lower is better", fontsize=10)
    return figure
