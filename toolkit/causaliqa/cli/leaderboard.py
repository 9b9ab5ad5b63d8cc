"""``causaliqa leaderboard``."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from causaliqa.api.errors import InputError
from causaliqa.cli import _common, _publish, _rows, _signals, _workers

__all__ = ["add", "run"]


def add(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser("leaderboard", help="rank metrics on labelled image pairs")
    _rows.add_arguments(command)
    command.add_argument("--by", choices=("type", "level", "split"), help="break down by a column of the manifest")
    command.add_argument("--format", choices=_publish.FORMATS, default="plain", help="how to print the table")
    command.add_argument("--out", metavar="FILE", type=_common.out_file, help="write the table instead of printing it")
    command.add_argument(
        "--figure",
        metavar="FILE.png|pdf|svg",
        type=_common.out_file,
        help="draw scores against labels with the fitted curves",
    )
    command.add_argument("--rows", metavar="FILE.csv", type=_common.out_file, help="write every single score, too")
    command.add_argument(
        "--license", choices=("any", "permissive"), default="any", help="permissive: Apache-2.0, MIT, BSD only"
    )
    command.set_defaults(run=run, kept=_signals.kept_scores)


def run(args: argparse.Namespace) -> int:
    """Score, rank and print; exit 1 if a score failed or a direction is contradicted."""
    catalog = _common.catalog(args)
    plan = _rows.plan(args, catalog)
    for request in plan.requests.values() if args.license == "permissive" else ():
        _rows.check_licence(catalog, request)
    if args.by and not args.shard and not any(getattr(pair, args.by) for d in plan.datasets for pair in d.pairs):
        raise InputError(f"--by {args.by}: no manifest has a column {args.by!r}")
    _publish.check_picture("--figure", args.figure)

    from causaliqa.evaluation.rank import rank, wrong_directions
    from causaliqa.report.table import rows_csv

    here, device = _workers.devices(args) if plan.requests else ("none", "none")
    built = _rows.build(args, catalog, plan, here)
    frame = _rows.collect(args, catalog, plan, built, here)
    if args.rows is not None:
        _common.write_or_print(rows_csv(frame), args.rows)
    if args.shard:
        print(f"causaliqa: shard {args.shard}: {len(frame)} scores are in {args.store}", file=sys.stderr)
        return _complain(frame, [])
    overall = rank(frame)
    table = rank(frame, by=args.by) if args.by and args.format != "html" else overall
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
    facts = _publish.provenance(
        catalog, plan.requests, built, overall, settings=settings, seed=args.seed, given=plan.given, data=args.data
    )
    _publish.write(frame, table, facts, args.format, args.out)
    if args.figure is not None:
        from causaliqa.report.scatter import scatter_panels

        scatter_panels(frame, args.figure, table=overall)
    return _complain(frame, wrong_directions(overall))


def _complain(frame: Any, wrong: list[str]) -> int:
    failed = frame[frame["error"] != ""]
    for (metric, error), part in failed.groupby(["metric", "error"], sort=False):
        first = part.iloc[0]
        more = f" and {len(part) - 1} more" if len(part) > 1 else ""
        _common.note(f"{metric} failed on {first['dist']}{more}: {error}")
    for line in wrong:
        _common.note(line)
    return 1 if len(failed) or wrong else 0
