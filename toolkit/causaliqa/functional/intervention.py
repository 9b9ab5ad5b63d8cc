"""Intervention of the causal metric: masses, noise, and the selection of channels that respond.

Source: Causal IQA, section 4.2 (Eq. 4-7), as in the published implementation.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from causaliqa.functional.device import constants_on

__all__ = [
    "RULES",
    "STRENGTHS",
    "channel_strength",
    "keeps_channel",
    "mass",
    "mass_gap",
    "noise_field",
    "noise_on",
    "top_strength",
]

STRENGTHS: tuple[float, ...] = tuple(round(0.01 * k, 2) for k in range(1, 10))
"""Strengths of the published procedure: 0.1 in ten steps, without the step at 0."""

RULES = ("every", "any")
"""``every``: a causal channel responds at every strength; ``any``: at one or more."""


def mass(features: Tensor, mode: str) -> Tensor:
    """Turn windowed features into unnormalised histograms.

    Args:
        features: ``(C, P, n)`` of one image.
        mode: ``"share"``: every value times its share of the image's total, ``x * x / (sum(x) + 1e-6)``, for
            features that are never negative; ``"softmax"``: softmax over the P windows, per channel and bin.

    Returns:
        Masses ``(C, P, n)``, never negative.

    Raises:
        ValueError: ``mode`` is unknown.

    Example:
        >>> mass(torch.tensor([[[1.0, 3.0]]]), "share")
        tensor([[[0.2500, 2.2500]]])
    """
    if mode == "share":
        return features * features / (features.sum() + 1e-6)
    if mode == "softmax":
        return features.softmax(dim=1)
    raise ValueError(f"mass: got {mode!r}, expected 'share' or 'softmax'")


def noise_field(seed: int, level: int, windows: int, bins: int) -> Tensor:
    """Return the standard normal noise ``(windows, bins)`` of one level, float32 on the CPU.

    It depends on the arguments only, so scores do not depend on batch, order, device or process. All channels and
    strengths share it (common random numbers).

    Example:
        >>> bool((noise_field(0, 1, 4, 16) == noise_field(0, 1, 4, 16)).all())
        True
    """
    generator = np.random.default_rng([seed, level])
    return torch.from_numpy(generator.standard_normal((windows, bins), dtype=np.float32))


@functools.lru_cache(maxsize=32)
def noise_on(device: torch.device, seed: int, level: int, windows: int, bins: int) -> Tensor:
    """Return :func:`noise_field` on a device; do not change the tensor.

    The last 32 fields are kept, which are those of five image sizes with a backbone of five stages.

    Example:
        >>> noise_on(torch.device("cpu"), 0, 1, 4, 16).shape
        torch.Size([4, 16])
    """
    with torch.inference_mode(False):
        return noise_field(seed, level, windows, bins).to(device)


def mass_gap(x: Tensor, y: Tensor, mode: str) -> Tensor:
    """Return ``|sum((X - Y) / 2)|`` of the masses of one level, a scalar.

    It is the unit of the tolerance. Softmax masses have equal sums on both sides, so it is exactly 0 for them, without
    rounding errors: then every channel is causal, whatever the threshold.

    Example:
        >>> mass_gap(torch.ones(1, 1, 4), torch.zeros(1, 1, 4), "share")
        tensor(2.)
    """
    if mode == "softmax":
        return x.new_zeros(())
    return (x.double().sum() - y.double().sum()).div(2).abs().to(x.dtype)


def keeps_channel(shift: Tensor, tolerance: Tensor, rule: str = "every") -> Tensor:
    """Return which channels are causal: those whose distance responds to the intervention.

    Args:
        shift: change of every channel's distance at T strengths, ``(T, C)``, or ``(T, N, C)`` for N pairs.
        tolerance: a smaller change counts as indifference: ``threshold * |sum((X - Y) / 2)|``, a scalar, or ``(N, 1)``.
        rule: one of :data:`RULES`.

    Returns:
        Booleans ``(C,)``, or ``(N, C)``.

    Example:
        >>> keeps_channel(torch.tensor([[1.0, 0.0], [-2.0, 1.0]]), torch.tensor(0.5))
        tensor([ True, False])
    """
    responds = shift.abs() >= tolerance
    if rule == "every":
        return responds.all(dim=0)
    if rule == "any":
        return responds.any(dim=0)
    raise ValueError(f"rule: got {rule!r}, expected one of {RULES}")


def top_strength(steps: Tensor) -> Tensor:
    """Return the largest causal strength: one step above the largest of the strengths ``(T,)``.

    Example:
        >>> top_strength(torch.tensor([0.1, 0.2]))
        tensor(0.3000)
    """
    return steps[-1] + (steps[-1] - steps[-2] if len(steps) > 1 else steps[-1])


def channel_strength(shift: Tensor, tolerance: Tensor, strengths: Sequence[float]) -> Tensor:
    """Return the causal strength of every channel, ``(C,)`` or ``(N, C)``, as in Figure 3 of the paper; higher is more
    causal.

    It is :func:`top_strength` for a channel that responds at every strength, otherwise top_strength minus the largest
    strength at which the channel was indifferent.

    Example:
        >>> channel_strength(torch.tensor([[1.0, 0.0], [1.0, 1.0]]), torch.tensor(0.5), (0.1, 0.2))
        tensor([0.3000, 0.2000])
    """
    steps = constants_on(shift.device, tuple(strengths), shift.dtype)
    below = shift.abs() < tolerance
    return top_strength(steps) - torch.where(below, steps.view(-1, *[1] * (shift.dim() - 1)), 0).amax(dim=0)
