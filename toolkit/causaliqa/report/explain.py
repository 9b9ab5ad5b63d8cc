"""Where a causal score comes from: the channel strips of the paper's Figure 3, and the cost in place."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.utils.figures import new_figure, save
from causaliqa.utils.files import atomic
from causaliqa.utils.text import figure_text

if TYPE_CHECKING:
    from torch import Tensor

    from causaliqa.builtin.metrics.causal import Explanation

__all__ = ["write_explanation"]


def write_explanation(explanation: Explanation, img: Tensor, ref: Tensor, folder: Path, *, title: str) -> list[Path]:
    """Write channels.csv, strips.png and cost_map.png into a folder.

    Args:
        explanation: what :meth:`~causaliqa.builtin.metrics.causal.CausalMetric.explain` returned.
        img: distorted image ``(1, 3, H, W)``.
        ref: its reference.
        folder: made if it is not there.
        title: heading of the pictures.

    Returns:
        The three paths.

    Raises:
        OutputError: the folder cannot be written.
    """
    return [
        _table(explanation, folder / "channels.csv"),
        _strips(explanation, folder / "strips.png", title),
        _cost_map(explanation, img, ref, folder / "cost_map.png", title),
    ]


def _table(explanation: Explanation, path: Path) -> Path:
    with atomic(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["level", "channel", "strength", "share"])
        for level, (strength, share) in enumerate(zip(explanation.strengths, explanation.shares, strict=True)):
            for channel, (s, p) in enumerate(zip(strength.tolist(), share.tolist(), strict=True)):
                writer.writerow([level, channel, f"{s:.4g}", f"{p:.6g}"])
    return path


def _strips(explanation: Explanation, path: Path, title: str) -> Path:
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
        kept = int((strength >= explanation.top - 1e-6).sum())
        axis.set_yticks([])
        axis.set_ylabel("image" if level == 0 else f"stage {level}", rotation=0, ha="right", va="center")
        axis.text(1.01, 0.5, f"{kept} of {len(strength)}", transform=axis.transAxes, va="center", fontsize=8)
        axis.tick_params(axis="x", labelsize=7)
    axes[-1].set_xlabel("channel")
    figure.colorbar(strip, ax=axes, pad=0.09, label="causal strength\n(bright: responds everywhere)")
    figure.suptitle(
        f"{figure_text(title)}\nchannels that respond to the intervention at every strength: right of each strip",
        fontsize=9,
    )
    return save(figure, path)


def _cost_map(explanation: Explanation, img: Tensor, ref: Tensor, path: Path, title: str) -> Path:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    height, width = img.shape[-2:]
    figure = new_figure(11, 11 / 3 * height / width + 1.0)
    pictures = [x[0].permute(1, 2, 0).clamp(0, 1).cpu().numpy() for x in (ref, img)]
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
    return save(figure, path)
