"""Transport cost of a feature level per window, and its response to noise.

:func:`level_response` is what the causal metric calls. On the CPU, without gradients, it runs one compiled kernel;
otherwise it runs :func:`transport_response` and plain tensor operations (:mod:`causaliqa.functional.wasserstein`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from causaliqa.functional.image import pad_to_windows, windows
from causaliqa.functional.implementation import implementation
from causaliqa.functional.intervention import mass, mass_gap
from causaliqa.functional.wasserstein import cost_shift, window_cost

__all__ = ["LevelResponse", "level_response", "level_responses", "takes_batches", "transport_response"]


def takes_batches(x: Tensor, clamp: bool = True) -> bool:
    """Say whether the Triton kernel, and with it :func:`level_responses`, takes features such as these.

    Example:
        >>> takes_batches(torch.rand(1, 2, 8, 8))
        False
    """
    # Its masses are float32.
    return clamp and x.dtype != torch.float64 and implementation(x.device) == "triton"


def transport_response(
    x: Tensor,
    y: Tensor,
    noise: Tensor,
    scales: Sequence[float | Tensor],
    *,
    clamp: bool = True,
    kernel: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Return the transport cost of every channel, and its response to noise.

    Args:
        x: masses of the distorted image, ``(C, P, n)``: channels, windows, bins.
        y: masses of the reference.
        noise: standard normal noise ``(P, n)``, shared by all channels and both sides.
        scales: T factors of the noise (strength times mean mass); empty to skip the response.
        clamp: set negative mass to 0 after adding the noise; the published code keeps it.
        kernel: ``"compiled"`` (CPU), ``"torch"`` (any device), or ``"auto"`` for the faster one that applies.

    Returns:
        Costs per window ``(C, P)``, differentiable, and the change of the cost of every channel ``(T, C)``, without
        gradient.

    Example:
        >>> x = torch.rand(2, 3, 16)
        >>> cost, shift = transport_response(x, x, torch.zeros(3, 16), [0.1, 0.2])
        >>> cost.shape, shift.shape, float(shift.sum())
        (torch.Size([2, 3]), torch.Size([2, 2]), 0.0)
    """
    plain = x.device.type != "cpu" or not clamp or x.dtype != torch.float32
    if kernel == "compiled" and plain:
        raise ValueError("kernel 'compiled' takes float32 on the CPU and clamps; use kernel='torch'")
    if kernel == "auto" and takes_batches(x, clamp):
        from causaliqa.functional import _triton_level

        factors = [torch.as_tensor(s, dtype=torch.float32, device=x.device) for s in scales]
        return _triton_level.transport_response(
            x, y, noise.to(x.device), torch.stack(factors) if factors else noise.new_zeros(0)
        )
    if kernel == "torch" or plain:
        with torch.no_grad():
            shift = cost_shift(x.detach(), y.detach(), noise, scales, clamp)
        return window_cost(x, y), shift
    from causaliqa.functional import _kernels

    return _kernels.transport_response(x, y, noise, scales)


@dataclass(frozen=True, kw_only=True)
class LevelResponse:
    """Cost of one feature level, and the response of its channels to the intervention."""

    ot: Tensor
    """W_2^2 between the masses, ``(C, P)``."""
    md: Tensor
    """Euclidean norm of the difference of the masses, ``(C, P)``."""
    l2: Tensor
    """Squared difference of the features, ``(C, P)``."""
    shift: Tensor
    """Change of every channel's cost at T strengths, ``(T, C)``; T = 0 if the tolerance is 0."""
    tolerance: Tensor
    """A smaller change counts as indifference: ``threshold * |sum((X - Y) / 2)|``, a scalar."""


