"""A video against its reference, frame by frame: what ``causaliqa video`` does."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.catalog.catalog import Catalog
from causaliqa.catalog.create import default_catalog
from causaliqa.evaluation.preparation import AS_THEY_ARE, Preparation
from causaliqa.evaluation.video import FrameScores, pooled_table, score_frames
from causaliqa.functional.pooling import WORST, pool
from causaliqa.report.table_set import TableSet, scores_provenance
from causaliqa.utils.figures import COLOURS, new_figure, save
from causaliqa.utils.text import figure_text, without_folders

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ScoredVideo", "video"]


@dataclass(frozen=True, kw_only=True, repr=False)
class ScoredVideo(TableSet):
    """What :func:`video` returns: the table ``pooled``, and the scores of the frames as ``rows``."""

    scores: FrameScores = field(repr=False)
    """The scores of the frames."""

    @property
    def failures(self) -> Sequence[str]:
        """A line for every score that could not be computed."""
        return self.scores.failures

    def figure(self, path: str | os.PathLike[str]) -> Path:
        """Draw the scores over time, a panel for every metric, as PNG, PDF or SVG by the suffix.

        Args:
            path: the file.

        Raises:
            InputError: the suffix names no kind of picture.
            OutputError: the file cannot be written.
        """
        return save(draw_frames(self.scores), path)


def video(
    metrics: str | Sequence[str],
    dist: str | os.PathLike[str],
    ref: str | os.PathLike[str] | None = None,
    *,
    device: str | None = None,
    seed: int = 0,
    prepare: Preparation = AS_THEY_ARE,
    store: str | os.PathLike[str] | None = None,
    progress: bool = True,
    catalog: Catalog | None = None,
) -> ScoredVideo:
    """Score every frame of a video against the frame of the same number, and pool the scores.

    Args:
        metrics: ``NAME[:key=value,...]``, or several.
        dist: video: a folder of frames, in the order of the numbers in their names, or a file that PyAV reads (extra
            ``video``).
        ref: its reference, with as many frames at the same rate; not needed where every metric works without one.
        device: torch device; by default CUDA where there is one, else the CPU.
        seed: seed of metrics that take one.
        prepare: what is done to every pair of frames before.
        store: score store; a run that was stopped goes on from it.
        progress: show a progress bar.
        catalog: where metrics are looked up; by default what the environment asks for.

    Raises:
        InputError: a metric is unknown or needs a reference, the videos differ in length or rate, or PyAV is missing.
        ImageError: a video cannot be read.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for side, gray in (("ref", 100), ("dist", 110)):
        ...         Path(folder, side).mkdir()
        ...         for n in range(3):
        ...             Image.new("RGB", (16, 16), (gray + n * (side == "dist"),) * 3).save(f"{folder}/{side}/{n}.png")
        ...     made = video("psnr", f"{folder}/dist", f"{folder}/ref", device="cpu", progress=False)
        >>> made.rows["psnr"].round(2).tolist(), int(made.table("pooled")["worst_frame"].iloc[0])
        ([28.13, 27.3, 26.55], 2)
    """
    catalog = catalog or default_catalog()
    requests = [metrics] if isinstance(metrics, str) else list(dict.fromkeys(metrics))
    scores = score_frames(
        requests, dist, ref, catalog=catalog, device=device, seed=seed, prepare=prepare, store=store, progress=progress
    )
    settings: dict[str, Any] = {
        "dist": scores.dist.path.name,
        "ref": scores.ref.path.name if scores.ref else None,
        "frames": scores.dist.count,
        "frames_per_second": float(scores.rate) if scores.rate else None,
        "metrics": [without_folders(request) for request in requests],
        "prepared": scores.prepared,
        "seed": seed,
        "device": scores.device,
    }
    return ScoredVideo(
        title=f"Frames of {scores.dist.path.name}",
        tables=(pooled_table(scores),),
        rows=scores.frame,
        provenance=scores_provenance(catalog, scores.built, settings, seed=seed),
        notes=(f"frames: {scores.prepared}",) if scores.prepared else (),
        scores=scores,
    )


def draw_frames(scores: FrameScores) -> Figure:
    """Draw a panel for every metric: the scores over time, their mean, and what the worst frames are like."""
    figure = new_figure(7.0, 1.0 + 1.9 * len(scores.metrics))
    timed = scores.rate is not None
    x = scores.frame["time" if timed else "frame"].to_numpy(float)
    first = None
    for number, metric in enumerate(scores.metrics):
        axes = figure.add_subplot(len(scores.metrics), 1, number + 1, sharex=first)
        first = first or axes
        y = scores.frame[metric.name].to_numpy(float)
        axes.plot(x, y, color=COLOURS[0], linewidth=0.9)
        made = pool(y, lower_better=metric.lower_better)
        if made.worst_frame is not None:
            lines = ((made.mean, "-", "mean"), (made.worst_share, "--", f"{WORST:g} % of the frames are worse"))
            for value, style, label in lines:
                axes.axhline(value, color=COLOURS[1], linestyle=style, linewidth=0.9, label=f"{label}: {value:.4g}")
            worst = f"worst: {made.worst:.4g} (frame {made.worst_frame})"
            axes.plot(x[made.worst_frame], made.worst, "v", color=COLOURS[6], markersize=5, label=worst)
            axes.legend(frameon=False, fontsize=7, ncols=3, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)
        unit = f"{metric.unit}, " if metric.unit else ""
        better = "lower" if metric.lower_better else "higher"
        axes.set_ylabel(figure_text(f"{metric.name}\n({unit}{better} is better)"), fontsize=8)
        axes.grid(alpha=0.3, linewidth=0.5)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        axes.tick_params(labelbottom=number == len(scores.metrics) - 1, labelsize=8)
    if first is not None:
        figure.axes[-1].set_xlabel("time in seconds" if timed else "frame", fontsize=8)
        first.margins(x=0.01)
    return figure
