"""Pages that are made from the code: the command reference and the licences. Nothing in them is written twice."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path


def write_pages(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name, lines in (("commands.md", commands()), ("licences.md", licences())):
        text = "\n".join(lines) + "\n"
        page = folder / name
        # An unchanged page keeps its date, so that Sphinx need not read it again.
        if not page.is_file() or page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")


def commands() -> Iterator[str]:
    """Yield the help of every command."""
    from causaliqa.cli import parser

    os.environ["COLUMNS"] = "100"
    top = parser()
    yield from ("# Commands", "", "Made from the parser itself; `causaliqa COMMAND --help` prints the same.", "")
    yield from ("```text", top.format_help().rstrip(), "```", "")
    (subparsers,) = (a for a in top._actions if isinstance(a, argparse._SubParsersAction))
    for name, command in subparsers.choices.items():
        yield from (f"## {name}", "", "```text", command.format_help().rstrip(), "```", "")


def licences() -> Iterator[str]:
    """Yield what binds a user: pyiqa's licence, and that of every weight and record."""
    from causaliqa.api.hookspecs import KINDS
    from causaliqa.catalog.catalog import Catalog
    from causaliqa.catalog.host import PluginHost
    from causaliqa.catalog.registry import load_registry

    catalog = Catalog(PluginHost(entry_points=list), load_registry())
    yield from ("# Licences", "")
    yield from (
        "causaliqa itself is Apache-2.0. **pyiqa, which it installs and calls, is licensed under PolyForm",
        "Noncommercial 1.0.0**: who uses its metrics, or this package together with it, may do so for noncommercial",
        "purposes only, unless the authors of pyiqa allow more. None of pyiqa's code is part of causaliqa.",
        "",
        "A network is also bound by the licence of its weights, and by what they were trained on. `causaliqa list",
        "metrics` shows the same for every metric, pyiqa's included.",
        "",
    )
    yield from ("## Weights", "", "| file | licence | source |", "| --- | --- | --- |")
    for name, entry in sorted(catalog.registry.weights.items()):
        yield f"| `{name}` | {entry.licence} | {entry.source} |"
    for word, kind in KINDS.items():
        records = catalog.registrations(kind).values()
        own = [r for r in records if "PolyForm" not in r.spec.licence]
        yield from ("", f"## {word.capitalize()}", "", "| name | licence | reference |", "| --- | --- | --- |")
        for record in sorted(own, key=lambda r: r.spec.name):
            yield f"| `{record.spec.name}` | {record.spec.licence} | {record.spec.reference or ''} |"
        if len(own) < len(records):
            yield f"| {len(records) - len(own)} more, through pyiqa | PolyForm-Noncommercial-1.0.0 | |"
