"""``causaliqa score METRIC IMG REF``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from causaliqa.cli import _common, _options
from causaliqa.utils.text import one_line

__all__ = ["add", "run"]


def add(commands: Any) -> None:
    """Add the command."""
    command = _options.add_command(
        commands,
        "score",
        "Score an image against its reference, or two folders of them.",
        examples=(
            "score causal_effnet_lite0 distorted.png reference.png",
            "score causal_vgg:terms=md,weights=vgg16.pth distorted/ references/ --json",
        ),
        run=run,
    )
    command.add_argument("metric", metavar="METRIC", help="NAME[:key=value[,key=value]] (`causaliqa list metrics`)")
    command.add_argument("img", metavar="IMG", type=Path, help="distorted image, or a folder")
    command.add_argument("ref", metavar="REF", type=Path, help="reference image, or a folder; paired by file stem")
    _options.add_device(command)
    _options.add_seed(command, "metrics that take one")
    command.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Score; exit 1 if an image has no partner, or if one of several cannot be scored."""
    from causaliqa.evaluation.score import score
    from causaliqa.utils.versions import versions

    made = score(
        args.metric,
        args.img,
        args.ref,
        device=args.device,
        seed=args.seed,
        progress=not args.quiet,
        catalog=_common.catalog(args),
    )
    if args.json:
        document = {
            "schema": 1,
            "metric": args.metric,
            "lower_better": made.lower_better,
            "seed": args.seed,
            "device": made.device,
            "versions": versions(),
            "scores": [
                {"img": str(pair.img), "ref": str(pair.ref), "score": pair.score}
                | ({"error": pair.error} if pair.error else {})
                for pair in made
            ],
        }
        print(json.dumps(document, indent=2))
    else:
        for pair in (pair for pair in made if pair.score is not None):
            print(f"{pair.score:.6g}" if len(made) == 1 else f"{one_line(str(pair.img))}\t{pair.score:.6g}")
    failed = [pair.error for pair in made if pair.score is None]
    for line in (*failed, *(f"no partner for {path}" for path in made.unpaired)):
        _common.note(line)
    return 1 if failed or made.unpaired else 0
