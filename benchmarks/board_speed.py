"""Seconds for every statistic of a large board: 48 metrics, 200 references, 23,200 images, 1,000 draws.

Synthetic scores of the size of PIPAL's training set. A run on a small board comes first and is not timed: it compiles.
``cpu`` is the processor time of all threads, which a busy machine changes less.

    python benchmarks/board_speed.py [--metrics 48] [--references 200] [--images 116] [--draws 1000] [--threads 2]

The result lies beside this file in ``results/board_speed.csv``.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import resource
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from causaliqa.functional.best import compare
from causaliqa.functional.disagreement import gmad_pairs, largest_residuals, metric_map, rank_correlations
from causaliqa.functional.logistic import fit_logistic
from causaliqa.functional.p1401 import ceiling, errors_p1401
from causaliqa.functional.protocols import Protocols, flips
from causaliqa.functional.vqeg import areas, resolving_power

RESULT = Path(__file__).parent / "results" / "board_speed.csv"


def board(metrics: int, references: int, images: int) -> tuple[Any, Any, Any]:
    """Scores, labels and references."""
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(references), images)
    labels = rng.normal(size=len(clusters))
    noise = rng.normal(size=(metrics, len(labels))) + 0.5 * rng.normal(size=(metrics, references))[:, clusters]
    return labels + noise * rng.uniform(0.3, 2.0, (metrics, 1)), labels, clusters


def steps(data: tuple[Any, Any, Any], draws: int, threads: int) -> list[tuple[str, float, float]]:
    """Seconds of every step, on the clock and of the processor."""
    scores, labels, _ = data
    seconds: list[tuple[str, float, float]] = []

    def timed(name: str, work: Callable[[], Any]) -> Any:
        start, busy = time.perf_counter(), time.process_time()
        result = work()
        seconds.append((name, time.perf_counter() - start, time.process_time() - busy))
        return result

    protocols = timed("draws", lambda: Protocols(*data, draws=draws, threads=threads))
    timed("intervals over all", lambda: protocols.intervals("all"))
    timed("intervals within", lambda: protocols.intervals("within"))
    over = timed("compare over all", lambda: compare(*data, draws=draws, threads=threads))
    within = timed("compare within", lambda: compare(*data, protocol="within", draws=draws, threads=threads))
    timed("flips", lambda: flips(over, within))
    pool = ThreadPoolExecutor(threads)
    fits = timed("logistic fits", lambda: list(pool.map(lambda row: fit_logistic(row, labels), scores)))
    timed("largest residuals", lambda: largest_residuals(scores, labels, fits=fits))
    predicted = np.array([fit.predict(row) for fit, row in zip(fits, scores, strict=True)])
    timed("map", lambda: metric_map(rank_correlations(scores)))
    timed("gmad, best against all", lambda: [gmad_pairs(predicted[0], row, tolerance=0.02) for row in predicted[1:]])
    timed("areas", lambda: areas(scores, labels, 0.3, threads=threads))
    timed("resolving power", lambda: resolving_power(predicted, labels, 0.3, threads=threads))
    timed("errors after the cubic", lambda: [errors_p1401(row, labels, 0.3) for row in scores])
    timed("ceiling", lambda: ceiling(labels, 0.3))
    return [*seconds, ("total", sum(wall for _, wall, _ in seconds), sum(cpu for *_, cpu in seconds))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--metrics", type=int, default=48)
    parser.add_argument("--references", type=int, default=200)
    parser.add_argument("--images", type=int, default=116)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULT)
    args = parser.parse_args()
    steps(board(2, 10, 10), 10, 1)
    load = os.getloadavg()[0]
    with args.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            ["step", "seconds", "cpu", "metrics", "images", "draws", "threads", "load", "machine", "python"]
        )
        for name, wall, cpu in steps(board(args.metrics, args.references, args.images), args.draws, args.threads):
            about = [args.metrics, args.references * args.images, args.draws, args.threads, f"{load:.1f}"]
            writer.writerow([name, f"{wall:.2f}", f"{cpu:.2f}", *about, platform.machine(), platform.python_version()])
            print(f"{name:28s} {wall:8.2f} {cpu:8.2f}", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MiB, load {load:.1f}")


if __name__ == "__main__":
    main()
