"""``causaliqa lam RESTORER IMAGE``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from causaliqa.cli import _common, _dataclass_options, _network_options, _options
from causaliqa.effects.names import NetworkRequest

__all__ = ["add", "run"]


def add(commands: Any) -> None:
    """Add the command."""
    command = _options.add_command(
        commands,
        "lam",
        "Local attribution map: integrated gradients of the edges in a region, to compare with cem.",
        examples=(
            "lam tiny_edsr_x4 photo.png --task sr --roi 96,152,32,32 --out lam/",
            "lam tiny_edsr_x4 photo.png --task sr --roi 96,152,32,32 --out lam/ --cem map/",
        ),
        run=run,
    )
    _network_options.add_arguments(command)
    command.add_argument(
        "--roi", metavar="X,Y,W,H|auto", required=True,
        help="region of interest in output pixels; auto[:size=S]: the one with the most texture",
    )  # fmt: skip
    command.add_argument(
        "--out", metavar="DIR", type=_options.out_folder, required=True, help="folder for the map and its picture"
    )
    command.add_argument("--cem", metavar="DIR", type=Path, help="folder of a causal effect map, drawn beside it")
    command.add_argument("--steps", type=int, default=50, metavar="N", help="points on the path")
    command.add_argument("--sigma", type=float, default=1.2, metavar="X", help="blur at its start, in input pixels")
    command.add_argument("--figures", metavar="png|pdf|svg", default="png", help="formats of the picture, with commas")
    command.add_argument("--overwrite", action="store_true", help="replace a map that is in the folder already")


def run(args: argparse.Namespace) -> int:
    """Write lam.npz, lam.png and summary.json; print the diffusion index."""
    _common.catalog(args)
    from causaliqa.effects.local_attribution import local_attribution

    made = local_attribution(
        image=args.image,
        roi=args.roi,
        degradation=args.degradation,
        steps=args.steps,
        sigma=args.sigma,
        seed=args.seed,
        device=args.device,
        effects=args.cem,
        out=args.out,
        figures=args.figures,
        overwrite=args.overwrite,
        **_dataclass_options.values(args, NetworkRequest),
    )
    off = 100 * made.summary()["completeness_error"]
    print(f"{made.roi}\tdiffusion index {made.diffusion_index:.2f}\tsums to the change within {off:.1f} %\t{args.out}")
    _common.wrote(args.out / "lam.npz", args.out / "summary.json", *_common.pictures(args.out, args.figures, "lam"))
    return 0
