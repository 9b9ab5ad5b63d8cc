"""The studies of the paper around causal effect maps, each a command that leaves a table in benchmarks/results.

    python benchmarks/cem_studies.py interventions --data DATA --work FOLDER

convergence    effects of single patches over the number of interventions (Fig. 6)
interventions  zero, constant, blur and noise against natural patches (Fig. 4)
libraries      two libraries of natural patches, and the image's own patches (Table II, Fig. 15)
sizes          patches of 4, 8, 16 and 32 pixels (Fig. 16)
pooling        a network with global pooling against itself with 16 x 16 pooling, patched and not retrained (Fig. 9)
pixel          one pixel of the most negative patch, optimised for the region (Fig. 8)

Maps are kept in FOLDER and not made again; their pictures stay there, because they show the test images.
"""

from __future__ import annotations

import argparse
import copy
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from cem_scenes import IMAGES, NETWORKS, REGION, RESULTS, degradation, restorer, scale_of, write
from torch import nn

from causaliqa import CausalEffectMap, create_sampler
from causaliqa.effects.black_box import BlackBox
from causaliqa.effects.effect_map import EffectMap, similarity
from causaliqa.effects.prepare import prepare
from causaliqa.effects.settings import CemSettings
from causaliqa.effects.strategy import Round
from causaliqa.functional.degrade import quantise
from causaliqa.functional.fidelity import psnr
from causaliqa.io.images import load_image
from causaliqa.utils.figures import new_figure, save

STATISTICS = ("base", "positive_percent", "negative_percent", "none_percent", "min", "max", "inferences", "seconds")


def statistics(made):
    return {key: round(value, 3) for key, value in made.summary().items() if key in STATISTICS}


class Study:
    """Makes maps of one network after the other."""

    def __init__(self, args):
        self.data, self.work, self.images = args.data, args.work, args.images
        self.work.mkdir(parents=True, exist_ok=True)

    def image(self, name):
        return load_image(self.data / "cem_images" / name)

    def map(self, title, network, task, image, sampler="natural", **options):
        given = {"strategy": "adaptive"} | options
        folder = self.work / f"{title}-{Path(image).stem}"
        if (folder / "summary.json").is_file():
            return EffectMap.load(folder)
        maker = CausalEffectMap(network, scale=scale_of(task))
        drawn = create_sampler(*sampler) if isinstance(sampler, tuple) else create_sampler(sampler)
        made = maker.attribute(
            self.image(image), REGION, degradation=degradation(task), sampler=drawn, image_seed=0, **given
        )
        made.save(folder, title=f"{title} {image}")
        print(title, image, statistics(made), flush=True)
        return made


def convergence(study):
    """Effects of three patches after 1 to 500 interventions, and how far they are from the last value on average."""
    rows = []
    figure = new_figure(12, 3.6)
    axes = figure.subplots(1, 3)
    patches = None
    for name in ("tiny_edsr_x4", "tiny_rcan_x4", "imdn"):
        task = NETWORKS[name][0]
        settings = CemSettings(degradation=degradation(task), sampler=create_sampler("natural"))
        network = BlackBox(restorer(name, study.data), scale_of(task))
        lab = prepare(network, psnr, study.image(study.images[0]), REGION, settings).runner
        if patches is None:
            pilot = dict(lab.effects(Round(stage="pilot", patches=lab.reached, draws=range(4)), lab.reached))
            order = sorted(pilot, key=lambda p: pilot[p].mean())
            patches = {"negative": order[0], "middle": order[-12], "positive": order[-1]}
        todo = Round(stage="plain", patches=tuple(patches.values()), draws=range(500))
        found = dict(lab.effects(todo, patches.values()))
        for axis, (kind, patch) in zip(axes, patches.items(), strict=True):
            effects = found[patch]
            means = effects.cumsum() / np.arange(1, 501)
            axis.plot(np.arange(1, 501), means, label=name)
            axis.set_title(f"patch {patch} ({kind})")
            for count in (3, 10, 30, 50, 100, 250, 500):
                row = {"network": name, "patch": patch, "interventions": count, "effect": round(means[count - 1], 5)}
                rows.append(row | {"standard_error": round(effects.std(ddof=1) / count**0.5, 5)})
    for axis in axes:
        axis.set_xscale("log")
        axis.set_xlabel("interventions")
        axis.axhline(0, color="gray", linewidth=0.5)
    axes[0].set_ylabel("mean effect, dB")
    axes[0].legend(fontsize=8)
    save(figure, RESULTS / "cem_convergence.png")
    return rows


