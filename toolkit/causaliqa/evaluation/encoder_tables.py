"""Tables of encoders at several rates: Bjontegaard's deltas, the convex hull, quality ladders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from causaliqa.api.errors import InputError
from causaliqa.evaluation.compare import ComparedMetric
from causaliqa.evaluation.encoders import Curves, Hold, curves_of, hulls_of, lowest_rate
from causaliqa.evaluation.side_table import SideTable
from causaliqa.functional.rate_distortion import bd_over_contents
from causaliqa.io.rate_points import RatePoint

__all__ = ["encoder_tables"]


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
        counts = dict.fromkeys(known, 0)
        for kept in hulls_of(points, metric).values():
            for point in kept:
                counts[point.encoder] += 1
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
        for encoder in known:
            own = curves[step.metric].get(encoder, {})
            made = lowest_rate(own, metrics[step.metric], step.value, interpolation)
            lines.append(
                {
                    "metric": step.metric,
                    "hold": step.value,
                    "encoder": encoder,
                    "reached": f"{made.reached} of {len(own)}",
                    "rate": made.rate,
                    "rate_ci": list(made.rate_ci),
                }
            )
    return SideTable(
        name="ladder",
        title="Lowest rate that holds a quality",
        note="Geometric mean over the contents whose curve reaches the quality, with its 95 % interval by Student's t "
        "of the logarithm. A curve that begins above the quality counts with its lowest rate.",
        frame=pd.DataFrame(lines),
    )
