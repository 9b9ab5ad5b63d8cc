"""``causaliqa video DIST REF --metric NAME``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from causaliqa.cli import _common, _options, _signals

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
    command.add_argument(
        "--metric", action="append", required=True, metavar="NAME[:key=value,...]", dest="metrics",
        help="metric (`causaliqa list metrics`); repeatable",
    )  # fmt: skip
    command.add_argument(
        "--store", metavar="FILE", type=_options.out_file,
        help="keep every score there; a run that was stopped goes on from it",
    )  # fmt: skip
    _options.add_device(command)
    _options.add_seed(command, "metrics that take one")
    _options.add_preparation(command.add_argument_group("what is done to the frames before"), hdr=False)
    result = command.add_argument_group("what comes out")
    _options.add_tables_out(result)
    result.add_argument("--figure", metavar="FILE.png|pdf|svg", type=_options.out_file, help="draw scores over time")
    command.set_defaults(kept=_signals.kept_scores)


def run(args: argparse.Namespace) -> int:
    """Score, pool and print; exit 1 if a score could not be computed."""
    from causaliqa.report.formats import format_of
    from causaliqa.report.video import video

    form = format_of(args.out, args.format)
    _common.check_picture("--figure", args.figure)
    with _common.named_as_options():
        prepare = _options.preparation(args)
    made = video(
        args.metrics,
        args.dist,
        args.ref,
        device=args.device,
        seed=args.seed,
        prepare=prepare,
        store=args.store,
        progress=not args.quiet,
        catalog=_common.catalog(args),
    )
    if made.scores.stored:
        _common.said(f"{made.scores.stored} scores were in {args.store} already")
    code = _common.publish(made, form, args.out)
    if args.figure is not None:
        _common.wrote(made.figure(args.figure))
    return code
