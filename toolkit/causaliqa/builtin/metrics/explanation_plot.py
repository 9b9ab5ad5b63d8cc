"""Figures of an explanation: the channel strips of the paper's Figure 3, and the map of the cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from causaliqa.utils.figures import new_figure
from causaliqa.utils.text import figure_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from causaliqa.builtin.metrics.explanation import Explanation

__all__ = ["channel_figure", "cost_figure"]


def channel_figure(explanation: Explanation, *, title: str = "") -> Figure:
    """Return one strip per level that shows the causal strength of every channel.

    Args:
        explanation: what :meth:`~causaliqa.builtin.metrics.causal.CausalMetric.explain` returned.
        title: heading.
    """
    count = len(explanation.strengths)
    figure = new_figure(10, 0.75 * count + 0.8)
    axes = figure.subplots(count, 1, squeeze=False)[:, 0]
    strip: Any = None
    for level, (axis, strength) in enumerate(zip(axes, explanation.strengths, strict=True)):
        strip = axis.imshow(
            strength[None].cpu().numpy(),
            aspect="auto",
            cmap="magma",
            vmin=0,
            vmax=explanation.top,
            interpolation="none",
        )
        axis.set_yticks([])
        axis.set_ylabel("image" if level == 0 else f"stage {level}", rotation=0, ha="right", va="center")
        note = f"{explanation.full_strength(level)} of {len(strength)}"
        axis.text(1.01, 0.5, note, transform=axis.transAxes, va="center", fontsize=8)
        axis.tick_params(axis="x", labelsize=7)
    axes[-1].set_xlabel("channel")
    figure.colorbar(strip, ax=axes, pad=0.09, label="causal strength\n(bright: responds everywhere)")
    figure.suptitle(
        f"{figure_text(title)}\nchannels that respond to the intervention at every strength: right of each strip",
        fontsize=9,
    )
    return figure


def cost_figure(explanation: Explanation, *, title: str = "") -> Figure:
    """Return the reference, the distorted image, and the cost of the kept channels over it.

    Args:
        explanation: what :meth:`~causaliqa.builtin.metrics.causal.CausalMetric.explain` returned.
        title: heading.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    height, width = explanation.img.shape[-2:]
    figure = new_figure(11, 11 / 3 * height / width + 1.0)
    pictures = [x.permute(1, 2, 0).clamp(0, 1).cpu().numpy() for x in (explanation.ref, explanation.img)]
    cost = explanation.cost_map.cpu().numpy()
    axes = figure.subplots(1, 3)
    extent = (0, width, height, 0)
    for axis, picture, name in zip(axes, pictures, ("reference", "distorted"), strict=False):
        axis.imshow(picture, extent=extent)
        axis.set_title(name, fontsize=9)
    axes[2].imshow(pictures[1].mean(axis=2), cmap="gray", extent=extent)
    top = float(cost.max()) or 1.0
    axes[2].imshow(cost, cmap="inferno", alpha=0.75, extent=extent, vmin=0, vmax=top, interpolation="nearest")
    axes[2].set_title("cost of the kept channels", fontsize=9)
    for axis in axes:
        axis.set_xticks([])
        axis.set_yticks([])
    bar = ScalarMappable(norm=Normalize(0, top), cmap="inferno")
    figure.colorbar(bar, ax=axes[2], label="cost per pixel; the sum is the score", shrink=0.8)
    figure.suptitle(f"{figure_text(title)}   score {explanation.score:.6g}, lower is better", fontsize=10)
    return figure
