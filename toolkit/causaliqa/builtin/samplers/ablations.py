"""Samplers that the paper compares with natural patches: patches of the image itself, constants, blur and noise."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from causaliqa.api.errors import InputError

__all__ = ["Blur", "Constant", "SelfPatches", "UniformNoise"]


class SelfPatches:
    """Draw patches at random positions of the image itself; one scene is not a sample of natural images.

    Source: CEM, section VI-A and Figure 15 (inadvisable, for comparison).

    Example:
        >>> img = torch.arange(48.0).view(3, 4, 4) / 48
        >>> SelfPatches().in_place(img, 0, 0, 2, 2, generator=torch.Generator()).shape
        torch.Size([3, 2, 2])
    """

    def in_place(self, img: Tensor, y: int, x: int, height: int, width: int, *, generator: Generator) -> Tensor:
        """Crop one patch ``(3, height, width)`` at a random position."""
        top = int(torch.randint(img.shape[-2] - height + 1, (), generator=generator))
        left = int(torch.randint(img.shape[-1] - width + 1, (), generator=generator))
        return img[:, top : top + height, left : left + width]


class Constant:
    """Fill with one value; 0 is the ablation common in high-level vision.

    Args:
        value: the value of all channels, in [0, 1].

    Raises:
        InputError: the value is out of range.

    Example:
        >>> float(Constant(value=0.5)(1, 8, torch.Generator()).mean())
        0.5
    """

    def __init__(self, *, value: float = 0.5) -> None:
        if not 0 <= value <= 1:
            raise InputError(f"sampler constant: got value {value!r}, expected a number in [0, 1]")
        self.value = float(value)

    def __call__(self, n: int, size: int, generator: Generator) -> Tensor:
        """Return ``(n, 3, size, size)``; deterministic."""
        return torch.full((n, 3, size, size), self.value)


class Blur:
    """Replace the patch by the same part of the blurred image.

    Args:
        sigma: standard deviation of the Gaussian in pixels.

    Raises:
        InputError: sigma is not positive.

    Example:
        >>> patch = Blur(sigma=1).in_place(torch.ones(3, 9, 9), 0, 0, 4, 4, generator=torch.Generator())
        >>> bool((patch - 1).abs().max() < 1e-6)
        True
    """

    def __init__(self, *, sigma: float = 3.0) -> None:
        if not sigma > 0:
            raise InputError(f"sampler blur: got sigma {sigma!r}, expected a number above 0")
        self.sigma = float(sigma)

    def in_place(self, img: Tensor, y: int, x: int, height: int, width: int, *, generator: Generator) -> Tensor:
        """Blur ``img`` ``(3, H, W)`` in one place; border pixels are replicated."""
        reach = max(1, round(3 * self.sigma))
        taps = (-(torch.arange(-reach, reach + 1).to(img) / self.sigma).square() / 2).exp()
        taps = taps / taps.sum()
        rows = torch.arange(y - reach, y + height + reach).clamp(0, img.shape[-2] - 1)
        cols = torch.arange(x - reach, x + width + reach).clamp(0, img.shape[-1] - 1)
        around = img[:, rows][:, :, cols]
        across = (around.unfold(2, len(taps), 1) * taps).sum(-1)
        return (across.unfold(1, len(taps), 1) * taps).sum(-1)


class UniformNoise:
    """Fill with independent uniform noise.

    Example:
        >>> UniformNoise()(2, 4, torch.Generator()).shape
        torch.Size([2, 3, 4, 4])
    """

    def __call__(self, n: int, size: int, generator: Generator) -> Tensor:
        """Draw ``(n, 3, size, size)`` in [0, 1]."""
        return torch.rand(n, 3, size, size, generator=generator)
