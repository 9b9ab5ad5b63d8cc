"""``causaliqa list [KIND]``."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from causaliqa.api.hookspecs import KINDS
from causaliqa.api.specs import DatasetSpec, MetricSpec, Spec
from causaliqa.cli import _common, _options
from causaliqa.utils.text import text_table

if TYPE_CHECKING:
    from causaliqa.catalog.catalog import Catalog
    from causaliqa.catalog.host import Registration

__all__ = ["add", "run"]

_PRESETS = "presets"
_NARROWEST = 12
"""A column is cut to no less."""
_ONLY_JSON = ("reference", "masked", "takes_hdr", "rounds_to_8_bits")
"""What only ``--json`` shows."""
_SPARE = ("weights", "provider", "better", "mode")
"""Columns that a narrow terminal does without, in this order."""


def add(commands: Any) -> None:
    """Add the command."""
    command = _options.add_command(
        commands,
        "list",
        "Show what can be used by name.",
        examples=("list", "list metrics 'causal_*' --license permissive"),
        run=run,
    )
    command.add_argument("kind", nargs="?", choices=(*KINDS, _PRESETS), help="without it: how many of each there are")
    command.add_argument("glob", nargs="?", default="*", metavar="GLOB", help="names that match, as in 'causal_*'")
    command.add_argument(
        "--license", nargs="?", const="any", choices=("any", "permissive"), help="permissive: Apache-2.0, MIT, BSD only"
    )
    command.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print names with provider, licence and one line; no torch is loaded."""
    from causaliqa.utils.licences import is_permissive

    catalog = _common.catalog(args)
    if args.kind is None:
        rows = list(_overview(catalog))
    elif args.kind == _PRESETS:
        rows = [
            {"name": preset.name, "metrics": ", ".join(preset.metrics)} for preset in catalog.registry.presets.values()
        ]
    else:
        rows = list(_named(catalog, KINDS[args.kind], args.glob))
        if args.license == "permissive":
            rows = [row for row in rows if is_permissive(row["licence"])]
    if args.json:
        print(json.dumps({"schema": 1, "kind": args.kind, "items": rows}, indent=2))
        return 0
    print(_fitted([_printed(row) for row in rows]) if rows else f"no {args.kind}")
    return 0


def _overview(catalog: Catalog) -> Iterator[dict[str, Any]]:
    for word, kind in KINDS.items():
        names = catalog.names(kind)
        first = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
        yield {"kind": word, "count": len(names), "first": first, "more": f"causaliqa list {word}"}
    presets = list(catalog.registry.presets)
    yield {"kind": _PRESETS, "count": len(presets), "first": ", ".join(presets), "more": f"causaliqa list {_PRESETS}"}


def _named(catalog: Catalog, kind: type[Spec], pattern: str) -> Iterator[dict[str, Any]]:
    known = catalog.registrations(kind)
    for name in catalog.names(kind, pattern):
        found = known[name]
        yield {
            "name": name,
            **_facts(catalog, found),
            "provider": found.provider,
            "licence": found.spec.licence,
            "summary": found.spec.summary,
            "reference": found.spec.reference,
        }
    for name, claimants in catalog.host.ambiguous(kind).items():
        owners = " and ".join(claimant.provider for claimant in claimants)
        summary = "ambiguous: claimed twice, cannot be used"
        yield {"name": name, "provider": owners, "licence": "-", "summary": summary}


def _facts(catalog: Catalog, found: Registration[Any]) -> dict[str, Any]:
    from causaliqa.catalog.needed_weights import weights_state

    spec = found.spec
    if isinstance(spec, MetricSpec):
        return {
            "mode": spec.metric_mode,
            "better": "lower" if spec.lower_better else "higher",
            "trained_on": None if spec.trained_on is None else list(spec.trained_on),
            "year": spec.year,
            "masked": spec.masked,
            "takes_hdr": spec.takes_hdr,
            "rounds_to_8_bits": spec.rounds_to_8_bits,
            "weights": weights_state(catalog, spec.name),
        }
    if isinstance(spec, DatasetSpec):
        return {"images": spec.images, "label": spec.label, "good": "low" if spec.label_lower_better else "high"}
    return {}


def _printed(row: dict[str, Any]) -> dict[str, Any]:
    """Return what the table shows of a row; JSON has all of it."""
    from causaliqa.catalog.training import training_text

    shown = {key: value for key, value in row.items() if key not in _ONLY_JSON}
    return {**shown, "trained_on": training_text(row["trained_on"])} if "trained_on" in row else shown


def _fitted(rows: list[dict[str, Any]]) -> str:
    """Return a table that is no wider than the terminal; in a file or a pipe nothing is cut or left out."""
    made, width = text_table(rows), shutil.get_terminal_size().columns
    for count in range(len(_SPARE) + 1 if sys.stdout.isatty() else 0):
        made = _narrowed([{k: v for k, v in row.items() if k not in _SPARE[:count]} for row in rows], width)
        if _width(made) <= width:
            break
    return made


def _narrowed(rows: list[dict[str, Any]], width: int) -> str:
    """Return a table whose widest columns are cut until it fits, or until they are at their narrowest."""
    made = text_table(rows)
    keys = dict.fromkeys(key for row in rows for key in row)
    widths = {key: max(len(str(row.get(key, ""))) for row in rows) for key in keys}
    names = list(widths)[1:]  # the first column is what to type
    for _ in range(_width(made) - width):
        widest = max(names, key=widths.__getitem__)
        widths[widest] = max(widths[widest] - 1, _NARROWEST)
    return text_table(
        [{key: _cut(str(value), max(widths[key], _NARROWEST)) for key, value in row.items()} for row in rows]
    )


def _width(table: str) -> int:
    return max(map(len, table.splitlines()))


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 3]}..."
