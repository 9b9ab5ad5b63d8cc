"""What it saves to compute only what a patch changes: multiplications, and processor time.

    python benchmarks/cem_cone.py [--data DATA]

A region of 32 x 32 in the middle of 256 x 256 pixels of output; for networks of the package, and with --data for those
of the plugin causaliqa-archs with real weights. Three interventions on some 40 of the patches that reach the region, on
the same part of the input with and without, in turns; also the largest difference of outputs, and of effects in dB.
Writes ``benchmarks/results/cem_cone.csv``.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from research_networks import DnCNN
from torch import nn

import causaliqa
from causaliqa.api.data import ROI
from causaliqa.effects.black_box import BlackBox
from causaliqa.effects.interventions import InterventionRunner
from causaliqa.effects.prepare import prepare
from causaliqa.effects.settings import CemSettings
from causaliqa.functional.fidelity import psnr
from causaliqa.io.photographs import photograph

RESULT = Path(__file__).parent / "results" / "cem_cone.csv"
REAL = {
    "DnCNN": ("dncnn_color_zhang/dncnn_color_sigma50.pth", "denoise"),
    "FFDNet": ("restoration/ffdnet_color.pth", "denoise"),
    "CARN-M": ("restoration/carn_m.pth", "sr"),
    "PReNet": ("prenet/PReNet6_Rain100L.pth", "derain"),
}


def cases(data: Path | None) -> Iterator[tuple[str, nn.Module, int, object]]:
    """Yield name, network, scale and degradation."""
    for name in ("tiny_edsr_x4", "tiny_dncnn_50"):
        scale = 4 if name.endswith("x4") else 1
        yield name, causaliqa.create_restorer(name), scale, degradation("sr" if scale == 4 else "denoise")
    yield "DnCNN, 20 layers of 64, random weights", DnCNN().eval().requires_grad_(False), 1, degradation("denoise")
    for name, (file, task) in REAL.items() if data else ():
        network = causaliqa.create_restorer(f"archs:{data / 'weights' / file}", device="cpu")
        yield name, network, 4 if task == "sr" else 1, degradation(task)


def degradation(task: str) -> object:
    return causaliqa.create_degradation(task)


def timed(runner: InterventionRunner, inputs: torch.Tensor) -> tuple[torch.Tensor, float]:
    start = time.process_time()
    return runner.restore(inputs), time.process_time() - start


def line_of(name: str, network: nn.Module, scale: int, task: object) -> list[object]:
    image = torch.from_numpy(photograph("chelsea")[20:276, 100:356]).permute(2, 0, 1).float() / 255
    settings = CemSettings(degradation=task, sampler=causaliqa.create_sampler("natural"))
    runner = prepare(BlackBox(network, scale), psnr, image, ROI(112, 112, 32, 32), settings).runner
    crop = runner.reach.crop
    line: list[object] = [name, len(runner.reached), f"{crop.width} x {crop.height}"]
    if not runner.is_incremental:
        return [*line, "", "", "", ""]
    plain = InterventionRunner(runner.network, runner.scene, psnr, runner.reach)
    slow = fast = outputs = effects = 0.0
    for patch in runner.reached[:: max(1, len(runner.reached) // 40)]:
        inputs = torch.stack([runner.input_with(patch, number=k) for k in range(3)])
        whole, seconds = timed(plain, inputs)
        part, less = timed(runner, inputs)
        slow, fast = slow + seconds, fast + less
        outputs = max(outputs, float((whole - part).abs().max()))
        effects = max(effects, float(abs(plain.quality(whole) - runner.quality(part)).max()))
    return [*line, f"{1 / runner.share:.1f}", f"{slow / fast:.1f}", f"{outputs:.1e}", f"{effects:.1e}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with weights/; needs the plugin causaliqa-archs")
    args = parser.parse_args()
    torch.set_num_threads(1)
    head = ["network", "patches_reached", "runs_on", "times_fewer_multiplications", "times_faster", "outputs_apart"]
    lines = []
    for case in cases(args.data):
        lines.append(line_of(*case))
        print(*lines[-1], sep=", ", flush=True)
    with RESULT.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([[*head, "effects_apart_db"], *lines])


if __name__ == "__main__":
    main()
