"""``causaliqa cem RESTORER IMAGE``."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.cli import _common, _ending, _restoring
from causaliqa.errors import InputError

if TYPE_CHECKING:
    from causaliqa.catalog import Catalog
    from causaliqa.effects.cem import Forecast
    from causaliqa.effects.effect_map import EffectMap
    from causaliqa.specs import ROI

__all__ = ["add", "run"]


def add(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser("cem", help="causal effect map: which input patches help or mislead a restorer")
    _restoring.add_arguments(command)
    command.add_argument(
        "--roi", metavar="X,Y,W,H", action="append", required=True, help="in output pixels; may be repeated"
    )
    command.add_argument("--out", metavar="DIR", type=_common.out_folder, help="folder for the map and its pictures")
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
    command.add_argument("--measure", default="psnr", help="psnr, or any metric by name (default: psnr)")
    command.add_argument("--bound", type=float, help="effect at which colours are full (default: the map's largest)")
    command.add_argument("--batch-size", default="auto", help="images at once, or auto (default)")
    command.add_argument("--no-prune", action="store_true", help="run every patch on the whole image")
    command.add_argument("--dry-run", action="store_true", help="say what it would take, and stop")
    command.add_argument("--resume", action="store_true", help="go on where an interrupted run in DIR was")
    command.set_defaults(run=run, kept=_ending.kept_patches)


def run(args: argparse.Namespace) -> int:
    """Write cem.npz, cem.png, pie.png and summary.json, one folder a region; print the statistics."""
    from causaliqa.specs import ROI

    regions = [ROI.parse(text) for text in args.roi]
    if args.out is None and not args.dry_run:
        raise InputError("cem: --out DIR is missing; pass it, or --dry-run")
    if not args.batch_size.isdecimal() and args.batch_size != "auto":
        raise InputError(f"--batch-size: got {args.batch_size!r}, expected auto or a whole number")
    names = _common.catalog(args)
    from causaliqa.catalog import parse_request

    # Look every name up before torch is loaded: a typing error should not wait for it.
    _restoring.check_names(names, args)
    names.get("samplers", parse_request(args.sampler)[0])
    if args.measure != "psnr":
        names.get("metrics", parse_request(args.measure)[0])
    from causaliqa.effects.cem import CausalEffectMap
    from causaliqa.images import load_image

    image = load_image(args.image)
    device = _common.choose_device(args.device)
    options = _options(names, args)
    restorer = _restoring.restorer(names, args, device)
    measure: Any = "psnr"
    if args.measure != "psnr":
        measure, _ = _common.build_metric(names, args.measure, "cpu", args.seed)
    cem = CausalEffectMap(restorer, scale=options["degradation"].scale, measure=measure, device=device)
    for roi in regions:
        if args.dry_run:
            print(_told(cem.forecast(image, roi, **options), str(roi)))
            continue
        folder = args.out if len(regions) == 1 else args.out / f"roi-{str(roi).replace(',', '-')}"
        journal = folder / "cem.journal"
        if not args.resume:
            journal.unlink(missing_ok=True)
        with _common.intervention_bar() as show:
            made = cem.attribute(image, roi, resume=journal, progress=show, **options)
        facts = {"restorer": args.restorer, "task": args.task, "image": args.image.name, **made.facts}
        made = replace(made, facts={**facts, "measure": args.measure, "versions": _common.versions()})
        made.save(folder, bound=args.bound, title=f"{args.restorer} · {args.task} · {args.image.name}")
        print(_line(made, roi, folder))
    return 0


def _options(names: Catalog, args: argparse.Namespace) -> dict[str, Any]:
    """Build degradation and sampler, and return the arguments of the map."""
    from causaliqa.catalog import parse_request

    sampler_name, sampler = parse_request(args.sampler)
    if args.library is not None:
        sampler["library"] = args.library
    return {
        "degradation": _restoring.degradation(names, args),
        "sampler": names.create("samplers", sampler_name, **sampler),
        "patch_size": args.patch_size,
        "strategy": args.strategy,
        "coarse": args.coarse,
        "fine": args.fine,
        "interventions": args.interventions,
        "tolerance": args.tolerance,
        "budget": args.budget,
        "precision": args.precision,
        "seed": args.seed,
        "batch_size": "auto" if args.batch_size == "auto" else int(args.batch_size),
        "prune": not args.no_prune,
    }


def _told(forecast: Forecast, roi: str) -> str:
    least, most = (n * forecast.seconds_each for n in (forecast.least, forecast.most))
    return "\n".join(
        [
            f"region      {roi}",
            f"reach       {forecast.note}",
            f"patches     {forecast.reached} of {forecast.patches} can reach the region",
            f"inferences  {forecast.least} to {forecast.most}, on {forecast.crop[1]} x {forecast.crop[0]} input pixels",
            f"time        {least:.0f} to {most:.0f} s ({forecast.seconds_each * 1000:.1f} ms each, measured)",
            f"memory      {forecast.memory / 2**20:.0f} MiB",
        ]
    )


def _line(made: EffectMap, roi: ROI, folder: Path) -> str:
    s = made.summary()
    return (
        f"{roi}\tpositive {s['positive_percent']:.2f} %\tnegative {s['negative_percent']:.2f} %\t"
        f"none {s['none_percent']:.2f} %\trange {s['min']:+.3f} to {s['max']:+.3f} dB\t{folder}"
    )
