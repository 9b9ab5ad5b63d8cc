"""Degradations of whole scenes: motion blur, JPEG, haze and darkness, on tensors in [0, 1]."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from causaliqa.functional.degrade import quantise, streak

__all__ = ["airlight_and_transmission", "convolve", "darkness", "jpeg", "motion_kernel"]


def _draw(low: float, high: float, generator: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator, dtype=torch.float64))


def motion_kernel(length: float, generator: torch.Generator) -> Tensor:
    """Return a kernel ``(k, k)`` of straight motion over ``length`` pixels in a random direction; it sums to 1.

    Example:
        >>> kernel = motion_kernel(9, torch.Generator().manual_seed(0))
        >>> kernel.shape[0] % 2, round(float(kernel.sum()), 6)
        (1, 1.0)
    """
    kernel = streak(length, _draw(-90, 90, generator), 3)
    return (kernel / kernel.sum()).float()


def convolve(img: Tensor, kernel: Tensor) -> Tensor:
    """Correlate every channel of ``(N, C, H, W)`` with a kernel of odd sides; the border is replicated.

    Example:
        >>> float(convolve(torch.ones(1, 3, 4, 4), torch.full((3, 3), 1 / 9)).mean().round(decimals=6))
        1.0
    """
    reach = kernel.shape[-1] // 2
    padded = F.pad(img, (reach,) * 4, mode="replicate")
    channels = img.shape[1]
    return F.conv2d(padded, kernel.to(img).expand(channels, 1, *kernel.shape), groups=channels)


def jpeg(img: Tensor, quality: int) -> Tensor:
    """Compress ``(3, H, W)`` with libjpeg at a quality from 1 to 100, colour at half the resolution, and read it again.

    Example:
        >>> jpeg(torch.full((3, 16, 16), 0.2), 10).shape
        torch.Size([3, 16, 16])
    """
    from PIL import Image

    pixels = (quantise(img) * 255).round().byte().permute(1, 2, 0).numpy()
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, format="JPEG", quality=quality, subsampling="4:2:0")
    decoded = np.array(Image.open(buffer).convert("RGB"))
    return torch.from_numpy(decoded).permute(2, 0, 1).to(img) / 255


def airlight_and_transmission(height: int, width: int, generator: torch.Generator) -> tuple[float, Tensor]:
    """Return the haze of one image: the airlight A in [0.7, 1], and the transmission t ``(height, width)``.

    ``t = exp(-beta d)`` with beta in [0.6, 1.8], as in RESIDE. The depth d of a photograph is not known; a smooth
    random field in [0, 1], farther at the top, stands for it.

    Source: Li et al., "Benchmarking Single Image Dehazing and Beyond", IEEE TIP 2019 (ranges of A and beta).

    Example:
        >>> light, t = airlight_and_transmission(8, 8, torch.Generator().manual_seed(0))
        >>> 0.7 <= light <= 1, bool((t > 0.16).all() and (t <= 1).all())
        (True, True)
    """
    light, beta = _draw(0.7, 1.0, generator), _draw(0.6, 1.8, generator)
    coarse = torch.rand(1, 1, 5, 5, generator=generator)
    field = F.interpolate(coarse, size=(height, width), mode="bilinear", align_corners=True)[0, 0]
    farther = torch.linspace(1, 0, height)[:, None]
    return light, torch.exp(-beta * (field + farther) / 2)


def darkness(generator: torch.Generator) -> tuple[float, float, float]:
    """Return ``alpha, beta, gamma`` of one dark image ``beta (alpha img) ** gamma``: [.9, 1], [.5, 1] and [1.5, 5].

    Source: Lv et al., "Attention Guided Low-Light Image Enhancement with a Large Scale Low-Light Simulation Dataset",
    IJCV 2021.

    Example:
        >>> alpha, beta, gamma = darkness(torch.Generator().manual_seed(0))
        >>> 0.9 <= alpha <= 1, 0.5 <= beta <= 1, 1.5 <= gamma <= 5
        (True, True, True)
    """
    return _draw(0.9, 1.0, generator), _draw(0.5, 1.0, generator), _draw(1.5, 5.0, generator)
