"""Store what every channel says of every image: for the tables of masks, depth, distortion types and Eq. 7.

Usage: python benchmarks/calibration_channels.py --backbone vgg:weights=FILE --set NAME=MANIFEST ... --cache FOLDER

Manifests have the columns ref, dist and an opinion score, or ref, a, b, votes_a, votes_b. Every reference gets a file
``FOLDER/SET_BACKBONE/NUMBER.npz``, so a run that was stopped goes on; calibration_tables.py reads them. The metrics are
``calibrated_<backbone>`` and ``causal_<backbone>`` as they ship.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from causaliqa.catalog.create import default_catalog
from causaliqa.catalog.request import parse_request
from causaliqa.functional.calibration import INTERVENTIONS, calibrated_ratio, intervene
from causaliqa.functional.image import downsample, size_factor
from causaliqa.io.images import load_image

VISIBLE = ("noise", "blur", "jpeg", "half resolution")
"""Changes that everybody sees; with the responses to INTERVENTIONS they give the signal to nuisance of a channel."""


def visible(ref: Tensor, name: str) -> Tensor:
    """Return a plainly visible distortion of ``(1, 3, H, W)``."""
    if name == "noise":
        return (ref + 15 / 255 * torch.randn(ref.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    if name == "blur":
        kernel = torch.exp(-torch.arange(-3.0, 4.0).square() / 2)
        kernel = torch.outer(kernel, kernel) / kernel.sum().square()
        return F.conv2d(F.pad(ref.transpose(0, 1), (3,) * 4, mode="reflect"), kernel[None, None]).transpose(0, 1)
    if name == "half resolution":
        low = F.interpolate(ref, scale_factor=0.5, mode="bicubic", antialias=True)
        return F.interpolate(low, size=ref.shape[-2:], mode="bicubic").clamp(0, 1)
    pixels = ref[0].permute(1, 2, 0).clamp(0, 1).mul(255).round().byte().numpy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "jpeg", quality=10)
    return torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)[None] / 255


def small(path: Path) -> Tensor:
    """Return an image after the size protocol, which leaves it alone from then on."""
    img = load_image(path)
    return downsample(img, size_factor(*img.shape[-2:]))


class Channels:
    """Both metrics on one backbone."""

    def __init__(self, request: str) -> None:
        name, options = parse_request(request)
        self.name = name
        create = default_catalog().create_metric
        self.calibrated = create(f"calibrated_{name}", device="cpu", **options)
        self.causal = create(f"causal_{name}", device="cpu", **options)
        self.fsim = create("fsim", device="cpu")

    def reference(self, ref: Tensor) -> dict[str, np.ndarray]:
        """Return the calibrated responses ``(K, T, C)`` to small and to visible changes of a reference."""
        responses = [calibrated_ratio(level, level) for level in self.calibrated.explain(ref, ref).responses]
        return {
            "level": np.concatenate([np.full(r.shape[-1], k) for k, r in enumerate(responses)]),
            "nuisance": torch.cat(responses, dim=-1).numpy(),
            "visible": np.stack([self.ratio(visible(ref, name), ref) for name in VISIBLE]),
        }

    def ratio(self, img: Tensor, ref: Tensor) -> np.ndarray:
        return torch.cat(self.calibrated.ratios(img, ref)[0], dim=-1).numpy()

    def image(self, img: Tensor, ref: Tensor, *, causal: bool) -> dict[str, np.ndarray]:
        """Return the calibrated costs ``(T, C)``, and of the causal metric the costs and the channels it keeps."""
        ratio = {"ratio": self.ratio(img, ref)}
        if not causal:
            return ratio
        levels = self.causal.levels(img, ref)[0]
        return {
            **ratio,
            "causal": torch.cat([level.ot.sum(1) + level.md.sum(1) for level in levels]).numpy(),
            "keep": torch.cat([level.keep for level in levels]).numpy(),
        }

    def scores(self, img: Tensor, ref: Tensor) -> list[float]:
        return [float(metric(img, ref)) for metric in (self.calibrated, self.causal, self.fsim)]

    def moved(self, images: list[Tensor], ref: Tensor) -> np.ndarray:
        """Return scores ``(1 + 2 K, images, metrics)``: as they are, then for every intervention on both images and on
        the distorted one alone, clipped to [0, 1]."""
        out = [[self.scores(img, ref) for img in images]]
        for name in INTERVENTIONS:
            changed = [intervene(img, name).clamp(0, 1) for img in images]
            other = intervene(ref, name).clamp(0, 1)
            out += [[self.scores(img, other) for img in changed], [self.scores(img, ref) for img in changed]]
        return np.array(out)


def store(channels: Channels, name: str, path: Path, args: argparse.Namespace) -> None:
    table = pd.read_csv(path)
    sides = ["a", "b"] if "votes_a" in table else ["dist"]
    folder = args.cache / f"{name}_{channels.name}"
    folder.mkdir(parents=True, exist_ok=True)
    groups = list(table.groupby("ref", sort=False))[: args.refs]
    for number, (ref_name, rows) in enumerate(tqdm(groups, desc=folder.name, mininterval=30)):
        out = folder / f"{number:04d}.npz"
        if out.exists():
            continue
        ref = small(path.parent / ref_name)
        images = {(row, side): small(path.parent / rows.loc[row, side]) for row in rows.index for side in sides}
        made = [channels.image(img, ref, causal=not args.no_causal) for img in images.values()]
        chosen = list(images)[number % args.moved_every :: args.moved_every] if number < args.moved_refs else []
        content = {
            **channels.reference(ref),
            **{key: np.stack([one[key] for one in made]) for key in made[0]},
            "row": np.array([row for row, _ in images]),
            "side": np.array([side for _, side in images]),
        }
        if chosen:
            content["moved"] = channels.moved([images[key] for key in chosen], ref)
        part = out.with_suffix(".part.npz")
        np.savez(part, **content)
        part.replace(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--set", action="append", required=True)
    parser.add_argument("--cache", required=True, type=Path)
    parser.add_argument("--moved-every", type=int, default=8, help="every n-th image of a reference for Eq. 7")
    parser.add_argument("--moved-refs", type=int, default=20, help="of the first n references of a set")
    parser.add_argument("--refs", type=int, help="of the first n references of a set")
    parser.add_argument(
        "--no-causal", action="store_true", help="leave out the costs of the causal metric: much faster"
    )
    args = parser.parse_args()
    torch.set_num_threads(1)
    channels = Channels(args.backbone)
    for item in args.set:
        name, _, path = item.partition("=")
        with torch.no_grad():
            store(channels, name, Path(path), args)


if __name__ == "__main__":
    main()
