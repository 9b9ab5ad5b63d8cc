"""Encoders at several rates: scores of every point, curves, the convex hull, the lowest rate that holds a quality."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from causaliqa.api.errors import CausaliqaError, InputError
from causaliqa.api.protocols import Metric
from causaliqa.api.specs import MetricSpec
from causaliqa.catalog.catalog import Catalog
from causaliqa.catalog.request import parse_request
from causaliqa.evaluation.compare import ComparedMetric
from causaliqa.evaluation.image_files import build_metrics, check_hdr, score_by_all
from causaliqa.evaluation.preparation import AS_THEY_ARE, Preparation
from causaliqa.evaluation.prepared_pairs import PairPreparer
from causaliqa.evaluation.store import open_store
from causaliqa.functional.means import mean_interval
from causaliqa.functional.rate_distortion import Curve, hull
from causaliqa.io.rate_points import RatePoint
from causaliqa.utils.devices import choose_device
from causaliqa.utils.progress import progress_bar

__all__ = [
    "Curves",
    "Hold",
    "LowestRate",
    "ScoredPoints",
    "curves_of",
    "hulls_of",
    "lowest_rate",
    "score_points",
]

Curves = Mapping[str, Mapping[str, Curve]]
"""Curves by encoder and content."""


@dataclass(frozen=True, kw_only=True)
class ScoredPoints:
    """What :func:`score_points` returns."""

    points: tuple[RatePoint, ...]
    """The points with all scores that could be computed."""
    failures: tuple[str, ...] = ()
    """A line for every score that could not."""
    notes: tuple[str, ...] = ()
    """What the preparation found, for every score that was computed."""
    built: Mapping[str, Metric] = field(default_factory=dict, repr=False)
    """The metrics that computed scores."""
    device: str = ""
    """Where they ran; empty where nothing was computed."""
    prepared: str = ""
    """What was done to the images before; empty if nothing."""


@dataclass(frozen=True, kw_only=True)
class Hold:
    """A quality that an encoder shall hold."""

    metric: str
    """Metric."""
    value: float
    """Score."""


def score_points(
    points: Sequence[RatePoint],
    metrics: Sequence[str],
    *,
    catalog: Catalog,
    device: str | None = None,
    seed: int = 0,
    prepare: Preparation = AS_THEY_ARE,
    store: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> ScoredPoints:
    """Compute the scores that points lack.

    Args:
        points: the points.
        metrics: ``NAME[:key=value,...]``.
        catalog: where metrics are looked up.
        device: torch device; by default CUDA where there is one, else the CPU.
        seed: seed of metrics that take one.
        prepare: what is done to every pair before.
        store: file that keeps every score as it comes; what is in it is not computed again.
        progress: show a progress bar.

    Raises:
        InputError: a metric is unknown, needs references that the points lack, or cannot score high dynamic range.
    """
    missing = [m for m in metrics if any(m not in point.scores for point in points)]
    specs = {m: catalog.get(MetricSpec, parse_request(m)[0]).spec for m in missing}
    modes = {m: spec.metric_mode for m, spec in specs.items()}
    for metric, spec in specs.items():
        check_hdr(catalog, metric, spec, prepare.hdr)
        if spec.metric_mode == "FR" and any(point.ref is None for point in points):
            raise InputError(
                f"metric {metric!r} compares with a reference: got a line without ref, expected one in all"
            )
    if not missing:
        return ScoredPoints(points=tuple(points))
    preparer = PairPreparer(prepare)
    preparer.check(modes, (point.ref for point in points))
    device = choose_device(device)
    scored: list[RatePoint] = list(points)
    failures: list[str] = []
    notes: list[str] = []
    with ExitStack() as stack:
        kept = stack.enter_context(open_store(store)) if store is not None else None
        built = build_metrics(catalog, missing, device, seed)
        bar = stack.enter_context(progress_bar(len(points) * len(built), "scoring", shown=progress))
        work = partial(score_by_all, built, device=device, preparer=preparer, store=kept)
        # Content by content, so that metrics can keep what they know of its reference.
        for k in sorted(range(len(points)), key=lambda k: str(points[k].ref)):
            results, note = _results(built, points[k], work)
            notes += [note] * len(results)
            failures += [f"{m} failed: {result}" for m, result in results.items() if isinstance(result, CausaliqaError)]
            found = {m: result for m, result in results.items() if not isinstance(result, CausaliqaError)}
            scored[k] = replace(points[k], scores={**points[k].scores, **found})
            bar.update(len(built))
    return ScoredPoints(
        points=tuple(scored),
        failures=tuple(failures),
        notes=tuple(notes),
        built=built,
        device=device,
        prepared=preparer.said,
    )


def _results(
    built: Mapping[str, Metric], point: RatePoint, work: Callable[..., tuple[dict[str, float | CausaliqaError], str]]
) -> tuple[dict[str, float | CausaliqaError], str]:
    if point.dist is None:
        where = f"{point.encoder} on {point.content} at {point.rate:g}"
        return dict.fromkeys(built, InputError(f"{where}: got no image, expected one in dist")), ""
    return work(img_path=point.dist, ref_path=point.ref)


def curves_of(points: Sequence[RatePoint], metric: ComparedMetric) -> tuple[Curves, list[str]]:
    """Return the curves of one metric, quality-oriented, and a line for every curve that cannot be used."""
    grouped: dict[str, dict[str, list[RatePoint]]] = {}
    for point in points:
        if metric.name in point.scores:
            grouped.setdefault(point.encoder, {}).setdefault(point.content, []).append(point)
    sign = -1.0 if metric.lower_better else 1.0
    curves: dict[str, dict[str, Curve]] = {encoder: {} for encoder in grouped}
    faults = []
    for encoder, contents in grouped.items():
        for content, own in contents.items():
            name = f"{metric.name} of {encoder} on {content}"
            try:
                quality = [sign * point.scores[metric.name] for point in own]
                curves[encoder][content] = Curve.of([point.rate for point in own], quality, name=name)
            except InputError as error:
                faults.append(f"left out: {error}")
    return curves, faults


def hulls_of(points: Sequence[RatePoint], metric: ComparedMetric) -> dict[str, list[RatePoint]]:
    """Return the points of every content that are on its convex hull over all encoders, cheapest first."""
    sign = -1.0 if metric.lower_better else 1.0
    grouped: dict[str, list[RatePoint]] = {}
    for point in points:
        if metric.name in point.scores:
            grouped.setdefault(point.content, []).append(point)
    return {
        content: [here[k] for k in hull([p.rate for p in here], [sign * p.scores[metric.name] for p in here])]
        for content, here in grouped.items()
    }


@dataclass(frozen=True, kw_only=True)
class LowestRate:
    """The lowest rate at which an encoder holds a quality."""

    reached: int
    """Contents whose curve reaches the quality."""
    rate: float
    """Geometric mean of their rates; NaN where no curve does."""
    rate_ci: tuple[float, float]
    """Its 95 % interval by Student's t of the logarithm; NaN below three contents."""


def lowest_rate(
    curves: Mapping[str, Curve], metric: ComparedMetric, score: float, interpolation: str = "akima"
) -> LowestRate:
    """Return the lowest rate that holds a score; a curve that begins above it counts with its lowest rate.

    Args:
        curves: quality-oriented curves of one encoder by content.
        metric: the metric.
        score: the score to hold.
        interpolation: as for :func:`causaliqa.functional.rate_distortion.bd`.
    """
    rates = np.array(list(_rates(curves, -score if metric.lower_better else score, interpolation)))
    logs = np.log10(rates[np.isfinite(rates)])
    low, high = (10**end for end in mean_interval(logs))
    return LowestRate(
        reached=len(logs), rate=float(10 ** np.mean(logs)) if len(logs) else float("nan"), rate_ci=(low, high)
    )


def _rates(curves: Mapping[str, Curve], quality: float, interpolation: str) -> Iterator[float]:
    for curve in curves.values():
        if quality <= curve.quality[0]:
            yield float(curve.rate[0])
        else:
            yield float(10 ** curve.log_rate_at(quality, interpolation))
