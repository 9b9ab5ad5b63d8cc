"""Tables of a comparison of outputs: means, pairs of outputs, agreement of metrics, the images that decide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causaliqa.evaluation.compare import ComparedMetric, OutputScores
from causaliqa.evaluation.side_table import SideTable
from causaliqa.functional.means import MeanComparison, compare_means, mean_interval

__all__ = ["comparison_tables"]

Array = NDArray[np.float64]

_ALPHA = 0.05
_DECIDING = 5
"""Images listed for every pair of outputs."""


def comparison_tables(made: OutputScores, *, draws: int = 1000, seed: int = 0) -> tuple[SideTable, ...]:
    """Return the tables of a comparison.

    Args:
        made: scores.
        draws: random signs behind the ties with the best.
        seed: decides the signs.
    """
    values = {metric.name: _values(made, metric.name) for metric in made.metrics}
    found = {
        metric.name: compare_means(_quality(values[metric.name], metric), draws=draws, seed=seed)
        for metric in made.metrics
    }
    pairs = _pairs(made, values, found)
    tables = [_means(made, values, found), pairs]
    if len(made.metrics) > 1:
        tables.append(_agreement(made, values))
    return (*tables, _deciding(made, values))


def _values(made: OutputScores, metric: str) -> Array:
    """Scores of one metric ``(outputs, images)``; NaN where it failed."""
    part = made.rows[made.rows["metric"] == metric]
    wide = part.pivot(index="output", columns="image", values="score")
    return np.asarray(wide.reindex(index=list(made.outputs), columns=list(made.images)).to_numpy(dtype=float))


def _quality(values: Array, metric: ComparedMetric) -> Array:
    return -values if metric.lower_better else values


def _means(made: OutputScores, values: Mapping[str, Array], found: Mapping[str, MeanComparison]) -> SideTable:
    import pandas as pd

    lines = []
    for metric in made.metrics:
        own, tests = values[metric.name], found[metric.name]
        order = np.argsort(-np.nan_to_num(tests.mean, nan=-np.inf), kind="stable")
        for rank, k in enumerate(order, start=1):
            scored = own[k][np.isfinite(own[k])]
            lines.append(
                {
                    "metric": metric.name,
                    "unit": metric.unit,
                    "rank": rank,
                    "output": list(made.outputs)[k],
                    "images": len(scored),
                    "mean": float(scored.mean()) if len(scored) else np.nan,
                    "mean_ci": list(mean_interval(scored)),
                    "mean_best": tests.tied()[k],
                    "p_best": float(tests.p_best[k]),
                }
            )
    return SideTable(
        name="means",
        title="Means over images",
        note=(
            "Intervals of the mean: 95 %, Student's t over images; differences are paired and judged in the table of "
            "pairs. Marked: the hypothesis that this output is the best is not rejected at 5 %, by the largest "
            "studentised deficit against the rivals that are not clearly worse and random signs of the images' "
            "differences (Hansen 2005). Every metric is a question of its own: nothing is corrected for their number."
        ),
        frame=pd.DataFrame(lines),
    )


def _pairs(made: OutputScores, values: Mapping[str, Array], found: Mapping[str, MeanComparison]) -> SideTable:
    import pandas as pd

    names, lines = list(made.outputs), []
    for metric in made.metrics:
        tests, sign = found[metric.name], -1.0 if metric.lower_better else 1.0
        for a, b in combinations(range(len(names)), 2):
            step = _quality(values[metric.name][a] - values[metric.name][b], metric)
            known = step[np.isfinite(step)]
            ends = sorted(sign * end for end in (tests.low[a, b], tests.high[a, b]))
            lines.append(
                {
                    "metric": metric.name,
                    "unit": metric.unit,
                    "a": names[a],
                    "b": names[b],
                    "difference": sign * float(tests.difference[a, b]),
                    "difference_ci": ends,
                    "p": float(tests.p[a, b]),
                    "better": _better(tests, a, b, names),
                    "a_wins": float(((known > 0) + 0.5 * (known == 0)).mean()) if len(known) else np.nan,
                    "visible": _visible(metric, ends),
                }
            )
    sources = {m.name: m.noticeable_source for m in made.metrics if m.noticeable is not None}
    known_sources = "; ".join(f"{name}: {source}" for name, source in sources.items())
    return SideTable(
        name="pairs",
        title="Pairs of outputs",
        note=(
            "Difference: mean of a less b over the images that both have, in the unit of the metric, with its 95 % "
            "interval and p by Student's paired t test. a_wins: share of images on which a is better. visible: whether "
            "the interval lies beyond the difference that people see"
            f"{f' ({known_sources})' if known_sources else ', which is known for none of these metrics'}."
        ),
        frame=pd.DataFrame(lines),
        warnings=tuple(_flips(made, found, names)),
    )


def _better(tests: MeanComparison, a: int, b: int, names: list[str]) -> str:
    if not tests.p[a, b] < _ALPHA or tests.images[a, b] < 5:
        return ""
    return names[a] if tests.difference[a, b] > 0 else names[b]


def _visible(metric: ComparedMetric, ends: list[float]) -> str:
    """Compare an interval with the difference that people see."""
    if metric.noticeable is None or not np.isfinite(ends).all():
        return "unknown"
    smallest = 0.0 if ends[0] <= 0 <= ends[1] else min(map(abs, ends))
    if smallest >= metric.noticeable:
        return "yes"
    return "no" if max(map(abs, ends)) < metric.noticeable else "unclear"


def _flips(made: OutputScores, found: Mapping[str, MeanComparison], names: list[str]) -> Iterator[str]:
    """Yield the pairs of outputs that two metrics order differently, both significantly."""
    for a, b in combinations(range(len(names)), 2):
        sides: dict[str, list[str]] = {}
        for metric in made.metrics:
            if winner := _better(found[metric.name], a, b, names):
                p = found[metric.name].p[a, b]
                sides.setdefault(winner, []).append(f"{metric.name} (p = {p:.2g})")
        if len(sides) == 2:
            (one, ours), (other, theirs) = sides.items()
            yield f"{', '.join(ours)} prefer {one} to {other}, {', '.join(theirs)} the other way round"


def _agreement(made: OutputScores, values: Mapping[str, Array]) -> SideTable:
    """How often two metrics order two outputs alike on an image."""
    import pandas as pd

    orders = {m.name: _orders(_quality(values[m.name], m)) for m in made.metrics}
    lines: list[dict[str, Any]] = []
    for one, ours in orders.items():
        lines.append({"metric": one})
        for other, theirs in orders.items():
            both = (ours != 0) & (theirs != 0)
            lines[-1][other] = float((ours == theirs)[both].mean()) if both.any() else np.nan
    return SideTable(
        name="agreement",
        title="Agreement of metrics",
        note="Share of all pairs of outputs on all images that both metrics order alike; .5 is chance. Equal or "
        "missing scores are left out.",
        frame=pd.DataFrame(lines),
    )


def _orders(quality: Array) -> Array:
    """Signs of all differences ``(pairs, images)``; 0 where equal or unknown."""
    steps = [quality[a] - quality[b] for a, b in combinations(range(len(quality)), 2)]
    return np.nan_to_num(np.sign(steps))


def _deciding(made: OutputScores, values: Mapping[str, Array]) -> SideTable:
    """The images on which the metrics see two outputs furthest apart, or contradict each other most."""
    import pandas as pd

    names, lines = list(made.outputs), []
    for a, b in combinations(range(len(names)), 2):
        scaled = np.array([_scaled(_quality(values[m.name][a] - values[m.name][b], m)) for m in made.metrics])
        with np.errstate(all="ignore"):
            spread = np.nanmax(scaled, axis=0) - np.nanmin(scaled, axis=0) if len(scaled) > 1 else np.abs(scaled[0])
        for place in np.argsort(-np.nan_to_num(spread, nan=-1.0), kind="stable")[:_DECIDING]:
            differences = {m.name: values[m.name][a, place] - values[m.name][b, place] for m in made.metrics}
            lines.append({"a": names[a], "b": names[b], "image": made.images[place], **differences})
    several = len(made.metrics) > 1
    return SideTable(
        name="images",
        title="Images that decide",
        note=(
            "Score of a less score of b. For every pair of outputs the images on which "
            + ("the metrics, each in its own deviations, differ most." if several else "they are furthest apart.")
        ),
        frame=pd.DataFrame(lines),
    )


def _scaled(step: Array) -> Array:
    spread = float(np.nanstd(step)) if np.isfinite(step).any() else 0.0
    return step / spread if spread > 0 else step
