"""``causaliqa doctor [COMMAND ...]``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from causaliqa.api.errors import CausaliqaError, InputError
from causaliqa.cli import _common

if TYPE_CHECKING:
    from causaliqa.api.data import NeededFile
    from causaliqa.catalog.catalog import Catalog
    from causaliqa.cli._doctor.checks import Check

__all__ = ["add", "run"]


def add(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser(
        "doctor",
        help="what is installed, what is broken, and which downloads a command would need",
        epilog="Options of doctor come before COMMAND: causaliqa doctor --json leaderboard --preset table1 ...",
    )
    command.add_argument("--json", action="store_true", help="print JSON")
    command.add_argument(
        "--out", metavar="FILE", type=_common.out_file, help="write a report for an issue, without your name in it"
    )
    command.add_argument(
        "request", metavar="COMMAND ...", nargs=argparse.REMAINDER, help="a whole command line; it is not carried out"
    )
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print what was found; exit 1 if anything is broken."""
    from causaliqa.catalog.needed_weights import all_weights
    from causaliqa.cli._doctor.checks import anonymous, packages, plugins, probed, system

    checks: dict[str, list[Check]] = {"packages": list(packages()), "tried": [], "plugins": [], "registry": []}
    weights: list[NeededFile] = []
    needs: list[NeededFile] | None = None
    try:
        catalog = _common.catalog(args)
    except CausaliqaError as error:
        checks["registry"] = [_broken("registry.yaml", error)]
    else:
        # A misspelt command should not wait for the probes.
        needs = list(_needs(catalog, args.request)) if args.request else None
        checks["plugins"] = list(plugins(catalog.host))
        try:
            checks["registry"] = list(_registry(catalog))
            weights = list(all_weights(catalog))
        except CausaliqaError as error:  # --strict-plugins
            checks["registry"] = [_broken("entries", error)]
    checks["tried"] = list(probed())
    document = {
        "schema": 1,
        "system": system(),
        **{part: [asdict(check) for check in found] for part, found in checks.items()},
        "weights": [asdict(need) for need in weights],
        "command": args.request,
        "needs": None if needs is None else [asdict(need) for need in needs],
    }
    broken = sum(check.state == "broken" for found in checks.values() for check in found)
    broken += sum(need.state == "damaged" for need in (*weights, *(needs or ())))
    text = json.dumps(document, indent=2, default=str) if args.json else _report(document, broken)
    _common.write_or_print(anonymous(text) if args.out else text, args.out)
    return 1 if broken else 0


def _broken(name: str, error: CausaliqaError) -> Check:
    from causaliqa.cli._doctor.checks import Check

    return Check(name=name, state="broken", told=str(error))


def _registry(catalog: Catalog) -> Iterator[Check]:
    from causaliqa.catalog.needed_weights import unlisted
    from causaliqa.cli._doctor.checks import Check

    for file in catalog.registry.files:
        yield Check(name=str(file), state="ok", told="read")
    for problem in unlisted(catalog):
        yield Check(name="entries", state="broken", told=problem)


def _needs(catalog: Catalog, request: list[str]) -> Iterator[NeededFile]:
    """Yield what a command line would load; it is read by the real parser and goes no further."""
    from causaliqa.catalog.needed_weights import metric_needs, restorer_needs
    from causaliqa.catalog.request import parse_request
    from causaliqa.cli import parser

    asked = parser().parse_args(request)
    given = getattr(asked, "metric", None) or []
    metrics: list[str] = list(given) if isinstance(given, list) else [given]
    for preset in filter(None, [getattr(asked, "preset", None), "demo" if asked.command == "demo" else None]):
        if preset not in catalog.registry.presets:
            raise InputError(f"unknown preset {preset!r}; expected one of {', '.join(catalog.registry.presets)}")
        metrics += catalog.registry.presets[preset].metrics
    if getattr(asked, "measure", "psnr") != "psnr":
        metrics.append(asked.measure)
    found: dict[NeededFile, None] = {}
    for metric in dict.fromkeys(metrics):
        if "lower_better" not in parse_request(metric)[1]:  # else its scores come from a file
            found.update(dict.fromkeys(metric_needs(catalog, metric)))
    if restorer := getattr(asked, "restorer", None):
        found.update(dict.fromkeys(restorer_needs(catalog, restorer, asked.checkpoint)))
    yield from found


_SIGNS = {"ok": "ok", "missing": "--", "broken": "BROKEN"}


def _report(document: dict[str, Any], broken: int) -> str:
    lines = ["causaliqa doctor", ""]
    lines += [f"{name:14} {told}" for name, told in document["system"].items()]
    for part in ("packages", "tried", "plugins", "registry"):
        lines += ["", part]
        lines += [f"  {_SIGNS[c['state']]:7} {c['name']:28} {c['told']}" for c in document[part]] or ["  none"]
    lines += ["", "weights", *_files(document["weights"])]
    if document["needs"] is not None:
        lines += ["", f"what `causaliqa {' '.join(document['command'])}` would load", *_files(document["needs"])]
        missing = {n["file"]: n["size"] for n in document["needs"] if n["state"] == "missing"}
        size = f", {_size(sum(missing.values()))}" if all(missing.values()) and missing else ""
        lines.append(f"  to be downloaded: {len(missing)} files{size}")
    things = f"{broken} broken {'thing' if broken == 1 else 'things'}, see above" if broken else "nothing is broken"
    return "\n".join([*lines, "", things])


def _files(needs: list[dict[str, Any]]) -> list[str]:
    lines = []
    for need in needs:
        size = _size(need["size"]) if need["file"] else ""
        lines.append(f"  {need['state']:8} {need['name']:28} {need['file'] or '-':45} {size:>10}  {need['source']}")
    return lines or ["  none"]


def _size(count: int | None) -> str:
    return f"{count / 2**20:.1f} MiB" if count else "unknown"
