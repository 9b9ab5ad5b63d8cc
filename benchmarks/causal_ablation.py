"""What the causal mask adds: PLCC and SRCC of every choice of terms and channels, from one pass over the pairs.

Usage: python benchmarks/causal_ablation.py --data MANIFEST.csv ... --metric causal_effnet_lite0 ... --out RESULT.csv

A metric is written as on the command line (``causal_vgg:weights=FILE,normalise=imagenet``). The result is one line per
data set, metric, terms and channels, with the share of channels kept at every level, and a line of machine facts.
"""

from __future__ import annotations

import argparse
import csv
import platform
import time
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from causaliqa.builtin.metrics.causal import CHANNELS, combine
from causaliqa.catalog.create import default_catalog
from causaliqa.catalog.request import parse_request
from causaliqa.functional.statistics import summarise
from causaliqa.io.images import load_image
from causaliqa.io.manifest import read_manifest

TERMS = ("ot+md", "ot", "md", "l2", "ot+md+l2")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", action="append", required=True, type=Path)
    parser.add_argument("--metric", action="append", required=True)
    parser.add_argument("--out", required=True, type=Path)
    args = parser.parse_args()
    lines = []
    for request in args.metric:
        name, options = parse_request(request)
        metric = default_catalog().create_metric(name, device="cpu", **options)
        for path in args.data:
            lines += measure(request, metric, read_manifest(path))
            write(args.out, lines)


def measure(request: str, metric, dataset) -> list[dict[str, object]]:
    scores: dict[tuple[str, str], list[float]] = {(t, c): [] for t in TERMS for c in CHANNELS}
    kept, start, last = [], time.perf_counter(), (None, None)
    with torch.inference_mode(False), torch.no_grad():
        for pair in tqdm(dataset.pairs, desc=f"{dataset.name} {request[:40]}"):
            if last[0] != pair.ref:
                last = (pair.ref, load_image(pair.ref))
            levels = metric.levels(load_image(pair.dist), last[1])[0]
            kept.append([float(level.keep.float().mean()) for level in levels])
            for (terms, channels), values in scores.items():
                values.append(float(combine(levels, terms.split("+"), channels)))
    labels = np.array([pair.label for pair in dataset.pairs])
    lines = []
    for (terms, channels), values in scores.items():
        s = summarise(values, labels, lower_better=True, label_lower_better=dataset.label_lower_better)
        lines.append(
            {
                "dataset": dataset.name,
                "metric": _without_paths(request),
                "terms": terms,
                "channels": channels,
                "n": s.n,
                "plcc": round(s.plcc, 4),
                "srcc": round(s.srcc, 4),
                "kept_per_level": " ".join(f"{v:.3f}" for v in np.mean(kept, axis=0)),
                "seconds_per_pair": round((time.perf_counter() - start) / len(values), 3),
            }
        )
    return lines


def _without_paths(request: str) -> str:
    name, options = parse_request(request)
    shown = {k: Path(v).name if k == "weights" else v for k, v in options.items()}
    return name + (":" + ",".join(f"{k}={v}" for k, v in shown.items()) if shown else "")


def write(out: Path, lines: list[dict[str, object]]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=[*lines[0], "machine"])
        writer.writeheader()
        machine = f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
        writer.writerows({**line, "machine": machine} for line in lines)


if __name__ == "__main__":
    main()
