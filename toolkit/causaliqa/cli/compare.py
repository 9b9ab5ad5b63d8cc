"""``causaliqa compare A/ B/ ... --ref REF/ --metric NAME``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from causaliqa.api.errors import InputError
from causaliqa.cli import _common, _options

__all__ = ["add", "run"]


def add(commands: Any) -> None:
    """Add the command."""
    command = _options.add_command(
        commands,
        "compare",
        "Tell which of several outputs is better: restorers, encoders, settings; no opinion scores are needed.",
        examples=(
            "compare edsr/ rcan/ hat/ --ref truth/ --metric psnr --metric calibrated_effnet_lite0 --channel y --crop 4",
            "compare old=v1/ new=v2/ --ref truth/ --metric ssim --out page.html",
        ),
        run=run,
    )
    command.add_argument(
        "outputs", metavar="[NAME=]FOLDER", nargs="+", help="images of one output; files belong together by their stems"
    )
    command.add_argument("--ref", metavar="FOLDER", type=Path, help="references; not needed for metrics without one")
    _options.add_metrics(command)
    _options.add_device(command)
    _options.add_seed(command, "metrics that take one, and of the ties")
    _options.add_store(command)
    _options.add_preparation(command.add_argument_group("what is done to the images before"))
    _options.add_tables_out(command.add_argument_group("what comes out"))


def run(args: argparse.Namespace) -> int:
    """Score, compare and print; exit 1 if a score could not be computed."""
    from causaliqa.report.compare import compare
    from causaliqa.report.formats import format_of

    form = format_of(args.out, args.format)
    made = compare(
        _folders(args.outputs),
        args.ref,
        args.metrics,
        store=args.store,
        **_common.scoring(args),
    )
    return _common.publish(made, form, args.out)


def _folders(texts: list[str]) -> dict[str, Path]:
    """Read ``[NAME=]FOLDER``; without a name the folder's own.

    Raises:
        InputError: two outputs have the same name.
    """
    from causaliqa.utils.text import distinct_names

    split = [
        (name, Path(path)) if name and mark else ("", Path(text))
        for text in texts
        for name, mark, path in [text.partition("=")]
    ]
    short = distinct_names([path for _, path in split])
    names = [name or own for (name, _), own in zip(split, short, strict=True)]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"two outputs are called {twice[0]!r}; name them, as in old={split[0][1]}")
    return dict(zip(names, (path for _, path in split), strict=True))
