"""Extract what every channel costs, once per set and backbone, for the exploration of calibrated metrics.

Usage: python benchmarks/calibration_extract.py --backbone vgg:weights=FILE --set NAME=MANIFEST ... --cache FOLDER

Manifests have the columns ref, dist and an opinion score, or ref, a, b, votes_a, votes_b. For every pair, and for every
intervention on a reference, ``FOLDER/SET_BACKBONE.npz`` gets an array ``(pairs, costs, channels)``; ``level`` tells the
level of every channel (0: RGB; 1 ...: the backbone).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from causaliqa.api.specs import BackboneSpec
from causaliqa.catalog.create import create_backbone, default_catalog
from causaliqa.catalog.request import parse_request
from causaliqa.functional.calibration import intervene
from causaliqa.functional.image import downsample, normalise, size_factor
from causaliqa.io.images import load_image

TERMS = ("mean", "structure", "structure_rms", "contrast")
FLOORS = ("energy", "tenth", "var")
"""The constant c of the terms: the energy of the noise, a tenth of it, a hundredth of the mean local variance."""
COSTS = tuple(f"{term}_{floor}" for floor in FLOORS for term in TERMS)
INTERVENTIONS = ("brightness", "contrast", "colour", "noise", "shift", "noise10")


def intervened(ref: Tensor, name: str) -> Tensor:
    """Return ``ref`` ``(1, 3, H, W)`` after one of the interventions; ``noise10`` is twice as strong as the noise."""
    return 2 * intervene(ref, "noise") - ref if name == "noise10" else intervene(ref, name)


def _local_mean(x: Tensor, window: int) -> Tensor:
    side = min(window, *x.shape[-2:])
    return F.avg_pool2d(x[None], side, stride=max(1, side // 2))[0].flatten(1)


class Extractor:
    """Levels of an image, and the costs between two of them."""

    def __init__(self, request: str) -> None:
        name, options = parse_request(request)
        self.name = name
        self.spec = default_catalog().get(BackboneSpec, name).spec
        self.net = create_backbone(name, **options)

    def small(self, path: Path) -> Tensor:
        img = load_image(path)
        return downsample(img, size_factor(*img.shape[-2:]))

    def levels(self, img: Tensor) -> list[Tensor]:
        return [m[0] for m in (img, *self.net(normalise(img, self.spec.normalise)))]

    def costs(self, xs: list[Tensor], ys: list[Tensor], energies: list[Tensor]) -> np.ndarray:
        levels = zip(xs, ys, energies, strict=True)
        return np.concatenate([self.level(x, y, self.spec.window, e) for x, y, e in levels], axis=1)

    def level(self, x: Tensor, y: Tensor, side: int, energy: Tensor) -> np.ndarray:
        """Return ``(costs, channels)`` of one level; ``energy`` is that of a difference that hardly shows."""
        gap = x - y
        ux, uy, ud = (_local_mean(v, side) for v in (x, y, gap))
        vx, vy, vd = (
            (_local_mean(v.square(), side) - u.square()).clamp(min=0) for v, u in ((x, ux), (y, uy), (gap, ud))
        )
        out = []
        for c in (energy, 0.1 * energy, 0.01 * vy.mean() + 1e-12):
            e = vx + vy + c
            gap_std = (vx + c).sqrt() - (vy + c).sqrt()
            out += [
                (ud.square() / (ux.square() + uy.square() + c)).mean(1), (vd / e).mean(1),
                (vd / e).square().mean(1).sqrt(), (gap_std.square() / e).mean(1),
            ]  # fmt: skip
        return torch.stack(out).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--set", action="append", required=True)
    parser.add_argument("--cache", required=True, type=Path)
    parser.add_argument("--limit", type=int, default=0, help="first rows of sets of votes")
    parser.add_argument("--every", type=int, default=1, help="take every n-th image of a reference: a first look")
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.cache.mkdir(parents=True, exist_ok=True)
    extractor = Extractor(args.backbone)
    for item in args.set:
        name, _, path = item.partition("=")
        with torch.no_grad():
            extract(extractor, name, Path(path), args)


def extract(extractor: Extractor, name: str, path: Path, args: argparse.Namespace) -> None:
    out = args.cache / f"{name}_{extractor.name}.npz"
    if out.exists():
        return
    table = pd.read_csv(path)
    sides = ["a", "b"] if "votes_a" in table else ["dist"]
    if len(sides) == 2 and args.limit:
        table = table.head(args.limit)
    else:
        table = table[table.groupby("ref", sort=False).cumcount() % args.every == 0]
    table = table.assign(row=table.index).reset_index(drop=True)
    costs: dict[str, list[np.ndarray]] = {s: [] for s in sides}
    answers: dict[str, np.ndarray] = {}
    for ref, rows in tqdm(table.groupby("ref", sort=False), desc=f"{name} {extractor.name}", mininterval=20):
        small = extractor.small(path.parent / ref)
        base = extractor.levels(small)
        noisy = extractor.levels(intervene(small, "noise"))
        energies = [(x - y).square().mean() for x, y in zip(noisy, base, strict=True)]
        answers[ref] = np.stack(
            [extractor.costs(extractor.levels(intervened(small, k)), base, energies) for k in INTERVENTIONS]
        )
        for side in sides:
            costs[side] += [
                extractor.costs(extractor.levels(extractor.small(path.parent / d)), base, energies) for d in rows[side]
            ]
    order = np.concatenate([rows.index for _, rows in table.groupby("ref", sort=False)])
    place = np.argsort(order)
    names = list(answers)
    np.savez(
        out,
        level=np.concatenate([np.full(len(x), k) for k, x in enumerate(base)]),
        ref=np.array([names.index(r) for r in table.ref]),
        row=table.row.to_numpy(),
        answers=np.stack(list(answers.values())).astype(np.float32),
        **{s: np.stack(v)[place].astype(np.float32) for s, v in costs.items()},
    )


if __name__ == "__main__":
    main()