def level_response(
    x: Tensor,
    y: Tensor,
    *,
    window: int,
    mode: str,
    noise: Tensor,
    strengths: Sequence[float],
    threshold: float = 1e-4,
    clamp: bool = True,
    kernel: str = "auto",
) -> LevelResponse:
    """Return the costs of one level of one image pair: windows, masses, transport and response.

    Args:
        x: features of the distorted image, ``(C, H, W)``; padded with zeros on the right and bottom to whole windows.
        y: features of the reference.
        window: side of the windows.
        mode: ``"share"`` or ``"softmax"``, see :func:`~causaliqa.functional.intervention.mass`.
        noise: standard normal noise ``(P, window * window)``.
        strengths: strengths of the intervention, in units of the mean mass; empty to skip the response.
        threshold: see :attr:`LevelResponse.tolerance`.
        clamp: set negative mass to 0 after adding the noise.
        kernel: ``"compiled"``, ``"torch"`` or ``"auto"``. The compiled one takes float32 on the CPU, clamps, and passes
            no gradient.

    Example:
        >>> x = torch.rand(2, 8, 8)
        >>> made = level_response(x, x, window=4, mode="share", noise=torch.zeros(4, 16), strengths=[0.1])
        >>> made.ot.shape, float(made.ot.sum() + made.md.sum() + made.l2.sum())
        (torch.Size([2, 4]), 0.0)
    """
    wants_gradient = torch.is_grad_enabled() and (x.requires_grad or y.requires_grad)
    fits = x.device.type == "cpu" and x.dtype == torch.float32 and clamp and not wants_gradient
    if kernel == "compiled" and not fits:
        raise ValueError(
            "kernel 'compiled' takes float32 on the CPU, clamps, and passes no gradient; use kernel='torch'"
        )
    if kernel != "torch" and fits:
        from causaliqa.functional import _kernels

        ot, md, l2, shift, limit = _kernels.level(
            x, y, window=window, share=mode == "share", noise=noise, strengths=strengths, threshold=threshold
        )
        return LevelResponse(ot=ot, md=md, l2=l2, shift=shift, tolerance=ot.new_tensor(limit))
    if kernel == "auto" and takes_batches(x, clamp):
        batch = level_responses(
            x[None], y[None], window=window, mode=mode, noise=noise, strengths=strengths, threshold=threshold
        )
        return LevelResponse(
            ot=batch.ot[0],
            md=batch.md[0],
            l2=batch.l2[0],
            shift=batch.shift[:, 0],
            tolerance=batch.tolerance[0, 0],
        )
    raw_x, raw_y = (windows(pad_to_windows(v, window), window) for v in (x, y))
    mass_x, mass_y = mass(raw_x, mode), mass(raw_y, mode)
    noise = noise.to(mass_x)
    with torch.no_grad():
        tolerance = threshold * mass_gap(mass_x, mass_y, mode)
        # A tensor, which avoids synchronisation with the device.
        mean = (mass_x.mean() + mass_y.mean()) / 2
        scales = [s * mean for s in strengths] if mode == "share" else []
    ot, shift = transport_response(
        mass_x, mass_y, noise, scales, clamp=clamp, kernel="torch" if kernel == "torch" else "auto"
    )
    return LevelResponse(
        ot=ot,
        md=torch.linalg.vector_norm(mass_x - mass_y, dim=2),
        l2=(raw_x - raw_y).square().sum(dim=2),
        shift=shift,
        tolerance=tolerance,
    )


def level_responses(
    x: Tensor,
    y: Tensor,
    *,
    window: int,
    mode: str,
    noise: Tensor,
    strengths: Sequence[float],
    threshold: float = 1e-4,
) -> LevelResponse:
    """Return :func:`level_response` for a batch of pairs, ``(N, C, H, W)``, in one launch of the Triton kernel.

    Tensors of the result have N before C, and the tolerance is ``(N, 1)``. Only where
    :func:`takes_batches` is true; the kernel clamps and passes gradients.
    """
    from causaliqa.functional import _triton_level

    ot, md, l2, shift, tolerance = _triton_level.level(
        x, y, window=window, rule=mode, noise=noise.to(x.device), strengths=strengths, threshold=threshold
    )
    return LevelResponse(ot=ot, md=md, l2=l2, shift=shift, tolerance=tolerance)
