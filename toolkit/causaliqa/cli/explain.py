"""``causaliqa explain METRIC IMG REF --out DIR``."""

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
        "explain",
        "Show which channels and places make a causal score.",
        examples=(
            "explain causal_effnet_lite0 distorted.png reference.png --out why/",
            "explain causal_vgg:weights=vgg16.pth,terms=md distorted.png reference.png --out why/",
        ),
        run=run,
    )
    command.add_argument("metric", metavar="METRIC", help="a causal metric: NAME[:key=value[,key=value]]")
    command.add_argument("img", metavar="IMG", type=Path, help="distorted image")
    command.add_argument("ref", metavar="REF", type=Path, help="reference image")
    command.add_argument("--out", metavar="DIR", type=_options.out_folder, required=True, help="folder of the results")
    _options.add_device(command)
    _options.add_seed(command, "the intervention")


def run(args: argparse.Namespace) -> int:
    """Write channels.csv, strips.png and cost_map.png; print their paths."""
    from causaliqa.evaluation.score import explain
    from causaliqa.report.explain import write_explanation

    catalog = _common.catalog(args)
    made = explain(args.metric, args.img, args.ref, device=args.device, seed=args.seed, catalog=catalog)
    for path in write_explanation(made, args.out, title=f"{args.metric}: {args.img.name}"):
        print(path)
    return 0
