"""The frames of a video scored by several metrics; a run that was stopped goes on from its store."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING

from causaliqa.api.data import ScoreKey
from causaliqa.api.errors import CausaliqaError, ImageError, InputError
from causaliqa.api.protocols import Metric
from causaliqa.catalog.catalog import Catalog
from causaliqa.evaluation.compare import ComparedMetric
from causaliqa.evaluation.image_files import build_metrics, known_scores, records_of, score_loaded
from causaliqa.evaluation.preparation import AS_THEY_ARE, Preparation
from causaliqa.evaluation.prepared_pairs import PairPreparer
from causaliqa.evaluation.scoring import refuse_hdr
from causaliqa.evaluation.side_table import SideTable
from causaliqa.evaluation.store import open_store
from causaliqa.functional.pooling import pool
from causaliqa.io.video import Video, open_video
from causaliqa.utils.devices import choose_device
from causaliqa.utils.progress import progress_bar

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

__all__ = ["FrameScores", "pooled_table", "score_frames"]

_RATES = 5e-4
"""Relative difference of two rates that rounding of time stamps explains; 29.97 and 30 differ by twice that."""


@dataclass(frozen=True, kw_only=True)
class FrameScores:
    """Scores of the frames of a video."""

    dist: Video
    """The video."""
    ref: Video | None
    """Its reference."""
    metrics: tuple[ComparedMetric, ...]
    """The metrics."""
    frame: pd.DataFrame = field(repr=False)
    """One line a frame: frame (from 0), time in seconds where the rate is known, a column of scores per metric; NaN
    where one failed."""
    failures: tuple[str, ...] = ()
    """A line for every score that could not be computed."""
    stored: int = 0
    """Scores that were in the store already."""
    built: Mapping[str, Metric] = field(default_factory=dict, repr=False)
    """The metrics as they were built."""
    device: str = ""
    """Where they ran."""
    prepared: str = ""
    """What was done to the frames before; empty if nothing."""

    @property
    def rate(self) -> Fraction | None:
        """Frames per second; None where neither video tells."""
        return self.dist.rate or (self.ref.rate if self.ref is not None else None)


def score_frames(
    metrics: list[str],
    dist: str | os.PathLike[str],
    ref: str | os.PathLike[str] | None = None,
    *,
    catalog: Catalog,
    device: str | None = None,
    seed: int = 0,
    prepare: Preparation = AS_THEY_ARE,
    store: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> FrameScores:
    """Score every frame against the frame of the same number.

    Args:
        metrics: ``NAME[:key=value,...]``.
        dist: video: a folder of frames or a file.
        ref: its reference; None for metrics without one.
        catalog: where metrics are looked up.
        device: torch device; by default CUDA where there is one, else the CPU.
        seed: seed of metrics that take one.
        prepare: what is done to every pair of frames before.
        store: score store; what is in it is not computed again, what is computed is put into it at once.
        progress: show a progress bar.

    Raises:
        InputError: a metric is unknown or needs a reference, or the videos differ in length or rate.
        ImageError: a video cannot be read.
    """
    refuse_hdr(prepare)
    records = records_of(catalog, metrics, job="video", lacking="" if ref is not None else "DIST REF")
    videos = (open_video(dist), open_video(ref) if ref is not None else None)
    _check_alike(*videos)
    preparer = PairPreparer(prepare)
    preparer.check({name: spec.metric_mode for name, spec in records.items()}, ())
    device = choose_device(device)
    built = build_metrics(catalog, metrics, device, seed)
    lines, failures, there = [], [], 0
    with contextlib.ExitStack() as stack:
        kept = stack.enter_context(open_store(store)) if store is not None else None
        bar = stack.enter_context(progress_bar(videos[0].count, "scoring", "frame", shown=progress))
        for number, load in enumerate(_pairs(*videos)):
            keys = _keys(built, *videos, number, preparer) if kept is not None else {}
            known = known_scores(keys, kept)
            there += len(known)
            named = videos[1].name(number) if videos[1] is not None else None
            found, _ = score_loaded(
                built, load, videos[0].name(number), device, preparer,
                ref_path=Path(named) if named else None, keys=keys, known=known, store=kept,
            )  # fmt: skip
            failures += [f"{m} failed: {error}" for m, error in found.items() if isinstance(error, CausaliqaError)]
            scores = {m: score for m, score in found.items() if not isinstance(score, CausaliqaError)}
            lines.append({"frame": number, **{m: scores.get(m, float("nan")) for m in built}})
            bar.update()
    compared = tuple(ComparedMetric.of(name, spec) for name, spec in records.items())
    made = FrameScores(
        dist=videos[0], ref=videos[1], metrics=compared, frame=_frame(lines), failures=tuple(failures),
        stored=there, built=built, device=device, prepared=preparer.said,
    )  # fmt: skip
    if made.rate is not None:
        made.frame.insert(1, "time", made.frame["frame"] / float(made.rate))
    return made


def _check_alike(dist: Video, ref: Video | None) -> None:
    """Refuse videos whose frames of the same number do not belong together."""
    if ref is None:
        return
    if dist.count != ref.count:
        raise InputError(
            f"video: {dist.path} has {dist.count} frames and {ref.path} has {ref.count}, expected as many; cut the "
            "longer one, frames are paired by their number"
        )
    if dist.rate and ref.rate and abs(dist.rate / ref.rate - 1) > _RATES:
        raise InputError(
            f"video: {dist.path} has {float(dist.rate):.6g} frames per second and {ref.path} {float(ref.rate):.6g}, "
            "expected the same; frames are paired by their number"
        )


def _pairs(dist: Video, ref: Video | None) -> Iterator[Callable[[], tuple[Tensor, Tensor | None]]]:
    """Yield, for every frame, what decodes it and its reference."""
    others: Iterator[Callable[[], Tensor] | None] = repeat(None) if ref is None else ref.frames()
    for load in dist.frames():
        other = next(others, None)
        if other is None and ref is not None:
            raise ImageError(f"video {ref.path} ends before its last frame; it is damaged")
        yield lambda load=load, other=other: (load(), None if other is None else other())  # type: ignore[misc]


def _keys(
    built: Mapping[str, Metric], dist: Video, ref: Video | None, number: int, preparer: PairPreparer
) -> dict[str, ScoreKey]:
    """Return what the scores of a frame are stored by: video, frame, metric and preparation."""
    keys = {}
    img_hash, ref_hash = dist.key(number), ref.key(number) if ref else ""
    for name, metric in built.items():
        own: ScoreKey = getattr(metric, "key")  # noqa: B009 - only what the catalogue builds has one
        protocol = " ".join(filter(None, (own.protocol, "video", preparer.key)))
        keys[name] = replace(own, dataset="", img_hash=img_hash, ref_hash=ref_hash, protocol=protocol)
    return keys


def _frame(lines: list[dict[str, float]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(lines)


def pooled_table(scores: FrameScores) -> SideTable:
    """Return the pooled scores of every metric."""
    import pandas as pd

    lines = []
    for metric in scores.metrics:
        made = pool(scores.frame[metric.name].to_numpy(float), lower_better=metric.lower_better)
        lines.append(
            {
                "metric": metric.name,
                "unit": metric.unit,
                "better": "lower" if metric.lower_better else "higher",
                **vars(made),
                "worst_frame": -1 if made.worst_frame is None else made.worst_frame,
            }
        )
    return SideTable(
        name="pooled",
        title="Pooled over frames",
        note="mean: arithmetic. harmonic_mean: n / sum(1 / score), of scores above 0 of which higher is better. "
        "worst_share: 5 % of the frames are worse (5th percentile; 95th where lower is better). Frames are counted "
        "from 0. Frames of one video are not independent, so no interval is given; compare videos by several contents.",
        frame=pd.DataFrame(lines),
    )
