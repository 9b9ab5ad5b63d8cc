"""``causaliqa report STORE|ROWS.csv|DIR ... --out FILE.html``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from causaliqa.api.errors import InputError
from causaliqa.api.specs import MetricSpec
from causaliqa.cli import _common
from causaliqa.utils.versions import versions

__all__ = ["add", "run"]


def add(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser("report", help="one HTML page of scores and effect maps that were made earlier")
    command.add_argument(
        "sources",
        metavar="STORE|ROWS.csv|DIR",
        nargs="+",
        type=Path,
        help="what leaderboard --store or --rows wrote, or a folder of causaliqa cem",
    )
    command.add_argument("--out", metavar="FILE.html", type=_common.out_file, required=True, help="the page")
    command.add_argument("--title", default="", help="heading of the page")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Recompute statistics from rows and write the page; exit 1 if a direction is contradicted."""
    if missing := [path for path in args.sources if not path.exists()]:
        raise InputError(
            f"{missing[0]} does not exist; expected a store, a csv file of rows or a folder of causaliqa cem"
        )
    if repeated := [path for path in args.sources if args.sources.count(path) > 1]:
        raise InputError(f"{repeated[0]} is given twice")

    from causaliqa.effects.effect_map import EffectMap
    from causaliqa.evaluation.rank import DRAWS, rank, wrong_directions
    from causaliqa.report.map_table import gallery, statistics
    from causaliqa.report.merge import is_store, join, read_rows, read_store
    from causaliqa.report.page import board, page
    from causaliqa.report.provenance import PYIQA_NOTE, MetricFacts, Provenance, cluster_notes

    maps = {str(path): EffectMap.load(path) for path in args.sources if path.is_dir()}
    files = [path for path in args.sources if not path.is_dir()]
    records = _common.catalog(args).registrations(MetricSpec) if files else {}
    read = [read_store(path, records) if is_store(path) else read_rows(path) for path in files]
    made, wrong = None, []
    facts: tuple[MetricFacts, ...] = ()
    notes = [PYIQA_NOTE]
    if read:
        rows, facts = join(read)
        table = rank(rows)
        made, wrong = board(rows, table), wrong_directions(table)
        notes += ["scores were computed earlier: the versions are those that made this page", *cluster_notes(table)]
    provenance = Provenance(
        versions=versions(),
        metrics=facts,
        settings={"sources": [str(path) for path in args.sources]},
        seed=None,
        draws=DRAWS if read else 0,
        notes=tuple(notes),
    )
    shown = gallery(maps, statistics(maps)) if maps else None
    _common.write_or_print(page(made, provenance, gallery=shown, title=args.title), args.out)
    for line in wrong:
        _common.note(line)
    return 1 if wrong else 0
