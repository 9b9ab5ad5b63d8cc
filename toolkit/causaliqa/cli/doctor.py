"""``causaliqa doctor [COMMAND ...]``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from causaliqa.api.errors import CausaliqaError
from causaliqa.cli import _common, _options

if TYPE_CHECKING:
    from causaliqa.api.data import NeededFile
    from causaliqa.catalog.catalog import Catalog

__all__ = ["add", "run"]


def add(commands: Any) -> None:
    """Add the command."""
    command = _options.add_command(
        commands,
        "doctor",
        "Show what is installed, what is broken, and which downloads a command would need.",
        examples=("doctor", "doctor leaderboard --data manifest.csv --preset table1"),
        run=run,
    )
    command.epilog = "Options of doctor come before COMMAND: causaliqa doctor --json leaderboard --preset table1 ..."
    command.add_argument("--json", action="store_true", help="print JSON")
    command.add_argument(
        "--out", metavar="FILE", type=_options.out_file, help="write a report for an issue, without your name in it"
    )
    command.add_argument(
        "request", metavar="COMMAND ...", nargs=argparse.REMAINDER, help="a whole command line; it is not carried out"
    )


def run(args: argparse.Namespace) -> int:
    """Print what was found; exit 1 if anything is broken."""
    from causaliqa.report.doctor import diagnose
    from causaliqa.report.doctor_checks import anonymous

    catalog: Catalog | CausaliqaError
    needs: list[NeededFile] | None = None
    try:
        catalog = _common.catalog(args)
    except CausaliqaError as error:
        catalog = error
    else:
        # A misspelt command should not wait for the probes.
        needs = list(_needs(catalog, args.request)) if args.request else None
    found = diagnose(catalog, command=args.request, needs=needs)
    text = json.dumps(found.document(), indent=2, default=str) if args.json else str(found)
    _common.write_or_print(anonymous(text) if args.out else text, args.out)
    return 1 if found.broken else 0


def _needs(catalog: Catalog, request: list[str]) -> Iterator[NeededFile]:
    """Yield what a command line would load; it is read by the real parser and goes no further."""
    from causaliqa.catalog.needed_weights import metric_needs, restorer_needs
    from causaliqa.catalog.request import parse_request
    from causaliqa.cli import parser

    asked = parser().parse_args(request)
    given = getattr(asked, "metrics", None) or getattr(asked, "metric", None) or []
    metrics: list[str] = list(given) if isinstance(given, list) else [given]
    for preset in filter(None, [getattr(asked, "preset", None), "demo" if asked.command == "demo" else None]):
        metrics += catalog.preset(preset)
    if getattr(asked, "measure", "psnr") != "psnr":
        metrics.append(asked.measure)
    found: dict[NeededFile, None] = {}
    for metric in dict.fromkeys(metrics):
        if "lower_better" not in parse_request(metric)[1]:  # else its scores come from a file
            found.update(dict.fromkeys(metric_needs(catalog, metric)))
    if restorer := getattr(asked, "network", None):
        found.update(dict.fromkeys(restorer_needs(catalog, restorer, asked.checkpoint)))
    yield from found
