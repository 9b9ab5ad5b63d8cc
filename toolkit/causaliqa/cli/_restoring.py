"""What ``cem`` and ``lam`` share: a restoration network, an image, and what spoils it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.api.errors import InputError
from causaliqa.api.specs import DegradationSpec

if TYPE_CHECKING:
    from causaliqa.api.protocols import Degradation, Restorer
    from causaliqa.catalog.catalog import Catalog

__all__ = ["add_arguments", "check_names", "degradation", "restorer"]


def add_arguments(command: Any, *, several: bool = False) -> None:
    """Add network, image (or ``images``, where there may be several) and degradation."""
    command.add_argument(
        "restorer", metavar="RESTORER", help="NAME[:key=value,...], basicsr:ARCH, path/to/file.py:factory"
    )
    told = "ground truth; the degradation makes the input"
    if several:
        command.add_argument("images", metavar="IMAGE", type=Path, nargs="+", help=told)
    else:
        command.add_argument("image", metavar="IMAGE", type=Path, help=told)
    command.add_argument("--task", required=True, help="sr, denoise, derain or a plugin's degradation")
    command.add_argument("--scale", type=int, help="enlargement for sr (default: the restorer's own, else 4)")
    command.add_argument("--checkpoint", metavar="FILE", type=Path, help=".pth or .safetensors of the restorer")
    command.add_argument("--arch-options", metavar="KEY=VALUE,...", default="", help="arguments of the architecture")
    command.add_argument("--degradation", metavar="D", help="NAME[:key=value,...] (default: that of the task)")
    command.add_argument("--device", help="torch device (default: cuda if there is one, else cpu)")
    command.add_argument("--seed", type=int, default=0, help="seed of everything random (default: 0)")


def check_names(catalog: Catalog, args: argparse.Namespace) -> None:
    """Look up restorer and degradation without loading torch, and warn of what was probably not meant.

    Raises:
        InputError: a name is unknown.
    """
    from causaliqa.catalog.request import parse_request

    name, _ = parse_request(args.restorer)
    record, part = catalog.find_restorer(name)
    catalog.get(DegradationSpec, parse_request(args.degradation or args.task)[0])
    tasks = getattr(record.spec, "tasks", ())
    if tasks and args.task not in tasks:
        print(f"causaliqa: {name} was trained for {' and '.join(tasks)}, not for {args.task}", file=sys.stderr)
    if "arch" in part and args.checkpoint is None:
        print(f"causaliqa: {name} has random weights; pass --checkpoint FILE", file=sys.stderr)


def restorer(catalog: Catalog, args: argparse.Namespace, device: str) -> Restorer:
    """Build the network with its checkpoint."""
    from causaliqa.catalog.build import fixed_weights
    from causaliqa.catalog.request import parse_request

    name, options = parse_request(args.restorer)
    _, more = parse_request(f"x:{args.arch_options}")
    with fixed_weights():
        return catalog.create_restorer(name, checkpoint=args.checkpoint, device=device, **{**options, **more})


def degradation(catalog: Catalog, args: argparse.Namespace) -> Degradation:
    """Build what spoils the image, at the scale of the network.

    Raises:
        InputError: ``--scale`` was given to a degradation that keeps the size.
    """
    from causaliqa.catalog.request import parse_request

    name, options = parse_request(args.degradation or args.task)
    own = getattr(catalog.find_restorer(parse_request(args.restorer)[0])[0].spec, "scale", 1)
    if getattr(catalog.get(DegradationSpec, name).spec, "scale", 1) != 1:
        options.setdefault("scale", args.scale or (own if own != 1 else 4))
    elif args.scale not in (None, 1):
        raise InputError(f"--scale {args.scale}: degradation {name!r} keeps the size; leave it out")
    made: Degradation = catalog.create(DegradationSpec, name, **options)
    return made
