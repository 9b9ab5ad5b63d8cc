"""Several causal effect maps side by side: the statistics of Table I, and networks x images as pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from causaliqa.effects.effect_map import EffectMap
from causaliqa.effects.plot import draw_attribution, draw_map, draw_pie
from causaliqa.report.table import rows_csv
from causaliqa.utils.figures import data_url
from causaliqa.utils.measures import unit_of
from causaliqa.utils.text import latex, markdown, one_line, text_table, without_folders

if TYPE_CHECKING:
    import pandas as pd

    from causaliqa.effects.lam import Attribution

__all__ = ["Gallery", "GalleryRow", "gallery", "render", "statistics"]

_COLUMNS = {
    "positive_percent": "positive %",
    "negative_percent": "negative %",
    "none_percent": "none %",
    "min": "min",
    "max": "max",
    "base": "region",
    "inferences": "inferences",
}


def _names(name: str, made: EffectMap) -> tuple[str, str, str]:
    """Return network, task and image of a map; its folder where it does not say."""
    facts = made.facts
    found = without_folders(str(facts.get("restorer", name))), facts.get("task", ""), facts.get("image", name)
    # Frames hold valid text only; names of files may not be.
    restorer, task, image = (one_line(str(text)) for text in found)
    return restorer, task, image


def statistics(maps: Mapping[str, EffectMap], *, counting: str = "paper") -> pd.DataFrame:
    """Return one row a map, and a row ``mean`` for every network and task with more than one image.

    Args:
        maps: maps by folder.
        counting: how patches of the region are counted; see :meth:`EffectMap.summary`.

    Returns:
        Columns ``restorer``, ``task``, ``image`` and the statistics of Table I, in percent and in the unit of the
        measure: ``min dB``, ``max dB``, ``region dB`` of PSNR. Other measures have no unit; a column ``measure`` then
        names them.
    """
    import pandas as pd

    rows = []
    for name, made in maps.items():
        restorer, task, image = _names(name, made)
        summary = made.summary(counting)
        values = {label: summary.get(key, np.nan) for key, label in _COLUMNS.items()}
        rows.append({"restorer": restorer, "task": task, "image": image, "measure": made.measure, **values})
    frame = pd.DataFrame(rows)
    means = []
    for (which, kind, measure), group in frame.groupby(["restorer", "task", "measure"], sort=False):
        if len(group) > 1:
            mean = group[list(_COLUMNS.values())].mean()
            means.append({"restorer": which, "task": kind, "image": "mean", "measure": measure, **mean})
    frame = pd.concat([frame, pd.DataFrame(means)], ignore_index=True) if means else frame
    if {made.unit for made in maps.values()} != {"dB"}:
        return frame
    return frame.drop(columns="measure").rename(columns={c: f"{c} dB" for c in ("min", "max", "region")})


def render(frame: pd.DataFrame, mode: str) -> str:
    """Render a table; ``mode`` is ``plain``, ``github``, ``csv``, ``json``, ``latex`` or ``html``."""
    if mode == "csv":
        return rows_csv(frame)
    if mode == "json":
        return str(frame.to_json(orient="records", indent=2))
    # tabulate escapes HTML by itself, and LaTeX in part.
    escape = {"github": markdown, "latex": latex}.get(mode, one_line)
    cells = [
        [escape(v) if isinstance(v, str) else _number(str(c), v) for c, v in zip(frame, row, strict=True)]
        for row in frame.itertuples(index=False)
    ]
    align = ["left" if frame[c].map(lambda v: isinstance(v, str)).all() else "right" for c in frame]
    style = "latex_raw" if mode == "latex" else mode
    return text_table(cells, headers=[escape(str(c)) for c in frame], style=style, align=align)


def _number(column: str, value: float) -> str:
    """Return a number of a column: percent and dB with two decimals, other measures with four significant digits."""
    if np.isnan(value):
        return ""
    if column == "inferences":
        return f"{value:.0f}" if float(value).is_integer() else f"{value:.2f}"
    return f"{value:.2f}" if column.endswith(("%", "dB")) else f"{value:.4g}"


@dataclass(frozen=True, kw_only=True)
class GalleryRow:
    """The maps of one network."""

    restorer: str
    task: str
    cells: tuple[tuple[str, ...], ...]
    """Pictures as ``data:`` addresses, for every image of the gallery: map, shares and attribution, or nothing."""


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """What a page shows of maps: networks in rows, images in columns, then the table."""

    bounds: str
    """Effect at which the colour maps of all pictures of a measure saturate, as text with its unit."""
    images: tuple[str, ...]
    rows: tuple[GalleryRow, ...]
    columns: tuple[str, ...]
    """Headings of the statistics."""
    statistics: tuple[tuple[Any, ...], ...]
    overview: str = ""
    """Picture of all networks as a ``data:`` address, above their maps."""

    @staticmethod
    def printed(column: str, value: float) -> str:
        """Return a number of the statistics as text; nothing where it is unknown."""
        return _number(column, value)


def gallery(
    maps: Mapping[str, EffectMap],
    frame: pd.DataFrame,
    *,
    bound: float | None = None,
    attributions: Mapping[str, Attribution] | None = None,
) -> Gallery:
    """Return the pictures and statistics of maps for :func:`causaliqa.report.page.page`.

    Args:
        maps: maps by folder.
        frame: their :func:`statistics`.
        bound: effect, in the unit of the measure, at which the colour maps of all pictures saturate; None for the
            largest of all maps of the same measure.
        attributions: local attribution maps by the folders of ``maps``, shown below them.
    """
    bounds: dict[str, float] = {}
    for made in maps.values():
        bounds[made.measure] = max(bounds.get(made.measure, 0.0), made.bound) if bound is None else bound
    cells: dict[tuple[str, str], dict[str, tuple[str, ...]]] = {}
    for name, made in maps.items():
        restorer, task, image = _names(name, made)
        drawn: tuple[str, ...] = (data_url(draw_map(made, bound=bounds[made.measure])), data_url(draw_pie(made)))
        if attributions and name in attributions:
            drawn = (*drawn, data_url(draw_attribution(attributions[name])))
        cells.setdefault((restorer, task), {})[f"{image} {made.roi}"] = drawn
    images = tuple(dict.fromkeys(image for row in cells.values() for image in row))
    return Gallery(
        bounds=", ".join(f"{end:.3g} {unit_of(name) or f'of {name}'}" for name, end in bounds.items()),
        images=images,
        rows=tuple(
            GalleryRow(restorer=restorer, task=task, cells=tuple(row.get(image, ()) for image in images))
            for (restorer, task), row in cells.items()
        ),
        columns=tuple(map(str, frame.columns)),
        statistics=tuple(tuple(row) for row in frame.itertuples(index=False)),
    )
