"""A small graded set made from photographs in pip packages: known order of severity instead of human opinions."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter

from causaliqa.io.photographs import SCENES, installed, picture
from causaliqa.utils.files import check_folder, unwritten

__all__ = ["DISTORTIONS", "write_graded_set"]

Array = NDArray[np.uint8]
_Distort = Callable[[Image.Image, float, np.random.Generator], Image.Image]


def _noise(image: Image.Image, sigma: float, rng: np.random.Generator) -> Image.Image:
    data = np.asarray(image, dtype=np.float64)
    return Image.fromarray(np.clip(np.rint(data + rng.normal(0, sigma, data.shape)), 0, 255).astype(np.uint8))


def _blur(image: Image.Image, radius: float, _: Any) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(radius))


def _jpeg(image: Image.Image, quality: float, _: Any) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=int(quality))
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


def _pixelate(image: Image.Image, factor: float, _: Any) -> Image.Image:
    small = image.resize((round(image.width / factor), round(image.height / factor)), Image.Resampling.BOX)
    return small.resize(image.size, Image.Resampling.BICUBIC)


def _contrast(image: Image.Image, share: float, _: Any) -> Image.Image:
    return ImageEnhance.Contrast(image).enhance(share)


DISTORTIONS: Mapping[str, tuple[_Distort, tuple[float, ...]]] = {
    "noise": (_noise, (5, 12, 22, 36, 55)),
    "blur": (_blur, (0.6, 1.1, 1.8, 2.8, 4.5)),
    "jpeg": (_jpeg, (70, 35, 18, 10, 5)),
    "downscale": (_pixelate, (1.6, 2.3, 3.2, 4.5, 6.5)),
    "contrast": (_contrast, (0.85, 0.7, 0.55, 0.4, 0.25)),
}
"""Function and settings of every distortion type; settings from mild to severe."""


def write_graded_set(folder: str | os.PathLike[str], *, images: int = 4, side: int = 256, seed: int = 0) -> Path:
    """Write references, distorted images and a manifest whose label is the severity, 1 (mild) to 5 (severe).

    Args:
        folder: created if it does not exist.
        images: number of photographs, 7 at most.
        side: images are scaled and cropped to this square.
        seed: seed of the noise.

    Returns:
        The manifest: ref, dist, severity, type, level.

    Raises:
        InputError: the folder cannot be written to, or no photograph is installed.
        OutputError: writing failed.
    """
    folder = check_folder(folder)
    try:
        (folder / "ref").mkdir(parents=True, exist_ok=True)
        (folder / "dist").mkdir(exist_ok=True)
        lines: list[list[object]] = []
        for name in installed(SCENES)[:images]:
            ref = _square(picture(name), side)  # saving keeps its colour profile
            ref.save(folder / "ref" / f"{name}.png")
            for kind_number, (kind, (distort, settings)) in enumerate(DISTORTIONS.items()):
                for level, setting in enumerate(settings, start=1):
                    rng = np.random.default_rng([seed, len(lines), kind_number])
                    dist = f"dist/{name}_{kind}_{level}.png"
                    distort(ref, setting, rng).save(folder / dist)
                    lines.append([f"ref/{name}.png", dist, level, kind, level])
        manifest = folder / "severity.csv"
        with manifest.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["ref", "dist", "severity", "type", "level"])
            writer.writerows(lines)
    except OSError as error:
        raise unwritten(folder, error) from error
    return manifest


def _square(image: Image.Image, side: int) -> Image.Image:
    """Crop the centre square and scale it."""
    short = min(image.size)
    left, top = (image.width - short) // 2, (image.height - short) // 2
    return image.crop((left, top, left + short, top + short)).resize((side, side), Image.Resampling.LANCZOS)
