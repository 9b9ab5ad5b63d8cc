"""What a pair costs with sixteen metrics on one core, and what a second process gains; images of KADID-10k's size.

    python benchmarks/scale_rates.py metrics        # seconds a pair, the median of two
    python benchmarks/scale_rates.py jobs           # a leaderboard with --jobs 1 and --jobs 2, by turns

Both write to benchmarks/results/. Deep networks have random weights, which cost as much as trained ones.
"""

from __future__ import annotations

import csv
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

RESULTS = Path(__file__).parent / "results"
METRICS = (
    "psnr", "ssim", "ms_ssim", "cw_ssim", "fsim", "vif", "vsi", "gmsd", "nlpd", "stlpips:pretrained=false",
    "deepwsd:pretrained=false", "causal_effnet_lite0", "causal_effnet_lite0:terms=md", "causal_vgg:pretrained=false",
    "causal_vgg:pretrained=false,terms=md", "causal_resnet:pretrained=false",
)  # fmt: skip


def photographs(folder: Path, refs: int, each: int) -> Path:
    import skimage

    rng, lines = np.random.default_rng(0), ["ref,dist,dmos"]
    for number, name in enumerate(("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg")[:refs]):
        ref = Image.open(Path(skimage.__file__).parent / "data" / name).convert("RGB").resize((512, 384))
        ref.save(folder / f"r{number}.png")
        for level in range(1, each + 1):
            noisy = np.asarray(ref) + rng.normal(0, 5 * level, (384, 512, 3))
            Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(folder / f"d{number}_{level}.png")
            lines.append(f"r{number}.png,d{number}_{level}.png,{level + 0.1 * number}")
    (folder / "set.csv").write_text("\n".join(lines) + "\n")
    return folder / "set.csv"


def write(name: str, head: tuple[str, ...], lines: list[tuple[object, ...]]) -> None:
    with (RESULTS / name).open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([head, *lines])


def metrics(folder: Path) -> None:
    from causaliqa.api.errors import CausaliqaError
    from causaliqa.catalog.create import default_catalog
    from causaliqa.catalog.workers import build_metric
    from causaliqa.evaluation.scoring import score_dataset
    from causaliqa.io.manifest import read_manifest

    dataset, lines = read_manifest(photographs(folder, 1, 4)), []
    for request in METRICS:
        try:
            metric, _ = build_metric(default_catalog(), request, "cpu", 0)
        except CausaliqaError as error:
            print(request, "not measured:", str(error)[:100], flush=True)
            continue
        rows = list(score_dataset({request: metric}, dataset))
        if rows[0].error:
            print(request, rows[0].error)
            continue
        # The first two pairs pay for compilation and for the reference.
        seconds = statistics.median(row.seconds for row in rows[2:])
        lines.append((request, round(seconds, 4)))
        print(*lines[-1], flush=True)
    write("scale_metrics.csv", ("metric", "seconds_per_pair"), lines)


def jobs(folder: Path) -> None:
    manifest, lines = photographs(folder, 4, 48), []
    for turn in range(3):
        for count in (1, 2):
            command: list[object] = [
                sys.executable,
                "-m",
                "causaliqa",
                "leaderboard",
                "--data",
                manifest,
                "--device",
                "cpu",
            ]
            command += ["--metric", "causal_effnet_lite0", "--jobs", str(count)]
            started = time.monotonic()
            subprocess.run([str(part) for part in command], check=True, capture_output=True)
            lines.append((turn, count, round(time.monotonic() - started, 1)))
            print(*lines[-1], flush=True)
    write("scale_jobs.csv", ("turn", "jobs", "seconds"), lines)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        {"metrics": metrics, "jobs": jobs}[sys.argv[1]](Path(temporary))
