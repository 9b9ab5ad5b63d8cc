"""Does the network of all seven tasks look at less of its input than its sisters of one task? Section V-D of the paper.

    python benchmarks/cem_seven.py --work FOLDER    # FOLDER: of train_seven.py

Causal effect maps of `tiny_seven` and of the same network trained on one task, for parts (128 x 128) of three
photographs that neither has seen, with the same degraded image and as many interventions. A stopped run goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from cem_scenes import RESULTS, write
from cem_tasks import REGION, SIDE, far
from matplotlib.figure import Figure
from PIL import Image
from train_seven import TASKS, enlarged
from train_tiny import psnr, to_tensor

import causaliqa
from causaliqa.effects.plot import paint
from causaliqa.io.photographs import photograph

CORNERS = {"chelsea": (60, 120), "coffee": (200, 290), "flower": (140, 230)}
"""Row and column where the part begins."""
BUDGET = 4
"""Interventions a patch outside the region."""


def part_of(name):
    top, left = CORNERS[name]
    return to_tensor(photograph(name)[top : top + SIDE, left : left + SIDE]) / 255


def effects(task, training, name, work):
    """Make one map; the image's noise, rain, blur, haze or darkness is another one for every photograph."""
    seed = list(CORNERS).index(name)
    (made,) = causaliqa.effect_maps(
        "tiny_seven",
        part_of(name),
        REGION,
        task=task,
        checkpoint=None if training == "mixed" else work / f"{task}.safetensors",
        strategy="adaptive",
        budget=BUDGET * 240,
        image_seed=seed,
        out=work / "maps" / f"{task}-{training}-{name}",
        device="cpu",
        progress=False,
    )
    return made, seed


@torch.inference_mode()
def restored(task, training, name, seed, work):
    """Return the PSNR of input and output of the whole part, RGB."""
    clean, file = part_of(name), None if training == "mixed" else work / f"{task}.safetensors"
    net = causaliqa.create_restorer("tiny_seven", checkpoint=file, device="cpu", task=task)
    spoilt = causaliqa.create_degradation(task).degrade(clean, seed)[None]
    views = ((v[0].clamp(0, 1) * 255).round() for v in (enlarged(spoilt, task), net(spoilt)))
    return [psnr(clean * 255, view) for view in views]


def row_of(task, training, name, work):
    made, seed = effects(task, training, name, work)
    before, after = restored(task, training, name, seed, work)
    told = made.summary()
    row = {"task": task, "training": training, "image": name}
    row |= {"psnr_in": round(before, 2), "psnr_out": round(after, 2), "psnr_region": round(made.base, 2)}
    row |= {key: round(told[f"{key}_percent"], 2) for key in ("positive", "negative", "none")}
    row |= {key: round(told[key], 3) for key in ("min", "max")}
    return row | {
        "sum_of_effects": round(float(np.nansum(np.abs(made.effect))), 3),
        "far_percent": round(far(made), 1),
        "mean_standard_error": round(float(np.nanmean(made.sem)), 4),
        "inferences": told["inferences"],
    }, made


def draw(maps, path):
    """Draw a row a task: every photograph with the map of its own network and that of the mixed one, in one scale."""
    figure = Figure(figsize=(9.6, 11.4), layout="constrained")
    axes = figure.subplots(len(TASKS), 2 * len(CORNERS))
    for row, task in enumerate(TASKS):
        bound = max(maps[task, training, name].bound for training in ("single", "mixed") for name in CORNERS)
        for k, (name, training) in enumerate((n, t) for n in CORNERS for t in ("single", "mixed")):
            made = maps[task, training, name]
            paint(axes[row, k], made, bound=bound)
            told = made.summary()
            shares = f"{told['positive_percent']:.0f} / {told['negative_percent']:.0f} %"
            axes[row, k].set_title(f"{training}, {shares}", fontsize=7.5, pad=2)
        axes[row, 0].set_ylabel(f"{task}\nup to {bound:.2f} dB", fontsize=9)
    figure.savefig(path, dpi=80)
    Image.open(path).convert("RGB").quantize(128).save(path, optimize=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder of the sisters; maps are written there")
    parser.add_argument(
        "--only", choices=TASKS, help="make the maps of this task and no table, to make several at once"
    )
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows, maps = [], {}
    for task in [args.only] if args.only else TASKS:
        for name in CORNERS:
            for training in ("single", "mixed"):
                row, maps[task, training, name] = row_of(task, training, name, args.work)
                rows.append(row)
                print(row, flush=True)
    if args.only:
        return
    write(RESULTS / "cem_seven.csv", rows)
    draw(maps, RESULTS / "cem_seven.png")


if __name__ == "__main__":
    main()
