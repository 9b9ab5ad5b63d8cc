"""How many pairs a second a leaderboard scores on a device, one by one and in batches, and how far scores move.

Usage: python benchmarks/gpu_leaderboard.py [--device cuda] [--pairs 128]

`benchmarks/gpu.py` runs it, too. Images of 256 x 256 pixels are decoded from PNG files; time is that of the whole job.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

SIDE = 256
NAMES = ("psnr", "ssim", "causal_effnet_lite0", "calibrated_effnet_lite0")


def graded(folder: Path, pairs: int) -> Any:
    """Write references with eight noisy images each, and return them as a data set."""
    import causaliqa
    from causaliqa.api.data import Pair

    draw, made = np.random.default_rng(0), []
    for k in range(pairs):
        ref_path, path = folder / f"ref{k // 8}.png", folder / f"img{k}.png"
        if k % 8 == 0:
            coarse = Image.fromarray(draw.integers(0, 256, (SIDE // 8, SIDE // 8, 3), np.uint8))
            ref = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC), float)
            Image.fromarray(ref.astype(np.uint8)).save(ref_path)
        Image.fromarray((ref + draw.normal(0, 2 + k % 8, ref.shape)).clip(0, 255).astype(np.uint8)).save(path)
        made.append(Pair(ref=ref_path, dist=path, label=float(k % 8)))
    return causaliqa.PairDataset(name="graded", pairs=tuple(made), label="dmos", label_lower_better=True)


def measured(dataset: Any, metrics: Mapping[str, Any], device: str, batch: int) -> tuple[float, dict[str, np.ndarray]]:
    """Return seconds of the whole job, and the scores by metric."""
    from causaliqa.evaluation.scoring import score_dataset

    start = time.perf_counter()
    rows = list(score_dataset(metrics, dataset, device=device, batch=batch, strict=True))
    spent = time.perf_counter() - start
    return spent, {name: np.array([row.score for row in rows if row.metric == name]) for name in metrics}


def leaderboard(device: str, pairs: int) -> list[tuple[str, float, str]]:
    """Return (subject, value, unit) of every measurement."""
    import causaliqa

    built = {place: {name: causaliqa.create_metric(name, device=place) for name in NAMES} for place in {"cpu", device}}
    lines: list[tuple[str, float, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        dataset = graded(Path(folder), pairs)
        scores = {"cpu": measured(dataset, built["cpu"], "cpu", 1)[1]}
        for batch in (1, 16):
            measured(dataset, built[device], device, batch)
            spent, scores[f"batch {batch}"] = measured(dataset, built[device], device, batch)
            lines.append((f"leaderboard of {len(NAMES)} metrics, batch {batch}", pairs / spent, "pairs per second"))
        for name in NAMES:
            for other in ("cpu", "batch 1"):
                gap = np.abs(scores["batch 16"][name] - scores[other][name]) / np.abs(scores[other][name])
                lines.append((f"{name}, batch 16 against {other}", float(gap.max()), "largest relative difference"))
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--pairs", type=int, default=128)
    args = parser.parse_args()
    for subject, value, unit in leaderboard(args.device, args.pairs):
        print(f"{subject}: {value:.4g} {unit}")


if __name__ == "__main__":
    main()
