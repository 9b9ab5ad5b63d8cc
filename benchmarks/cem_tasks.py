"""Does a network that learns several tasks at once look at less of its input? Sections V-C and V-D of the paper.

    python benchmarks/cem_tasks.py --data DATA --work FOLDER

One small architecture with global pooling (RCAN, 16 channels, 8 blocks' worth of convolutions) learns super-resolution,
denoising and deraining, each by itself, and all three at once, with the same number of steps and the same crops of the
photographs that pip packages ship. For super-resolution the input is enlarged first, so that all tasks keep the size.
Then: PSNR on CBSD68, and causal effect maps of the three test images (128 x 128 around the region).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from cem_scenes import IMAGES, RESULTS, degradation, scale_of, write
from torch import nn
from train_tiny import batch_of, fit, pairs_for, psnr

from causaliqa import CausalEffectMap, create_sampler
from causaliqa.api.data import ROI
from causaliqa.builtin.restorers.architectures import RCAN
from causaliqa.functional.degrade import generator_for
from causaliqa.io.images import load_image

TASKS = ("sr", "denoise", "derain")
CORNER, SIDE, REGION = (104, 48), 128, ROI(48, 48, 32, 32)
"""Part of the images, and the region in it: the paper's region."""


class Residual(nn.Module):
    """Predicts what to add to the input."""

    def __init__(self):
        super().__init__()
        self.body = RCAN(num_feat=16, num_group=2, num_block=2, squeeze_factor=4, upscale=1, img_range=1.0)
        # In the beginning it adds nothing.
        nn.init.zeros_(self.body.conv_last.weight)
        self.body.conv_last.bias.data = -self.body.mean.flatten()

    def forward(self, x):
        return x + self.body(x)


def enlarged(x, task):
    return F.interpolate(x, scale_factor=4.0, mode="bicubic").clamp(0, 1) if task == "sr" else x


class Restorer(nn.Module):
    """The trained network, as a restorer of one task."""

    def __init__(self, inner, task):
        super().__init__()
        self.inner, self.task = inner, task

    def forward(self, x):
        return self.inner(enlarged(x, self.task))


def train(tasks, steps, path, *, batch=9):
    """Train on tasks in equal parts; keep the average of the weights."""
    torch.manual_seed(0)
    model = Residual()
    pairs = {task: pairs_for(task, layers=2) for task in tasks}

    def draw(step):
        parts = []
        for task in tasks:
            patch = 48 // scale_of(task)
            x, y = batch_of(pairs[task], task, patch, batch // len(tasks), generator_for(0, step))
            parts.append((enlarged(x, task), y))
        return tuple(torch.cat(v) for v in zip(*parts, strict=True))

    average, _ = fit(model, draw, steps, path, warmup=100, decay=0.998, save_every=250)
    model.load_state_dict(average)
    return model.eval().requires_grad_(False)


@torch.inference_mode()
def quality(restorer, task, data, count=12):
    """Mean PSNR of restored images of CBSD68, RGB."""
    values = []
    for index, path in enumerate(sorted((data / "restoration" / "CBSD68").iterdir())[:count]):
        clean = load_image(path)[0][:, :256, :256]
        out = restorer(degradation(task).degrade(clean, index)[None])[0].clamp(0, 1)
        values.append(psnr(clean * 255, (out * 255).round()))
    return float(np.mean(values))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with cem_images/ and restoration/CBSD68")
    parser.add_argument("--work", type=Path, required=True, help="folder of checkpoints and maps")
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--budget", type=int, default=12, help="interventions a patch")
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.work.mkdir(parents=True, exist_ok=True)
    rows = []
    for tasks in [(t,) for t in TASKS] + [TASKS]:
        training = "mixed" if len(tasks) > 1 else "single"
        model = train(tasks, args.steps, args.work / f"{'+'.join(tasks)}.pth")
        for task in tasks:
            restorer = Restorer(model, task)
            value = quality(restorer, task, args.data)
            maps = CausalEffectMap(restorer, scale=scale_of(task))
            for name in IMAGES:
                top, left = CORNER
                image = load_image(args.data / "cem_images" / name)[0][:, top : top + SIDE, left : left + SIDE]
                made = maps.attribute(
                    image,
                    REGION,
                    degradation=degradation(task),
                    sampler=create_sampler("natural"),
                    strategy="adaptive",
                    budget=args.budget * 240,
                )
                made.save(args.work / f"{task}-{training}-{Path(name).stem}", title=f"{task} {training}")
                told = made.summary()
                keys = ("base", "positive_percent", "negative_percent", "none_percent", "min", "max")
                shown = {key: round(told[key], 3) for key in keys}
                strength = round(float(np.nansum(np.abs(made.effect))), 3)
                rows.append({"task": task, "training": training, "image": name, "psnr_cbsd68": round(value, 2)})
                rows[-1] |= {**shown, "sum_of_effects": strength, "far_percent": round(far(made), 2)}
                print(rows[-1], flush=True)
    write(RESULTS / "cem_tasks.csv", rows)


def far(made, distance=16):
    """Share of the sum of absolute effects, in percent, that lies so many pixels or more from the region."""
    y, x = np.mgrid[: made.effect.shape[0], : made.effect.shape[1]] * made.patch_size
    gap = np.maximum(
        np.maximum(REGION.x - (x + made.patch_size), x - (REGION.x + REGION.width)),
        np.maximum(REGION.y - (y + made.patch_size), y - (REGION.y + REGION.height)),
    )
    size = np.abs(np.nan_to_num(made.effect))
    return 100 * float(size[gap >= distance].sum() / size.sum())


if __name__ == "__main__":
    main()
