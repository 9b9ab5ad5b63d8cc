"""What ``cem`` and ``lam`` share: options that name a restoration network, an image, and its degradation."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from causaliqa.cli import _dataclass_options
from causaliqa.effects.job import MapRun
from causaliqa.effects.names import NetworkRequest
from causaliqa.effects.settings import CemSettings

__all__ = ["add_arguments", "network_request"]

_METAVARS = {"checkpoint": "FILE", "arch_options": "KEY=VALUE,...", "degradation": "D"}


def add_arguments(command: Any, *, several: bool = False) -> None:
    """Add network, image (or ``images``, where there may be several), task and degradation."""
    command.add_argument(
        "network", metavar="RESTORER", help="NAME[:key=value,...], basicsr:ARCH, path/to/file.py:factory"
    )
    told = "ground truth; the degradation makes the input"
    if several:
        command.add_argument("images", metavar="IMAGE", type=Path, nargs="+", help=told)
    else:
        command.add_argument("image", metavar="IMAGE", type=Path, help=told)
    command.add_argument("--task", required=True, help="sr, denoise, derain or a plugin's degradation")
    add, group = _dataclass_options.add_options, command.add_argument_group("network and degradation")
    add(group, NetworkRequest, only=("scale", "checkpoint", "arch_options"), metavars=_METAVARS)
    add(group, CemSettings, only=("degradation", "seed"), metavars=_METAVARS)
    add(group, MapRun, only=("device",))


def network_request(args: argparse.Namespace) -> NetworkRequest:
    """Return the network that the options name."""
    return NetworkRequest(**_dataclass_options.values(args, NetworkRequest))
