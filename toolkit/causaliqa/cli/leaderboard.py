"""``causaliqa leaderboard``."""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.cli import _common
from causaliqa.errors import InputError

if TYPE_CHECKING:
    from causaliqa.catalog import Catalog
    from causaliqa.specs import PairDataset

__all__ = ["add", "run"]

FORMATS = ("plain", "github", "csv", "json", "latex")


def add(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser("leaderboard", help="rank metrics on labelled image pairs")
    command.add_argument(
        "--data",
        action="append",
        required=True,
        metavar="MANIFEST.csv|NAME=ROOT",
        help="csv with ref, dist and mos (high is good) or dmos (low is good), optional type, level, split; repeatable",
    )
    command.add_argument("--metric", action="append", default=[], metavar="M", help="NAME[:key=value,...]; repeatable")
    command.add_argument("--preset", metavar="NAME", help="list of metrics from registry.yaml")
    command.add_argument("--by", choices=("type", "level", "split"), help="break down by a column of the manifest")
    command.add_argument("--format", choices=FORMATS, default="plain", help="how to print the table")
    command.add_argument("--out", metavar="FILE", type=Path, help="write the table there instead of printing it")
    command.add_argument("--rows", metavar="FILE.csv", type=Path, help="write every single score there, too")
    command.add_argument(
        "--store", metavar="FILE", type=Path, help="keep every score there; a run that was stopped goes on from it"
    )
    command.add_argument("--device", help="torch device (default: cuda if there is one, else cpu)")
    command.add_argument("--seed", type=int, default=0, help="seed of metrics that take one (default: 0)")
    command.add_argument("--limit", type=int, metavar="N", help="first N pairs of every data set only")
    command.add_argument(
        "--license",
        choices=("any", "permissive"),
        default="any",
        help="permissive: Apache-2.0, MIT, BSD only",
    )
    command.add_argument("--strict", action="store_true", help="stop at the first failure")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Score, rank and print; exit 1 if a score failed or a direction is contradicted."""
    names = _common.catalog(args)
    requests = _requests(args, names)
    for request in requests if args.license == "permissive" else ():
        _common.check_licence(names, request)
    datasets = [_dataset(names, item, args.limit) for item in args.data]
    if doubled := {d.name for d in datasets if [e.name for e in datasets].count(d.name) > 1}:
        raise InputError(f"--data: two data sets are called {sorted(doubled)[0]!r}; rename a manifest")
    if args.by and not any(getattr(pair, args.by) for d in datasets for pair in d.pairs):
        raise InputError(f"--by {args.by}: no manifest has a column {args.by!r}")

    from causaliqa.leaderboard import rank, render, wrong_directions
    from causaliqa.scoring import evaluate
    from causaliqa.store import ScoreStore

    device = _common.choose_device(args.device)
    labels = _labels(requests)
    metrics = {labels[r]: _common.build_metric(names, r, device, args.seed)[0] for r in requests}
    total = len(metrics) * sum(len(d.pairs) for d in datasets)
    with (
        ScoreStore(args.store) if args.store else nullcontext() as store,
        _common.progress_bar(total, "scoring") as bar,
    ):
        frame = evaluate(metrics, datasets, device=device, strict=args.strict, store=store, progress=bar.update)
    if args.rows is not None:
        _common.write_or_print(frame.to_csv(index=False).rstrip("\n"), args.rows)
    table = rank(frame, by=args.by)
    settings = {
        "data": args.data,
        "metrics": {labels[r]: r for r in requests},
        "by": args.by,
        "seed": args.seed,
        "limit": args.limit,
        "device": device,
        "fit": "4-parameter logistic on labels normalised to [0, 1]; plcc and rmse are after it",
        "srcc_sign": "positive where metric and label agree as declared",
    }
    _common.write_or_print(render(table, args.format, settings=settings, versions=_common.versions()), args.out)
    return _complain(frame, wrong_directions(rank(frame) if args.by else table))


def _requests(args: argparse.Namespace, names: Catalog) -> list[str]:
    """Return the metrics that were asked for, each once, all of them known."""
    from causaliqa.catalog import parse_request

    wanted = list(args.metric)
    if args.preset:
        preset = names.registry.presets.get(args.preset)
        if preset is None:
            raise InputError(f"unknown preset {args.preset!r}; expected one of {', '.join(names.registry.presets)}")
        wanted += preset.metrics
    if not wanted:
        raise InputError("no metric was asked for; expected --metric NAME or --preset NAME")
    for request in wanted:
        names.get("metrics", parse_request(request)[0])
    return list(dict.fromkeys(wanted))


def _labels(requests: list[str]) -> dict[str, str]:
    """Return what a table calls each metric: what was asked for, less the path of weights where that is clear."""
    from causaliqa.catalog import parse_request

    short = {}
    for request in requests:
        name, options = parse_request(request)
        told = ",".join(f"{k}={v}" for k, v in options.items() if k != "weights")
        short[request] = f"{name}:{told}" if told else name
    taken = list(short.values())
    return {request: label if taken.count(label) == 1 else request for request, label in short.items()}


def _dataset(names: Catalog, item: str, limit: int | None) -> PairDataset:
    from causaliqa.datasets.manifest import read_manifest

    name, equals, root = item.partition("=")
    if equals and not Path(item).exists():
        dataset: PairDataset = names.create("datasets", name, root=Path(root))
    else:
        dataset = read_manifest(Path(item))
    if limit is not None and limit < 1:
        raise InputError(f"--limit: got {limit}, expected 1 or more")
    return replace(dataset, pairs=dataset.pairs[:limit])


def _complain(frame: Any, wrong: list[str]) -> int:
    failed = frame[frame["error"] != ""]
    for (metric, error), part in failed.groupby(["metric", "error"], sort=False):
        first = part.iloc[0]
        more = f" and {len(part) - 1} more" if len(part) > 1 else ""
        print(f"causaliqa: {metric} failed on {first['dist']}{more}: {error}", file=sys.stderr)
    for line in wrong:
        print(f"causaliqa: {line}", file=sys.stderr)
    return 1 if len(failed) or wrong else 0
