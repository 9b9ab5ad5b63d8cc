"""``causaliqa score METRIC IMG [REF]``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.cli import _common, _options

if TYPE_CHECKING:
    from causaliqa.catalog.catalog import Catalog
    from causaliqa.evaluation.file_scores import Limit, Scores

__all__ = ["add", "run"]


def add(commands: Any) -> None:
    """Add the command."""
    command = _options.add_command(
        commands,
        "score",
        "Score an image, or every image of a folder, by one metric or several.",
        examples=(
            "score causal_effnet_lite0 distorted.png reference.png",
            "score psnr restored/ references/ --metric ssim --metric calibrated_effnet_lite0 --fail-below psnr=30",
        ),
        run=run,
    )
    command.add_argument("metric", metavar="METRIC", help="NAME[:key=value[,key=value]] (`causaliqa list metrics`)")
    command.add_argument("img", metavar="IMG", type=Path, help="image, or a folder")
    command.add_argument(
        "ref",
        metavar="REF",
        type=Path,
        nargs="?",
        help="reference image; or a folder of them, paired by file stem; not needed for metrics without a reference",
    )
    command.add_argument(
        "--metric", action="append", default=[], metavar="NAME", dest="more", help="a further metric; repeatable"
    )
    _options.add_device(command)
    _options.add_seed(command, "metrics that take one")
    _options.add_preparation(command.add_argument_group("what is done to the images before"))
    _add_result(command.add_argument_group("what comes out"))


def _add_result(group: Any) -> None:
    from causaliqa.report.formats import SCORE_FORMATS

    group.add_argument(
        "--format", choices=SCORE_FORMATS, help="how to print (default: that of the suffix of --out, else plain)"
    )
    group.add_argument("--json", action="store_true", help="the same as --format json")
    group.add_argument(
        "--out", metavar="FILE", type=_options.out_file, help="write the scores instead of printing them"
    )
    for side, better in (("below", "higher"), ("above", "lower")):
        group.add_argument(
            f"--fail-{side}",
            action="append",
            default=[],
            metavar="METRIC=VALUE",
            help=f"exit 1 if an image scores {side} VALUE, for metrics of which {better} is better; repeatable",
        )


def run(args: argparse.Namespace) -> int:
    """Score; exit 1 if an image has no partner, is worse than it must be, or if one of several cannot be scored."""
    from causaliqa.evaluation.score import score
    from causaliqa.report.score_table import score_format, scores_text

    form = score_format(args.out, "json" if args.json else args.format)
    metrics = [args.metric, *args.more]
    options = _common.scoring(args)
    limits = _limits(args, options["catalog"], metrics) if args.fail_below or args.fail_above else []
    made = score(metrics, args.img, args.ref, **options)
    short = {limit: limit.failed(made[limit.metric]) for limit in limits}
    _common.write_or_print(scores_text(made, form), args.out)
    only = made[args.metric]
    if form == "plain" and len(made) == 1 and len(only.finished) > 1:
        # What the numbers mean, beside lines that scripts read.
        _common.said(f"{only.summary()}; {only.scale}")
    return _complain(made, short)


def _limits(args: argparse.Namespace, catalog: Catalog, metrics: list[str]) -> list[Limit]:
    from causaliqa.api.specs import MetricSpec
    from causaliqa.catalog.request import parse_request
    from causaliqa.evaluation.file_scores import read_limit

    lower_better = {name: catalog.get(MetricSpec, parse_request(name)[0]).spec.lower_better for name in metrics}
    below = [read_limit(text, lower_better, below=True) for text in args.fail_below]
    return below + [read_limit(text, lower_better, below=False) for text in args.fail_above]


def _complain(made: Mapping[str, Scores], short: Mapping[Limit, list[Any]]) -> int:
    failed = [pair.error for scores in made.values() for pair in scores if pair.score is None]
    unpaired = next(iter(made.values())).unpaired
    for line in (*failed, *(f"no partner for {path}" for path in unpaired)):
        _common.note(line)
    for limit, pairs in short.items():
        for pair in pairs:
            _common.note(f"{limit.metric} of {pair.img}: {pair.score:.6g} is {limit}")
    return 1 if failed or unpaired or any(short.values()) else 0
