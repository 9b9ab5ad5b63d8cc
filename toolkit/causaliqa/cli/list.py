"""``causaliqa list KIND``."""

from __future__ import annotations

import argparse
import json
from typing import Any

from causaliqa.api.hookspecs import KINDS
from causaliqa.cli import _common

__all__ = ["add", "run"]


def add(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser("list", help="show what can be used by name")
    command.add_argument("kind", choices=KINDS)
    command.add_argument("glob", nargs="?", default="*", metavar="GLOB", help="names that match, as in causal_*")
    command.add_argument(
        "--license", nargs="?", const="any", choices=("any", "permissive"), help="permissive: Apache-2.0, MIT, BSD only"
    )
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print name, provider, licence and one line; no torch is loaded."""
    from causaliqa.utils.licences import is_permissive

    catalog, kind = _common.catalog(args), KINDS[args.kind]
    rows = [
        {
            "name": name,
            "provider": record.provider,
            "licence": record.spec.licence,
            "summary": record.spec.summary,
        }
        for name in catalog.names(kind, args.glob)
        for record in (catalog.registrations(kind)[name],)
    ]
    rows += [
        {
            "name": name,
            "provider": " and ".join(r.provider for r in records),
            "licence": "-",
            "summary": "ambiguous: claimed twice, cannot be used",
        }
        for name, records in catalog.host.ambiguous(kind).items()
    ]
    if args.license == "permissive":
        rows = [row for row in rows if is_permissive(row["licence"])]
    if args.json:
        print(json.dumps({"schema": 1, "kind": args.kind, "items": rows}, indent=2))
        return 0
    from tabulate import tabulate

    print(tabulate(rows, headers="keys") if rows else f"no {args.kind}")
    return 0
