"""The table of a grid of causal effect maps: a row a network, means over images with intervals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from causaliqa.effects.bench import BenchCell, CellResult
from causaliqa.effects.names import label_of
from causaliqa.functional.resampled import DRAWS, FEWEST, resampled_interval
from causaliqa.report import map_table
from causaliqa.utils.measures import unit_of
from causaliqa.utils.text import one_line

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BESIDE", "METHOD", "VALUES", "cell_rows", "render", "statistics"]

VALUES = {
    "positive_percent": "positive %",
    "negative_percent": "negative %",
    "none_percent": "none %",
    "min": "min",
    "max": "max",
    "base": "region",
}
"""Statistics of a map, and what tables call them; those of PSNR get the unit dB."""

BESIDE = ("DI", "LAM r")
"""Of local attribution: its diffusion index, and its rank correlation with the absolute effects."""

METHOD = (
    f"95 % intervals over images: expanded percentile bootstrap of the mean, {DRAWS:,} draws; the regions of an image "
    f"are averaged first, and below {FEWEST} images there is no interval"
)
"""How intervals are made, in one sentence."""

_NAMES = ("network", "task", "year", "measure")


def cell_rows(cells: Iterable[tuple[BenchCell, CellResult]], *, counting: str = "paper") -> pd.DataFrame:
    """Return one row a map.

    Args:
        cells: the maps that were made.
        counting: of patches in the region; see :meth:`causaliqa.EffectMap.summary`.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for cell, result in cells:
        made, run = result.effects, cell.run
        summary = made.summary(counting)
        names = {
            "network": one_line(cell.network.label),
            "task": one_line(run.network.task or label_of(run.settings.degradation)),
            "year": cell.network.year,
            "measure": made.measure,
            "image": one_line(cell.unit.name),
            "roi": str(made.roi),
        }
        values = {name: summary[key] for key, name in VALUES.items()}
        rows.append(
            {**names, **values, **_beside(result), "inferences": summary["inferences"], "seconds": summary["seconds"]}
        )
    return pd.DataFrame(rows).astype({"year": "Int64"}) if rows else pd.DataFrame()


def _beside(result: CellResult) -> dict[str, float]:
    """Return the diffusion index, and the agreement of both maps in shape; NaN without local attribution."""
    from causaliqa.effects.rival_maps import shape_agreement

    if result.attribution is None:
        return dict.fromkeys(BESIDE, float("nan"))
    found = result.attribution.diffusion_index, shape_agreement(result.effects, result.attribution)
    return dict(zip(BESIDE, found, strict=True))


def statistics(cells: pd.DataFrame) -> pd.DataFrame:
    """Return one row a network and task: means over images, with the ends of their intervals.

    Args:
        cells: what :func:`cell_rows` returns.

    Returns:
        Columns ``network``, ``task``, ``year``, ``images``, and for every statistic of Table I, and those of
        :data:`BESIDE` where there is local attribution, its mean and the columns ``NAME low`` and ``NAME high``, NaN
        without an interval; ``measure``, too, if it is not PSNR alone.
    """
    import pandas as pd

    if not len(cells):
        return pd.DataFrame()
    values = [*VALUES.values(), *(name for name in BESIDE if cells[name].notna().any())]
    rows = []
    for names, group in cells.groupby(list(_NAMES), sort=False, dropna=False):
        images = group.groupby("image", sort=False)[values].mean()
        row: dict[str, Any] = {**dict(zip(_NAMES, names, strict=True)), "images": len(images)}
        for name in values:
            row[name] = float(images[name].mean())
            row[f"{name} low"], row[f"{name} high"] = resampled_interval(images[name])
        rows.append(row)
    frame = pd.DataFrame(rows).astype({"year": "Int64"})
    if {unit_of(name) for name in frame["measure"]} != {"dB"}:
        return frame
    plain = {"min": "min dB", "max": "max dB", "region": "region dB"}
    renamed = {f"{c}{end}": f"{new}{end}" for c, new in plain.items() for end in ("", " low", " high")}
    return frame.drop(columns="measure").rename(columns=renamed)


def compact(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the table for readers: a mean and its interval in one cell, ``31.07 [25.10, 36.90]``."""
    shown: dict[str, list[Any]] = {}
    for column in map(str, frame.columns):
        if column.endswith((" low", " high")):
            continue
        if f"{column} low" not in frame:
            shown[column] = ["" if _missing(v) else str(v) for v in frame[column]]
            continue
        form = ".2f" if column.endswith(("%", "dB", *BESIDE)) else ".4g"
        ends = zip(frame[column], frame[f"{column} low"], frame[f"{column} high"], strict=True)
        shown[column] = [_with_interval(*values, form) for values in ends]
    import pandas as pd

    found = pd.DataFrame(shown)
    return found.drop(columns="year") if "year" in found and not any(found["year"]) else found


def _with_interval(mean: float, low: float, high: float, form: str) -> str:
    if np.isnan(mean):
        return ""
    return f"{mean:{form}}" + ("" if np.isnan(low) else f" [{low:{form}}, {high:{form}}]")


def _missing(value: Any) -> bool:
    return str(value) in ("None", "nan", "<NA>")


def render(frame: pd.DataFrame, mode: str) -> str:
    """Render a table of :func:`statistics` as ``plain``, ``github``, ``latex``, ``csv`` or ``json``.

    Means and ends of intervals are columns of their own in the last two.
    """
    return map_table.render(frame if mode in ("csv", "json") else compact(frame), mode)
