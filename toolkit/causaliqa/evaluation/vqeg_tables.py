"""The table of VQEG's measures: what differences of a metric's scores are worth, and errors after P.1401's cubic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray

from causaliqa.evaluation.groups import Group
from causaliqa.evaluation.side_table import SideTable, table_name
from causaliqa.functional.p1401 import ceiling, confidence_95, errors_p1401
from causaliqa.functional.vqeg import areas, resolving_power

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MOST_PAIRS", "vqeg_table"]

Array = NDArray[np.float64]

MOST_PAIRS = 100_000
"""Beyond so many pairs of images, random ones stand for all: a board of 50 metrics stays below half a minute."""
_NORMAL = 1.96
"""Half of a 95 % confidence interval in standard errors. Source: P.1401, 7.4."""


def vqeg_table(group: Group, *, subjects: int | None = None, most_pairs: int = MOST_PAIRS) -> SideTable:
    """Return VQEG's measures of every metric; those that need deviations of the labels only where these are known.

    Args:
        group: one data set.
        subjects: subjects behind every label, whose standard deviation the deviations of the labels then are; by
            default these are taken as standard errors of the labels.
        most_pairs: pairs of images that are looked at.
    """
    dataset = str(group.names["dataset"])
    columns: dict[str, Any] = {"metric": list(group.metrics)}
    if group.label_std is not None:
        columns |= _differences(group, group.label_std, subjects or 1, most_pairs)
    half = np.full(len(group.labels), np.nan)
    if group.label_std is not None:
        half = confidence_95(group.label_std, subjects) if subjects else _NORMAL * group.label_std
    errors = [errors_p1401(_unit(row[ok]), group.labels[ok], half[ok]) for row, ok in _scored(group)]
    columns["rmse"] = [found.rmse for found in errors]
    if np.isfinite(half).any():
        columns["rmse_star"] = [found.rmse_star for found in errors]
        columns["outlier_ratio"] = [found.outlier_ratio for found in errors]
    return SideTable(
        name=table_name("vqeg", dataset),
        title=f"VQEG's measures on {dataset}",
        note=_note(group, subjects, most_pairs),
        frame=_frame(columns, group),
    )


def _scored(group: Group) -> list[tuple[Array, NDArray[np.bool_]]]:
    """Return the scores of every metric, and which images it scored."""
    return [(row, np.isfinite(row)) for row in group.scores]


def _unit(scores: Array) -> Array:
    """Return scores on [0, 1], where the cubic is computed without loss."""
    width = np.ptp(scores) if len(scores) else 0.0
    return np.asarray((scores - scores.min()) / width) if width else scores * 0.0


def _differences(group: Group, spread: Array, subjects: int, most_pairs: int) -> dict[str, Array]:
    """Return Krasula's areas and the resolving power; metrics that scored the same images share the pairs."""
    out = {name: np.full(len(group.metrics), np.nan) for name in ("different_similar", "better_worse", "correct")}
    out["resolving_power"] = np.full(len(group.metrics), np.nan)
    masks = np.isfinite(group.scores) & np.isfinite(spread)
    kinds, which = np.unique(masks, axis=0, return_inverse=True)
    for number, keep in enumerate(kinds):
        own = np.flatnonzero(which.ravel() == number)
        if keep.sum() < 2:
            continue
        scores, labels = group.scores[own][:, keep], group.labels[keep]
        settings: dict[str, Any] = {"most_pairs": most_pairs, "seed": group.seed, "threads": 2}
        found = areas(scores, labels, spread[keep], subjects, **settings)
        for name, values in out.items():
            if name != "resolving_power":
                values[own] = getattr(found, name)
        predicted = np.array([Polynomial(errors_p1401(u, labels).coefficients)(u) for u in map(_unit, scores)])
        out["resolving_power"][own] = resolving_power(predicted, labels, spread[keep], subjects, **settings)
    return out


def _note(group: Group, subjects: int | None, most_pairs: int) -> str:
    cubic = (
        "RMSE (n - 4 in the denominator, in the unit of the labels, lower is better) after a cubic that is monotonic "
        "over the scores (ITU-T P.1401, 7.5.1)"
    )
    if group.label_std is None:
        return (
            f"{cubic}. Krasula's areas, resolving power, outlier ratio, RMSE* and the highest possible correlation "
            "need deviations of the labels, which are not known here."
        )
    best = ceiling(group.labels, group.label_std, subjects or 1, seed=group.seed)
    pairs = len(group.labels) * (len(group.labels) - 1) // 2
    some = f" on {most_pairs:,} of {pairs:,} pairs, drawn at random" if pairs > most_pairs else ""
    meant = f"the standard deviation between {subjects} subjects" if subjects else "the standard error of the label"
    return (
        "Krasula's areas (QoMEX 2016; higher is better): telling different from similar pairs, the better from the "
        f"worse, and the share of different pairs in the right order{some}; pairs differ where |z| > 2. Resolving "
        "power (ITU-T J.149; lower is better): the difference of predicted labels that subjects see with 95 % "
        f"probability. {cubic}; RMSE* counts what errors exceed the 95 % confidence interval of the label by, the "
        f"outlier ratio how many do (7.5.2.2, 7.7). The deviation of a label is taken as {meant}. Noise of the labels "
        f"allows PLCC {best.plcc:.3f} and SRCC {best.srcc:.3f} at best (Spearman's correction for attenuation)."
    )


def _frame(columns: dict[str, Any], group: Group) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(columns).iloc[group.order].reset_index(drop=True)
