"""The command line that the simulations share: one line of a CSV file for every number of references and scenario."""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

Line = Callable[[str, int, int, int], dict[str, object]]
"""Makes the cells of a line from the scenario, the number of references, the number of runs and the seed."""


def write_table(
    line: Line,
    scenarios: Collection[str],
    result: Path,
    *,
    doc: str | None,
    references: Sequence[int] = (25,),
    about: Mapping[str, object] | None = None,
) -> None:
    """Read the options and write a line as soon as it is known, followed by its seconds and what ``about`` says."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--references", type=int, nargs="+", default=list(references))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scenario", nargs="+", default=list(scenarios), choices=list(scenarios))
    parser.add_argument("--out", type=Path, default=result)
    args = parser.parse_args()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    writer = None
    with args.out.open("w", newline="", encoding="utf-8") as file:
        for number in args.references:
            for name in args.scenario:
                start = time.perf_counter()
                cells = line(name, number, args.runs, args.seed)
                cells |= {"seconds": f"{time.perf_counter() - start:.0f}", **(about or {})}
                if writer is None:
                    writer = csv.DictWriter(file, fieldnames=list(cells), lineterminator="\n")
                    writer.writeheader()
                writer.writerow(cells)
                file.flush()
                print(cells, flush=True)
