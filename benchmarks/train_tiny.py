"""Train the small restoration networks that come with the package, on photographs that pip packages ship.

    python benchmarks/train_tiny.py tiny_edsr_x4 --steps 12000 --work /tmp/tiny

Crops of 13 photographs at three sizes, flipped, turned and with their colours permuted; L1 loss, Adam, one cycle of
cosine decay, bfloat16 on the CPU where it helps, and an exponential average of the weights, which is what is kept.
A stopped run goes on from its last checkpoint. With --data the result is measured on Set5 or CBSD68.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from causaliqa.builtin.restorers.tiny import WEIGHTS, build, network
from causaliqa.functional.degrade import add_noise, bicubic_down, generator_for, modcrop, quantise, rain_layer
from causaliqa.io.photographs import photographs

SIZES = (1.0, 0.8, 0.6)
RECIPES = {
    "tiny_edsr_x4": {"task": "sr", "patch": 32, "batch": 16},
    "tiny_rcan_x4": {"task": "sr", "patch": 32, "batch": 16},
    "tiny_dncnn_50": {"task": "denoise", "patch": 44, "batch": 16},
    "tiny_edsr_rain": {"task": "derain", "patch": 64, "batch": 12},
}
"""Side of a training patch in input pixels, and patches in a batch."""
RESULTS = Path(__file__).parent / "results" / "tiny_restorers.csv"


def to_tensor(array):
    return torch.from_numpy(np.array(array)).permute(2, 0, 1).contiguous()


def pairs_for(task, seed=0, layers=6):
    """Return (input, clean) pairs of whole photographs, 8-bit."""
    pairs = []
    for index, array in enumerate(dict(photographs()).values()):
        for k, size in enumerate(SIZES):
            image = Image.fromarray(array)
            small = image.resize((int(image.width * size), int(image.height * size)), Image.Resampling.BICUBIC)
            clean = modcrop(to_tensor(small), 4)
            if task == "sr":
                pairs.append(((quantise(bicubic_down(clean[None] / 255, 4))[0] * 255).byte(), clean))
            elif task == "denoise":
                pairs.append((clean, clean))
            else:
                for turn in range(layers):
                    layer = rain_layer(*clean.shape[1:], generator_for(seed, index, k, turn))
                    pairs.append(((quantise(clean / 255 + layer) * 255).byte(), clean))
    return pairs


def batch_of(pairs, task, patch, batch, generator):
    """Draw one batch: larger photographs more often, every crop flipped, turned and recoloured at random."""
    weights = torch.tensor([float(x.shape[1] * x.shape[2]) for x, _ in pairs])
    inputs, cleans = [], []
    for k in torch.multinomial(weights, batch, replacement=True, generator=generator):
        x, y = pairs[int(k)]
        scale = y.shape[1] // x.shape[1]
        top = int(torch.randint(x.shape[1] - patch + 1, (), generator=generator))
        left = int(torch.randint(x.shape[2] - patch + 1, (), generator=generator))
        turns, flip = int(torch.randint(4, (), generator=generator)), bool(torch.rand((), generator=generator) < 0.5)
        colours = torch.randperm(3, generator=generator)
        x = x[:, top : top + patch, left : left + patch]
        y = y[:, scale * top : scale * (top + patch), scale * left : scale * (left + patch)]
        # Rain falls from above: its picture is mirrored but never turned.
        turns = 0 if task == "derain" else turns
        x, y = (v[colours].rot90(turns, (1, 2)) for v in (x, y))
        x, y = (v.flip(2) if flip else v for v in (x, y))
        inputs.append(x)
        cleans.append(y)
    x, y = torch.stack(inputs) / 255, torch.stack(cleans) / 255
    return (add_noise(y, 50, generator), y) if task == "denoise" else (x, y)


def initialise(model):
    """Keep the variance through a plain chain of layers, which has no skip that would carry the signal."""
    layers = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d)]
    for layer in layers:
        torch.nn.init.kaiming_normal_(layer.weight, a=0.25)
        torch.nn.init.zeros_(layer.bias)
    layers[-1].weight.data.mul_(0.1)


def fit(model, draw, steps, checkpoint, *, peak=1e-3, warmup=200, decay=0.999, save_every=100):
    """Train from the last checkpoint on; return the exponential average of the weights, and the seconds of all runs.

    draw(step) gives a batch (input, clean), and a weight of each error if they are not all the same; the same steps see
    the same batches, whether a run was stopped or not.
    """
    model = model.to(memory_format=torch.channels_last)
    average = {k: v.clone() for k, v in model.state_dict().items()}
    optimiser = torch.optim.Adam(model.parameters(), lr=peak, betas=(0.9, 0.99))
    done, seconds = 0, 0.0
    if checkpoint.is_file():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        average, done, seconds = state["average"], state["done"], state["seconds"]
    begun, losses = time.time(), []
    for step in range(done, steps):
        rate = peak * min(1, (step + 1) / warmup) * (0.5 + 0.5 * math.cos(math.pi * step / steps)) + 1e-6
        for group in optimiser.param_groups:
            group["lr"] = rate
        x, y, *weight = draw(step)
        with torch.autocast("cpu", torch.bfloat16):
            out = model(x.contiguous(memory_format=torch.channels_last))
        errors = (out.float() - y).abs()
        loss = (errors * weight[0] if weight else errors).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        share = min(decay, (step + 1) / (step + 10))
        for key, weight in model.state_dict().items():
            average[key].lerp_(weight, 1 - share)
        losses.append(float(loss.detach()))
        if (step + 1) % save_every == 0 or step + 1 == steps:
            spent = seconds + time.time() - begun
            state = {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "average": average}
            torch.save({**state, "done": step + 1, "seconds": spent}, checkpoint.with_suffix(".part"))
            checkpoint.with_suffix(".part").replace(checkpoint)
            print(f"{checkpoint.stem} {step + 1}/{steps} L1 {np.mean(losses):.5f} {spent:.0f} s", flush=True)
            losses = []
    return average, seconds + time.time() - begun


def keep(average, name, folder=WEIGHTS):
    """Write weights, by default to the folder from which the package takes them."""
    folder.mkdir(exist_ok=True)
    save_file({k: v.contiguous() for k, v in average.items()}, folder / f"{name}.safetensors")


def train(name, steps, work, *, seed=0):
    recipe = RECIPES[name]
    torch.manual_seed(seed)
    model = network(name)
    if recipe["task"] == "denoise":
        initialise(model)
    pairs = pairs_for(recipe["task"])

    def draw(step):
        return batch_of(pairs, recipe["task"], recipe["patch"], recipe["batch"], generator_for(seed, step))

    average, spent = fit(model, draw, steps, work / f"{name}.pth")
    keep(average, name)
    return spent


def luma(img):
    return (img * img.new_tensor([65.481, 128.553, 24.966]).view(3, 1, 1)).sum(0) + 16


def psnr(a, b):
    return float(10 * math.log10(255**2 / (a.double() - b.double()).square().mean()))


@torch.inference_mode()
def measure(name, data):
    """Return (set, measure, PSNR of the input or of bicubic, PSNR of the network), averaged over a test set."""
    task, model = RECIPES[name]["task"], build(name=name)
    folder = data / "restoration" / ("Set5" if task == "sr" else "CBSD68")
    before, after = [], []
    for index, path in enumerate(sorted(folder.iterdir())):
        clean = modcrop(to_tensor(np.array(Image.open(path).convert("RGB"))), 4) / 255
        if task == "sr":
            low = quantise(bicubic_down(clean[None], 4))
            size = (clean.shape[2], clean.shape[1])
            image = Image.fromarray((low[0] * 255).byte().permute(1, 2, 0).numpy())
            up = to_tensor(np.array(image.resize(size, Image.Resampling.BICUBIC))) / 255
            views = [luma(v)[4:-4, 4:-4] for v in (clean, up, quantise(model(low))[0])]
        else:
            generator = generator_for(0, index)
            if task == "denoise":
                spoilt = add_noise(clean, 50, generator)
            else:
                spoilt = quantise(clean + rain_layer(*clean.shape[1:], generator))
            views = [v * 255 for v in (clean, spoilt, quantise(model(spoilt[None]))[0])]
        before.append(psnr(views[0], views[1]))
        after.append(psnr(views[0], views[2]))
    return folder.name, "Y, border 4" if task == "sr" else "RGB", np.mean(before), np.mean(after)


def record(name, steps, seconds, data):
    """Write the result of one network into the csv, replacing its old line."""
    fields = ["name", "task", "patch", "batch", "steps", "minutes"]
    fields += ["set", "measure", "psnr_before", "psnr_after", "gain"]
    rows = []
    if RESULTS.is_file():
        with RESULTS.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["name"] != name]
    where, how, before, after = measure(name, data)
    figures = [f"{before:.2f}", f"{after:.2f}", f"{after - before:.2f}"]
    recipe = RECIPES[name]
    facts = [recipe["task"], recipe["patch"], recipe["batch"], steps, f"{seconds / 60:.1f}", where, how]
    values = [name, *facts, *figures]
    rows.append(dict(zip(fields, values, strict=True)))
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, fields, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: row["name"]))
    print(rows[-1], flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=RECIPES)
    parser.add_argument("--steps", type=int, default=10000)
    parser.add_argument("--work", type=Path, default=Path("tiny_training"), help="folder of the checkpoints")
    parser.add_argument("--data", type=Path, help="folder with restoration/Set5 and restoration/CBSD68")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.work.mkdir(parents=True, exist_ok=True)
    seconds = train(args.name, args.steps, args.work)
    if args.data:
        record(args.name, args.steps, seconds, args.data)


if __name__ == "__main__":
    main()
