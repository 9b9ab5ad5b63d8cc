"""``causaliqa cem-table DIR ...``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from causaliqa.cli import _common, _options
from causaliqa.report.formats import FORMATS, format_of
from causaliqa.utils.text import distinct_names
from causaliqa.utils.versions import versions

__all__ = ["add", "run"]


def add(commands: Any) -> None:
    """Add the command."""
    command = _options.add_command(
        commands,
        "cem-table",
        "Several causal effect maps side by side.",
        examples=("cem-table maps/*/", "cem-table maps/*/ --format latex --html maps.html"),
        run=run,
    )
    command.add_argument("folders", metavar="DIR", nargs="+", type=Path, help="what causaliqa cem wrote")
    command.add_argument(
        "--format", choices=FORMATS, help="how to print the table (default: that of the suffix of --out, else plain)"
    )
    command.add_argument("--counting", choices=("paper", "demo"), default="paper", help="of patches in the region")
    command.add_argument(
        "--bound",
        type=float,
        help="where the colour maps saturate, in the unit of the measure (default: the largest effect of each measure)",
    )
    command.add_argument("--html", metavar="FILE", type=_options.out_file, help="also write a page with the pictures")
    command.add_argument("--out", metavar="FILE", type=_options.out_file, help="write the table instead of printing it")


def run(args: argparse.Namespace) -> int:
    """Print one row a map and, where a network has several images, their mean."""
    from causaliqa.effects.effect_map import EffectMap
    from causaliqa.report.map_table import gallery, render, statistics

    form = format_of(args.out, args.format)
    names = distinct_names(args.folders)
    maps = {name: EffectMap.load(folder) for name, folder in zip(names, args.folders, strict=True)}
    frame = statistics(maps, counting=args.counting)
    _common.write_or_print(render(frame, form), args.out)
    if args.html is not None:
        from causaliqa.report.page import page
        from causaliqa.report.provenance import PYIQA_NOTE, Provenance

        facts = Provenance(versions=versions(), notes=(PYIQA_NOTE,))
        _common.write_or_print(page(None, facts, gallery=gallery(maps, frame, bound=args.bound)), args.html)
    return 0
