"""Pixel-wise fidelity of an image to its reference."""

from __future__ import annotations

from torch import Tensor

__all__ = ["psnr"]

_SMALLEST = 1e-10
"""Lower bound of the mean squared error, so that identical images have 100 dB instead of infinity."""


def psnr(img: Tensor, ref: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio in dB, ``(N,)``, in double precision; higher is better, at most 100.

    Args:
        img: images ``(N, C, H, W)`` in [0, 1].
        ref: references of the same shape.

    Example:
        >>> import torch
        >>> round(float(psnr(torch.full((1, 3, 4, 4), 0.1), torch.zeros(1, 3, 4, 4))), 3)
        20.0
    """
    error = (img.double() - ref.double()).square().flatten(1).mean(1)
    return -10 * error.clamp(min=_SMALLEST).log10()
