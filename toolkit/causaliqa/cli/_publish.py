"""What commands with a leaderboard share: where it comes from, and writing it in the format that was asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.api.errors import InputError
from causaliqa.api.specs import DatasetSpec, MetricSpec
from causaliqa.cli import _common
from causaliqa.utils.versions import versions

if TYPE_CHECKING:
    import pandas as pd

    from causaliqa.api.errors import CausaliqaError
    from causaliqa.api.protocols import Metric
    from causaliqa.catalog.catalog import Catalog
    from causaliqa.report.provenance import Provenance

__all__ = ["FORMATS", "check_picture", "provenance", "write"]

FORMATS = ("plain", "github", "csv", "json", "latex", "html")


def check_picture(option: str, path: Path | None) -> None:
    """Refuse a picture that cannot be written before hours of scoring, not after.

    Raises:
        InputError: its suffix names no kind of picture.
    """
    from causaliqa.utils.figures import SUFFIXES

    if path is not None and path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{option} {path}: expected a name that ends in one of {', '.join(SUFFIXES)}")


def provenance(
    catalog: Catalog,
    requests: Mapping[str, str],
    built: Mapping[str, Metric | CausaliqaError],
    table: pd.DataFrame,
    *,
    settings: Mapping[str, Any],
    seed: int,
    given: Mapping[str, bool] | None = None,
    data: Sequence[str] = (),
) -> Provenance:
    """Return where a leaderboard comes from.

    Args:
        names: the catalogue.
        requests: what was asked for, by the name that the table shows.
        built: metrics by the same names, or why there is none.
        table: the leaderboard.
        settings: what the run was asked for, for the reader.
        seed: seed of the metrics.
        given: metrics whose scores come from elsewhere, and whether a lower one is better.
        data: data sets as they were asked for; ``NAME=ROOT`` may be a plugin's.
    """
    from causaliqa.catalog.request import parse_request
    from causaliqa.evaluation.rank import DRAWS
    from causaliqa.report.provenance import (
        PYIQA_NOTE,
        MetricFacts,
        Provenance,
        cluster_notes,
        metric_facts,
        plugin_versions,
    )

    records = {label: catalog.get(MetricSpec, parse_request(request)[0]) for label, request in requests.items()}
    loaders = [
        catalog.registrations(DatasetSpec).get(item.partition("=")[0]) for item in data if not Path(item).exists()
    ]
    elsewhere = [
        MetricFacts(name=name, lower_better=lower_better, provider="scores from elsewhere")
        for name, lower_better in (given or {}).items()
    ]
    return Provenance(
        versions=versions(),
        plugins=plugin_versions([*records.values(), *filter(None, loaders)]),
        metrics=(*(metric_facts(label, built[label], record) for label, record in records.items()), *elsewhere),
        settings=settings,
        seed=seed,
        draws=DRAWS,
        notes=(PYIQA_NOTE, *cluster_notes(table)),
    )


def write(frame: pd.DataFrame, table: pd.DataFrame, facts: Provenance, how: str, out: Path | None) -> None:
    """Print a leaderboard, or write it to a file; beside a csv file goes ``FILE.csv.json`` with where it comes from.

    Raises:
        OutputError: the file cannot be written.
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
