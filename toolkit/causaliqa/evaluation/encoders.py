"""Encoders at several rates: scores of every point, Bjontegaard's deltas, the convex hull, quality ladders."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

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
from causaliqa.evaluation.side_table import SideTable
from causaliqa.evaluation.store import open_store
from causaliqa.functional.means import mean_interval
from causaliqa.functional.rate_distortion import Curve, bd_over_contents, hull
from causaliqa.io.rate_points import RatePoint
from causaliqa.utils.devices import choose_device
from causaliqa.utils.progress import progress_bar

if TYPE_CHECKING:
    pass

__all__ = ["Curves", "Hold", "ScoredPoints", "curves_of", "encoder_tables", "score_points"]

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


def encoder_tables(
    points: Sequence[RatePoint],
    metrics: Sequence[ComparedMetric],
    *,
    anchor: str,
    interpolation: str = "akima",
    hold: Sequence[Hold] = (),
) -> tuple[SideTable, ...]:
    """Return the tables of encoders against an anchor.

    Args:
        points: points with scores.
        metrics: the metrics.
        anchor: encoder that the others are compared with.
        interpolation: as for :func:`causaliqa.functional.rate_distortion.bd`.
        hold: qualities for ladders.

    Raises:
        InputError: the anchor has no point.
    """
    known = list(dict.fromkeys(point.encoder for point in points))
    if anchor not in known:
        raise InputError(f"anchor: got {anchor!r}, expected one of {', '.join(known)}")
    found = {metric.name: curves_of(points, metric) for metric in metrics}
    curves = {name: own for name, (own, _) in found.items()}
    faults = tuple(line for _, lines in found.values() for line in lines)
    tables = [_deltas(curves, metrics, known, anchor, interpolation, faults), _hulls(points, metrics, known)]
    if hold:
        tables.append(_ladder(curves, {m.name: m for m in metrics}, known, hold, interpolation))
    return tuple(tables)


def _deltas(
    curves: Mapping[str, Curves],
    metrics: Sequence[ComparedMetric],
    known: Sequence[str],
    anchor: str,
    interpolation: str,
    faults: tuple[str, ...],
) -> SideTable:
    import pandas as pd

    lines = []
    for metric in metrics:
        ours = curves[metric.name].get(anchor, {})
        for encoder in (e for e in known if e != anchor):
            theirs = curves[metric.name].get(encoder, {})
            common = [content for content in ours if content in theirs]
            line: dict[str, Any] = {"metric": metric.name, "unit": metric.unit, "encoder": encoder}
            if common:
                made = bd_over_contents(
                    [ours[c] for c in common], [theirs[c] for c in common], interpolation=interpolation
                )
                line |= {
                    "contents": made.contents,
                    "little_overlap": made.little_overlap,
                    "bd_rate": made.rate,
                    "bd_rate_ci": list(made.rate_ci),
                    "bd_quality": made.quality,
                    "bd_quality_ci": list(made.quality_ci),
                }
            else:
                nothing = {"bd_rate": np.nan, "bd_quality": np.nan}
                line |= {"contents": 0, "little_overlap": 0, **nothing}
                line |= {"bd_rate_ci": [np.nan, np.nan], "bd_quality_ci": [np.nan, np.nan]}
            lines.append(line)
    return SideTable(
        name="bd",
        title=f"Against {anchor}",
        note=(
            "BD-rate in percent (negative: less rate for the same quality) and BD-metric (positive: more quality at "
            f"the same rate, also where a lower score is better), Bjontegaard 2001 with {interpolation} interpolation "
            "of log10 of the rate. Mean over contents with its 95 % interval by Student's t. little_overlap: contents "
            "whose curves share less than three quarters of the quality axis."
        ),
        frame=pd.DataFrame(lines),
        warnings=faults,
    )


def _hulls(points: Sequence[RatePoint], metrics: Sequence[ComparedMetric], known: Sequence[str]) -> SideTable:
    import pandas as pd

    lines = []
    for metric in metrics:
        own = [point for point in points if metric.name in point.scores]
        counts = dict.fromkeys(known, 0)
        for content in dict.fromkeys(point.content for point in own):
            here = [point for point in own if point.content == content]
            sign = -1.0 if metric.lower_better else 1.0
            kept = hull([p.rate for p in here], [sign * p.scores[metric.name] for p in here])
            for k in kept:
                counts[here[k].encoder] += 1
        total = max(1, sum(counts.values()))
        lines += [
            {"metric": metric.name, "encoder": encoder, "points": count, "share": count / total}
            for encoder, count in counts.items()
        ]
    return SideTable(
        name="hull",
        title="Convex hull",
        note="Points of each encoder on the upper convex hull of quality over log rate, over all contents: no other "
        "point, and no mixture of two, gives more quality at that rate.",
        frame=pd.DataFrame(lines),
    )


def _ladder(
    curves: Mapping[str, Curves],
    metrics: Mapping[str, ComparedMetric],
    known: Sequence[str],
    hold: Sequence[Hold],
    interpolation: str,
) -> SideTable:
    import pandas as pd

    lines = []
    for step in hold:
        metric = metrics[step.metric]
        wanted = -step.value if metric.lower_better else step.value
        for encoder in known:
            own = curves[step.metric].get(encoder, {})
            rates = np.array(list(_rates(own, wanted, interpolation)))
            reached = rates[np.isfinite(rates)]
            low, high = (10**end for end in mean_interval(np.log10(reached)))
            lines.append(
                {
                    "metric": step.metric,
                    "hold": step.value,
                    "encoder": encoder,
                    "reached": f"{len(reached)} of {len(own)}",
                    "rate": float(10 ** np.mean(np.log10(reached))) if len(reached) else np.nan,
                    "rate_ci": [low, high],
                }
            )
    return SideTable(
        name="ladder",
        title="Lowest rate that holds a quality",
        note="Geometric mean over the contents whose curve reaches the quality, with its 95 % interval by Student's t "
        "of the logarithm. A curve that begins above the quality counts with its lowest rate.",
        frame=pd.DataFrame(lines),
    )


def _rates(curves: Mapping[str, Curve], quality: float, interpolation: str) -> Iterator[float]:
    for curve in curves.values():
        if quality <= curve.quality[0]:
            yield float(curve.rate[0])
        else:
            yield float(10 ** curve.log_rate_at(quality, interpolation))
