"""What windows as two convolutions save pyiqa's metrics on a CPU, and by how much their scores differ.

    python benchmarks/separable.py [--threads 1]

Photographs of 512 x 384 that pip packages ship, with weak noise, strong noise and blur; both ways take turns. Writes
``benchmarks/results/separable.csv``.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import pandas as pd
import torch
from pyiqa import create_metric

from causaliqa.interop.separable import SEPARABLE, SeparableWindows
from causaliqa.io.images import as_image
from causaliqa.io.photographs import NAMES, photograph
from causaliqa.utils.allocator import keep_freed_memory

RESULT = Path(__file__).parent / "results" / "separable.csv"


def pairs():
    for seed, name in enumerate(NAMES):
        ref = as_image(photograph(name))[..., :384, :512]
        if ref.shape[-2:] != (384, 512):
            continue
        noise = torch.randn(ref.shape, generator=torch.Generator().manual_seed(seed))
        for img in (ref + 0.002 * noise, ref + 0.1 * noise, torch.nn.functional.avg_pool2d(ref, 5, 1, 2)):
            yield img.clamp(0, 1), ref


def timed(metric, img, ref):
    start = time.perf_counter()
    score = float(metric(img, ref))
    return score, time.perf_counter() - start


@torch.inference_mode()
def row_of(name):
    metric, whole, split, apart = create_metric(name, device="cpu"), [], [], []
    for number, (img, ref) in enumerate(pairs()):
        expected, slow = timed(metric, img, ref)
        with SeparableWindows():
            found, fast = timed(metric, img, ref)
        apart.append(abs(found - expected) / abs(expected))
        if number:  # the first pair is slower than all others
            whole.append(slow)
            split.append(fast)
    ratio = statistics.median(a / b for a, b in zip(split, whole, strict=True))
    row = {"metric": name, "pairs": len(apart), "pyiqa_seconds": statistics.median(whole)}
    return row | {"seconds": statistics.median(split), "ratio": ratio, "largest_relative_difference": max(apart)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    keep_freed_memory()  # as commands do, and to the advantage of whole windows
    table = pd.DataFrame([row_of(name) for name in sorted(SEPARABLE)]).assign(threads=args.threads)
    table.to_csv(RESULT, index=False, float_format="%.3g", lineterminator="\n")
    print(table.to_string(index=False, float_format=lambda v: f"{v:.3g}"))


if __name__ == "__main__":
    main()
