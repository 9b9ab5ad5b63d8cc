"""Feed every parser of tests/fuzz with thousands of spoilt inputs; count what was taken and what refused.

    python benchmarks/fuzz.py --inputs 50000 --out benchmarks/results/fuzz.csv

Exit 1 if a parser raised anything but our own errors, hung, or said nothing; the input is printed.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "fuzz"))

CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def feed(parser: Any, inputs: int, start: int) -> tuple[int, int, str]:
    """Return how many inputs were taken and refused, and what went wrong."""
    from spoiling import attempt

    said: list[bool] = []
    with tempfile.TemporaryDirectory() as folder:

        @seed(start)
        @settings(
            max_examples=inputs,
            suppress_health_check=CHECKS,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
        )
        @given(parser.data)
        def run(data: Any) -> None:
            said.append(bool(attempt(parser, data, Path(folder))))

        try:
            run()
            found = ""
        except Exception:
            found = traceback.format_exc()
    return said.count(False), said.count(True), found


def main() -> int:
    """Feed all of them, or those that are named."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--inputs", type=int, default=50_000, help="in all")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--only", nargs="*", default=[])
    options.add_argument("--out", type=Path)
    args = options.parse_args()
    from parsers import PARSERS

    able = [parser for parser in PARSERS if not parser.needs or importlib.util.find_spec(parser.needs)]
    chosen = [parser for parser in able if not args.only or parser.name in args.only]
    rows = []
    for parser in chosen:
        begin = time.perf_counter()
        taken, refused, found = feed(parser, -(-args.inputs // len(chosen)), args.seed)
        seconds = time.perf_counter() - begin
        rows.append(
            {"parser": parser.name, "inputs": taken + refused, "taken": taken, "refused": refused}
            | {"others": int(bool(found)), "seconds": f"{seconds:.0f}"}
        )
        print(rows[-1], file=sys.stderr, flush=True)
        if found:
            print(found, file=sys.stderr, flush=True)
    if args.out is not None:
        with args.out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    return 1 if any(row["others"] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
