"""What the calibrated metric costs in a data set run, in passes of its backbone, and its memory beside theirs.

Usage: python benchmarks/calibration_speed.py --out RESULT.csv [--rounds 5] [--backbone vgg ...]

A set of 2 references with 12 images of 256 x 256 each is read and scored, and single passes of the backbone are timed
in turn with it, on one thread; seconds are processor time, which a busy machine changes less, and medians. The bar is
1.6 passes a pair and K + 1 a new reference, where K is the number of interventions. Passes are also counted. Networks
have random weights. Peak memory is that of a process of its own for each subject.
"""

from __future__ import annotations

import argparse
import csv
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from causal_speed import images

import causaliqa
from causaliqa.functional.calibration import INTERVENTIONS

REFS, IMAGES = 2, 12


def write_set(root: Path) -> Path:
    """Write the images and a manifest whose references alternate, as no well-kept set has them."""
    from torchvision.utils import save_image

    generator = torch.Generator().manual_seed(1)
    _, ref = images()
    lines = ["ref,dist,dmos"]
    for k in range(REFS):
        save_image(ref.roll(k * 40, dims=-1), root / f"ref{k}.png")
    for n in range(IMAGES):
        for k in range(REFS):
            noise = 0.01 * (n + 1) * torch.randn(ref.shape, generator=generator)
            save_image((ref.roll(k * 40, dims=-1) + noise).clamp(0, 1), root / f"{k}_{n}.png")
            lines.append(f"ref{k}.png,{k}_{n}.png,{n}")
    (root / "set.csv").write_text("\n".join(lines) + "\n")
    return root / "set.csv"


def measure(backbone: str, rounds: int) -> list[dict[str, object]]:
    _, ref = images()
    passes: list[float] = []
    runs: list[float] = []
    counted: list[int] = []
    with tempfile.TemporaryDirectory() as folder:
        dataset = causaliqa.read_manifest(write_set(Path(folder)))
        for _ in range(rounds + 1):  # the first compiles and is left out
            metric = causaliqa.create_metric(f"calibrated_{backbone}", pretrained=False, device="cpu")
            net = metric.feature_levels.backbone
            own = []
            with torch.no_grad():
                for _ in range(8):
                    start = time.process_time()
                    net(ref)
                    own.append(time.process_time() - start)
            passes.append(statistics.median(own))
            calls: list[int] = []
            net.register_forward_hook(lambda *_, calls=calls: calls.append(1))
            start = time.process_time()
            causaliqa.evaluate([metric], dataset)
            runs.append(time.process_time() - start)
            counted.append(len(calls))
    one = statistics.median(passes[1:])
    whole = statistics.median(r / p for r, p in zip(runs[1:], passes[1:], strict=True))
    news = REFS * (len(INTERVENTIONS) + 1)
    return [
        line(f"{backbone}: passes counted", counted[-1], "passes", REFS * IMAGES + news),
        line(f"{backbone}: one backbone pass", one, "seconds", None),
        line(f"{backbone}: data set run", whole, "passes", 1.6 * REFS * IMAGES + news),
        line(
            f"{backbone}: of that a pair, with {news} passes for references",
            (whole - news) / REFS / IMAGES,
            "passes",
            1.6,
        ),
    ]


def line(subject: str, value: float, unit: str, bar: float | None) -> dict[str, object]:
    return {"subject": subject, "value": round(value, 3), "unit": unit, "bar": "" if bar is None else round(bar, 1)}


def peak(what: str, side: int) -> float:
    """Peak memory in MB of a fresh process with two backbone passes, or one pair with a new reference."""
    code = f"import calibration_speed as own; own.run_for_peak({what!r}, {side})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
    )
    return float(done.stdout.split()[-1])


def run_for_peak(what: str, side: int) -> None:
    torch.set_num_threads(1)
    img, ref = images(side)
    with torch.no_grad():
        metric = causaliqa.create_metric("calibrated_vgg", pretrained=False, device="cpu", resize=False)
        net = metric.feature_levels.backbone
        _kept = (net(img), net(ref)) if what == "backbone" else metric(img, ref)
    (found,) = (v for v in Path("/proc/self/status").read_text().splitlines() if v.startswith("VmHWM"))
    print(int(found.split()[1]) / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--backbone", action="append")
    args = parser.parse_args()
    torch.set_num_threads(1)
    lines = [entry for name in args.backbone or ("vgg", "effnet_lite0") for entry in measure(name, args.rounds)]
    for side in (256, 512):
        base, pair = peak("backbone", side), peak("pair", side)
        lines.append(line(f"vgg, {side} x {side}: peak memory of two backbone passes", base, "MB", None))
        lines.append(line(f"vgg, {side} x {side}: peak memory of a pair with a new reference", pair, "MB", None))
    facts = f"{platform.machine()}, 1 thread of a busy machine, torch {torch.__version__}"
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with args.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=[*lines[0], "machine"])
        writer.writeheader()
        writer.writerows({**entry, "machine": facts} for entry in lines)


if __name__ == "__main__":
    main()
