"""PSNR of real checkpoints through ``archs:FILE``: nothing but the file is given.

    python benchmarks/archs_psnr.py [DATA] [--part NAME]

Super-resolution: Set5, PIL's bicubic, PSNR of the luma without a border of ``scale`` pixels. Noise: a 256 x 256 crop of
scikit-image's photographs, sigma said in the name, PSNR of RGB. Writes ``benchmarks/results/archs_psnr.csv``: the mean
in dB, that of the input (enlarged by bicubic where it is smaller), and the one that the data's INDEX.md states.
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

ROOT = Path(__file__).parents[1]
LUMA = np.array([65.481, 128.553, 24.966]) / 255

# file below weights/, options, task, sigma, what INDEX.md states
SUPER = (
    ("restoration/ntire2025_team54_HITSR.pth", {}, 32.51),
    ("restoration/ntire2024_team34_craft.pth", {}, 32.36),
    ("restoration/ntire2022_imdn_baseline.pth", {}, 32.20),
    ("restoration/rlfn_x4.pth", {}, 32.17),
    ("restoration/ntire2022_rfdn_baseline.pth", {}, 32.10),
    ("restoration/PANx4_DF2K.pth", {}, 32.08),
    ("restoration/carn_m.pth", {}, 31.83),
    ("restoration/carn_m.pth", {"scale": 2}, 37.60),
    ("restoration/fuyongXu_srcnn_x3.pth", {}, 32.64),
    ("imdn_x4/IMDN_x4.pth", {}, None),
    ("srmdnf_x4/SRMDNF_x4_nc128_nb12.pth", {}, None),
)
def luma(img):
    return img.astype(np.float64) @ LUMA + 16


def psnr(a, b):
    return 10 * np.log10(255**2 / np.mean((a - b) ** 2))


def tensor(img):
    return torch.from_numpy(np.array(img)).permute(2, 0, 1)[None].float() / 255


def restore(net, img):
    with torch.no_grad():
        out = net(tensor(img))[0].permute(1, 2, 0)
    return (out * 255).round().clamp(0, 255).numpy()

if __name__ == "__main__":
    data = Path("/work/shared/data")
    for file, opts, want in SUPER:
        net = causaliqa.create_restorer(f"archs:{data/'weights'/file}", device="cpu", **opts)
        s = net.scale; got=[]; base=[]; t=time.time()
        for p in sorted((data/"restoration/Set5").iterdir()):
            im = Image.open(p).convert("RGB"); w,h = im.size; im = im.crop((0,0,w-w%24,h-h%24))
            low = im.resize((im.width//s, im.height//s), Image.BICUBIC)
            up = low.resize(im.size, Image.BICUBIC)
            ref = luma(np.array(im))[s:-s,s:-s]
            got.append(psnr(luma(restore(net, low))[s:-s,s:-s], ref)); base.append(psnr(luma(np.array(up))[s:-s,s:-s], ref))
        print(file, net.arch, s, round(np.mean(got),3), round(np.mean(base),3), want, round(time.time()-t,1))
