"""What commands with a leaderboard share: where it comes from, and writing it in the format that was asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.cli import _common
from causaliqa.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from causaliqa.catalog import Catalog
    from causaliqa.plugins import Record
    from causaliqa.report.provenance import Provenance
    from causaliqa.specs import Metric

__all__ = ["FORMATS", "check_picture", "provenance", "write"]

FORMATS = ("plain", "github", "csv", "json", "latex", "html")


def check_picture(option: str, path: Path | None) -> None:
    """Refuse a picture that cannot be written before hours of scoring, not after.

    Raises:
        InputError: its suffix names no kind of picture.
    """
    from causaliqa.report._figure import SUFFIXES

    if path is not None and path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{option} {path}: expected a name that ends in one of {', '.join(SUFFIXES)}")


def provenance(
    names: Catalog,
    metrics: Mapping[str, Metric],
    requests: Mapping[str, str],
    frame: pd.DataFrame,
    *,
    settings: Mapping[str, Any],
    seed: int,
    datasets: list[Record] | None = None,
) -> Provenance:
    """Return where a leaderboard of metrics that were built here comes from.

    Args:
        names: the catalogue.
        metrics: metrics by the name that the table shows.
        requests: what was asked for, by the name that the table shows.
        frame: rows.
        settings: what the run was asked for.
        seed: seed of the metrics.
        datasets: records of data sets that took part.
    """
    from causaliqa.catalog import parse_request
    from causaliqa.leaderboard import DRAWS
    from causaliqa.report.provenance import PYIQA_NOTE, Provenance, cluster_notes, metric_facts, plugin_versions

    records = {label: names.get("metrics", parse_request(request)[0]) for label, request in requests.items()}
    return Provenance(
        versions=_common.versions(),
        plugins=plugin_versions([*records.values(), *(datasets or [])]),
        metrics=tuple(metric_facts(label, metrics[label], record) for label, record in records.items()),
        settings=settings,
        seed=seed,
        draws=DRAWS,
        notes=(PYIQA_NOTE, *cluster_notes(frame)),
    )


def write(frame: pd.DataFrame, table: pd.DataFrame, facts: Provenance, how: str, out: Path | None) -> None:
    """Print a leaderboard, or write it to a file; beside a csv file goes ``FILE.csv.json`` with where it comes from.

    Raises:
        InputError: the file cannot be written.
    """
    if how == "html":
        from causaliqa.report.page import board, page

        _common.write_or_print(page(board(frame, table), facts), out)
        return
    from causaliqa.report.table import document, render

    _common.write_or_print(render(table, how, facts), out)
    if how == "csv" and out is not None:
        told = {k: v for k, v in document(table, facts).items() if k != "rows"}
        _common.write_or_print(json.dumps(told, indent=2, default=str), out.with_name(f"{out.name}.json"))
