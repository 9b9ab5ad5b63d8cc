"""``causaliqa video DIST REF --metric NAME``."""

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
        "video",
        "Score a video frame by frame: pooled scores, a csv of all frames, a plot over time.",
        examples=(
            "video encoded.mp4 original.mkv --metric psnr --metric ssim --figure frames.pdf --out frames.csv",
            "video restored/ truth/ --metric calibrated_effnet_lite0 --store scores.sqlite",
        ),
        run=run,
    )
    command.add_argument(
        "dist", metavar="DIST", type=Path,
        help="folder of frames, in the order of the numbers in their names, or a file (needs `pip install "
        "'causaliqa[video]'`)",
    )  # fmt: skip
    command.add_argument(
        "ref", metavar="REF", type=Path, nargs="?",
        help="reference, as many frames at the same rate; not needed for metrics without a reference",
    )  # fmt: skip
    _options.add_metrics(command)
    _options.add_store(command)
    _options.add_device(command)
    _options.add_seed(command, "metrics that take one")
    _options.add_preparation(command.add_argument_group("what is done to the frames before"), hdr=False)
    result = command.add_argument_group("what comes out")
    _options.add_tables_out(result)
    result.add_argument("--figure", metavar="FILE.png|pdf|svg", type=_options.out_file, help="draw scores over time")


def run(args: argparse.Namespace) -> int:
    """Score, pool and print; exit 1 if a score could not be computed."""
    from causaliqa.report.formats import format_of
    from causaliqa.report.video import video

    form = format_of(args.out, args.format)
    _common.check_picture("--figure", args.figure)
    made = video(
        args.metrics,
        args.dist,
        args.ref,
        store=args.store,
        **_common.scoring(args),
    )
    if made.scores.stored:
        _common.said(f"{made.scores.stored} scores were in {args.store} already")
    code = _common.publish(made, form, args.out)
    if args.figure is not None:
        _common.wrote(made.figure(args.figure))
    return code
