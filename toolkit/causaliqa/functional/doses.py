"""Known changes of a photograph: twelve distortions at eight doses, changes that nobody minds, and gross ones.

Doses run from about the threshold of visibility at 256 x 256 pixels to very strong, in steps of about one factor.
Where chance takes part, all doses share it (the same noise, the same dead pixels, the same field of displacements),
so that a higher dose is the same change, only more of it.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from causaliqa.functional.calibration import intervene
from causaliqa.functional.degrade import generator_for, quantise

__all__ = ["DISTORTIONS", "GROSS", "HARMLESS", "MILD", "MODERATE", "Distortion", "distort", "gross", "harmless", "jpeg"]

MILD = 2
"""Number of the dose that counts as mild: visible beside the reference."""

MODERATE = 5
"""Number of the dose that counts as moderate: visible by itself."""

HARMLESS = ("shift", "brightness", "jpeg95")
"""Changes that hardly anybody notices and nobody minds, see :func:`harmless`."""

GROSS = ("negative", "mirrored", "half brightness", "other image")
"""Changes after which the image is no likeness of the reference, see :func:`gross`; half brightness is very dark."""

_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True, kw_only=True)
class Distortion:
    """A kind of change, and its doses."""

    apply: Callable[[Tensor, float, torch.Generator], Tensor]
    """``(img, dose, generator)`` to the changed image, before it is clipped and rounded."""
    doses: tuple[float, ...]
    """Eight settings, from just visible to strong."""
    unit: str
    """What a dose is."""


def _noise(img: Tensor, dose: float, generator: torch.Generator) -> Tensor:
    return img + torch.randn(img.shape, generator=generator).to(img) * (dose / 255)


def _colour_noise(img: Tensor, dose: float, generator: torch.Generator) -> Tensor:
    """Noise that leaves the luma as it is."""
    noise = torch.randn(img.shape, generator=generator).to(img)
    return img + (noise - _luma(noise)) * (dose / 255)


def _impulse(img: Tensor, dose: float, generator: torch.Generator) -> Tensor:
    """Pixels that are black or white."""
    place, sign = torch.rand(2, 1, 1, *img.shape[-2:], generator=generator).to(img)
    return torch.where(place < dose / 100, (sign < 0.5).to(img), img)


def _blur(img: Tensor, dose: float, _: torch.Generator) -> Tensor:
    reach = max(1, int(3.5 * dose + 0.5))
    ticks = torch.arange(-reach, reach + 1, dtype=img.dtype, device=img.device)
    kernel = (-(ticks.square()) / (2 * dose * dose)).exp()
    return _along_rows(_along_rows(img, kernel).transpose(-1, -2), kernel).transpose(-1, -2)


def _motion_blur(img: Tensor, dose: float, _: torch.Generator) -> Tensor:
    """A camera that moves to the side: the mean over a line whose length need not be a whole number."""
    reach = int((dose + 1) / 2)
    ticks = torch.arange(-reach, reach + 1, dtype=img.dtype, device=img.device)
    return _along_rows(img, (dose / 2 + 0.5 - ticks.abs()).clamp(0, 1))


def _along_rows(img: Tensor, kernel: Tensor) -> Tensor:
    """Filter ``(N, C, H, W)`` along its rows; edges are reflected."""
    reach, channels = len(kernel) // 2, img.shape[1]
    weights = (kernel / kernel.sum()).expand(channels, 1, 1, -1)
    return F.conv2d(F.pad(img, (reach, reach, 0, 0), mode="reflect"), weights, groups=channels)


def _downscale(img: Tensor, dose: float, _: torch.Generator) -> Tensor:
    """Reduced and enlarged."""
    height, width = img.shape[-2:]
    small = (max(1, round(height / dose)), max(1, round(width / dose)))
    low = F.interpolate(img, size=small, mode="bicubic", antialias=True, align_corners=False)
    return F.interpolate(low, size=(height, width), mode="bicubic", align_corners=False)


def jpeg(img: Tensor, quality: int) -> Tensor:
    """Return images ``(N, 3, H, W)``, RGB in [0, 1], after JPEG of a quality between 1 and 95.

    Example:
        >>> grey = torch.full((1, 3, 16, 16), 128 / 255)
        >>> bool((jpeg(grey, 50) == grey).all())
        True
    """
    import numpy as np
    from PIL import Image

    out = []
    for one in quantise(img.detach().cpu()):
        pixels = one.permute(1, 2, 0).mul(255).round().to(torch.uint8).numpy()
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
        with Image.open(buffer) as image:
            out.append(torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div(255))
    return torch.stack(out).to(img)


def _jpeg(img: Tensor, dose: float, _: torch.Generator) -> Tensor:
    return jpeg(img, round(100 - dose))


def _banding(img: Tensor, dose: float, _: torch.Generator) -> Tensor:
    """Values rounded to steps."""
    return (img * (255 / dose)).round() * (dose / 255)


def _contrast(img: Tensor, dose: float, _: torch.Generator) -> Tensor:
    """Contrast that is lost, about the mean."""
    mean = _luma(img).mean(dim=(-2, -1), keepdim=True)
    return mean + (img - mean) * (1 - dose / 100)


def _saturation(img: Tensor, dose: float, _: torch.Generator) -> Tensor:
    """Saturation that is lost."""
    return _luma(img) + (img - _luma(img)) * (1 - dose / 100)


def _sharpening(img: Tensor, dose: float, generator: torch.Generator) -> Tensor:
    """Unsharp mask."""
    return img + (img - _blur(img, 1.5, generator)) * dose


def _warp(img: Tensor, dose: float, generator: torch.Generator) -> Tensor:
    """Places that move by a smooth random field."""
    height, width = img.shape[-2:]
    coarse = torch.randn(1, 2, max(2, height // 16), max(2, width // 16), generator=generator).to(img)
    field = F.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=True)[0]
    y, x = torch.meshgrid(*(torch.arange(side, dtype=img.dtype) for side in (height, width)), indexing="ij")
    rows, cols = y.to(img) + dose * field[0], x.to(img) + dose * field[1]
    grid = torch.stack([cols * (2 / max(1, width - 1)) - 1, rows * (2 / max(1, height - 1)) - 1], dim=-1)
    places = grid.expand(len(img), -1, -1, -1)
    return F.grid_sample(img, places, mode="bicubic", padding_mode="reflection", align_corners=True)


def _luma(img: Tensor) -> Tensor:
    return (img * img.new_tensor(_LUMA).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)


def _kind(apply: Callable[[Tensor, float, torch.Generator], Tensor], unit: str, *doses: float) -> Distortion:
    return Distortion(apply=apply, unit=unit, doses=doses)


DISTORTIONS: Mapping[str, Distortion] = {
    "noise": _kind(_noise, "standard deviation / 255", 4, 6, 9, 13, 19, 28, 41, 60),
    "colour noise": _kind(_colour_noise, "standard deviation / 255", 8, 12, 17, 25, 36, 52, 76, 110),
    "impulse noise": _kind(_impulse, "% of the pixels", 0.1, 0.2, 0.5, 1, 2, 4, 8, 16),
    "blur": _kind(_blur, "standard deviation, px", 0.5, 0.7, 1, 1.4, 2, 2.8, 4, 5.6),
    "motion blur": _kind(_motion_blur, "length, px", 1.5, 2.2, 3.2, 4.7, 7, 10, 15, 22),
    "downscale": _kind(_downscale, "factor", 1.4, 1.8, 2.3, 3, 3.8, 4.9, 6.3, 8),
    "jpeg": _kind(_jpeg, "100 - quality", 25, 40, 55, 68, 78, 85, 91, 95),
    "banding": _kind(_banding, "step / 255", 6, 9, 13, 19, 28, 41, 60, 88),
    "contrast loss": _kind(_contrast, "% lost", 10, 18, 27, 37, 48, 60, 72, 85),
    "saturation loss": _kind(_saturation, "% lost", 15, 25, 36, 48, 61, 74, 87, 100),
    "sharpening": _kind(_sharpening, "amount", 0.4, 0.6, 0.9, 1.4, 2.1, 3.1, 4.7, 7),
    "warp": _kind(_warp, "displacement, px", 0.35, 0.5, 0.75, 1.1, 1.6, 2.4, 3.5, 5),
}
"""Distortions by name, each with eight doses from just visible to strong."""


def distort(img: Tensor, name: str, dose: float, *, seed: int = 0) -> Tensor:
    """Return images after a distortion, clipped and rounded to 8 bits as a file would hold them.

    Args:
        img: images ``(N, 3, H, W)``, RGB in [0, 1].
        name: one of :data:`DISTORTIONS`.
        dose: its strength, in the unit that the distortion has; larger is stronger.
        seed: seed of what is random; the same for every dose.

    Raises:
        ValueError: ``name`` is unknown.

    Example:
        >>> distort(torch.full((1, 3, 2, 2), 0.8), "contrast loss", 50)[0, 0, 0, 0] * 255
        tensor(204.)
    """
    if name not in DISTORTIONS:
        raise ValueError(f"distortion: got {name!r}, expected one of {', '.join(DISTORTIONS)}")
    number = list(DISTORTIONS).index(name)
    return quantise(DISTORTIONS[name].apply(img, dose, generator_for(seed, number)))


def harmless(img: Tensor, name: str) -> Tensor:
    """Return images after a change that nobody minds, as a file would hold them.

    Args:
        img: images ``(N, 3, H, W)``, RGB in [0, 1].
        name: ``shift``: one pixel to the right and down; ``brightness``: 8/255 brighter; ``jpeg95``: JPEG, quality 95.

    Raises:
        ValueError: ``name`` is unknown.

    Example:
        >>> harmless(torch.zeros(1, 3, 2, 2), "brightness")[0, 0, 0, 0] * 255
        tensor(8.)
    """
    return jpeg(img, 95) if name == "jpeg95" else quantise(intervene(img, name))


def gross(img: Tensor, name: str, other: Tensor) -> Tensor:
    """Return what is no likeness of an image any more.

    Args:
        img: images ``(N, 3, H, W)``, RGB in [0, 1].
        name: one of :data:`GROSS`.
        other: other images of the same size.

    Raises:
        ValueError: ``name`` is unknown.

    Example:
        >>> gross(torch.zeros(1, 3, 2, 2), "negative", torch.zeros(1, 3, 2, 2)).mean()
        tensor(1.)
    """
    if name == "negative":
        return 1 - img
    if name == "mirrored":
        return img.flip(-1)
    if name == "half brightness":
        return quantise(img * 0.5)
    if name == "other image":
        return other
    raise ValueError(f"gross change: got {name!r}, expected one of {', '.join(GROSS)}")
