"""``causaliqa data list`` and ``causaliqa data verify NAME=ROOT``."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.api.errors import InputError
from causaliqa.api.specs import DatasetSpec
from causaliqa.cli import _common, _options
from causaliqa.utils.text import one_line, text_table

if TYPE_CHECKING:
    from causaliqa.api.data import Finding
    from causaliqa.api.specs import DatasetSpec
    from causaliqa.catalog.catalog import Catalog

__all__ = ["add", "run"]


def add(commands: Any) -> None:
    """Add the command."""
    command = _options.add_command(
        commands,
        "data",
        "Show the data sets that can be read, and check a copy of one.",
        examples=("data list", "data verify tid2013=FOLDER --deep"),
        run=run,
    )
    command.add_argument("action", choices=("list", "verify"))
    command.add_argument("item", nargs="?", metavar="NAME=ROOT", help="data set and its folder, to verify")
    command.add_argument("--deep", action="store_true", help="decode every image, which finds truncated ones")
    command.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """List or verify; exit 1 if something is wrong with the copy."""
    catalog = _common.catalog(args)
    if args.action == "list":
        return _list(catalog, as_json=args.json)
    name, _, root = (args.item or "").partition("=")
    if not (name and root):
        raise InputError(f"data verify: got {args.item!r}, expected NAME=ROOT, for example tid2013=/data/tid2013")
    spec = _spec(catalog, name)
    if not Path(root).is_dir():
        raise InputError(f"data verify: {root} is no folder; expected the authors' archive, unpacked")
    if spec.verify is None:
        raise InputError(f"data set {name!r} of {catalog.get(DatasetSpec, name).provider} cannot be verified")
    found = [*spec.verify(Path(root), **({"deep": True} if args.deep else {})), *_changed(catalog, name, Path(root))]
    wrong = [finding for finding in found if not finding.harmless]
    if args.json:
        facts = {"schema": 1, "dataset": name, "root": root, "ok": not wrong}
        facts |= {"references": spec.references, "images": spec.images}
        print(json.dumps({**facts, "findings": [asdict(finding) for finding in found]}, indent=2))
        return 1 if wrong else 0
    print(f"{name} in {root}: expected {spec.images:,} images of {spec.references} references")
    for finding in found:
        print(f"  {'note' if finding.harmless else finding.kind}: {one_line(finding.message)}")
    if wrong:
        print(f"{len(wrong)} {'problem' if len(wrong) == 1 else 'problems'}; the archive comes from {spec.source}")
    else:
        print("nothing is wrong")
    return 1 if wrong else 0


def _spec(catalog: Catalog, name: str) -> DatasetSpec:
    spec: Any = catalog.get(DatasetSpec, name).spec
    found: DatasetSpec = spec
    return found


def _changed(catalog: Catalog, name: str, root: Path) -> list[Finding]:
    """Files that registry.yaml knows by their hash and that are others here; missing ones are the loader's business."""
    from causaliqa.api.data import Finding
    from causaliqa.io.weights import sha256

    found = []
    for file, digest in catalog.registry.datasets.get(name, {}).items():
        path = root / file
        if path.is_file() and not (got := sha256(path)).startswith(digest):
            message = f"{file} is not the file that is known: got sha256 {got[:16]}..., expected {digest[:16]}..."
            found.append(Finding(kind="changed", message=message, files=(file,)))
    return found


def _list(catalog: Catalog, *, as_json: bool) -> int:
    rows = []
    for name in catalog.names(DatasetSpec):
        spec = _spec(catalog, name)
        rows.append(
            {
                "name": name,
                "images": spec.images,
                "references": spec.references,
                "label": spec.label,
                "good": "low" if spec.label_lower_better else "high",
                "licence": spec.licence,
                "source": spec.source,
            }
        )
    if as_json:
        print(json.dumps({"schema": 1, "items": rows}, indent=2))
        return 0
    print(text_table(rows))
    return 0