def interventions(study):
    """What single interventions say that need no library, against natural patches."""
    rows = []
    for name in ("tiny_edsr_x4", "tiny_dncnn_50"):
        task, network = NETWORKS[name][0], restorer(name, study.data)
        for image in study.images:
            natural = study.map(f"{name}-natural", network, task, image, budget=3000)
            again = study.map(f"{name}-natural-again", network, task, image, budget=3000, seed=1)
            made = {"natural": natural, "natural again": again}
            for kind in ("zero", "constant", "blur", "noise"):
                count = 8 if kind == "noise" or task != "sr" else 1
                plain = {"strategy": "plain", "interventions": count}
                made[kind] = study.map(f"{name}-{kind}", network, task, image, sampler=kind, **plain)
            for kind, result in made.items():
                near = round(similarity(result.effect, natural.effect), 2)
                row = {"network": name, "image": image, "intervention": kind, "similarity_to_natural": near}
                rows.append(row | statistics(result) | {"strength": strength(result, natural)})
    return rows


def strength(made, other):
    """Sum of absolute effects, as a multiple of that of another map."""
    return round(float(np.nansum(np.abs(made.effect)) / np.nansum(np.abs(other.effect))), 2)


def libraries(study):
    """Whose patches: the photographs of pip packages, DIV2K, or the image's own."""
    rows = []
    network = restorer("tiny_edsr_x4", study.data)
    (archive,) = (study.data / "patches").glob("*.npz")
    paper = {"strategy": "coarse-to-fine"}
    for image in study.images:
        made = {
            "A photographs": study.map("library-a", network, "sr", image, **paper),
            "A again": study.map("library-a-again", network, "sr", image, seed=1, **paper),
            "own patches": study.map("library-own", network, "sr", image, sampler="self", **paper),
        }
        sampler = create_sampler("natural", library=archive)
        maker = CausalEffectMap(network, scale=4)
        made["B DIV2K"] = maker.attribute(
            study.image(image), REGION, degradation=degradation("sr"), sampler=sampler, image_seed=0, **paper
        )
        for kind, result in made.items():
            near = round(similarity(result.effect, made["A photographs"].effect), 2)
            rows.append({"image": image, "library": kind, "similarity_to_A": near} | statistics(result))
            print(rows[-1], flush=True)
    return rows


def sizes(study):
    """Patches of 4 to 32 pixels."""
    rows = []
    network = restorer("tiny_edsr_x4", study.data)
    for image in study.images:
        for size in (4, 8, 16, 32):
            made = study.map(f"size-{size}", network, "sr", image, patch_size=size, precision=0.005)
            area = made.effect.size
            rows.append({"image": image, "patch_size": size, "patches": area} | statistics(made))
    return rows


class BlockPooling(nn.Module):
    """Means over blocks of 16 x 16 instead of over everything, at the size of the input."""

    def forward(self, x):
        means = F.avg_pool2d(x, 16, ceil_mode=True, count_include_pad=False)
        return means.repeat_interleave(16, 2).repeat_interleave(16, 3)[..., : x.shape[2], : x.shape[3]]


def with_block_pooling(network):
    """Return a copy whose global poolings are block poolings; its weights stay."""
    changed = copy.deepcopy(network)
    for module in list(changed.modules()):
        for key, child in module.named_children():
            if isinstance(child, nn.AdaptiveAvgPool2d):
                setattr(module, key, BlockPooling())
    return changed


