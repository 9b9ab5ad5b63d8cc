"""A small graded set from photographs that pip packages ship: known severity order, not human opinion."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter

from causaliqa.api.errors import InputError

__all__ = ["DISTORTIONS", "photographs", "write_graded_set"]

Array = NDArray[np.uint8]
_Distort = Callable[[Image.Image, float, np.random.Generator], Image.Image]


def photographs() -> dict[str, Path]:
    """Return the photographs inside scikit-image, scikit-learn and matplotlib, by name.

    Raises:
        InputError: none is found.
    """
    from importlib.util import find_spec

    wanted = (
        ("skimage", "data/astronaut.png"),
        ("skimage", "data/chelsea.png"),
        ("skimage", "data/coffee.png"),
        ("skimage", "data/rocket.jpg"),
        ("sklearn", "datasets/images/china.jpg"),
        ("sklearn", "datasets/images/flower.jpg"),
        ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
    )
    found = {}
    for package, inside in wanted:
        spec = find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            if (path := Path(folder) / inside).is_file():
                found[path.stem] = path
    if not found:
        raise InputError("no photograph found; install scikit-image or scikit-learn, which ship some")
    return found


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
"""Distortion types, how they are made, and the setting of every severity, mild to severe."""


def write_graded_set(folder: Path, *, images: int = 4, side: int = 256, seed: int = 0) -> Path:
    """Write references, distorted images and a manifest whose label is the severity, 1 (mild) to 5 (severe).

    Args:
        folder: made if it is not there.
        images: how many photographs.
        side: images are scaled and cropped to this square.
        seed: seed of the noise.

    Returns:
        The manifest: ref, dist, dmos (the severity), type, level.

    Raises:
        InputError: the folder cannot be written.
    """
    try:
        (folder / "ref").mkdir(parents=True, exist_ok=True)
        (folder / "dist").mkdir(exist_ok=True)
        lines: list[list[object]] = []
        for name, path in list(photographs().items())[:images]:
            ref = _square(path, side)
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
            writer.writerow(["ref", "dist", "dmos", "type", "level"])
            writer.writerows(lines)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror or error}") from error
    return manifest


def _square(path: Path, side: int) -> Image.Image:
    image = Image.open(path).convert("RGB")
    short = min(image.size)
    left, top = (image.width - short) // 2, (image.height - short) // 2
    return image.crop((left, top, left + short, top + short)).resize((side, side), Image.Resampling.LANCZOS)
