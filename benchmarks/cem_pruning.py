"""Does pruning change a causal effect map, and what does it save? DnCNN, sigma 50, 256 x 256.

    python benchmarks/cem_pruning.py --data DATA --patches 120 --interventions 3

Both ways make the same interventions on the same patches: those that can reach the region, and silent ones around it.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

import numpy as np
from research_networks import DnCNN

from causaliqa import create_degradation, create_sampler
from causaliqa.api.data import ROI
from causaliqa.builtin.restorers.checkpoint import load_checkpoint
from causaliqa.effects.black_box import BlackBox
from causaliqa.effects.interventions import InterventionRunner
from causaliqa.effects.prepare import prepare
from causaliqa.effects.receptive_field import whole
from causaliqa.effects.settings import CemSettings
from causaliqa.effects.strategy import Round
from causaliqa.functional.fidelity import psnr
from causaliqa.io.images import load_image

RESULTS = Path(__file__).parent / "results" / "cem_pruning.csv"


def timed(runner, todo, patches):
    start = time.perf_counter()
    found = {p: float(v.mean()) for p, v in runner.effects(todo, patches)}
    return found, time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with weights/ and cem_images/")
    parser.add_argument("--patches", type=int, default=120)
    parser.add_argument("--interventions", type=int, default=3)
    args = parser.parse_args()
    model = DnCNN().eval().requires_grad_(False)
    load_checkpoint(model, args.data / "weights" / "dncnn_color_zhang" / "dncnn_color_sigma50.pth")
    settings = CemSettings(degradation=create_degradation("denoise"), sampler=create_sampler("natural"))
    image = load_image(args.data / "cem_images" / "demo_1.png")
    runner = prepare(BlackBox(model, 1), psnr, image, ROI(96, 152, 32, 32), settings).runner
    scene, reached = runner.scene, runner.reached
    # Without the third saving, which cem_cone.py measures.
    pruned = InterventionRunner(runner.network, scene, psnr, runner.reach)
    full = InterventionRunner(runner.network, scene, psnr, whole(scene.degraded, "everything"))
    silent = [p for p in scene.grid.outside if p not in set(reached)]
    chosen = (*reached, *silent[:: max(1, len(silent) // max(1, args.patches - len(reached)))])[: args.patches]
    todo = Round(stage="plain", patches=chosen, draws=range(args.interventions))
    there, slow = timed(full, todo, chosen)
    here, fast = timed(pruned, todo, [p for p in chosen if p in set(reached)])
    differences = np.array([abs(here.get(p, 0.0) - there[p]) for p in chosen])
    crop, whole_size = pruned.reach.crop, scene.grid.height * scene.grid.width
    each = (slow / len(there)) / (fast / len(here))
    row = {
        "patches": len(chosen),
        "patches_reached": len(reached),
        "interventions": args.interventions,
        "largest_difference_db": f"{differences.max():.2e}",
        "median_difference_db": f"{np.median(differences):.2e}",
        "largest_silent_effect_db": f"{max((abs(there[p]) for p in chosen if p not in here), default=0):.2e}",
        "largest_effect_db": f"{max(map(abs, there.values())):.3f}",
        "crop": f"{crop.width} x {crop.height}",
        "pixels_saved": f"{len(scene.grid.outside) / len(reached) * whole_size / (crop.width * crop.height):.0f}",
        "seconds_full": f"{slow:.1f}",
        "seconds_pruned": f"{fast:.1f}",
        "time_saved_on_a_map": f"{each * len(scene.grid.outside) / len(reached):.0f}",
    }
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, row, lineterminator="\n")
        writer.writeheader()
        writer.writerow(row)
    print("\n".join(f"{key:26} {value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
