"""Score sets with any metrics, for the table of calibration_tables.py; a set that has been scored is left alone.

Usage: python benchmarks/calibration_scores.py --metric fsim ... --set NAME=MANIFEST ... --cache FOLDER

Manifests have the columns ref, dist and an opinion score, or ref, a, b, votes_a, votes_b. The array ``dist``, or ``a``
and ``b``, of ``FOLDER/base_SET_METRIC.npz`` holds the scores; low is good.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from causaliqa.catalog.create import default_catalog
from causaliqa.catalog.request import parse_request


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metric", action="append", required=True)
    parser.add_argument("--set", action="append", required=True)
    parser.add_argument("--cache", required=True, type=Path)
    parser.add_argument("--refs", type=int, help="of the first n references of a set of votes")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for item in args.set:
        name, _, path = item.partition("=")
        for request in args.metric:
            out = args.cache / f"base_{name}_{parse_request(request)[0]}.npz"
            if not out.exists():
                scores = score(request, Path(path), args.refs)
                np.savez(out, **scores)


def score(request: str, path: Path, refs: int | None) -> dict[str, np.ndarray]:
    name, options = parse_request(request)
    metric = default_catalog().create_metric(name, device="cpu", **options)
    table = pd.read_csv(path)
    sides = ["a", "b"] if "votes_a" in table else ["dist"]
    table = table.head(refs) if len(sides) == 2 and refs else table
    sign = 1 if metric.lower_better else -1
    # Grouped by reference: metrics keep what they know of the latest.
    order = table.sort_values("ref", kind="stable").index
    found = {side: np.empty(len(table)) for side in sides}
    with torch.no_grad():
        for row in tqdm(order, desc=f"{path.parent.name} {name}", mininterval=30):
            for side in sides:
                pair = (str(path.parent / table.loc[row, key]) for key in (side, "ref"))
                found[side][row] = sign * float(metric(*pair))
    return found


if __name__ == "__main__":
    main()
