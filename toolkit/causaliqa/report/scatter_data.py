"""Data of scatter plots: points by type, and the logistic curve used for the statistics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from causaliqa.functional.logistic import Fit
from causaliqa.functional.statistics import predict_label

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Panel", "normalise", "panels"]

Points = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One metric on one data set."""

    dataset: str
    metric: str
    lower_better: bool
    label_lower_better: bool
    label_name: str = ""
    """What the label is called: ``mos``, ``dmos``, ``severity``...; empty if unknown."""
    srcc: float
    plcc: float
    n: int
    """Images with a score."""
    points: Mapping[str, Points]
    """Scores and labels by type; a subset if there are too many to draw."""
    curve: Points
    """Scores, and the labels predicted by the fit."""
    normalised: bool = False
    """Scores and labels are on [0, 1], the better the higher."""
    rows: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64), repr=False)
    """Places in the frame of the rows that are drawn, ascending."""

    @property
    def drawn(self) -> int:
        """Number of points drawn."""
        return sum(len(scores) for scores, _ in self.points.values())

    @property
    def label(self) -> str:
        """Name of the label axis, with the direction of good quality."""
        name = self.label_name.upper() if self.label_name in ("mos", "dmos") else self.label_name or "label"
        if self.normalised:
            return f"{name} ({'reversed, ' if self.label_lower_better else ''}on [0, 1])"
        return f"{name} ({'lower' if self.label_lower_better else 'higher'} is better)"

    @property
    def direction(self) -> str:
        """What to say of the direction of the score axis."""
        if self.normalised:
            return "reversed, on [0, 1]" if self.lower_better else "on [0, 1]"
        return "lower is better" if self.lower_better else "higher is better"


def normalise(panel: Panel) -> Panel:
    """Return a panel with scores and labels on [0, 1], the better the higher: the axes of the paper's Figure 2.

    The extreme scores and labels drawn become 0 and 1, which changes no rank and no correlation.

    Source: Causal IQA, Figure 2 ("normalization on both labels and predictions ... the values of the lower-better
    methods are reversed").
    """
    if not panel.points:
        return panel
    scores, labels = (np.concatenate(part) for part in zip(*panel.points.values(), strict=True))

    def mapped(points: Points) -> Points:
        return (
            _share(points[0], scores, panel.lower_better),
            _share(points[1], labels, panel.label_lower_better),
        )

    return replace(
        panel,
        points={kind: mapped(points) for kind, points in panel.points.items()},
        curve=mapped(panel.curve),
        normalised=True,
    )


def _share(values: NDArray[np.float64], of: NDArray[np.float64], lower_better: bool) -> NDArray[np.float64]:
    low, width = float(of.min()), float(np.ptp(of)) or 1.0
    share = (values - low) / width
    return 1 - share if lower_better else share


def panels(frame: pd.DataFrame, table: pd.DataFrame, *, most: int | None = None) -> list[Panel]:
    """Return a panel for every row of a table with at least one scored image.

    Args:
        frame: rows, as :func:`causaliqa.evaluate` returns them.
        table: their statistics over whole data sets, from :func:`causaliqa.rank`.
        most: most points to draw; of more, a fixed random subset.
    """
    numbered = frame.reset_index(drop=True)
    groups: dict[Any, pd.DataFrame] = dict(iter(numbered.groupby(["dataset", "metric"], sort=False)))
    scored = (row for row in table.to_dict(orient="records") if row["n"])
    return [_panel(groups[row["dataset"], row["metric"]], row, most) for row in scored]


def _label_name(part: pd.DataFrame) -> str:
    """Return what the label is called where all rows say the same."""
    names = set(part["label_name"].dropna().astype(str)) if "label_name" in part else set()
    return names.pop() if len(names) == 1 else ""


def _panel(part: pd.DataFrame, row: Mapping[Any, Any], most: int | None) -> Panel:
    import pandas as pd

    scores = pd.to_numeric(part["score"])
    finite = np.isfinite(scores.to_numpy(dtype=float))
    everything, part = part.assign(score=scores), part.assign(score=scores)[finite]
    lower_better, label_lower_better = (bool(part[c].any()) for c in ("lower_better", "label_lower_better"))
    line = np.linspace(float(part["score"].min()), float(part["score"].max()), 100)
    fit = Fit(kind=row["fit"]["kind"], params=tuple(row["fit"]["params"]), converged=row["fit"]["converged"])
    drawn = part
    if most is not None and len(part) > most:
        # Drawn from all rows, also the failed ones, so that all metrics show the same images as far as they have them.
        order = np.random.default_rng(0).permutation(len(everything))
        drawn = everything.iloc[np.sort(order[finite[order]][:most])]
    kinds = drawn.get("type", drawn["metric"].map(lambda _: "")).map(lambda v: "" if pd.isna(v) else str(v))
    return Panel(
        dataset=row["dataset"],
        metric=row["metric"],
        lower_better=lower_better,
        label_lower_better=label_lower_better,
        label_name=_label_name(part),
        srcc=row["srcc"],
        plcc=row["plcc"],
        n=len(part),
        points={
            kind: (drawn["score"][kinds == kind].to_numpy(float), drawn["label"][kinds == kind].to_numpy(float))
            for kind in sorted(set(kinds))
        },
        curve=(
            line,
            predict_label(
                fit,
                line,
                lower_better=lower_better,
                label_lower_better=label_lower_better,
                label_range=tuple(row["fit"]["label_range"]),
            ),
        ),
        rows=drawn.index.to_numpy(dtype=np.int64),
    )
