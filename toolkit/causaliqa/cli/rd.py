"""``causaliqa rd POINTS.csv --metric NAME``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from causaliqa.cli import _common, _options

__all__ = ["add", "run"]


def add(commands: Any) -> None:
    """Add the command."""
    from causaliqa.functional.interpolations import INTERPOLATIONS

    command = _options.add_command(
        commands,
        "rd",
        "Compare encoders at several rates: BD-rate with intervals, convex hull, the lowest rate that holds a quality.",
        examples=(
            "rd points.csv --metric psnr --metric ssim --anchor x264 --hold psnr=38 --figure curves.pdf",
            "rd points.csv --metric vmaf:lower_better=false --interpolation pchip --out page.html",
        ),
        run=run,
    )
    command.add_argument(
        "points", metavar="POINTS.csv", type=Path,
        help="columns encoder, content, rate, and dist and ref (images, relative to the file), or a column of scores "
        "for every metric",
    )  # fmt: skip
    _options.add_metrics(
        command, "metric; NAME:lower_better=true or false for a column that no metric here has; repeatable"
    )
    command.add_argument("--anchor", metavar="ENCODER", help="encoder to compare with (default: the first)")
    command.add_argument("--hold", action="append", default=[], metavar="METRIC=VALUE", help="quality; repeatable")
    command.add_argument("--interpolation", choices=INTERPOLATIONS, default="akima", help="of the curves")
    _options.add_device(command)
    _options.add_seed(command, "metrics that take one")
    _options.add_store(command)
    _options.add_preparation(command.add_argument_group("what is done to the images before"))
    result = command.add_argument_group("what comes out")
    _options.add_tables_out(result)
    result.add_argument("--figure", metavar="FILE.png|pdf|svg", type=_options.out_file, help="draw quality over rate")
    result.add_argument("--rate-label", metavar="TEXT", default="rate", help="name of the rate in figures")


def run(args: argparse.Namespace) -> int:
    """Score, compare and print; exit 1 if a score could not be computed."""
    from causaliqa.report.encoders import compare_encoders
    from causaliqa.report.formats import format_of

    form = format_of(args.out, args.format)
    _common.check_picture("--figure", args.figure)
    made = compare_encoders(
        args.points,
        args.metrics,
        anchor=args.anchor,
        hold=args.hold,
        interpolation=args.interpolation,
        rate=args.rate_label,
        store=args.store,
        **_common.scoring(args),
    )
    code = _common.publish(made, form, args.out)
    if args.figure is not None:
        _common.wrote(made.figure(args.figure))
    return code
