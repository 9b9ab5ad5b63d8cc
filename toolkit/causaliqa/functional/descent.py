"""Gradient descent on the pixels of an image: what a metric does when it is the only loss."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["descend", "descent_starts", "high_share", "image_psnr"]


def descent_starts(ref: Tensor, *, seed: int = 0) -> dict[str, Tensor]:
    """Return where a descent begins: ``reduced``, the image reduced and enlarged four times, and uniform ``noise``.

    Args:
        ref: reference ``(N, 3, H, W)``, RGB in [0, 1]; its sides are multiples of four.
        seed: seed of the noise.

    Example:
        >>> {name: tuple(img.shape) for name, img in descent_starts(torch.rand(1, 3, 16, 16)).items()}
        {'reduced': (1, 3, 16, 16), 'noise': (1, 3, 16, 16)}
    """
    low = F.interpolate(F.avg_pool2d(ref, 4), scale_factor=4, mode="bicubic").clamp(0, 1)
    return {"reduced": low, "noise": torch.rand(ref.shape, generator=torch.Generator().manual_seed(seed)).to(ref)}


def image_psnr(img: Tensor, ref: Tensor) -> float:
    """Return the peak signal-to-noise ratio in dB of an image, clipped to [0, 1]; higher is better.

    Example:
        >>> round(image_psnr(torch.full((1, 3, 4, 4), 0.6), torch.full((1, 3, 4, 4), 0.5)), 2)
        20.0
    """
    return float(-10 * torch.log10((img.detach().clamp(0, 1) - ref).square().mean()))


def high_share(img: Tensor, ref: Tensor) -> float:
    """Return the share of the squared error above three quarters of the Nyquist frequency in a direction.

    It is 0.44 for white noise and near 1 for a checkerboard; NaN without an error.

    Args:
        img: image ``(1, C, H, W)``, clipped to [0, 1].
        ref: its reference.

    Example:
        >>> board = (torch.arange(8)[:, None] + torch.arange(8)) % 2
        >>> round(high_share(board.expand(1, 3, 8, 8).float(), torch.full((1, 3, 8, 8), 0.5)), 3)
        1.0
    """
    power = torch.fft.fft2((img.detach().clamp(0, 1) - ref)[0]).abs().square()
    rows, cols = (torch.fft.fftfreq(side, device=power.device).abs() for side in ref.shape[-2:])
    high = torch.maximum(rows[:, None], cols[None]) > 0.375
    return float(power[:, high].sum() / power.sum())


def descend(
    loss: Callable[[Tensor, Tensor], Tensor], start: Tensor, ref: Tensor, *, steps: int = 100, rate: float = 0.02
) -> Tensor:
    """Return the image that Adam makes of a start, with a loss on its pixels and nothing else.

    Args:
        loss: ``(img, ref)`` to losses; lower is better.
        start: first image ``(N, 3, H, W)``; it is not changed.
        ref: reference of the same shape.
        steps: steps of Adam.
        rate: its learning rate.

    Example:
        >>> ref = torch.full((1, 3, 4, 4), 0.5)
        >>> end = descend(F.mse_loss, torch.zeros_like(ref), ref, steps=60)
        >>> bool((end - ref).abs().max() < 0.1)
        True
    """
    img = start.clone().requires_grad_()
    adam = torch.optim.Adam([img], lr=rate)
    for _ in range(steps):
        adam.zero_grad()
        loss(img, ref).sum().backward()  # type: ignore[no-untyped-call]
        adam.step()
    return img.detach()
