"""``causaliqa plugins``."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from causaliqa.cli import _common, _options
from causaliqa.utils.text import text_table

__all__ = ["add", "run"]


def add(commands: Any) -> None:
    """Add the command."""
    command = _options.add_command(
        commands,
        "plugins",
        "Show installed plugins; nothing is imported without --check.",
        examples=("plugins", "plugins --check"),
        run=run,
    )
    command.add_argument("--check", action="store_true", help="load them, show tracebacks, exit 1 on a failure")
    command.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print the state of every plugin."""
    statuses = _common.host(args).statuses(check=args.check)
    rows = [
        {
            "plugin": status.canonical,
            "version": status.version,
            "state": status.state,
            "provides": ", ".join(status.names),
            "error": status.error,
        }
        for status in statuses
    ]
    if args.json:
        print(json.dumps({"schema": 1, "checked": args.check, "plugins": rows}, indent=2))
    else:
        print(text_table(rows) if rows else "no plugins installed")
    for status in statuses:
        if status.trace:
            print(f"\n{status.canonical}:\n{status.trace}", file=sys.stderr)
    return 1 if any(status.state in ("failed", "conflict") for status in statuses) else 0
