"""What the studies of causal effect maps have in common: networks by name, images, region, tables."""

from __future__ import annotations

import csv
from pathlib import Path

from research_networks import IMDN, DnCNN

from causaliqa import create_degradation, create_restorer
from causaliqa.api.data import ROI
from causaliqa.builtin.restorers.checkpoint import load_checkpoint

RESULTS = Path(__file__).parent / "results"
IMAGES = ("demo_1.png", "demo_2.png", "demo_3.png")
REGION = ROI(96, 152, 32, 32)
NETWORKS = {
    "tiny_edsr_x4": ("sr", None),
    "tiny_rcan_x4": ("sr", None),
    "tiny_dncnn_50": ("denoise", None),
    "tiny_edsr_rain": ("derain", None),
    "dncnn": ("denoise", (DnCNN, "dncnn_color_zhang/dncnn_color_sigma50.pth")),
    "imdn": ("sr", (IMDN, "imdn_x4/IMDN_x4.pth")),
}
"""Task, and class and weights of those that no package carries."""


def restorer(name, data):
    build = NETWORKS[name][1]
    if build is None:
        return create_restorer(name, device="cpu")
    model = build[0]().eval().requires_grad_(False)
    load_checkpoint(model, data / "weights" / build[1])
    return model


def scale_of(task):
    return 4 if task == "sr" else 1


def degradation(task):
    return create_degradation(task, **({"scale": 4} if task == "sr" else {}))


def write(path, rows):
    """Write rows as csv; a column that some rows lack stays empty there."""
    fields = list(dict.fromkeys(key for row in rows for key in row))
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fields, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
