"""Several causal effect maps side by side: the statistics of Table I, and networks x images as one page."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from causaliqa.effects.effect_map import EffectMap
from causaliqa.report.cem import draw_map, draw_pie

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["page", "render", "statistics"]

_COLUMNS = {
    "positive_percent": "positive %",
    "negative_percent": "negative %",
    "none_percent": "none %",
    "min": "min dB",
    "max": "max dB",
    "base": "region dB",
    "inferences": "inferences",
}


def _names(name: str, made: EffectMap) -> tuple[str, str, str]:
    """Return network, task and image of a map; its folder where it does not say."""
    facts = made.facts
    return str(facts.get("restorer", name)), str(facts.get("task", "")), str(facts.get("image", name))


def statistics(maps: Mapping[str, EffectMap], *, counting: str = "paper") -> pd.DataFrame:
    """Return one row a map, and a row ``mean`` for every network and task with more than one image.

    Args:
        maps: maps by folder.
        counting: how patches of the region are counted; see :meth:`EffectMap.summary`.

    Returns:
        Columns ``restorer``, ``task``, ``image`` and the statistics of Table I, in percent and dB.
    """
    import pandas as pd

    rows = []
    for name, made in maps.items():
        restorer, task, image = _names(name, made)
        summary = made.summary(counting)
        values = {label: summary.get(key, np.nan) for key, label in _COLUMNS.items()}
        rows.append({"restorer": restorer, "task": task, "image": image, **values})
    frame = pd.DataFrame(rows)
    means = []
    for (which, kind), group in frame.groupby(["restorer", "task"], sort=False):
        if len(group) > 1:
            mean = group[list(_COLUMNS.values())].mean()
            means.append({"restorer": which, "task": kind, "image": "mean", **mean})
    return pd.concat([frame, pd.DataFrame(means)], ignore_index=True) if means else frame


def render(frame: pd.DataFrame, how: str) -> str:
    """Render a table as ``plain``, ``github``, ``csv``, ``json``, ``latex`` or ``html``."""
    if how == "csv":
        return str(frame.to_csv(index=False)).rstrip("\n")
    if how == "json":
        return str(frame.to_json(orient="records", indent=2))
    from tabulate import tabulate

    return str(tabulate(frame.to_dict("list"), headers="keys", tablefmt=how, floatfmt=".2f"))


def _picture(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=90, format="png")
    return f'<img src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}" alt="">'


def page(maps: Mapping[str, EffectMap], frame: pd.DataFrame, *, bound: float | None = None) -> str:
    """Return one self-contained HTML page: networks in rows, images in columns, then the table.

    Args:
        maps: maps by folder.
        frame: their statistics.
        bound: effect in dB at which colours are full, for all pictures alike; None for the largest of all.
    """
    if bound is None:
        bound = max(max(float(np.nanmax(np.abs(m.effect), initial=0.0)), m.tolerance) for m in maps.values())
    cells: dict[tuple[str, str], dict[str, str]] = {}
    images: list[str] = []
    for name, made in maps.items():
        restorer, task, image = _names(name, made)
        column = f"{image} {made.roi}"
        if column not in images:
            images.append(column)
        drawn = _picture(draw_map(made, bound=bound)) + _picture(draw_pie(made))
        cells.setdefault((restorer, task), {})[column] = drawn
    head = "".join(f"<th>{html.escape(image)}</th>" for image in images)
    body = "".join(
        f"<tr><th>{html.escape(restorer)}<br><small>{html.escape(task)}</small></th>"
        + "".join(f"<td>{row.get(image, '')}</td>" for image in images)
        + "</tr>"
        for (restorer, task), row in cells.items()
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Causal effect maps</title><style>'
        "body{font:14px/1.4 system-ui,sans-serif;margin:2em}table{border-collapse:collapse;margin-bottom:2em}"
        "td,th{padding:.4em .7em;border-bottom:1px solid #ddd;vertical-align:top;text-align:left}"
        "td img{display:block;width:320px}td img+img{width:190px}</style></head><body>"
        "<h1>Causal effect maps</h1><p>Red patches help the green region, blue ones mislead the network; colours are "
        f"full at {bound:.3g} dB.</p><table><tr><th></th>{head}</tr>{body}</table>{render(frame, 'html')}</body></html>"
    )