def set5(network, data):
    """Mean PSNR on Set5, RGB."""
    values = []
    for path in sorted((data / "restoration" / "Set5").iterdir()):
        clean = load_image(path)[0]
        clean = clean[:, : clean.shape[1] // 4 * 4, : clean.shape[2] // 4 * 4]
        with torch.inference_mode():
            out = quantise(network(degradation("sr").degrade(clean, 0)[None]))
        values.append(float(psnr(out, clean[None])[0]))
    return round(float(np.mean(values)), 2)


def pooling(study):
    """Global pooling against block pooling."""
    rows = []
    network = restorer("tiny_rcan_x4", study.data)
    for name, kind in (("RCAN", network), ("RCAN_AP16", with_block_pooling(network))):
        value = set5(kind, study.data)
        for image in study.images:
            made = study.map(name, kind, "sr", image, budget=3 * 1008)
            rows.append({"network": name, "set5_psnr": value, "image": image} | statistics(made))
    return rows


def pixel(study, steps=2000):
    """Change one pixel of the most negative patch: how much can the region win? A random far pixel for comparison."""
    rows, curves = [], {}
    network = restorer("tiny_rcan_x4", study.data)
    networks = {"tiny_rcan_x4": network, "RCAN_AP16": with_block_pooling(network)}
    networks["tiny_edsr_x4"] = restorer("tiny_edsr_x4", study.data)
    for name, kind in networks.items():
        title = {"tiny_rcan_x4": "RCAN"}.get(name, name)
        made = study.map(title, kind, "sr", study.images[0], budget=3 * 1008)
        patch = np.unravel_index(np.nanargmin(made.effect), made.effect.shape)
        clean = study.image(study.images[0])[0]
        degraded = degradation("sr").degrade(clean, 0)
        region = (slice(REGION.y, REGION.y + 32), slice(REGION.x, REGION.x + 32))
        truth = clean[None][..., region[0], region[1]]
        row, col = (2 * int(k) for k in patch)
        value = degraded[:, row, col].clone().requires_grad_()
        optimiser = torch.optim.Adam([value], lr=1e-2)
        won = []
        for _ in range(steps):
            changed = degraded.clone()
            changed[:, row, col] = value.clamp(0, 1)
            out = kind(changed[None])[..., region[0], region[1]]
            won.append(float(psnr(quantise(out.detach()), truth)[0]) - made.base)
            optimiser.zero_grad()
            F.mse_loss(out, truth).backward()
            optimiser.step()
        curves[name] = np.maximum.accumulate(won)
        facts = {"network": name, "image": study.images[0], "patch": f"{patch[0]},{patch[1]}"}
        effect = {"effect_of_patch_db": round(float(made.effect[patch]), 3), "steps": steps}
        rows.append(facts | effect | {"won_db": round(float(max(won)), 3), "region_db": round(made.base, 2)})
        print(rows[-1], flush=True)
    figure = new_figure(6, 4)
    axes = figure.subplots()
    for name, curve in curves.items():
        axes.plot(curve, label=name)
    axes.set_xlabel("steps")
    axes.set_ylabel("dB won in the region")
    axes.legend()
    save(figure, RESULTS / "cem_pixel.png")
    return rows


STUDIES = {f.__name__: f for f in (convergence, interventions, libraries, sizes, pooling, pixel)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="+", choices=STUDIES)
    parser.add_argument("--data", type=Path, required=True, help="folder with weights/, cem_images/, patches/")
    parser.add_argument("--images", nargs="+", choices=IMAGES, default=IMAGES)
    parser.add_argument("--work", type=Path, required=True, help="folder for maps and their pictures")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for name in args.studies:
        start = time.monotonic()
        rows = STUDIES[name](Study(args))
        write(RESULTS / f"cem_{name}.csv", rows)
        print(f"{name}: {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
