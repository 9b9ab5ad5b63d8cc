"""``causaliqa leaderboard``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from causaliqa.cli import _common, _rows
from causaliqa.errors import InputError

__all__ = ["add", "run"]

FORMATS = ("plain", "github", "csv", "json", "latex")


def add(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser("leaderboard", help="rank metrics on labelled image pairs")
    _rows.add_arguments(command)
    command.add_argument("--by", choices=("type", "level", "split"), help="break down by a column of the manifest")
    command.add_argument("--format", choices=FORMATS, default="plain", help="how to print the table")
    command.add_argument("--out", metavar="FILE", type=Path, help="write the table there instead of printing it")
    command.add_argument("--rows", metavar="FILE.csv", type=Path, help="write every single score there, too")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Score, rank and print; exit 1 if a score failed or a direction is contradicted."""
    names = _common.catalog(args)
    plan = _rows.plan(args, names)
    if args.by and not args.shard and not any(getattr(pair, args.by) for d in plan.datasets for pair in d.pairs):
        raise InputError(f"--by {args.by}: no manifest has a column {args.by!r}")

    from causaliqa.leaderboard import rank, render, wrong_directions

    device = _common.choose_device(args.device) if plan.requests else "none"
    built = _rows.build(args, names, plan, device)
    frame = _rows.collect(args, names, plan, built, device)
    if args.rows is not None:
        _common.write_or_print(frame.to_csv(index=False).rstrip("\n"), args.rows)
    if args.shard:
        print(f"causaliqa: shard {args.shard}: {len(frame)} scores are in {args.store}", file=sys.stderr)
        return _complain(frame, [])
    table = rank(frame, by=args.by)
    settings = {
        "data": args.data,
        "metrics": dict(plan.requests),
        "scores": args.scores,
        "given": dict(plan.given),
        "by": args.by,
        "seed": args.seed,
        "limit": args.limit,
        "device": device,
        "fit": "4-parameter logistic on labels normalised to [0, 1]; plcc and rmse are after it",
        "srcc_sign": "positive where metric and label agree as declared",
    }
    if bare := table.loc[table["clusters"] == "image", "dataset"].unique().tolist():
        note = "references are unknown, so intervals and ties resample images, which makes them too narrow"
        print(f"causaliqa: {', '.join(bare)}: {note}", file=sys.stderr)
    # The same scores give the same csv, byte for byte; how long they took is in the json.
    shown = table.drop(columns="seconds") if args.format == "csv" else table
    _common.write_or_print(render(shown, args.format, settings=settings, versions=_common.versions()), args.out)
    return _complain(frame, wrong_directions(rank(frame) if args.by else table))


def _complain(frame: Any, wrong: list[str]) -> int:
    failed = frame[frame["error"] != ""]
    for (metric, error), part in failed.groupby(["metric", "error"], sort=False):
        first = part.iloc[0]
        more = f" and {len(part) - 1} more" if len(part) > 1 else ""
        print(f"causaliqa: {metric} failed on {first['dist']}{more}: {error}", file=sys.stderr)
    for line in wrong:
        print(f"causaliqa: {line}", file=sys.stderr)
    return 1 if len(failed) or wrong else 0
