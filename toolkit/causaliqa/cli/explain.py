"""``causaliqa explain METRIC IMG REF --out DIR``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from causaliqa.api.errors import CausaliqaError, ImageError, InputError
from causaliqa.catalog.workers import build_metric
from causaliqa.cli import _common
from causaliqa.utils.devices import choose_device

__all__ = ["add", "run"]


def add(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser("explain", help="show which channels and places make a causal score")
    command.add_argument("metric", metavar="METRIC", help="a causal metric: NAME[:key=value[,key=value]]")
    command.add_argument("img", metavar="IMG", type=Path, help="distorted image")
    command.add_argument("ref", metavar="REF", type=Path, help="reference image")
    command.add_argument("--out", metavar="DIR", type=_common.out_folder, required=True, help="folder of the results")
    command.add_argument("--device", help="torch device (default: cuda if there is one, else cpu)")
    command.add_argument("--seed", type=int, default=0, help="seed of the intervention (default: 0)")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write channels.csv, strips.png and cost_map.png; print their paths."""
    catalog = _common.catalog(args)
    from causaliqa.io.images import load_image
    from causaliqa.report.explain import write_explanation

    device = choose_device(args.device)
    metric = build_metric(catalog, args.metric, device, args.seed)
    if not hasattr(metric, "explain"):
        raise InputError(f"metric {args.metric!r} cannot explain itself; expected a causal metric")
    img, ref = load_image(args.img), load_image(args.ref)
    if img.shape != ref.shape:
        raise ImageError(f"sizes differ: {args.img} and {args.ref}; crop or resize one of them first")
    try:
        explanation = metric.explain(img.to(device), ref.to(device))
    except CausaliqaError:
        raise
    except ValueError as error:
        raise ImageError(f"{args.img}: {error}") from error
    except Exception as error:
        raise _common.failed(args.metric, args.img, error) from error
    for path in write_explanation(explanation, args.out, title=f"{args.metric}: {args.img.name}"):
        print(path)
    return 0
