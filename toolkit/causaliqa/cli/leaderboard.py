"""``causaliqa leaderboard``."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any

from causaliqa.api.errors import InputError
from causaliqa.cli import _common, _options, _signals

__all__ = ["add", "run"]


def add(commands: Any) -> None:
    """Add the command."""
    from causaliqa.report.formats import BREAKDOWNS, FORMATS

    command = _options.add_command(
        commands,
        "leaderboard",
        "Rank metrics on labelled image pairs.",
        examples=(
            "leaderboard --data manifest.csv --metric psnr --metric causal_effnet_lite0 --store scores.sqlite",
            "leaderboard --data tid2013=FOLDER --preset handcrafted --format html --out board.html",
        ),
        run=run,
    )
    _add_inputs(command.add_argument_group("what is ranked"))
    _options.add_preparation(command.add_argument_group("what is done to the images before"), hdr=False)
    _add_work(command.add_argument_group("how it is computed"))
    result = command.add_argument_group("what comes out")
    result.add_argument("--by", choices=BREAKDOWNS, help="break down by a column of the manifest")
    _options.add_unseen(result)
    _options.add_tables(result)
    result.add_argument(
        "--format", choices=FORMATS, help="how to print the table (default: that of the suffix of --out, else plain)"
    )
    result.add_argument("--out", metavar="FILE", type=_options.out_file, help="write the table instead of printing it")
    result.add_argument(
        "--figure",
        metavar="FILE.png|pdf|svg",
        type=_options.out_file,
        help="draw scores against labels with the fitted curves",
    )
    _options.add_thumbnails(result)
    result.add_argument(
        "--figure-axes",
        choices=("own", "normalised"),
        default="own",
        help="units of the figure; normalised: scores and labels on [0, 1], the better the higher, as in the paper",
    )
    result.add_argument("--rows", metavar="FILE.csv", type=_options.out_file, help="write every single score, too")
    command.set_defaults(kept=_signals.kept_scores)


def _add_inputs(group: Any) -> None:
    group.add_argument(
        "--data",
        action="append",
        required=True,
        metavar="MANIFEST.csv|NAME=ROOT",
        help="csv with ref, dist and mos (high is good), or dmos or severity (low is good), optional type, level, "
        "split; or an archive of the field by name (`causaliqa list datasets`); repeatable",
    )
    group.add_argument(
        "--allow-outside",
        action="store_true",
        help="paths in a manifest may lead out of its folder (absolute, .., links)",
    )
    group.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="NAME[:key=value,...]",
        dest="metrics",
        help="metric to rank (`causaliqa list metrics`); repeatable",
    )
    group.add_argument("--preset", metavar="NAME", help="list of metrics (`causaliqa list presets`)")
    group.add_argument(
        "--scores",
        action="append",
        default=[],
        metavar="[PREFIX=]FILE.csv",
        help="scores computed elsewhere: dist and a column a metric, each declared with --metric "
        "NAME:lower_better=true or false, and trained_on=kadid10k+tid2013 if known; PREFIX_ is put before the names; "
        "repeatable",
    )
    group.add_argument(
        "--license",
        choices=("any", "permissive"),
        default="any",
        dest="licences",
        help="permissive: Apache-2.0, MIT, BSD only",
    )
    group.add_argument("--limit", type=int, metavar="N", help="first N pairs of every data set only")


def _add_work(group: Any) -> None:
    _options.add_store(group)
    _options.add_shard(
        group,
        "score the I-th of N shares of the references into --store, where {shard} stands for I-of-N, and print no "
        "table",
    )
    group.add_argument(
        "--merge", metavar="FILE", type=Path, nargs="+", default=[], help="take over what these stores hold (shards)"
    )
    _options.add_device(group)
    _options.add_seed(group, "metrics that take one")
    group.add_argument("--strict", action="store_true", help="stop at the first failure")
    _options.add_workers(group)


def run(args: argparse.Namespace) -> int:
    """Score, rank and print; exit 1 if a score failed or a direction is contradicted."""
    from causaliqa.evaluation.job import check_breakdown, resolve, score_inputs
    from causaliqa.evaluation.run import LeaderboardRun
    from causaliqa.evaluation.side_table import check_subjects
    from causaliqa.report.formats import format_of
    from causaliqa.report.rescue import rescued
    from causaliqa.report.table import rows_csv

    form = format_of(args.out, args.format)
    if args.thumbnails and form != "html":
        raise InputError(
            f"--thumbnails {args.thumbnails}: only a page shows images; add --format html or --out FILE.html"
        )
    given: dict[str, Any] = {f.name: getattr(args, f.name) for f in fields(LeaderboardRun) if hasattr(args, f.name)}
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    with _common.named_as_options():
        asked = LeaderboardRun(**given, prepare=_options.preparation(args), progress=not args.quiet)
        check_subjects(args.subjects)
    args.store = asked.store_file  # the message of an interrupted run names it
    catalog = _common.catalog(args)
    inputs = resolve(asked, catalog)
    if not args.shard:
        check_breakdown(inputs, args.by)
    _common.check_picture("--figure", args.figure)
    scored = score_inputs(asked, catalog, inputs)
    with rescued(scored.rows, store=args.store, file=args.rows):
        if args.rows is not None:
            _common.write_or_print(rows_csv(scored.rows), args.rows)
        if args.shard:
            _common.note(f"shard {args.shard}: {len(scored.rows)} scores are in {args.store}")
            return _complain(scored.rows, [])
        return _publish(args, form, asked, catalog, inputs, scored)


def _publish(args: argparse.Namespace, form: str, asked: Any, catalog: Any, inputs: Any, scored: Any) -> int:
    """Rank what was scored, and print or write it."""
    from causaliqa.report.leaderboard import ranked

    made = ranked(
        asked,
        catalog,
        inputs,
        scored,
        by=args.by if form != "html" else None,
        tables=args.tables,
        subjects=args.subjects,
    )
    if bare := made.overall.loc[made.overall["clusters"] == "image", "dataset"].unique().tolist():
        _common.note(
            f"{', '.join(bare)}: references are unknown, so intervals and ties resample images, which makes them too "
            "narrow"
        )
    if args.out is None:
        _common.write_or_print(made.to_text(form, thumbnails=args.thumbnails), None)
    else:
        _common.wrote(*made.save(args.out, form, thumbnails=args.thumbnails))
    if args.figure is not None:
        _common.wrote(made.figure(args.figure, normalised=args.figure_axes == "normalised"))
    if args.out is not None or form not in ("plain", "github"):  # these two hold the warnings where they are read
        for table in made.tables:
            for line in table.warnings:
                _common.note(f"{table.title}: {line}")
    return _complain(made.rows, made.wrong_directions)


def _complain(rows: Any, wrong: list[str]) -> int:
    failed = rows[rows["error"] != ""]
    for (metric, error), part in failed.groupby(["metric", "error"], sort=False):
        first = part.iloc[0]
        more = f" and {len(part) - 1} more" if len(part) > 1 else ""
        _common.note(f"{metric} failed on {first['dist']}{more}: {error}")
    for line in wrong:
        _common.note(line)
    return 1 if len(failed) or wrong else 0
