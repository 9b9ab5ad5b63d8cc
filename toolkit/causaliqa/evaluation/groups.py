"""Rows of scores -> metrics on the same images, and the statistics that several tables share, each computed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from causaliqa.api.data import RANKED_COLUMNS
from causaliqa.api.errors import InputError
from causaliqa.functional.best import Comparison, compare
from causaliqa.functional.protocols import Protocols
from causaliqa.functional.significance import FEWEST, ClusterBootstrap
from causaliqa.functional.statistics import Summary, orient, summarise

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DRAWS", "Group", "groups_of"]

Array = NDArray[np.float64]

DRAWS = 1000
"""Resamples behind intervals and ties, by default."""
_THREADS = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Group:
    """M metrics on the same n images of one data set, or of one type, level or split of it."""

    names: Mapping[str, Any]
    """Data set, and the value of the column that it is broken down by."""
    metrics: tuple[str, ...]
    """Names, ``(M,)``."""
    rows: Mapping[str, pd.DataFrame] = field(repr=False)
    """The rows of every metric."""
    given_scores: Array = field(repr=False)
    """Scores as the metrics gave them, ``(M, n)``; NaN where one failed."""
    given_labels: Array = field(repr=False)
    """Labels in their own unit and direction, ``(n,)``."""
    lower_better: tuple[bool, ...]
    """Directions of the metrics, ``(M,)``."""
    label_lower_better: bool
    """Direction of the labels."""
    label_std: Array | None = field(repr=False)
    """Deviation of every label, ``(n,)``; None if unknown."""
    label_range: tuple[float, float] | None
    """Ends of the scale of the labels; None if unknown."""
    clusters: NDArray[Any] = field(repr=False)
    """Reference of every image, ``(n,)``, or its number where references are unknown."""
    by_reference: bool
    """Whether references are known."""
    draws: int = DRAWS
    """Resamples behind intervals and ties."""
    seed: int = 0
    """Seed of the resamples."""

    @cached_property
    def scores(self) -> Array:
        """Quality-oriented scores, ``(M, n)``."""
        return np.array([orient(s, lower) for s, lower in zip(self.given_scores, self.lower_better, strict=True)])

    @cached_property
    def labels(self) -> Array:
        """Quality-oriented labels, ``(n,)``."""
        return orient(self.given_labels, self.label_lower_better)

    @cached_property
    def references(self) -> int:
        """References, or images where those are unknown."""
        return len(np.unique(self.clusters))

    @property
    def too_few(self) -> bool:
        """Whether there are too few references for intervals and verdicts."""
        return self.references < FEWEST

    @cached_property
    def summaries(self) -> list[Summary]:
        """All statistics of every metric over all images."""
        return [
            summarise(
                scores,
                self.given_labels,
                lower_better=lower_better,
                label_lower_better=self.label_lower_better,
                label_std=self.label_std,
                label_range=self.label_range,
            )
            for scores, lower_better in zip(self.given_scores, self.lower_better, strict=True)
        ]

    @cached_property
    def srcc(self) -> Array:
        """SRCC of every metric over all images, ``(M,)``."""
        return np.array([summary.srcc for summary in self.summaries])

    @cached_property
    def order(self) -> list[int]:
        """Metrics as tables list them: the highest SRCC first."""
        known = np.where(np.isnan(self.srcc), -np.inf, self.srcc).tolist()
        return sorted(range(len(known)), key=lambda m: known[m], reverse=True)

    @cached_property
    def boot(self) -> ClusterBootstrap:
        """Resampled references."""
        fits = [summary.fit for summary in self.summaries]
        return ClusterBootstrap(
            self.scores, self.labels, self.clusters, fits=fits, draws=self.draws, seed=self.seed, threads=_THREADS
        )

    @cached_property
    def protocols(self) -> Protocols:
        """SRCC over all images and within references, by the draws of :attr:`boot`."""
        return Protocols(self.scores, self.labels, self.clusters, boot=self.boot)

    @cached_property
    def best(self) -> Comparison:
        """Comparison of the metrics over all images."""
        return self._compared("all")

    @cached_property
    def best_within(self) -> Comparison:
        """Comparison of the metrics within references."""
        return self._compared("within")

    def _compared(self, protocol: str) -> Comparison:
        return compare(
            self.scores,
            self.labels,
            self.clusters,
            protocol=protocol,
            draws=max(2, self.draws),
            seed=self.seed,
            threads=_THREADS,
        )


def groups_of(frame: pd.DataFrame, *, by: str | None = None, draws: int = DRAWS, seed: int = 0) -> list[Group]:
    """Return a group for every data set (and type, level or split), in the order of the rows.

    Args:
        frame: one line a pair and metric, as :func:`causaliqa.evaluate` returns it.
        by: a further column to break down by.
        draws: resamples behind intervals and ties.
        seed: seed of the resamples.

    Raises:
        InputError: columns are missing.
    """
    columns = ["dataset", *([by] if by else [])]
    if lacking := [c for c in (*RANKED_COLUMNS, *columns) if c not in frame.columns]:
        raise InputError(f"rank: column {lacking[0]!r} is missing; got {', '.join(map(str, frame.columns))}")
    return [
        _group(part, dict(zip(columns, names, strict=True)), draws, seed)
        for names, part in frame.groupby(columns, sort=False)
    ]


def _group(part: pd.DataFrame, names: Mapping[str, Any], draws: int, seed: int) -> Group:
    """Put the scores of all metrics beside each other, image by image."""
    import pandas as pd

    metrics = tuple(dict.fromkeys(part["metric"]))
    first: dict[Any, pd.DataFrame] = dict(iter(part.groupby("metric", sort=False)))
    # Pairs are matched by their names where there are any; by their place only among those of the same name.
    named = [c for c in ("ref", "dist") if c in part.columns] if "dist" in part.columns else []
    part = part.assign(_place=part.groupby(["metric", *named], sort=False).cumcount())
    keys = [*named, "_place"]
    images = part.drop_duplicates(keys).set_index(keys)
    scores = part.assign(score=pd.to_numeric(part["score"]))
    values = [
        scores[scores["metric"] == m].set_index(keys)["score"].reindex(images.index).to_numpy(dtype=float)
        for m in metrics
    ]
    images = images.reset_index()
    known = "ref" in images and bool((images["ref"].fillna("").astype(str) != "").all())
    spread, label_range = _label_facts(images)
    return Group(
        names=names,
        metrics=metrics,
        rows=first,
        given_scores=np.array(values),
        given_labels=images["label"].to_numpy(dtype=float),
        lower_better=tuple(bool(first[m]["lower_better"].iloc[0]) for m in metrics),
        label_lower_better=bool(images["label_lower_better"].iloc[0]),
        label_std=spread,
        label_range=label_range,
        clusters=images["ref"].astype(str).to_numpy() if known else np.arange(len(images)),
        by_reference=known,
        draws=draws,
        seed=seed,
    )


def _label_facts(images: pd.DataFrame) -> tuple[Array | None, tuple[float, float] | None]:
    """Deviations of the labels and the ends of their scale, where they are known."""
    spread = images["label_std"].to_numpy(dtype=float) if "label_std" in images else None
    ends = [images[c].to_numpy(dtype=float)[0] if c in images else np.nan for c in ("label_low", "label_high")]
    return (
        spread if spread is not None and np.isfinite(spread).any() else None,
        (float(ends[0]), float(ends[1])) if np.isfinite(ends).all() else None,
    )
