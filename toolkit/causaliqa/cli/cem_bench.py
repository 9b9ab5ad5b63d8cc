"""``causaliqa cem-bench NETWORKS.yaml IMAGE|FOLDER ...``."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.api.errors import CausaliqaError, InputError
from causaliqa.cli import _common, _dataclass_options, _options, _signals
from causaliqa.effects.bench import BenchRun
from causaliqa.effects.settings import CemSettings
from causaliqa.report.formats import FORMATS, format_of

if TYPE_CHECKING:
    from causaliqa.effects.bench import BenchCell, CellResult

__all__ = ["add", "run"]

_METAVARS = {
    "degradation": "D", "library": "DIR|FILE.npz", "sampler": "S", "figures": "png|pdf|svg", "shard": "I/N|auto",
    "limit": "2h|N",
}  # fmt: skip


def add(commands: Any) -> None:
    """Add the command."""
    command = _options.add_command(
        commands,
        "cem-bench",
        "Causal effect maps of many networks x many images, with the table of the paper and a page.",
        examples=(
            "cem-bench nets.yaml photos/ --task sr --roi auto --strategy adaptive --out maps/",
            "cem-bench nets.yaml a.png b.png --task sr --roi 96,152,32,32 --lam --jobs 4 --limit 2h --out maps/",
        ),
        run=run,
    )
    command.add_argument(
        "networks", metavar="NETWORKS.yaml", type=Path,
        help="list of {network: NAME as cem takes it, name, task, year, checkpoint, options, scale, degradation}",
    )  # fmt: skip
    command.add_argument("images", metavar="IMAGE|FOLDER", type=Path, nargs="+", help="ground truths")
    command.add_argument(
        "--roi", metavar="X,Y,W,H|auto", dest="regions", action="append", default=None,
        help="region of interest in output pixels; may be repeated; auto[:count=N,size=S]: those with the most texture "
        "(default: auto)",
    )  # fmt: skip
    command.add_argument("--out", metavar="DIR", type=_options.out_folder, help="folder of the maps NETWORK/IMAGE")
    effects = command.add_argument_group("interventions")
    work = command.add_argument_group("measure, pictures and work")
    _dataclass_options.add_options(command, BenchRun, only=("task",))
    own = [field.name for field in fields(CemSettings)]
    _dataclass_options.add_options(effects, CemSettings, only=own, metavars=_METAVARS)
    own = ["measure", "figures", "overwrite", "device", "shard", "lam", "limit"]
    _dataclass_options.add_options(work, BenchRun, only=own, metavars=_METAVARS)
    work.add_argument("--bound", type=float, metavar="X", help="effect at which the colours of the page saturate")
    work.add_argument("--format", choices=[f for f in FORMATS if f != "html"], help="of the table (default: plain)")
    work.add_argument("--dry-run", action="store_true", help="print what it would take, and stop")
    _options.add_workers(work)
    command.set_defaults(kept=_signals.kept_patches)


def run(args: argparse.Namespace) -> int:
    """Write the maps, ``maps.csv``, ``table.csv``, ``table.tex``, ``page.html`` and the figure; print the table."""
    from causaliqa.effects.bench import make_bench
    from causaliqa.effects.bench_forecast import check_limit, forecast_bench
    from causaliqa.report.effect_bench import EffectBench

    asked = bench_run(args)
    if asked.out is None and not args.dry_run:
        raise InputError("cem-bench: --out DIR is missing; pass it, or --dry-run")
    _common.catalog(args)
    forecasts = forecast_bench(asked)
    for line in forecasts:
        print(line) if args.dry_run else _common.said(str(line))
    check_limit(asked, forecasts)
    if args.dry_run:
        return 0
    results = []
    for cell, result in make_bench(asked, progress=not args.quiet):
        results.append((cell, result))
        _say(cell, result)
    made = EffectBench.of(results)
    if made.cells:
        _common.write_or_print(made.to_text(format_of(None, args.format)), None)
    if made.cells and asked.shard is None and asked.out is not None:
        _common.wrote(*made.save(asked.out, figures=asked.figures, bound=args.bound))
    if asked.shard is not None:
        _common.said("the table is of this shard; the same command without --shard makes the whole one of the maps")
    failed = [error.exit_code for _, error in made.failures]
    return max(failed) if failed and not made.cells else min(len(failed), 1)


def bench_run(args: argparse.Namespace) -> BenchRun:
    """Return what the options ask for.

    Raises:
        InputError: an option is out of range, or the file of the networks is wrong.
    """
    from causaliqa.effects.bench_file import read_networks
    from causaliqa.report.effect_bench import image_files

    networks, images = read_networks(args.networks), image_files(args.images)
    with _common.named_as_options():
        return BenchRun(
            **{
                **_dataclass_options.values(args, BenchRun),
                "networks": networks,
                "images": images,
                "regions": tuple(args.regions or ("auto",)),
                "settings": CemSettings(**_dataclass_options.values(args, CemSettings)),
            }
        )


def _say(cell: BenchCell, result: CellResult | CausaliqaError) -> None:
    """Print a line about a cell on stderr; failures are shown even with -q."""
    where = f"{cell.network.label}, {cell.unit.name} {cell.unit.roi}"
    if isinstance(result, CausaliqaError):
        _common.note(f"{where}: {result}")
        return
    summary = result.effects.summary()
    _common.said(f"{where}: {summary['positive_percent']:.2f} % positive, {summary['negative_percent']:.2f} % negative")
    if result.note:
        _common.note(f"{where}: no local attribution: {result.note}")
