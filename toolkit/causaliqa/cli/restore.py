"""``causaliqa restore RESTORER IN OUT``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from causaliqa.api.errors import CausaliqaError
from causaliqa.cli import _common, _dataclass_options, _network_options, _options
from causaliqa.effects.restore_run import RestoreRun

__all__ = ["add", "run"]

_METAVARS = {"degradation": "D", "truth": "DIR", "tile": "N", "overlap": "N"}


def add(commands: Any) -> None:
    """Add the command."""
    command = _options.add_command(
        commands,
        "restore",
        "Restore every image of a folder by a network, so that the outputs can be compared.",
        examples=(
            "restore tiny_edsr_x4 small/ edsr/ --task sr",
            "restore net.py:build photos/ restored/ --task denoise --degrade --tile 512 --checkpoint net.pth",
        ),
        run=run,
    )
    _network_options.add_network(command)
    command.add_argument("source", metavar="IN", type=Path, help="image, or a folder of them; degraded already")
    command.add_argument(
        "out", metavar="OUT", type=Path, help="folder for the outputs STEM.png; or the PNG file of a single one"
    )
    network = _network_options.add_task(command)
    add_fields = _dataclass_options.add_options
    add_fields(network, RestoreRun, only=("degrade", "degradation", "seed", "truth"), metavars=_METAVARS)
    work = command.add_argument_group("tiles and work")
    add_fields(work, RestoreRun, only=("tile", "overlap", "overwrite"), metavars=_METAVARS)


def run(args: argparse.Namespace) -> int:
    """Restore and print the names of the outputs; exit 1 if an image could not be restored."""
    from causaliqa.effects.restore import restore_images

    with _common.named_as_options():
        asked = RestoreRun(
            **{**_dataclass_options.values(args, RestoreRun), "network": _network_options.network_request(args)}
        )
    _common.catalog(args)
    count = len(asked.files())
    kept = failed = 0
    for _, outcome in restore_images(asked, progress=not args.quiet):
        if isinstance(outcome, CausaliqaError):
            if count == 1:
                raise outcome
            failed += 1
            _common.note(str(outcome))
            continue
        kept += outcome.tiles == 0
        print(outcome.path, flush=True)
    _common.said(f"restored {count - kept - failed} of {count} images; {kept} were there already")
    return 1 if failed else 0
