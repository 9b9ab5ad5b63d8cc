"""``causaliqa cem RESTORER IMAGE [IMAGE ...]``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from causaliqa.api.errors import CausaliqaError, InputError
from causaliqa.cli import _common, _dataclass_options, _network_options, _options, _signals
from causaliqa.effects.job import MapRun, MapUnit, forecast_maps, make_maps
from causaliqa.effects.settings import CemSettings

if TYPE_CHECKING:
    from causaliqa.effects.causal_effect_map import Forecast
    from causaliqa.effects.effect_map import EffectMap

__all__ = ["add", "run"]

_METAVARS = {"library": "DIR|FILE.npz", "sampler": "S", "bound": "X", "figures": "png|pdf|svg", "shard": "I/N|auto"}


def add(commands: Any) -> None:
    """Add the command."""
    command = _options.add_command(
        commands,
        "cem",
        "Causal effect map: which input patches help or mislead a restorer in a region.",
        examples=(
            "cem tiny_edsr_x4 photo.png --task sr --roi 96,152,32,32 --out map/",
            "cem net.py:build photos/*.png --task denoise --roi 96,152,32,32 --out maps/ --jobs 4",
        ),
        run=run,
    )
    _network_options.add_arguments(command, several=True)
    command.add_argument(
        "--roi", metavar="X,Y,W,H|auto", dest="regions", action="append", required=True,
        help="region of interest in output pixels; may be repeated; auto[:count=N,size=S]: those with the most texture",
    )  # fmt: skip
    command.add_argument(
        "--out",
        metavar="DIR",
        type=_options.out_folder,
        help="folder for the map and its pictures; for several maps, of their folders IMAGE/roi-X-Y-W-H",
    )
    effects = command.add_argument_group("interventions")
    work = command.add_argument_group("measure, pictures and work")
    own = [field.name for field in fields(CemSettings) if field.name not in ("degradation", "seed")]
    _dataclass_options.add_options(effects, CemSettings, only=own, metavars=_METAVARS)
    own = ["measure", "bound", "figures", "overwrite", "resume", "shard"]
    _dataclass_options.add_options(work, MapRun, only=own, metavars=_METAVARS)
    work.add_argument("--dry-run", action="store_true", help="print what it would take, and stop")
    _options.add_workers(work)
    command.set_defaults(kept=_signals.kept_patches)


def run(args: argparse.Namespace) -> int:
    """Write cem.npz, cem.png, pie.png and summary.json, one folder a map; print the statistics."""
    with _common.named_as_options():
        asked = map_run(args)
    if asked.out is None and not args.dry_run:
        raise InputError("cem: --out DIR is missing; pass it, or --dry-run")
    _common.catalog(args)
    if args.dry_run:
        for unit, forecast in forecast_maps(asked):
            print(_cost(forecast, unit, named=len(asked.images) > 1))
        return 0
    return _report(make_maps(asked, progress=not args.quiet), len(asked.units()), asked.figures)


def map_run(args: argparse.Namespace) -> MapRun:
    """Return what the options ask for.

    Raises:
        InputError: an option is out of range.
    """
    return MapRun(
        **{
            **_dataclass_options.values(args, MapRun),
            "network": _network_options.network_request(args),
            "settings": CemSettings(**_dataclass_options.values(args, CemSettings)),
            "images": tuple(args.images),
            "regions": tuple(args.regions),
        }
    )


def _report(outcomes: Iterable[tuple[MapUnit, EffectMap | CausaliqaError]], count: int, figures: str) -> int:
    """Print statistics and failures; if all maps failed, the exit code is that of their errors."""
    failed: list[CausaliqaError] = []
    for unit, outcome in outcomes:
        if not isinstance(outcome, CausaliqaError):
            print(_line(outcome, unit), flush=True)
            if unit.folder is not None:
                drawn = _common.pictures(unit.folder, figures, "cem", "pie")
                _common.wrote(unit.folder / "cem.npz", unit.folder / "summary.json", *drawn)
            continue
        if count == 1:
            raise outcome
        failed.append(outcome)
        _common.note(f"{unit.image} {unit.roi}: {outcome}")
    return max(error.exit_code for error in failed) if failed and len(failed) == count else min(len(failed), 1)


def _line(made: EffectMap, unit: MapUnit) -> str:
    s = made.summary()
    return (
        f"{unit.roi}\tpositive {s['positive_percent']:.2f} %\tnegative {s['negative_percent']:.2f} %\t"
        f"none {s['none_percent']:.2f} %\t"
        f"range of {made.measure} {made.quantity(s['min'])} to {made.quantity(s['max'])}\t{unit.folder}"
    )


def _cost(forecast: Forecast, unit: MapUnit, *, named: bool) -> str:
    least, most = (n * forecast.seconds_each for n in (forecast.least, forecast.most))
    each = forecast.crop[0] * forecast.crop[1]
    return "\n".join(
        [
            *([f"image       {unit.image}"] if named else []),
            f"region      {unit.roi}",
            f"reach       {forecast.note}",
            f"patches     {forecast.reached} of {forecast.patches} can reach the region",
            f"inferences  {forecast.least} to {forecast.most}, on {forecast.crop[1]} x {forecast.crop[0]} input pixels",
            f"pixels      {forecast.least * each / 1e6:.1f} to {forecast.most * each / 1e6:.1f} million",
            f"time        {least:.0f} to {most:.0f} s ({forecast.seconds_each * 1000:.1f} ms each, measured)",
            f"memory      {forecast.memory / 2**20:.0f} MiB",
        ]
    )
