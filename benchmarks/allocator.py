"""What metrics cost on the CPU when freed memory goes back to the system, and when the process keeps it.

Usage: python benchmarks/allocator.py --out RESULT.csv [--rounds 5] [--side 528] [--subjects ssim ms_ssim ...]

Each run scores a few pairs of random images with one thread, in a process that is forked from this one once the metric
is loaded; the ways take turns, round by round. Medians are reported, and ratios of processor time, which other programs
disturb less than the clock.
"""

from __future__ import annotations

import argparse
import csv
import ctypes
import json
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from causaliqa.utils.allocator import KEPT, keep_freed_memory

PAIRS, WARM = 2, 3
"""Pairs that are timed, and pairs before them: the heap grows until the pieces of one pair fit."""
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3


def higher_thresholds() -> bool:
    """Set what glibc accepts at most for a block that is not mapped on its own: 32 MB."""
    mallopt = ctypes.CDLL(None).mallopt
    return all([mallopt(MMAP_THRESHOLD, 32 * 2**20), mallopt(TRIM_THRESHOLD, KEPT)])


WAYS: dict[str, Callable[[], bool]] = {
    "default": lambda: True,
    "keep_freed_memory()": keep_freed_memory,
    "thresholds of 32 MB and 1 GB": higher_thresholds,
}
SUBJECTS = ("ssim", "ms_ssim", "vif", "causal_vgg")


def build(subject: str) -> Callable[..., torch.Tensor]:
    if subject.startswith("causal"):
        import causaliqa

        return causaliqa.create_metric(subject, device="cpu", pretrained=False)
    import pyiqa

    return pyiqa.create_metric(subject, device="cpu")


def resident(field: str) -> float:
    """Return ``VmRSS`` or ``VmHWM`` of this process in MB."""
    (line,) = (v for v in Path("/proc/self/status").read_text().splitlines() if v.startswith(field))
    return int(line.split()[1]) / 1024


def score(metric: Callable[..., torch.Tensor], side: int) -> dict[str, object]:
    """Score PAIRS pairs after WARM others; return what each took."""
    generator = torch.Generator().manual_seed(0)
    pairs = [torch.rand(2, 1, 3, side, side, generator=generator) for _ in range(WARM + PAIRS)]
    with torch.no_grad():
        for pair in pairs[:WARM]:
            metric(*pair)
        before, clock = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        scores = [float(metric(*pair)) for pair in pairs[WARM:]]
        seconds, after = time.perf_counter() - clock, resource.getrusage(resource.RUSAGE_SELF)
    system = after.ru_stime - before.ru_stime
    return {
        "cpu": (after.ru_utime - before.ru_utime + system) / PAIRS,
        "system": system / PAIRS,
        "wall": seconds / PAIRS,
        "faults": (after.ru_minflt - before.ru_minflt) / PAIRS,
        "rss": resident("VmRSS"),
        "peak": resident("VmHWM"),
        "scores": scores,
    }


def run(metric: Callable[..., torch.Tensor], way: str, side: int) -> dict[str, object]:
    """Run :func:`score` in a forked process."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        done = 1
        try:
            if not WAYS[way]():
                raise SystemExit(f"{way}: glibc did not take the settings")
            with os.fdopen(send, "w") as file:
                json.dump(score(metric, side), file)
            done = 0
        finally:
            os._exit(done)
    os.close(send)
    with os.fdopen(receive) as file:
        text = file.read()
    if os.waitpid(child, 0)[1]:
        raise SystemExit(f"{way}: the process failed")
    return json.loads(text)


def summary(subject: str, way: str, runs: list, default: list) -> dict[str, object]:
    median = {key: statistics.median(one[key] for one in runs) for key in runs[0] if key != "scores"}
    faster = [a["cpu"] / b["cpu"] for a, b in zip(default, runs, strict=True)]
    return {
        "metric": subject,
        "way": way,
        "runs": len(runs),
        "pairs before": WARM,
        "processor seconds per pair": round(median["cpu"], 3),
        "of them system": round(median["system"], 3),
        "clock seconds per pair": round(median["wall"], 3),
        "times faster than default": round(statistics.median(faster), 2),
        "lowest": round(min(faster), 2),
        "page faults per pair": round(median["faults"]),
        "resident MB after": round(median["rss"]),
        "peak MB": round(median["peak"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--side", type=int, default=528)
    parser.add_argument("--subjects", nargs="+", default=SUBJECTS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    metrics = {subject: build(subject) for subject in args.subjects}
    found: dict[str, dict[str, list]] = {subject: {way: [] for way in WAYS} for subject in metrics}
    for k in range(args.rounds):
        for subject, metric in metrics.items():
            for way in WAYS:
                found[subject][way].append(run(metric, way, args.side))
            if len({json.dumps(runs[-1]["scores"]) for runs in found[subject].values()}) > 1:
                raise SystemExit(f"{subject}: the ways give different scores")
        print(f"round {k + 1} of {args.rounds}", file=sys.stderr)
        # After every round: a long run that is stopped leaves what it found.
        write(found, args.out, args.side)


def write(found: dict[str, dict[str, list]], out: Path | None, side: int) -> None:
    facts = f"{side} x {side}, {platform.machine()}, {os.cpu_count()} cores, {' '.join(platform.libc_ver())}"
    lines = [summary(name, way, runs, ways["default"]) for name, ways in found.items() for way, runs in ways.items()]
    file = out.open("w", newline="", encoding="utf-8") if out else sys.stdout
    writer = csv.DictWriter(file, fieldnames=[*lines[0], "machine"])
    writer.writeheader()
    writer.writerows({**line, "machine": facts} for line in lines)
    file.flush()


if __name__ == "__main__":
    main()
