"""Train one small network on all seven tasks of the paper's section V-D, and the same network on each alone.

    python benchmarks/train_seven.py --work /tmp/seven [--data DATA]

The mixed one meets the tasks in turn and makes seven times as many steps, so that all eight see as many crops of a
task; as in the paper, every task has the same share. The degradations are the package's, drawn anew for every crop; the
photographs are those that pip packages ship, less three that are kept for tests and maps. The rest is train_tiny.py's
recipe. The mixed network becomes `tiny_seven`; its sisters stay in --work. Then: PSNR before and after on the three
photographs, and on CBSD68 with --data. A stopped run goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from train_tiny import SIZES, fit, keep, psnr, to_tensor

from causaliqa import create_degradation
from causaliqa.builtin.restorers.tiny import network
from causaliqa.functional.degrade import generator_for, modcrop
from causaliqa.io.photographs import NAMES, photograph, photographs

TASKS = ("sr", "denoise", "derain", "deblur", "jpeg", "dehaze", "lowlight")
SETS = {"mixed": TASKS, **{task: (task,) for task in TASKS}}
"""What a network is trained on, by its name."""
KEPT = ("chelsea", "coffee", "flower")
"""Photographs that nothing is trained on."""
PART, SIDE, BATCH, PROBES = 96, 64, 8, 32
"""Side of what is degraded as one image, and of the crop of it that the network sees; crops in a batch; crops on which
the error of a task's inputs is measured."""
RESULTS = Path(__file__).parent / "results" / "train_seven.csv"


def enlarged(x, task):
    """Return an input at the size of its output, as the network enlarges it."""
    return F.interpolate(x, scale_factor=4.0, mode="bicubic") if task == "sr" else x


def training_photographs():
    found = []
    for _, array in photographs(name for name in NAMES if name not in KEPT):
        image = Image.fromarray(array)
        for size in SIZES:
            small = image.resize((int(image.width * size), int(image.height * size)), Image.Resampling.BICUBIC)
            found.append(to_tensor(small))
    return found


def crop_of(photos, weights, task, generator):
    """Draw a photograph and a part of it, flipped, turned and recoloured; degrade it and cut a crop."""

    def below(count):
        return int(torch.randint(count, (), generator=generator))

    photo = photos[int(torch.multinomial(weights, 1, generator=generator))]
    top, left = (below(side - PART + 1) for side in photo.shape[1:])
    clean = photo[torch.randperm(3, generator=generator), top : top + PART, left : left + PART] / 255
    clean = clean.rot90(below(4), (1, 2))
    clean = clean.flip(2) if below(2) else clean
    spoilt = enlarged(create_degradation(task).degrade(clean, below(2**31))[None], task)[0]
    top, left = below(PART - SIDE + 1), below(PART - SIDE + 1)
    return tuple(v[:, top : top + SIDE, left : left + SIDE] for v in (spoilt, clean))


def train(tasks, steps, checkpoint, seed=0):
    """Train on tasks in turn, ``steps`` for each; return the average of the weights, and seconds."""
    torch.manual_seed(seed)
    model = network("tiny_seven")
    # In the beginning it adds nothing to its input.
    torch.nn.init.zeros_(model.conv_last.weight)
    torch.nn.init.zeros_(model.conv_last.bias)
    photos = training_photographs()
    weights = torch.tensor([float(p.shape[1] * p.shape[2]) for p in photos])

    def drawn(task, *key):
        return crop_of(photos, weights, task, generator_for(seed, *key))

    # Each task's error counts relative to that of its inputs: haze and low light would outweigh the others.
    probes = {task: [drawn(task, 0, k) for k in range(PROBES)] for task in tasks}
    errors = {task: float(np.mean([float((x - y).abs().mean()) for x, y in v])) for task, v in probes.items()}

    def draw(step):
        numbers = range(step * BATCH, (step + 1) * BATCH)
        met = [tasks[k % len(tasks)] for k in numbers]
        x, y = (torch.stack(v) for v in zip(*map(drawn, met, numbers), strict=True))
        return x, y, torch.tensor([1 / errors[task] for task in met])[:, None, None, None]

    return fit(model, draw, steps * len(tasks), checkpoint)


@torch.inference_mode()
def measure(average, task, images):
    """Return mean PSNR of input (enlarged, for super-resolution) and output on 8-bit images, RGB."""
    model = network("tiny_seven").eval()
    model.load_state_dict(average)
    values = []
    for index, clean in enumerate(images):
        spoilt = enlarged(create_degradation(task).degrade(clean, index)[None], task)
        views = [(v[0].clamp(0, 1) * 255).round() for v in (spoilt, model(spoilt))]
        values.append([psnr(clean * 255, view) for view in views])
    return np.mean(values, axis=0)


def test_images(data):
    """Return the photographs that nothing was trained on, and CBSD68 if there is data."""
    found = {"photographs": [to_tensor(photograph(name)) for name in KEPT]}
    if data:
        paths = sorted((data / "restoration" / "CBSD68").iterdir())
        found["CBSD68"] = [to_tensor(Image.open(path).convert("RGB")) for path in paths]
    return {name: [modcrop(image, 4) / 255 for image in images] for name, images in found.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2000, help="steps a task")
    parser.add_argument("--work", type=Path, required=True, help="folder of the checkpoints")
    parser.add_argument("--data", type=Path, help="folder with restoration/CBSD68")
    parser.add_argument("--only", choices=SETS, help="train this one and measure nothing, to train several at once")
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.work.mkdir(parents=True, exist_ok=True)
    if args.only:
        train(SETS[args.only], args.steps, args.work / f"{args.only}.pth")
        return
    images, rows = test_images(args.data), []
    for name, tasks in SETS.items():
        average, seconds = train(tasks, args.steps, args.work / f"{name}.pth")
        keep(average, name, args.work)
        if name == "mixed":
            keep(average, "tiny_seven")
        for task in tasks:
            for where, tested in images.items():
                before, after = measure(average, task, tested)
                row = {
                    "task": task,
                    "training": "single" if len(tasks) == 1 else "mixed",
                    "steps": args.steps * len(tasks),
                }
                row |= {"minutes": round(seconds / 60, 1), "set": where}
                row |= {"psnr_before": f"{before:.2f}", "psnr_after": f"{after:.2f}"}
                rows.append(row | {"gain": f"{after - before:.2f}"})
                print(rows[-1], flush=True)
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
