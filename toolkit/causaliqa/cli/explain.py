"""``causaliqa explain METRIC IMG [IMG ...] REF --out DIR``."""

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
        "Show which channels and places make a score.",
        examples=(
            "explain calibrated_effnet_lite0 distorted.png reference.png --out why/",
            "explain causal_vgg:weights=vgg16.pth blurred.png noisy.png reference.png --out why/ --figures pdf",
        ),
        run=run,
    )
    command.add_argument("metric", metavar="METRIC", help="a causal or calibrated metric: NAME[:key=value[,key=value]]")
    command.add_argument(
        "imgs", metavar="IMG", type=Path, nargs="+", help="distorted image; several of one reference side by side"
    )
    command.add_argument("ref", metavar="REF", type=Path, help="reference image")
    command.add_argument("--out", metavar="DIR", type=_options.out_folder, required=True, help="folder of the results")
    command.add_argument(
        "--figures", metavar="png|pdf|svg", default="png", help="formats of the figures, several with commas between"
    )
    _options.add_device(command)
    _options.add_seed(command, "the intervention")


def run(args: argparse.Namespace) -> int:
    """Write channels.csv and figures, such as cost_map.png; print their paths."""
    from causaliqa.evaluation.score import explain
    from causaliqa.utils.figures import formats
    from causaliqa.utils.text import distinct_names, without_folders

    formats(args.figures)  # before the work
    catalog = _common.catalog(args)
    from causaliqa.report.explain import write_explanation

    made = [explain(args.metric, i, args.ref, device=args.device, seed=args.seed, catalog=catalog) for i in args.imgs]
    names = distinct_names(args.imgs)
    what = names[0] if len(names) == 1 else f"{len(names)} images of {args.ref.name}"
    title = f"{without_folders(args.metric)}: {what}"
    written = write_explanation(made, args.out, names=names, title=title, figures=args.figures)
    print("\n".join(map(str, written)))
    _common.wrote(*written)
    return 0
