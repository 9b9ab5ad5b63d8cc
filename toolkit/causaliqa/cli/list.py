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
    print(_fitted(rows) if rows else f"no {args.kind}")
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
            "weights": weights_state(catalog, spec.name),
        }
    if isinstance(spec, DatasetSpec):
        return {"images": spec.images, "label": spec.label, "good": "low" if spec.label_lower_better else "high"}
    return {}


def _fitted(rows: list[dict[str, Any]]) -> str:
    """Return a table that is no wider than the terminal; in a file or a pipe nothing is cut."""
    made = text_table(rows)
    width = shutil.get_terminal_size().columns
    excess = max(map(len, made.splitlines())) - width
    if not sys.stdout.isatty() or excess <= 0:
        return made
    last = list(rows[0])[-1]
    longest = max(len(str(row.get(last, ""))) for row in rows)
    room = max(12, longest - excess)
    shown = [{**row, last: _cut(str(row.get(last, "")), room)} for row in rows]
    return text_table(shown)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 3]}..."
