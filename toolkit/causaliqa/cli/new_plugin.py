"""``causaliqa new-plugin NAME``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from causaliqa.api.errors import InputError
from causaliqa.cli import _common, _options

__all__ = ["add", "run"]


def add(commands: Any) -> None:
    """Add the command."""
    from causaliqa.testing.scaffold import KINDS

    command = _options.add_command(
        commands,
        "new-plugin",
        "Write the package of a new plugin, with a test that passes.",
        examples=("new-plugin edge_loss", "new-plugin my_net --kind restorer --out plugins/"),
        run=run,
    )
    command.add_argument("name", metavar="NAME", help="what it will be called, as in edge_loss")
    command.add_argument("--kind", choices=KINDS, default="metric", help="what it provides")
    command.add_argument(
        "--out", metavar="DIR", type=_options.out_folder, default=Path(), help="folder that takes the package"
    )


def run(args: argparse.Namespace) -> int:
    """Write the package and say what to do next; a built-in name is refused."""
    from causaliqa.api.hookspecs import KINDS
    from causaliqa.testing.scaffold import new_plugin

    taken = _common.catalog(args).registrations(KINDS[f"{args.kind}s"]).get(args.name.replace("-", "_"))
    if taken is not None:
        raise InputError(f"new-plugin: {args.kind} {args.name!r} is taken by {taken.provider}; choose another name")
    package = new_plugin(args.name, args.kind, args.out)
    print(f"{package}\nnext: cd {package} && pip install -e '.[test]' && python -m pytest tests")
    return 0
