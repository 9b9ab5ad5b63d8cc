"""Does it restore an image? Adam on the pixels of an image, with the metric as the only loss.

Usage: python benchmarks/calibration_loss.py --metric calibrated_vgg:weights=FILE ... --out RESULT.csv

The image is 128 x 128 of scikit-image's astronaut, from row and column 128; the starts are the image reduced and
enlarged four times, and uniform noise. 100 steps, learning rate 0.02. Every metric is tried as its score and, where it
has one, as its ``loss``; ``mse`` is the bar. ``high`` is the share of the squared error above three quarters of the
Nyquist frequency in a direction: 0.44 for white noise, near 1 for a checkerboard.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import skimage.data
import torch
import torch.nn.functional as F
from torch import Tensor

from causaliqa.catalog.create import default_catalog
from causaliqa.catalog.request import parse_request
from causaliqa.functional.descent import descend, descent_starts, high_share, image_psnr

Loss = Callable[[Tensor, Tensor], Tensor]


def reference() -> Tensor:
    crop = skimage.data.astronaut()[128:256, 128:256]
    return torch.from_numpy(np.ascontiguousarray(crop)).float().div(255).permute(2, 0, 1)[None]


def losses(requests: list[str]) -> Iterator[tuple[str, Loss]]:
    yield "mse", F.mse_loss
    for request in requests:
        name, options = parse_request(request)
        metric = default_catalog().create_metric(name, device="cpu", **options)
        yield name, metric
        if hasattr(metric, "loss"):
            yield f"{name}.loss", metric.loss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metric", action="append", default=[])
    parser.add_argument("--out", required=True, type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    ref, lines = reference(), []
    for name, loss in losses(args.metric):
        for start, img in descent_starts(ref).items():
            began = time.process_time()
            end = descend(loss, img, ref)
            lines.append(
                {
                    "loss": name,
                    "start": start,
                    "psnr_start": round(image_psnr(img, ref), 2),
                    "psnr_end": round(image_psnr(end, ref), 2),
                    "high": round(high_share(end, ref), 3),
                    "cpu_seconds": round(time.process_time() - began, 1),
                }
            )
            print(lines[-1], flush=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with args.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)


if __name__ == "__main__":
    main()
