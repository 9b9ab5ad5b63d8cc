"""Motion blur, JPEG, haze and darkness: the further tasks of section V-D of the paper.

A patch is put into the clean image, which is then degraded as the image was, with the same seed; what comes out at the
place of the patch is the intervention. A patch that was there already leaves the input as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Generator, Tensor

from causaliqa.api.errors import InputError
from causaliqa.functional.degrade import add_noise, generator_for, quantise
from causaliqa.functional.degrade_scenes import airlight_and_transmission, convolve, darkness, jpeg, motion_kernel

__all__ = ["Haze", "Jpeg", "LowLight", "MotionBlur"]

_Degrade = Callable[[Tensor], Tensor]


class MotionBlur:
    """Blur along a straight line in a random direction, one for the image; round to 8 bits.

    Args:
        length: of the line in pixels.

    Raises:
        InputError: the length is below 1.

    Example:
        >>> blur, img = MotionBlur(length=9), torch.rand(3, 32, 32)
        >>> same = blur.patch_in_place(img, 8, 8, img[None, :, 8:16, 8:16], seed=3, generator=torch.Generator())
        >>> bool((same[0] == blur.degrade(img, seed=3)[:, 8:16, 8:16]).all())
        True
    """

    scale = 1

    def __init__(self, *, length: float = 15) -> None:
        if not length >= 1:
            raise InputError(f"degradation deblur: got length {length!r}, expected a number of pixels, 1 or more")
        self.length = float(length)

    def degrade(self, img: Tensor, seed: int) -> Tensor:
        """Blur ``(3, H, W)`` in the direction of ``seed``."""
        return quantise(convolve(img[None], _kernel(self.length, seed)))[0]

    def patch_in_place(self, img: Tensor, y: int, x: int, patch: Tensor, *, seed: int, generator: Generator) -> Tensor:
        """Blur patches ``(n, 3, h, w)`` together with the image around them; deterministic."""
        reach = _kernel(self.length, seed).shape[-1] // 2
        return _around(img, y, x, patch, (reach, 1), lambda part: self.degrade(part, seed))


@lru_cache(maxsize=4)
def _kernel(length: float, seed: int) -> Tensor:
    return motion_kernel(length, generator_for(seed))


class Jpeg:
    """Compress with JPEG, colour at half the resolution.

    Args:
        quality: whole number from 1 to 100, as libjpeg counts.

    Raises:
        InputError: the quality is out of range.

    Example:
        >>> coder, img = Jpeg(quality=10), torch.rand(3, 48, 48)
        >>> same = coder.patch_in_place(img, 8, 24, img[None, :, 8:16, 24:32], seed=0, generator=torch.Generator())
        >>> bool((same[0] == coder.degrade(img, seed=0)[:, 8:16, 24:32]).all())
        True
    """

    scale = 1

    def __init__(self, *, quality: int = 10) -> None:
        if not isinstance(quality, int) or not 1 <= quality <= 100:
            raise InputError(f"degradation jpeg: got quality {quality!r}, expected a whole number from 1 to 100")
        self.quality = quality

    def degrade(self, img: Tensor, seed: int) -> Tensor:
        """Compress ``(3, H, W)``; deterministic."""
        return jpeg(img, self.quality)

    def patch_in_place(self, img: Tensor, y: int, x: int, patch: Tensor, *, seed: int, generator: Generator) -> Tensor:
        """Compress patches ``(n, 3, h, w)`` together with the blocks around them; deterministic."""
        # Colour is coded in blocks of 16 x 16 pixels, and a decoder smooths it across their edges.
        return _around(img, y, x, patch, (16, 16), lambda part: jpeg(part, self.quality))


def _around(img: Tensor, y: int, x: int, patch: Tensor, margin: tuple[int, int], degrade: _Degrade) -> Tensor:
    """Return patches as they are after the image around them was degraded with them.

    Args:
        img: clean image ``(3, H, W)``.
        y: row of the patches.
        x: column of the patches.
        patch: ``(n, 3, h, w)``.
        margin: pixels around a patch that it depends on, and the grid that the part begins on.
        degrade: of a part of the image; a part that ends at the border of the image is degraded as there.
    """
    reach, grid = margin
    height, width = patch.shape[-2:]
    top, left = (max(0, (start - reach) // grid * grid) for start in (y, x))
    bottom = min(img.shape[-2], -(-(y + height + reach) // grid) * grid)
    right = min(img.shape[-1], -(-(x + width + reach) // grid) * grid)
    found = []
    for one in patch:
        part = img[:, top:bottom, left:right].clone()
        part[:, y - top : y - top + height, x - left : x - left + width] = one
        found.append(degrade(part)[:, y - top : y - top + height, x - left : x - left + width])
    return torch.stack(found)


class Haze:
    """Add haze, ``t img + (1 - t) A`` with one airlight A and one smooth transmission t an image; round to 8 bits.

    Example:
        >>> haze, img = Haze(), torch.rand(3, 32, 32)
        >>> same = haze.patch_in_place(img, 8, 8, img[None, :, 8:16, 8:16], seed=3, generator=torch.Generator())
        >>> bool((same[0] == haze.degrade(img, seed=3)[:, 8:16, 8:16]).all())
        True
    """

    scale = 1

    def degrade(self, img: Tensor, seed: int) -> Tensor:
        """Add the haze of ``seed`` to ``(3, H, W)``."""
        light, through = _haze(*img.shape[-2:], seed)
        return quantise(img * through.to(img) + (1 - through.to(img)) * light)

    def patch_in_place(self, img: Tensor, y: int, x: int, patch: Tensor, *, seed: int, generator: Generator) -> Tensor:
        """Add the haze of ``seed`` at ``(y, x)`` to patches ``(n, 3, h, w)``; deterministic."""
        light, through = _haze(*img.shape[-2:], seed)
        there = through[y : y + patch.shape[-2], x : x + patch.shape[-1]].to(patch)
        return quantise(patch * there + (1 - there) * light)


@lru_cache(maxsize=4)
def _haze(height: int, width: int, seed: int) -> tuple[float, Tensor]:
    return airlight_and_transmission(height, width, generator_for(seed))


class LowLight:
    """Darken, ``beta (alpha img) ** gamma`` with one set of numbers an image; add noise, fresh for every patch.

    Args:
        sigma: standard deviation of the noise on the scale of 0 to 255.

    Raises:
        InputError: sigma is negative.

    Example:
        >>> float(LowLight().degrade(torch.full((3, 8, 8), 0.5), seed=0).mean()) < 0.4
        True
    """

    scale = 1

    def __init__(self, *, sigma: float = 5) -> None:
        if not sigma >= 0:
            raise InputError(f"degradation lowlight: got sigma {sigma!r}, expected a number, 0 or more")
        self.sigma = float(sigma)

    def degrade(self, img: Tensor, seed: int) -> Tensor:
        """Darken ``(3, H, W)`` and add the noise of ``seed``."""
        generator = generator_for(seed)
        return _darkened(img, self.sigma, darkness(generator), generator)

    def patch_in_place(self, img: Tensor, y: int, x: int, patch: Tensor, *, seed: int, generator: Generator) -> Tensor:
        """Darken patches ``(n, 3, h, w)`` as the image of ``seed``, with fresh noise."""
        return _darkened(patch, self.sigma, darkness(generator_for(seed)), generator)


def _darkened(img: Tensor, sigma: float, numbers: tuple[float, float, float], generator: Generator) -> Tensor:
    alpha, beta, gamma = numbers
    return add_noise(beta * (alpha * img).clamp(0, 1) ** gamma, sigma, generator)
