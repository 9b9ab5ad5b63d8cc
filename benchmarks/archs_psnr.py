"""PSNR of real checkpoints through ``archs:FILE``: nothing but the file is given.

    python benchmarks/archs_psnr.py DATA

Set5, cropped to multiples of 24. Super-resolution: PIL's bicubic, PSNR of the luma without a border of ``scale``.
Noise: white, not clipped, seed 0; PSNR of RGB. Rain: the medium rain of the effect maps, seed 0; PSNR of RGB.
Writes ``benchmarks/results/archs_psnr.csv``: means in dB of the output and of the input, which is enlarged by bicubic
where it is smaller, beside what the data's INDEX.md states for these images.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import causaliqa

RESULT = Path(__file__).parent / "results" / "archs_psnr.csv"
HEADER = ("file", "options", "architecture", "scale", "degradation", "psnr", "input_psnr", "stated", "seconds")
LUMA = np.array([65.481, 128.553, 24.966]) / 255

# file below weights/, options, degradation, strength, what INDEX.md states
ROWS = (
    ("restoration/ntire2025_team54_HITSR.pth", {}, "sr", None, 32.51),
    ("restoration/ntire2024_team34_craft.pth", {}, "sr", None, 32.36),
    ("restoration/ntire2022_imdn_baseline.pth", {}, "sr", None, 32.20),
    ("restoration/rlfn_x4.pth", {}, "sr", None, 32.17),
    ("restoration/ntire2022_rfdn_baseline.pth", {}, "sr", None, 32.10),
    ("restoration/PANx4_DF2K.pth", {}, "sr", None, 32.08),
    ("restoration/carn_m.pth", {}, "sr", None, 31.83),
    ("restoration/carn_m.pth", {"scale": 2}, "sr", None, 37.60),
    ("restoration/fuyongXu_srcnn_x3.pth", {}, "sr", None, 32.64),
    ("imdn_x4/IMDN_x4.pth", {}, "sr", None, None),
    ("srmdnf_x4/SRMDNF_x4_nc128_nb12.pth", {}, "sr", None, None),
    ("restoration/ffdnet_color.pth", {"sigma": 15}, "denoise", 15, 34.30),
    ("restoration/ffdnet_color.pth", {"sigma": 25}, "denoise", 25, 32.09),
    ("restoration/ffdnet_color.pth", {}, "denoise", 50, 29.21),
    ("restoration/adnet_color50.pth", {}, "denoise", 50, 29.23),
    ("dncnn_color_zhang/dncnn_color_sigma25.pth", {}, "denoise", 25, None),
    ("dncnn_color_zhang/dncnn_color_sigma50.pth", {}, "denoise", 50, None),
    ("dncnn_color_blind/dncnn_color_blind.pth", {}, "denoise", 50, None),
    ("prenet/PReNet6_Rain100L.pth", {}, "derain", None, None),
    ("prenet/PReNet6_Rain100H.pth", {}, "derain", None, None),
    ("prenet/PReNet6_Rain1400.pth", {}, "derain", None, None),
    ("restoration/wacv_gcanet_derain.pth", {}, "derain", None, None),
)


def psnr(a, b):
    return float(10 * np.log10(255**2 / np.mean((a - b) ** 2)))


def luma(img):
    return img @ LUMA + 16


def to_tensor(img):
    return torch.from_numpy(np.array(img, dtype=np.float32)).permute(2, 0, 1)[None] / 255


def to_array(img):
    return (img[0].permute(1, 2, 0) * 255).clamp(0, 255).numpy().astype(np.float64)


@torch.no_grad()
def measure(net, clean, degradation, strength):
    """Return the PSNR of the output and that of the input of one PIL image."""
    truth = np.asarray(clean, dtype=np.float64)
    if degradation == "sr":
        small = clean.resize((clean.width // net.scale, clean.height // net.scale), Image.Resampling.BICUBIC)
        large = np.asarray(small.resize(clean.size, Image.Resampling.BICUBIC), dtype=np.float64)
        cut = (slice(net.scale, -net.scale),) * 2
        out = to_array(net(to_tensor(small))).round()
        return tuple(psnr(luma(img)[cut], luma(truth)[cut]) for img in (out, large))
    if degradation == "denoise":
        noise = np.random.default_rng(0).normal(0, strength / 255, (1, 3, clean.height, clean.width))
        spoilt = to_tensor(clean) + torch.from_numpy(noise).float()
    else:
        spoilt = causaliqa.create_degradation("derain").degrade(to_tensor(clean), 0)
    return psnr(to_array(net(spoilt)), truth), psnr(spoilt[0].permute(1, 2, 0).double().numpy() * 255, truth)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    args = parser.parse_args()
    images = [Image.open(path).convert("RGB") for path in sorted((args.data / "restoration" / "Set5").iterdir())]
    images = [img.crop((0, 0, img.width // 24 * 24, img.height // 24 * 24)) for img in images]
    with RESULT.open("w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(HEADER)
        for file, options, degradation, strength, stated in ROWS:
            start = time.monotonic()
            net = causaliqa.create_restorer(f"archs:{args.data / 'weights' / file}", device="cpu", **options)
            values = np.array([measure(net, img, degradation, strength) for img in images]).mean(0)
            given = " ".join(f"{key}={value}" for key, value in options.items())
            task = degradation if strength is None else f"{degradation} {strength}"
            row = [file, given, net.arch, net.scale, task, *values.round(3).tolist(), stated or ""]
            writer.writerow([*row, round(time.monotonic() - start, 1)])
            table.flush()
            print(*row, flush=True)


if __name__ == "__main__":
    main()
