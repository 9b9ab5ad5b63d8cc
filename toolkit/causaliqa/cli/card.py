"""``causaliqa card METRIC [METRIC ...]``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from causaliqa.api.errors import InputError
from causaliqa.cli import _common, _options

__all__ = ["add", "run"]

_TEXTS = (".html", ".json")


def add(commands: Any) -> None:
    """Add the command."""
    command = _options.add_command(
        commands,
        "card",
        "Change photographs in known ways and show what a metric says of it.",
        examples=(
            "card psnr --out psnr.html",
            "card ssim causal_vgg:weights=vgg16.pth --quick --images photographs/ --out both.html --out both.pdf",
        ),
        run=run,
    )
    command.add_argument(
        "metrics",
        metavar="METRIC",
        nargs="+",
        help="NAME[:key=value[,key=value]] (`causaliqa list metrics`); several are compared on one page",
    )
    command.add_argument(
        "--out",
        metavar="FILE",
        type=_options.out_file,
        action="append",
        default=[],
        help="file to write, again for more: .html a page, .json the numbers, .pdf, .png or .svg the panels; "
        "without one the JSON is printed",
    )
    command.add_argument(
        "--images",
        metavar="PATH",
        action="append",
        type=Path,
        default=[],
        help="a photograph or a folder of them, again for more photographs; by default four that come with packages",
    )
    command.add_argument("--quick", action="store_true", help="two smaller photographs, 25 steps of descent")
    command.add_argument(
        "--strict", action="store_true", help="exit with 1 if an order is wrong, so that scripts can tell"
    )
    _options.add_device(command)
    _options.add_seed(command, "the distortions, and of metrics that take one")


def run(args: argparse.Namespace) -> int:
    """Measure and write; flags go to stderr. Exit 1 only with ``--strict``, if an order is wrong."""
    for out in args.out:
        _check_suffix(out)
    from causaliqa.report.card import cards

    given = args.images[0] if len(args.images) == 1 else args.images or None
    made = cards(
        args.metrics,
        images=given,
        quick=args.quick,
        seed=args.seed,
        device=args.device,
        progress=not args.quiet,
        catalog=_common.catalog(args),
    )
    for out in args.out:
        write = {".html": made.to_html, ".json": made.to_json}.get(out.suffix.lower(), made.figure)
        write(out)
    if args.out:
        _common.wrote(*args.out)
    else:
        _common.write_or_print(made.to_json(), None)
    for one in made.cards:
        for flag in one.flags:
            _common.note(f"{one.name}: {flag.text}")
    return 1 if args.strict and not made.order_ok else 0


def _check_suffix(out: Path) -> None:
    from causaliqa.utils.figures import SUFFIXES

    if out.suffix.lower() not in (*_TEXTS, *SUFFIXES):
        known = ", ".join((*_TEXTS, *SUFFIXES))
        raise InputError(f"--out {out}: expected a name that ends in one of {known}")
