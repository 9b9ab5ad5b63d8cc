"""Table I of the paper with real weights: shares and ranges of effects of many networks on nine images.

    python benchmarks/cem_table.py DATA WORK [--dry-run | --collect] [--only GROUP ...]

Needs the plugin causaliqa-archs; nothing but the checkpoints is given. DATA holds ``weights/`` and ``cem_images/``.
The maps are those of ``causaliqa cem-bench --roi auto --strategy adaptive``, kept in WORK, so a stopped run goes on;
``--dry-run`` measures what they will take. Images are the 128 x 128 pixels around the region that is proposed for the
whole image (126 x 126 for x3, which needs patches of 9), and in the last group three whole images of 256 x 256, to see
what the cut leaves out. A second pass makes the local attribution maps of the networks for which that is quick.
Prints the table of the documentation; writes ``benchmarks/results/cem_table.csv``, and figure, page and ``maps.csv`` of
the maps of crops into WORK. ``--collect`` makes no map and takes those that are there.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from causaliqa.effects.bench import CellResult
from causaliqa.effects.bench_forecast import forecast_bench
from causaliqa.effects.effect_map import EffectMap
from causaliqa.effects.lam import Attribution
from causaliqa.effects.map_units import one_region
from causaliqa.report.bench_table import statistics
from causaliqa.report.effect_bench import EffectBench, bench_run, effect_bench

RESULT = Path(__file__).parent / "results" / "cem_table.csv"
FEW = ("demo_1", "lam_1", "lam_4")
"""Images of the networks, and of the maps of whole images, that take longest."""

BOUND = 0.5
"""Effect in dB at which the colours of the page are full: a few patches have more, and would make all others pale."""
SR = (
    ("CARN-M", 2018, "restoration/carn_m.pth"),
    ("RLFN", 2022, "restoration/rlfn_x4.pth"),
    ("PAN", 2020, "restoration/PANx4_DF2K.pth"),
    ("IMDN", 2019, "imdn_x4/IMDN_x4.pth"),
    ("RFDN", 2020, "restoration/ntire2022_rfdn_baseline.pth"),
)
# group: (side of the images, roi, task, budget of a map, images, local attribution, networks as (name, year, file))
GROUPS = {
    "noise": (128, "auto", "denoise", 200, None, True, (
        ("FFDNet", 2018, "restoration/ffdnet_color.pth"),
        ("DnCNN", 2017, "dncnn_color_zhang/dncnn_color_sigma50.pth"),
    )),
    "x4": (128, "auto", "sr", 300, None, True, SR),
    "x3": (126, "auto:size=36", "sr", 300, None, True, (
        ("SRCNN x3", 2014, "restoration/fuyongXu_srcnn_x3.pth"),
    )),
    "rain-L": (128, "auto", "derain", 200, None, False, (("PReNet (Rain100L)", 2019, "prenet/PReNet6_Rain100L.pth"),)),
    "transformers": (128, "auto", "sr", 200, FEW, True, (
        ("CRAFT", 2023, "restoration/ntire2024_team34_craft.pth"),
        ("HiT-SR", 2024, "restoration/ntire2025_team54_HITSR.pth"),
    )),
    "rain-global": (128, "auto", "derain", 200, None, False, (
        ("GCANet", 2018, "restoration/wacv_gcanet_derain.pth"),
    )),
    "rain-H": (128, "auto", "derain", 200, None, False, (("PReNet (Rain100H)", 2019, "prenet/PReNet6_Rain100H.pth"),)),
    "x4-whole": (256, "auto", "sr", 400, FEW, False, SR),
}  # fmt: skip


PAPER = {
    "CARN-M": (5.87, 1.97, 92.16, -0.16, 0.95),
    "DnCNN": (5.80, 0.08, 94.12, -0.01, 0.16),
    "FFDNet": (3.04, 0.43, 96.53, -0.03, 0.18),
    "SRCNN x3": (3.06, 0.12, 96.81, -0.02, 0.30),
    "PReNet (Rain100L)": (3.77, 1.50, 94.73, -0.47, 0.77),
    "PReNet (Rain100H)": (3.77, 1.50, 94.73, -0.47, 0.77),
}
"""Positive, negative and none in %, least and largest effect in dB of Table I, of all 1008 patches of 256 x 256."""
OTHER = {"CARN-M": "CARN", "SRCNN x3": "SRCNN x4", "PReNet (Rain100L)": "PReNet", "PReNet (Rain100H)": "PReNet"}
"""Names of the paper, where they are others."""
COLUMNS = ("positive %", "negative %", "none %", "min dB", "max dB")


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


def runs(args, lam):
    """Yield group, network and the arguments of ``effect_bench``, network by network."""
    for group in args.only:
        side, roi, task, budget, few, quick, networks = GROUPS[group]
        for name, year, file in networks:
            entry = {"network": f"archs:{args.data / 'weights' / file}", "name": name, "year": year, "task": task}
            options = {"strategy": "adaptive", "budget": budget, "device": "cpu", "lam": lam, "out": args.work / group}
            if side == 126:
                options["patch_size"] = 9
            images = [path for path in prepared(args.data, args.work, side) if few is None or path.stem in few]
            if quick or not lam:
                yield group, name, ([entry], images, roi), options


def collected(*given, progress, **options):
    """Return what ``effect_bench`` would, of the maps that are there."""
    found = []
    for cell in bench_run(*given, options).cells():
        if cell.done:
            lam = cell.unit.folder / "lam"
            attribution = Attribution.load(lam) if (lam / "lam.npz").is_file() else None
            found.append((cell, CellResult(effects=EffectMap.load(cell.unit.folder), attribution=attribution)))
    return EffectBench.of(found)


def table_of(group, made):
    """Return Table I of one network: means over images with intervals, what a map took, and on what."""
    found = statistics(made.rows)
    found.insert(1, "group", group)
    found["patches"] = np.mean([result.effects.facts["patches"] for _, result in made.cells])
    found["inferences a map"], found["seconds a map"] = made.rows[["inferences", "seconds"]].mean().round(1)
    return found.assign(pixels=GROUPS[group][0], budget=GROUPS[group][3])


def markdown(table):
    """Return the table of the documentation: a row a network, the figures of the paper below where it has any."""
    heads = ("network", "images", "patches that help", "that mislead", *COLUMNS)
    lines = [f"| {' | '.join(heads)} |", "| --- " * len(heads) + "|"]
    for _, row in table.iterrows():
        whole = row["pixels"] == 256
        helping, misleading = (f"{row[f'{kind} %'] / 100 * row['patches']:.1f}" for kind in ("positive", "negative"))
        cells = [row["network"] + " (256 x 256)" * whole, str(row["images"]), helping, misleading]
        for name in COLUMNS:
            ends = [row[f"{name} {end}"] for end in ("low", "high")]
            cells.append(f"{row[name]:.2f}" + ("" if np.isnan(ends[0]) else " [{:.2f}, {:.2f}]".format(*ends)))
        lines.append(f"| {' | '.join(cells)} |")
        if row["network"] in PAPER and not whole:
            said, called = PAPER[row["network"]], OTHER.get(row["network"], row["network"])
            cells = [
                f"paper: {called}",
                "",
                *(f"{share / 100 * 1008:.1f}" for share in said[:2]),
                *(f"{v:.2f}" for v in said),
            ]
            lines.append(f"| *{'* | *'.join(cells)}* |".replace("**", ""))
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--dry-run", action="store_true", help="print what the maps will take, and stop")
    parser.add_argument("--collect", action="store_true", help="make no map, take those that are there")
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=list(GROUPS))
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.work.mkdir(parents=True, exist_ok=True)
    if args.dry_run:
        for _, _, given, options in runs(args, False):
            print(*forecast_bench(bench_run(*given, options)), flush=True)
        return
    made = {}
    for lam in (False, True)[: 1 if args.collect else 2]:
        for group, name, given, options in runs(args, lam):
            work = collected if args.collect else effect_bench
            made[group, name] = bench = work(*given, progress=False, **options)
            for cell, error in bench.failures:
                print(f"{name}, {cell.unit.name}: {error}", flush=True)
            print(bench.to_text(), flush=True)
    made = {key: bench for key, bench in made.items() if bench.cells}
    table = pd.concat([table_of(group, bench) for (group, _), bench in made.items()])
    table.round(4).to_csv(RESULT, index=False)
    shown = [pair for (group, _), bench in made.items() if group != "x4-whole" for pair in bench.cells]
    EffectBench.of(shown).save(args.work, bound=BOUND)
    print(markdown(table))


if __name__ == "__main__":
    main()
