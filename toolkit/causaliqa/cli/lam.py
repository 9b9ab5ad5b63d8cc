"""``causaliqa lam RESTORER IMAGE``."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from causaliqa.api.errors import InputError
from causaliqa.cli import _common, _restoring
from causaliqa.utils.devices import choose_device
from causaliqa.utils.progress import intervention_bar
from causaliqa.utils.versions import versions

__all__ = ["add", "run"]


def add(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser("lam", help="local attribution map: integrated gradients, to compare with cem")
    _restoring.add_arguments(command)
    command.add_argument("--roi", metavar="X,Y,W,H", required=True, help="region of interest in output pixels")
    command.add_argument(
        "--out", metavar="DIR", type=_common.out_folder, required=True, help="folder for the map and its picture"
    )
    command.add_argument("--cem", metavar="DIR", type=Path, help="folder of a causal effect map, drawn beside it")
    command.add_argument("--steps", type=int, default=50, help="points on the path (default: 50)")
    command.add_argument("--sigma", type=float, default=1.2, help="blur at its start, in input pixels (default: 1.2)")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write lam.npz, lam.png and summary.json; print the diffusion index."""
    from causaliqa.api.data import ROI

    roi = ROI.parse(args.roi)
    catalog = _common.catalog(args)
    _restoring.check_names(catalog, args)
    from causaliqa.effects.effect_map import EffectMap
    from causaliqa.effects.lam import local_attribution
    from causaliqa.effects.lam_plot import draw_attribution
    from causaliqa.io.images import load_image
    from causaliqa.utils.figures import save

    effects = EffectMap.load(args.cem) if args.cem is not None else None
    if effects is not None and effects.roi != roi:
        raise InputError(f"--cem {args.cem}: got a map of region {effects.roi}, expected {roi}")
    image = load_image(args.image)
    device = choose_device(args.device)
    degradation = _restoring.degradation(catalog, args)
    restorer = _restoring.restorer(catalog, args, device)
    with intervention_bar() as show:
        made = local_attribution(
            restorer,
            degradation.degrade(image[0] if image.dim() == 4 else image, args.seed),
            roi,
            scale=degradation.scale,
            steps=args.steps,
            sigma=args.sigma,
            device=device,
            progress=show,
        )
    facts = {"restorer": args.restorer, "task": args.task, "image": args.image.name, "seed": args.seed}
    made = replace(made, facts={**facts, **made.facts, "versions": versions()})
    folder = made.save(args.out)
    title = f"{args.restorer} · {args.task} · {args.image.name}"
    save(draw_attribution(made, effects=effects, title=title), folder / "lam.png")
    off = 100 * made.summary()["completeness_error"]
    print(f"{roi}\tdiffusion index {made.diffusion_index:.2f}\tsums to the change within {off:.1f} %\t{folder}")
    return 0
