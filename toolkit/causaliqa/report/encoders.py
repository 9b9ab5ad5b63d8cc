"""Encoders at several rates against an anchor: what ``causaliqa rd`` does."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.api.errors import InputError
from causaliqa.api.specs import MetricSpec
from causaliqa.catalog.catalog import Catalog
from causaliqa.catalog.create import default_catalog
from causaliqa.catalog.request import metric_value, parse_request
from causaliqa.evaluation.channels import channel_notes
from causaliqa.evaluation.compare import ComparedMetric
from causaliqa.evaluation.encoder_tables import encoder_tables
from causaliqa.evaluation.encoders import Hold, ScoredPoints, score_points
from causaliqa.evaluation.preparation import AS_THEY_ARE, Preparation
from causaliqa.io.rate_points import RatePoint, read_rate_points
from causaliqa.report.provenance import MetricFacts, Provenance
from causaliqa.report.rate_curves import draw_curves
from causaliqa.report.table_set import TableSet, scores_provenance
from causaliqa.utils.figures import data_url, save
from causaliqa.utils.text import without_folders

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from causaliqa.report.page import Drawing

__all__ = ["ComparedEncoders", "compare_encoders"]

_DPI = 150
"""Of the curves on the page, sharp on screens of 1.5 pixels per unit."""


@dataclass(frozen=True, kw_only=True, repr=False)
class ComparedEncoders(TableSet):
    """What :func:`compare_encoders` returns: tables ``bd``, ``hull``, and ``ladder`` where a quality is to be held."""

    scores: ScoredPoints = field(repr=False)
    """The points with their scores."""
    metrics: tuple[ComparedMetric, ...]
    """The metrics."""
    rate: str = "rate"
    """Name of the rate, with its unit."""
    hold: tuple[Hold, ...] = ()
    """Qualities that are to be held."""
    interpolation: str = "akima"
    """Of the curves."""

    @property
    def failures(self) -> tuple[str, ...]:
        """A line for every score that could not be computed."""
        return self.scores.failures

    def figure(self, path: str | os.PathLike[str]) -> Path:
        """Draw quality over rate, a panel for every metric, with the convex hull and the qualities to be held.


        Args:
            path: the file, PNG, PDF or SVG by its suffix.

        Raises:
            InputError: the suffix names no kind of picture.
            OutputError: the file cannot be written.
        """
        return save(self._curves(), path)

    def _curves(self) -> Figure:
        return draw_curves(
            self.scores.points, self.metrics, rate=self.rate, hold=self.hold, interpolation=self.interpolation
        )

    def _drawing(self) -> Drawing:
        from causaliqa.report.page import Drawing

        note = (
            "Thin: contents. Thick: their mean at equal rates, on the interval that all curves of an encoder cover. "
            "Gray: the convex hull of the encoders, of every content."
        )
        return Drawing(title="Quality over rate", note=note, picture=data_url(self._curves(), dpi=_DPI))


def compare_encoders(
    points: str | os.PathLike[str] | Sequence[RatePoint],
    metrics: str | Sequence[str],
    *,
    anchor: str | None = None,
    hold: Sequence[str] = (),
    interpolation: str = "akima",
    rate: str = "rate",
    device: str | None = None,
    seed: int = 0,
    prepare: Preparation = AS_THEY_ARE,
    store: str | os.PathLike[str] | None = None,
    progress: bool = True,
    catalog: Catalog | None = None,
) -> ComparedEncoders:
    """Compare encoders at several rates: Bjontegaard's deltas, the convex hull, the lowest rate that holds a quality.

    Args:
        points: csv file with ``encoder``, ``content``, ``rate``, and ``dist`` and ``ref`` (images) or a column of
            scores for every metric; or the points.
        metrics: ``NAME[:key=value,...]``; ``NAME:lower_better=true`` or ``false`` for a column of scores that no metric
            here computes.
        anchor: encoder that the others are compared with; by default the first.
        hold: qualities ``METRIC=VALUE`` for the ladder.
        interpolation: ``akima`` or ``pchip``.
        rate: name of the rate in figures, with its unit.
        device: torch device; by default CUDA where there is one, else the CPU.
        seed: seed of metrics that take one.
        prepare: what is done to every pair of images before.
        store: file that keeps every score as it comes, so that a run that was stopped goes on from it.
        progress: show a progress bar.
        catalog: where metrics are looked up; by default what the environment asks for.

    Raises:
        ManifestError: the file is malformed.
        InputError: a metric or the anchor is unknown.

    Example:
        >>> made = [
        ...     RatePoint(encoder=encoder, content=f"c{n}", rate=rate * ratio, scores={"vmaf": quality + n})
        ...     for encoder, ratio in (("old", 1.0), ("new", 0.8)) for n in range(4)
        ...     for rate, quality in ((1, 60), (2, 75), (4, 85))
        ... ]
        >>> found = compare_encoders(made, "vmaf:lower_better=false", progress=False)
        >>> found.table("bd")[["encoder", "bd_rate"]].round(3).values.tolist()
        [['new', -20.0]]
    """
    catalog = catalog or default_catalog()
    requests = [metrics] if isinstance(metrics, str) else list(dict.fromkeys(metrics))
    declared = dict(_declared(request) for request in requests)
    listed = points if not isinstance(points, str | os.PathLike) else read_rate_points(points, list(declared))
    known = tuple(_metric(catalog, name, lower, listed) for name, lower in declared.items())
    if not listed or not known:
        raise InputError(f"rd: got {len(listed)} points and {len(known)} metrics, expected some of both")
    scored = score_points(
        listed,
        list(declared),
        catalog=catalog,
        device=device,
        seed=seed,
        prepare=prepare,
        store=store,
        progress=progress,
    )
    first = anchor or scored.points[0].encoder
    steps = tuple(Hold(metric=name, value=value) for name, value in (metric_value("hold", t, declared) for t in hold))
    settings: dict[str, Any] = {
        "points": Path(points).name if isinstance(points, str | os.PathLike) else len(listed),
        "metrics": [without_folders(request) for request in requests],
        "anchor": first,
        "interpolation": interpolation,
        "prepared": scored.prepared,
    }
    return ComparedEncoders(
        title=f"Encoders against {first}",
        tables=encoder_tables(scored.points, known, anchor=first, interpolation=interpolation, hold=steps),
        rows=_rows(scored.points, known),
        provenance=_provenance(catalog, scored, known, settings, seed),
        notes=((f"images: {scored.prepared}",) if scored.prepared else ()) + tuple(channel_notes(scored.notes)),
        scores=scored,
        metrics=known,
        rate=rate,
        hold=steps,
        interpolation=interpolation,
    )


def _provenance(
    catalog: Catalog, scored: ScoredPoints, known: Sequence[ComparedMetric], settings: dict[str, Any], seed: int
) -> Provenance:
    """Return where the scores come from: computed here, or given."""
    given = [
        MetricFacts(name=m.name, lower_better=m.lower_better, provider="scores from elsewhere")
        for m in known
        if m.name not in scored.built
    ]
    stated = {**settings, "seed": seed, "device": scored.device}
    return scores_provenance(catalog, scored.built, stated, seed=seed, elsewhere=given)


def _declared(request: str) -> tuple[str, bool | None]:
    """Tell the direction that is declared for scores from elsewhere from options of a metric."""
    name, options = parse_request(request)
    if "lower_better" not in options:
        return request, None
    if set(options) != {"lower_better"} or not isinstance(options["lower_better"], bool):
        raise InputError(f"metric {request!r}: expected NAME:lower_better=true or false and no other option")
    return name, options["lower_better"]


def _metric(catalog: Catalog, name: str, lower: bool | None, points: Sequence[RatePoint]) -> ComparedMetric:
    """Return a metric as declared, else as its record says."""
    if lower is None:
        return ComparedMetric.of(name, catalog.get(MetricSpec, parse_request(name)[0]).spec)
    if any(name not in point.scores for point in points):
        raise InputError(f"metric {name!r}: got a direction, but no score of it for every point; add a column {name}")
    return ComparedMetric(name=name, lower_better=lower)


def _rows(points: Sequence[RatePoint], metrics: Sequence[ComparedMetric]) -> Any:
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "encoder": p.encoder,
                "content": p.content,
                "rate": p.rate,
                "metric": m.name,
                "score": p.scores.get(m.name),
            }
            for m in metrics
            for p in points
        ]
    )
