"""``causaliqa store check|recover FILE``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from causaliqa.api.errors import InputError
from causaliqa.cli import _options

__all__ = ["add", "run"]


def add(commands: Any) -> None:
    """Add the command."""
    command = _options.add_command(
        commands,
        "store",
        "Check a score store, or take the sound rows out of a damaged one.",
        examples=("store check scores.sqlite", "store recover scores.sqlite --out sound.sqlite"),
        run=run,
    )
    command.add_argument("action", choices=("check", "recover"))
    command.add_argument("file", metavar="FILE", type=Path, help="what leaderboard --store wrote; it is not changed")
    command.add_argument("--out", metavar="NEW", type=_options.out_file, help="the new store of recover")


def run(args: argparse.Namespace) -> int:
    """Print what the store holds, or how much was recovered."""
    if args.action == "recover":
        if args.out is None:
            raise InputError("store recover: --out NEW is missing; it names the new store")
        from causaliqa.evaluation.recovery import recover

        made = recover(args.file, args.out)
        left = f"; {made.damaged} damaged rows are left behind" if made.damaged else ""
        print(f"{args.out}: {made.scores:,} scores and failures and {made.pairs:,} pairs of {args.file}{left}")
        return 0
    from causaliqa.evaluation.store import ScoreStore

    with ScoreStore(args.file, create=False) as store:
        pairs = sum(1 for _ in store.lines("pairs"))
        print(f"{args.file}: sound, {len(store):,} scores and failures, {pairs:,} pairs")
    return 0
