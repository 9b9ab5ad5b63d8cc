"""The frames of a video scored by several metrics; a run that was stopped goes on from its store."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import repeat
from typing import TYPE_CHECKING

from causaliqa.api.data import ScoreKey, ScoreRow
from causaliqa.api.errors import CausaliqaError, ImageError, InputError
from causaliqa.api.protocols import Metric
from causaliqa.catalog.catalog import Catalog
from causaliqa.evaluation.compare import ComparedMetric
from causaliqa.evaluation.image_files import build_metrics, records_of, score_loaded
from causaliqa.evaluation.preparation import AS_THEY_ARE, Preparation
from causaliqa.evaluation.side_table import SideTable
from causaliqa.functional.pooling import pool
from causaliqa.io.video import Video, open_video
from causaliqa.utils.devices import choose_device
from causaliqa.utils.progress import progress_bar

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from causaliqa.evaluation.store import ScoreStore

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
    records = records_of(catalog, metrics, job="video", lacking="" if ref is not None else "DIST REF")
    videos = (open_video(dist), open_video(ref) if ref is not None else None)
    _check_alike(*videos)
    device = choose_device(device)
    built = build_metrics(catalog, metrics, device, seed)
    with contextlib.ExitStack() as stack:
        kept = _Kept(*videos, built, prepare, stack.enter_context(_opened(store)) if store is not None else None)
        bar = stack.enter_context(progress_bar(videos[0].count, "scoring", "frame", shown=progress))
        lines, failures = [], []
        for number, (load, load_ref) in enumerate(_pairs(*videos)):
            known = kept.get(number)
            todo = {name: metric for name, metric in built.items() if name not in known}
            found, _ = score_loaded(todo, load, load_ref, videos[0].name(number), device, prepare) if todo else ({}, "")
            failures += [f"{m} failed: {error}" for m, error in found.items() if isinstance(error, CausaliqaError)]
            scores = {m: score for m, score in found.items() if not isinstance(score, CausaliqaError)}
            kept.put(number, scores)
            lines.append({"frame": number, **{m: {**known, **scores}.get(m, float("nan")) for m in built}})
            bar.update()
    compared = tuple(ComparedMetric.of(name, spec) for name, spec in records.items())
    made = FrameScores(
        dist=videos[0], ref=videos[1], metrics=compared, frame=_frame(lines), failures=tuple(failures),
        stored=kept.found, built=built, device=device,
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


def _pairs(dist: Video, ref: Video | None) -> Iterator[tuple[Callable[[], Tensor], Callable[[], Tensor] | None]]:
    others: Iterator[Callable[[], Tensor] | None] = repeat(None) if ref is None else ref.frames()
    for load in dist.frames():
        other = next(others, None)
        if other is None and ref is not None:
            raise ImageError(f"video {ref.path} ends before its last frame; it is damaged")
        yield load, other


def _opened(path: str | os.PathLike[str]) -> ScoreStore:
    from causaliqa.evaluation.store import ScoreStore

    return ScoreStore(path)


class _Kept:
    """Scores of frames in a store, under keys that know video, frame, metric and preparation; or nowhere."""

    def __init__(
        self,
        dist: Video,
        ref: Video | None,
        built: Mapping[str, Metric],
        prepare: Preparation,
        store: ScoreStore | None,
    ) -> None:
        self._dist, self._ref, self._built, self._store = dist, ref, built, store
        self._prepared = json.dumps(vars(prepare), sort_keys=True) if prepare != AS_THEY_ARE else ""
        self.found = 0

    def _keys(self, number: int) -> dict[str, ScoreKey]:
        keys = {}
        dist, ref = self._dist.key(number), self._ref.key(number) if self._ref else ""
        for name, metric in self._built.items():
            own: ScoreKey = getattr(metric, "key")  # noqa: B009 - only what the catalogue builds has one
            protocol = f"{own.protocol} video {self._prepared}".rstrip()
            keys[name] = replace(own, dataset="video", img_hash=dist, ref_hash=ref, protocol=protocol)
        return keys

    def get(self, number: int) -> dict[str, float]:
        """Return the scores of a frame that are there."""
        if self._store is None:
            return {}
        keys = self._keys(number)
        there = self._store.get(keys.values())
        known = {name: there[key].score for name, key in keys.items() if key in there}
        scores = {name: score for name, score in known.items() if score is not None}
        self.found += len(scores)
        return scores

    def put(self, number: int, scores: Mapping[str, float]) -> None:
        """Keep scores of a frame; the label that a row must have is the number of the frame."""
        if self._store is None or not scores:
            return
        keys = self._keys(number)
        for name, score in scores.items():
            row = ScoreRow(
                dataset="video",
                metric=name,
                ref=f"{self._ref.path.name}#{number}" if self._ref else "",
                dist=f"{self._dist.path.name}#{number}",
                label=float(number),
                lower_better=self._built[name].lower_better,
                score=score,
            )
            self._store.put(keys[name], row)


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
