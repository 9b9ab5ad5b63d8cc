"""Table I of the paper with real weights: shares and ranges of effects of many networks on nine images.

    python benchmarks/cem_table.py DATA WORK [--dry-run | --collect] [--only GROUP ...]

Needs the plugin causaliqa-archs; nothing but the checkpoints is given. DATA holds ``weights/`` and ``cem_images/``.
The maps are those of ``causaliqa cem-bench --roi auto --strategy adaptive``, kept in WORK, so a stopped run goes on;
``--dry-run`` measures what they will take. Images are the 128 x 128 pixels around the region that is proposed for the
whole image (126 x 126 for x3, which needs patches of 9), and in the last group three whole images of 256 x 256, to see
what the cut leaves out. A second pass makes the local attribution maps of the networks for which that is quick.
Writes ``benchmarks/results/cem_table.csv``, and figure, page and ``maps.csv`` of the maps of crops into WORK.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from causaliqa.effects.bench_file import BenchNetwork
from causaliqa.effects.bench_forecast import forecast_bench
from causaliqa.effects.map_units import one_region
from causaliqa.report.bench_table import statistics
from causaliqa.report.effect_bench import EffectBench, bench_run, effect_bench

RESULT = Path(__file__).parent / "results" / "cem_table.csv"
FEW = ("demo_1", "lam_1", "lam_4")
"""Images of the transformers, and of the maps of whole images, which take longest."""

SR = (
    ("CARN-M", 2018, "restoration/carn_m.pth"),
    ("IMDN", 2019, "imdn_x4/IMDN_x4.pth"),
    ("PAN", 2020, "restoration/PANx4_DF2K.pth"),
    ("RFDN", 2020, "restoration/ntire2022_rfdn_baseline.pth"),
    ("RLFN", 2022, "restoration/rlfn_x4.pth"),
)
# group: (side of the images, roi, task, budget of a map, images, local attribution, networks as (name, year, file))
GROUPS = {
    "noise": (128, "auto", "denoise", 200, None, True, (
        ("DnCNN", 2017, "dncnn_color_zhang/dncnn_color_sigma50.pth"),
        ("FFDNet", 2018, "restoration/ffdnet_color.pth"),
    )),
    "x4": (128, "auto", "sr", 300, None, True, SR),
    "x3": (126, "auto:size=36", "sr", 300, None, True, (
        ("SRCNN x3", 2014, "restoration/fuyongXu_srcnn_x3.pth"),
    )),
    "rain-L": (128, "auto", "derain", 100, None, False, (("PReNet (Rain100L)", 2019, "prenet/PReNet6_Rain100L.pth"),)),
    "transformers": (128, "auto", "sr", 100, FEW, True, (
        ("CRAFT", 2023, "restoration/ntire2024_team34_craft.pth"),
        ("HiT-SR", 2024, "restoration/ntire2025_team54_HITSR.pth"),
    )),
    "rain-global": (128, "auto", "derain", 150, None, False, (
        ("GCANet", 2018, "restoration/wacv_gcanet_derain.pth"),
    )),
    "rain-H": (128, "auto", "derain", 100, None, False, (("PReNet (Rain100H)", 2019, "prenet/PReNet6_Rain100H.pth"),)),
    "x4-whole": (256, "auto", "sr", 400, FEW, False, SR),
}  # fmt: skip


def prepared(data, work, side):
    """Write the images of one side: the whole, or what is around the region that is proposed for the whole."""
    folder = work / "images" / str(side)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for path in sorted((data / "cem_images").glob("*.png")):
        paths.append(folder / path.name)
        if paths[-1].is_file():
            continue
        img = middle(Image.open(path).convert("RGB"), 256)
        if side < 256:
            roi = one_region(np.asarray(img), "auto")
            left, top = (min(max(start - 48, 0), 128) for start in (roi.x, roi.y))
            img = img.crop((left, top, left + side, top + side))
        img.save(paths[-1])
    return paths


def middle(img, side):
    left, top = (img.width - side) // 2, (img.height - side) // 2
    return img.crop((left, top, left + side, top + side))


def run_of(args, group, lam):
    side, roi, task, budget, few, _, networks = GROUPS[group]
    listed = [
        {"network": f"archs:{args.data / 'weights' / file}", "name": name, "year": year, "task": task}
        for name, year, file in networks
    ]
    patches = {}
    if side == 126:
        listed, patches = [{**entry, "scale": 3} for entry in listed], {"patch_size": 9}
    images = [path for path in prepared(args.data, args.work, side) if few is None or path.stem in few]
    if args.collect:
        folders = [args.work / group / BenchNetwork(**entry).folder for entry in listed]
        images = [image for image in images if all((there / image.stem / "cem.npz").is_file() for there in folders)]
    options = {"strategy": "adaptive", "budget": budget, "device": "cpu", "lam": lam}
    return listed, images, roi, {**options, **patches, "out": args.work / group}


def table_of(group, made):
    """Return Table I of one group: means over images with intervals, what a map took, and on what."""
    found = statistics(made.rows)
    taken = made.rows.groupby("network", sort=False)[["inferences", "seconds"]].mean().round(1)
    found["inferences a map"], found["seconds a map"] = (taken.loc[found["network"], key].to_numpy() for key in taken)
    found.insert(1, "group", group)
    return found.assign(pixels=GROUPS[group][0], budget=GROUPS[group][3])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--dry-run", action="store_true", help="print what the maps will take, and stop")
    parser.add_argument("--collect", action="store_true", help="make no map, take the images that all networks have")
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=list(GROUPS))
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.work.mkdir(parents=True, exist_ok=True)
    if args.dry_run:
        for group in args.only:
            networks, images, roi, options = run_of(args, group, False)
            print(*forecast_bench(bench_run(networks, images, roi, options)), sep="\n", flush=True)
        return
    made = {}
    for lam in (False, True):
        for group in args.only:
            if lam and not GROUPS[group][5]:
                continue
            networks, images, roi, options = run_of(args, group, lam)
            if not images:
                continue
            made[group] = effect_bench(networks, images, roi, progress=False, **options)
            for cell, error in made[group].failures:
                print(f"{cell.network.label}, {cell.unit.name}: {error}", flush=True)
            pd.concat([table_of(name, bench) for name, bench in made.items()]).round(4).to_csv(RESULT, index=False)
            print(made[group].to_text(), flush=True)
            cells = [pair for name, bench in made.items() if name != "x4-whole" for pair in bench.cells]
            EffectBench.of(cells).save(args.work)


if __name__ == "__main__":
    main()
