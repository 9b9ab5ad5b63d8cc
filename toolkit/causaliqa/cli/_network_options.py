"""What ``cem``, ``lam`` and ``restore`` share: options that name a network, an image, and its degradation."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from causaliqa.cli import _dataclass_options
from causaliqa.effects.job import MapRun
from causaliqa.effects.names import NetworkRequest
from causaliqa.effects.settings import CemSettings

__all__ = ["add_arguments", "add_network", "add_task", "network_request"]

_METAVARS = {"checkpoint": "FILE", "arch_options": "KEY=VALUE,..."}


def add_arguments(command: Any, *, several: bool = False) -> None:
    """Add network, image (or ``images``, where there may be several), task and degradation."""
    add_network(command)
    text = "ground truth; the degradation makes the input"
    if several:
        command.add_argument("images", metavar="IMAGE", type=Path, nargs="+", help=text)
    else:
        command.add_argument("image", metavar="IMAGE", type=Path, help=text)
    _dataclass_options.add_options(
        add_task(command), CemSettings, only=("degradation", "seed"), metavars={"degradation": "D"}
    )


def add_network(command: Any) -> None:
    """Add the network."""
    command.add_argument(
        "network", metavar="RESTORER", help="NAME[:key=value,...], basicsr:ARCH, path/to/file.py:factory"
    )


def add_task(command: Any) -> Any:
    """Add task, checkpoint and device; return the group, for the degradation."""
    command.add_argument("--task", required=True, help="sr, denoise, derain or a plugin's degradation")
    group = command.add_argument_group("network and degradation")
    only = ("scale", "checkpoint", "arch_options")
    _dataclass_options.add_options(group, NetworkRequest, only=only, metavars=_METAVARS)
    _dataclass_options.add_options(group, MapRun, only=("device",))
    return group


def network_request(args: argparse.Namespace) -> NetworkRequest:
    """Return the network that the options name."""
    return NetworkRequest(**_dataclass_options.values(args, NetworkRequest))
