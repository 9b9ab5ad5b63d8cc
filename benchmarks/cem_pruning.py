"""Does pruning change a map? The same interventions, pruned and on the whole image, patch by patch.

    python benchmarks/cem_pruning.py net.py:DnCNN IMAGE --checkpoint FILE --task denoise --roi 96,152,32,32

Every patch that can reach the region is compared, and as many of the others as asked for, on the mean of a few draws.
"""

from __future__ import annotations

import argparse
import csv
import platform
import time
from pathlib import Path

import numpy as np
import torch

from causaliqa import create_degradation, create_restorer, create_sampler
from causaliqa.effects.dependence import whole
from causaliqa.effects.interventions import Interventions
from causaliqa.effects.network import Network
from causaliqa.effects.plan import Round
from causaliqa.effects.setup import Settings, prepare
from causaliqa.functional.fidelity import psnr
from causaliqa.images import load_image
from causaliqa.specs import ROI

RESULTS = Path(__file__).parent / "results" / "cem_pruning.csv"


def timed(laboratory, todo):
    started = time.perf_counter()
    effects = dict(laboratory.effects(todo, todo.patches))
    return effects, time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("restorer")
    parser.add_argument("image", type=Path)
    parser.add_argument("--checkpoint")
    parser.add_argument("--task", default="denoise")
    parser.add_argument("--roi", default="96,152,32,32")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--silent", type=int, default=36, help="patches out of reach that are compared as well")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    degradation = create_degradation(args.task)
    network = Network(create_restorer(args.restorer, checkpoint=args.checkpoint, device="cpu"), degradation.scale)
    settings = Settings(degradation=degradation, sampler=create_sampler("natural"))
    setup = prepare(network, psnr, load_image(args.image), ROI.parse(args.roi), settings)
    pruned, scene = setup.laboratory, setup.laboratory.scene
    full = Interventions(network, scene, psnr, whole(scene.degraded, "everything"))
    silent = [p for p in scene.grid.outside if p not in pruned.reached]
    silent = silent[:: max(1, len(silent) // max(1, args.silent))][: args.silent]
    todo = Round(stage="plain", patches=pruned.reached, draws=range(args.draws))
    here, seconds_here = timed(pruned, todo)
    here.update({p: np.zeros(args.draws) for p in silent})
    there, seconds_there = timed(full, Round(stage="plain", patches=tuple(here), draws=range(args.draws)))
    off = np.array([abs(here[p].mean() - there[p].mean()) for p in here])
    single = max(float(np.abs(here[p] - there[p]).max()) for p in here)
    each_here, each_there = seconds_here / (len(todo.patches) * args.draws), seconds_there / (len(here) * args.draws)
    patches, reached = len(scene.grid.outside), len(pruned.reached)
    crop, size = pruned.reach.crop, scene.degraded.shape[1:]
    row = {
        "restorer": args.restorer,
        "task": args.task,
        "image": args.image.name,
        "patches_compared": len(here),
        "reached": reached,
        "of": patches,
        "crop": f"{crop.width}x{crop.height}",
        "draws": args.draws,
        "largest_difference_db": f"{off.max():.2e}",
        "largest_of_one_draw_db": f"{single:.2e}",
        "share_of_pixels": f"{crop.width * crop.height / (size[0] * size[1]):.4f}",
        "saved_in_pixels": f"{patches / reached * size[0] * size[1] / (crop.width * crop.height):.1f}",
        "ms_pruned": f"{1000 * each_here:.1f}",
        "ms_full": f"{1000 * each_there:.1f}",
        "saved_in_time": f"{patches * each_there / (reached * each_here):.1f}",
        "machine": f"{platform.machine()}, 1 thread, torch {torch.__version__}",
    }
    old = []
    if args.out.is_file():
        with args.out.open(newline="") as file:
            old = [r for r in csv.DictReader(file) if (r["restorer"], r["image"]) != (row["restorer"], row["image"])]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with args.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(row), lineterminator="\n")
        writer.writeheader()
        writer.writerows([*old, row])
    print("\n".join(f"{key:24} {value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
