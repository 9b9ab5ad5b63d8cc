"""What metrics cost on the CPU when freed memory goes back to the system, and when the process keeps it.

Usage: python benchmarks/allocator.py --out RESULT.csv [--rounds 5] [--side 528] [--subjects ssim ms_ssim ...]

Each run is a process of its own that scores a few pairs of random images with each metric, with one thread; the ways
take turns, round by round. Medians are reported, and ratios of processor time, which other programs disturb less than
the clock. Memory is that of the process after this metric and those before it.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

PAIRS = 3
WAYS = {
    "default": {},
    "keep_freed_memory()": {},
    "MALLOC_MMAP_THRESHOLD_ of 32 MB": {
        "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
        "MALLOC_TRIM_THRESHOLD_": str(2**29),
    },
    "MALLOC_MMAP_MAX_ of 0": {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**29)},
    "torch's huge pages": {"THP_MEM_ALLOC_ENABLE": "1"},
}
SUBJECTS = ("ssim", "ms_ssim", "vif", "causal_vgg")


def build(subject: str) -> object:
    if subject.startswith("causal"):
        import causaliqa

        return causaliqa.create_metric(subject, device="cpu", pretrained=False)
    import pyiqa

    return pyiqa.create_metric(subject, device="cpu")


def resident(field: str) -> float:
    """Return ``VmRSS`` or ``VmHWM`` of this process in MB."""
    (line,) = (v for v in Path("/proc/self/status").read_text().splitlines() if v.startswith(field))
    return int(line.split()[1]) / 1024


def worker(way: str, subjects: list[str], side: int) -> None:
    """Score PAIRS pairs with each metric and print what it took for each of them."""
    if way == "keep_freed_memory()":
        from causaliqa.utils.allocator import keep_freed_memory

        if not keep_freed_memory():
            raise SystemExit("glibc did not take the settings")
    import torch

    generator = torch.Generator().manual_seed(0)
    pairs = [torch.rand(2, 1, 3, side, side, generator=generator) for _ in range(PAIRS + 1)]
    found = {}
    for subject in subjects:
        metric = build(subject)
        with torch.no_grad():
            metric(*pairs[0])
            before, clock = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
            scores = [float(metric(*pair)) for pair in pairs[1:]]
            seconds, after = time.perf_counter() - clock, resource.getrusage(resource.RUSAGE_SELF)
        system = after.ru_stime - before.ru_stime
        found[subject] = {
            "cpu": (after.ru_utime - before.ru_utime + system) / PAIRS,
            "system": system / PAIRS,
            "wall": seconds / PAIRS,
            "faults": (after.ru_minflt - before.ru_minflt) / PAIRS,
            "rss": resident("VmRSS"),
            "peak": resident("VmHWM"),
            "scores": scores,
        }
    print(json.dumps(found))


def run(way: str, subjects: list[str], side: int) -> dict[str, dict[str, float]]:
    command = [sys.executable, __file__, "--worker", way, "--side", str(side), "--subjects", *subjects]
    env = {**os.environ, "OMP_NUM_THREADS": "1", **WAYS[way]}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def summary(subject: str, way: str, runs: list[dict[str, float]], default: list[dict[str, float]]) -> dict[str, object]:
    median = {key: statistics.median(one[key] for one in runs) for key in runs[0] if key != "scores"}
    faster = [a["cpu"] / b["cpu"] for a, b in zip(default, runs, strict=True)]
    return {
        "metric": subject,
        "way": way,
        "runs": len(runs),
        "processor seconds per pair": round(median["cpu"], 3),
        "of them system": round(median["system"], 3),
        "clock seconds per pair": round(median["wall"], 3),
        "times faster than default": round(statistics.median(faster), 2),
        "lowest": round(min(faster), 2),
        "page faults per pair": round(median["faults"]),
        "resident MB after": round(median["rss"]),
        "peak MB so far": round(median["peak"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--side", type=int, default=528)
    parser.add_argument("--subjects", nargs="+", default=SUBJECTS)
    parser.add_argument("--worker", choices=WAYS)
    args = parser.parse_args()
    if args.worker:
        worker(args.worker, args.subjects, args.side)
        return
    found: dict[str, list[dict[str, dict[str, float]]]] = {way: [] for way in WAYS}
    for k in range(args.rounds):
        for way in WAYS:
            found[way].append(run(way, args.subjects, args.side))
            print(f"round {k + 1} of {args.rounds}: {way}", file=sys.stderr)
    lines = []
    for subject in args.subjects:
        by_way = {way: [one[subject] for one in runs] for way, runs in found.items()}
        if len({json.dumps(one["scores"]) for runs in by_way.values() for one in runs}) > 1:
            raise SystemExit(f"{subject}: the ways give different scores")
        lines += [summary(subject, way, runs, by_way["default"]) for way, runs in by_way.items()]
    facts = f"{args.side} x {args.side}, {platform.machine()}, {os.cpu_count()} cores, {' '.join(platform.libc_ver())}"
    file = args.out.open("w", newline="", encoding="utf-8") if args.out else sys.stdout
    writer = csv.DictWriter(file, fieldnames=[*lines[0], "machine"])
    writer.writeheader()
    writer.writerows({**line, "machine": facts} for line in lines)


if __name__ == "__main__":
    main()
