"""``causaliqa cem RESTORER IMAGE [IMAGE ...]``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.api.errors import CausaliqaError, InputError
from causaliqa.api.specs import MetricSpec, SamplerSpec
from causaliqa.cli import _common, _maps, _restoring, _signals, _workers
from causaliqa.utils.devices import choose_device

if TYPE_CHECKING:
    from causaliqa.cli._maps import MapUnit
    from causaliqa.effects.causal_effect_map import Forecast

__all__ = ["add", "run"]


def add(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser("cem", help="causal effect map: which input patches help or mislead a restorer")
    _restoring.add_arguments(command, several=True)
    command.add_argument(
        "--roi", metavar="X,Y,W,H", action="append", required=True, help="in output pixels; may be repeated"
    )
    command.add_argument(
        "--out",
        metavar="DIR",
        type=_common.out_folder,
        help="folder for the map and its pictures; for several maps, of their folders IMAGE/roi-X-Y-W-H",
    )
    command.add_argument("--sampler", default="natural", metavar="S", help="NAME[:key=value,...] (default: natural)")
    command.add_argument("--library", metavar="DIR|FILE.npz", type=Path, help="natural images of the sampler")
    command.add_argument("--patch-size", type=int, default=8, help="side in output pixels (default: 8)")
    command.add_argument("--strategy", default="coarse-to-fine", help="plain, coarse-to-fine (default) or adaptive")
    command.add_argument("--coarse", type=int, default=3, help="interventions on every patch (default: 3)")
    command.add_argument("--fine", type=int, default=50, help="more on sensitive patches (default: 50)")
    command.add_argument("--interventions", type=int, default=500, help="of the plain strategy (default: 500)")
    command.add_argument("--budget", type=int, metavar="N", help="interventions of the adaptive strategy")
    command.add_argument("--precision", type=float, metavar="DB", help="or its wanted standard error (default: 0.005)")
    command.add_argument("--tolerance", type=float, default=0.01, help="effects below count as none (default: 0.01)")
    command.add_argument("--image-seed", type=int, metavar="N", help="seed of noise or rain (default: that of --seed)")
    command.add_argument("--measure", default="psnr", help="psnr, or any metric by name (default: psnr)")
    command.add_argument("--bound", type=float, help="effect at which colours are full (default: the map's largest)")
    command.add_argument("--batch-size", default="auto", help="images at once, or auto (default)")
    command.add_argument("--no-prune", action="store_true", help="run every patch on the whole image")
    command.add_argument("--dry-run", action="store_true", help="say what it would take, and stop")
    command.add_argument("--resume", action="store_true", help="go on where an interrupted run in DIR was")
    command.add_argument(
        "--shard",
        metavar="I/N|auto",
        help="make the I-th of N shares of the maps; auto: the share of this task of a SLURM array, srun or torchrun",
    )
    _workers.add_arguments(command)
    command.set_defaults(run=run, kept=_signals.kept_patches)


def run(args: argparse.Namespace) -> int:
    """Write cem.npz, cem.png, pie.png and summary.json, one folder a map; print the statistics."""
    from causaliqa.api.data import ROI

    _workers.check(args)
    regions = [ROI.parse(text) for text in args.roi]
    if args.out is None and not args.dry_run:
        raise InputError("cem: --out DIR is missing; pass it, or --dry-run")
    if not args.batch_size.isdecimal() and args.batch_size != "auto":
        raise InputError(f"--batch-size: got {args.batch_size!r}, expected auto or a whole number")
    todo = _maps.units(args.images, regions, args.out or Path())
    if args.shard:
        number, count = _workers.tell_shard(args)
        todo = todo[number - 1 :: count]
    catalog = _common.catalog(args)
    from causaliqa.catalog.request import parse_request

    # Look every name up before torch is loaded: a typing error should not wait for it.
    _restoring.check_names(catalog, args)
    catalog.get(SamplerSpec, parse_request(args.sampler)[0])
    if args.measure != "psnr":
        catalog.get(MetricSpec, parse_request(args.measure)[0])
    for unit in todo:
        if not unit.image.is_file():
            raise InputError(f"image {unit.image} does not exist")
    if args.dry_run:
        maker = _maps.Maker(catalog, args, choose_device(args.device))
        for unit in todo:
            print(_told(maker.forecast(unit), unit, named=len(args.images) > 1))
        return 0
    for unit in todo if not args.resume else ():
        (unit.folder / _maps.JOURNAL).unlink(missing_ok=True)
    return _report(_maps.make_all(args, catalog, todo), len(todo))


def _report(outcomes: Iterable[tuple[MapUnit, str | CausaliqaError]], count: int) -> int:
    """Print lines and failures; what went wrong with all there was is the command's own error."""
    failed: list[CausaliqaError] = []
    for unit, outcome in outcomes:
        if isinstance(outcome, str):
            print(outcome, flush=True)
            continue
        if count == 1:
            raise outcome
        failed.append(outcome)
        _common.note(f"{unit.image} {unit.roi}: {outcome}")
    return max(error.exit_code for error in failed) if failed and len(failed) == count else min(len(failed), 1)


def _told(forecast: Forecast, unit: MapUnit, *, named: bool) -> str:
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
