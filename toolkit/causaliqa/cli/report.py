"""``causaliqa report STORE|ROWS.csv|DIR ... --out FILE.html``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from causaliqa.cli import _common, _options

__all__ = ["add", "run"]


def add(commands: Any) -> None:
    """Add the command."""
    command = _options.add_command(
        commands,
        "report",
        "One HTML page of scores and effect maps that were made earlier.",
        examples=("report scores.sqlite map/ --out report.html", "report ours.csv theirs.csv --out report.html"),
        run=run,
    )
    command.add_argument(
        "sources",
        metavar="STORE|ROWS.csv|DIR",
        nargs="+",
        type=Path,
        help="what leaderboard --store or --rows wrote, or a folder of causaliqa cem",
    )
    command.add_argument("--out", metavar="FILE.html", type=_options.out_file, required=True, help="the page")
    _options.add_unseen(command)
    command.add_argument("--title", metavar="TEXT", default="", help="heading of the page")
    _options.add_thumbnails(command)
    command.add_argument(
        "--images",
        action="append",
        default=[],
        metavar="[DATASET=]ROOT",
        help="folder that the names of images in the scores are relative to, for --thumbnails; repeatable",
    )


def run(args: argparse.Namespace) -> int:
    """Recompute statistics from rows and write the page; exit 1 if a direction is contradicted."""
    from causaliqa.catalog.training import origins_of
    from causaliqa.report.combined import combined_page
    from causaliqa.report.formats import format_of

    format_of(args.out if args.out.suffix else None, "html", option="a page, which is")

    with _common.named_as_options():
        part_of = origins_of(args.part_of)
    text, wrong = combined_page(
        args.sources,
        title=args.title,
        unseen=args.unseen,
        part_of=part_of,
        thumbnails=args.thumbnails,
        images=args.images,
        catalog=_common.catalog(args),
    )
    _common.write_or_print(text, args.out)
    for line in wrong:
        _common.note(line)
    return 1 if wrong else 0
