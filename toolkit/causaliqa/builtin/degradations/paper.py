"""The degradations of the paper: downsampling, noise and rain."""

from __future__ import annotations

from functools import lru_cache

from torch import Generator, Tensor

from causaliqa.api.errors import InputError
from causaliqa.functional.degrade import add_noise, bicubic_down, generator_for, modcrop, quantise, rain_layer

__all__ = ["Downsampling", "GaussianNoise", "MediumRain"]


class Downsampling:
    """Crop to a multiple of ``scale``, shrink with the antialiased bicubic kernel, round to 8 bits.

    A patch is shrunk on its own with the same kernel, as in the paper: the kernel is truncated at the border of the
    patch and renormalised, so that an intervention changes the input pixels of its patch and no others. Shrinking the
    image with the patch inserted would also change the input pixels around it, which belong to other patches.

    Args:
        scale: whole number, 2 or more.

    Raises:
        InputError: the scale is out of range.

    Example:
        >>> import torch
        >>> sr, img = Downsampling(scale=4), torch.rand(3, 10, 12)
        >>> sr.degrade(img, seed=0).shape
        torch.Size([3, 2, 3])
        >>> sr.patch_in_place(img, 0, 0, torch.rand(5, 3, 8, 8), seed=0, generator=torch.Generator()).shape
        torch.Size([5, 3, 2, 2])
    """

    def __init__(self, *, scale: int = 4) -> None:
        if not isinstance(scale, int) or scale < 2:
            raise InputError(f"degradation sr: got scale {scale!r}, expected a whole number, 2 or more")
        self.scale = scale

    def degrade(self, img: Tensor, seed: int) -> Tensor:
        """Shrink ``(3, H, W)``; deterministic."""
        return quantise(bicubic_down(modcrop(img, self.scale)[None], self.scale))[0]

    def patch_in_place(self, img: Tensor, y: int, x: int, patch: Tensor, *, seed: int, generator: Generator) -> Tensor:
        """Shrink patches ``(n, 3, h, w)``."""
        return quantise(bicubic_down(patch, self.scale))


class GaussianNoise:
    """Add white Gaussian noise, clip, round to 8 bits; every patch gets fresh noise.

    Args:
        sigma: standard deviation on the scale of 0 to 255.

    Raises:
        InputError: sigma is not positive.

    Example:
        >>> import torch
        >>> noise, img = GaussianNoise(sigma=50), torch.full((3, 8, 8), 0.5)
        >>> bool((noise.degrade(img, seed=0) == noise.degrade(img, seed=0)).all())
        True
    """

    scale = 1

    def __init__(self, *, sigma: float = 50) -> None:
        if not sigma > 0:
            raise InputError(f"degradation denoise: got sigma {sigma!r}, expected a number above 0")
        self.sigma = float(sigma)

    def degrade(self, img: Tensor, seed: int) -> Tensor:
        """Add the noise of ``seed`` to ``(3, H, W)``."""
        return add_noise(img, self.sigma, generator_for(seed))

    def patch_in_place(self, img: Tensor, y: int, x: int, patch: Tensor, *, seed: int, generator: Generator) -> Tensor:
        """Add fresh noise to patches ``(n, 3, h, w)``."""
        return add_noise(patch, self.sigma, generator)


class MediumRain:
    """Add one layer of rain per image; a patch is inserted into the clean image, and the same layer is added to it.

    Example:
        >>> import torch
        >>> rain, img = MediumRain(), torch.full((3, 64, 64), 0.25)
        >>> same = rain.patch_in_place(img, 8, 16, img[None, :, 8:16, 16:24], seed=3, generator=torch.Generator())
        >>> bool((same[0] == rain.degrade(img, seed=3)[:, 8:16, 16:24]).all())
        True
    """

    scale = 1

    def degrade(self, img: Tensor, seed: int) -> Tensor:
        """Add the layer of ``seed`` to ``(3, H, W)``, clip, round to 8 bits."""
        return quantise(img + _layer(*img.shape[-2:], seed).to(img))

    def patch_in_place(self, img: Tensor, y: int, x: int, patch: Tensor, *, seed: int, generator: Generator) -> Tensor:
        """Add the layer of ``seed`` at ``(y, x)`` to patches ``(n, 3, h, w)``; deterministic."""
        layer = _layer(*img.shape[-2:], seed)[y : y + patch.shape[-2], x : x + patch.shape[-1]]
        return quantise(patch + layer.to(patch))


@lru_cache(maxsize=4)
def _layer(height: int, width: int, seed: int) -> Tensor:
    """Return the layer of an image; cached, as it is needed for every patch."""
    return rain_layer(height, width, generator_for(seed))
