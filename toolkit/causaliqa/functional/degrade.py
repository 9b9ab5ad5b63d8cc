"""Degradations of a clean image: downsampling, noise and rain, on tensors in [0, 1].

Source: "Interpreting Low-level Vision Models with Causal Effect Maps", section V-A; the medium rain is that of
"Networks are Slacking Off" (arXiv:2305.15134).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["add_noise", "bicubic_down", "generator_for", "modcrop", "quantise", "rain_layer", "streak"]

_WIDTHS = ((3, 0.25), (5, 0.5), (7, 0.25))
"""Width of the streaks in pixels, and its probability."""


def generator_for(*key: int) -> torch.Generator:
    """Return a CPU generator seeded by whole numbers.

    Example:
        >>> a, b = generator_for(0, 1, 2), generator_for(0, 1, 2)
        >>> bool(torch.rand(1, generator=a) == torch.rand(1, generator=b))
        True
    """
    import numpy as np

    # The length is part of the seed: to NumPy (0,) and (0, 0) are the same.
    state = int(np.random.SeedSequence((len(key), *key)).generate_state(1, np.uint64)[0])
    return torch.Generator().manual_seed(state >> 1)


def quantise(img: Tensor) -> Tensor:
    """Round to 8 bits and clip, as saving to a file does.

    Example:
        >>> quantise(torch.tensor([-0.1, 0.5, 2.0])) * 255
        tensor([  0., 128., 255.])
    """
    return (img * 255).round().clamp(0, 255) / 255


def modcrop(img: Tensor, scale: int) -> Tensor:
    """Crop ``(..., H, W)`` at the right and bottom so that ``scale`` divides both sides.

    Example:
        >>> modcrop(torch.zeros(3, 10, 9), 4).shape
        torch.Size([3, 8, 8])
    """
    height, width = img.shape[-2:]
    return img[..., : height - height % scale, : width - width % scale]


def bicubic_down(img: Tensor, scale: int) -> Tensor:
    """Shrink ``(N, C, H, W)`` by a whole number with the antialiased bicubic kernel of PIL and MATLAB (a = -0.5).

    At the border the kernel is truncated and renormalised, as in PIL; the sides must be multiples of ``scale``.

    Example:
        >>> bicubic_down(torch.ones(1, 3, 8, 8), 4).shape
        torch.Size([1, 3, 2, 2])
    """
    if scale == 1:
        return img
    size = (img.shape[-2] // scale, img.shape[-1] // scale)
    return F.interpolate(img, size=size, mode="bicubic", antialias=True, align_corners=False)


def add_noise(img: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    """Add white Gaussian noise of ``sigma`` / 255, clip, round to 8 bits.

    Example:
        >>> noisy = add_noise(torch.full((3, 64, 64), 0.5), 50, generator_for(0))
        >>> abs(float(noisy.std() * 255) - 50) < 1
        True
    """
    noise = torch.randn(img.shape, generator=generator)
    return quantise(img + noise.to(img) * (sigma / 255))


def streak(length: float, angle: float, width: int) -> Tensor:
    """Return one streak ``(k, k)``: a line of ``length`` pixels, ``angle`` degrees from vertical, blurred to ``width``.

    The blur is Gaussian, with the standard deviation that a filter of ``width`` taps has by convention.

    Example:
        >>> float(streak(35, 0, 3)[:, 0].max()) < 1e-6 < float(streak(35, 0, 3).max())
        True
    """
    half = int(length / 2) + width
    ticks = torch.arange(-half, half + 1, dtype=torch.float64)
    y, x = torch.meshgrid(ticks, ticks, indexing="ij")
    turn = torch.deg2rad(torch.tensor(float(angle), dtype=torch.float64))
    along = y * turn.cos() + x * turn.sin()
    across = x * turn.cos() - y * turn.sin()
    beyond = (along.abs() - length / 2).clamp(min=0)
    sigma = 0.3 * ((width - 1) * 0.5 - 1) + 0.8
    return (-(across.square() + beyond.square()) / (2 * sigma**2)).exp()


def _filter(x: Tensor, kernel: Tensor) -> Tensor:
    """Correlate two matrices without padding; by Fourier transform, as the kernel is large."""
    size = list(x.shape)
    product = torch.fft.rfft2(x) * torch.fft.rfft2(kernel.flip(0, 1), s=size)
    side = len(kernel) - 1
    out: Tensor = torch.fft.irfft2(product, s=size)[side:, side:]
    return out


def rain_layer(height: int, width: int, generator: torch.Generator) -> Tensor:
    """Return a layer of medium rain ``(height, width)`` in [0, 1], to be added to a clean image.

    One direction, length and width for the whole layer: streaks start at 0.5 to 0.7 % of the pixels, are 35 to 45
    pixels long, 3, 5 or 7 wide and lean at most 30 degrees; the brightest spot is ``beta`` from [0.6, 1].

    Source: CEM, section V-A ("medium rain").

    Example:
        >>> layer = rain_layer(64, 64, generator_for(0))
        >>> tuple(layer.shape), 0.6 <= float(layer.max()) <= 1.0
        ((64, 64), True)
    """

    def draw(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator, dtype=torch.float64))

    density, length, angle, beta = draw(0.005, 0.007), draw(35, 45), draw(-30, 30), draw(0.6, 1.0)
    odds = torch.tensor([p for _, p in _WIDTHS])
    broad = _WIDTHS[int(torch.multinomial(odds, 1, generator=generator))][0]
    kernel = streak(length, angle, broad)
    margin = len(kernel) // 2
    # Streaks that start outside the image extend into it.
    field = torch.rand(height + 2 * margin, width + 2 * margin, generator=generator, dtype=torch.float64)
    layer = _filter((field < density).to(kernel), kernel).clamp(min=0)
    return (layer / layer.max().clamp(min=1e-12) * beta).float()
