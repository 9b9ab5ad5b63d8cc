"""Optimal transport between windows seen as histograms over their bin index.

The cost is W_2^2 (power 2, not rooted) on the grid 0..n-1 with *unnormalised* masses, coupled through their quantile
functions; past the smaller total, that side stays in the last bin. Source: Causal IQA, Eq. 8, as published; POT's
``wasserstein_1d`` computes the same for one histogram pair.

:func:`level_response` is all that the causal metric calls. It runs one compiled kernel on the CPU where no gradient is
wanted, and :func:`transport_response` between plain tensor operations elsewhere; :func:`window_cost` is the reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from causaliqa.functional.device import implementation
from causaliqa.functional.image import pad_to_windows, windows
from causaliqa.functional.intervention import mass, mass_gap

__all__ = ["LevelResponse", "level_response", "level_responses", "takes_batches", "transport_response", "window_cost"]

_CHUNK = 1 << 21
"""Elements that the plain version handles at once; bounds its memory to about 200 MB."""


def _accumulator(x: Tensor) -> torch.dtype:
    """Cumulative sums need double precision, which Apple's devices lack."""
    return torch.float32 if x.device.type == "mps" else torch.float64


def _plain_cost(x: Tensor, y: Tensor) -> Tensor:
    """W_2^2 along the last axis of ``(M, n)`` by merging both cumulative sums."""
    n = x.shape[-1]
    cdf_x, cdf_y = (v.to(_accumulator(v)).cumsum(-1) for v in (x, y))
    levels = torch.cat([cdf_x, cdf_y], -1).sort(-1).values
    bin_x, bin_y = (torch.searchsorted(cdf.contiguous(), levels).clamp_(max=n - 1) for cdf in (cdf_x, cdf_y))
    step = levels.diff(dim=-1, prepend=levels.new_zeros(levels.shape[0], 1))
    return (step * (bin_x - bin_y).square()).sum(-1).to(x.dtype)


def _potential(cdf: Tensor, other: Tensor) -> Tensor:
    """Derivative of the cost by the masses behind ``cdf``, ``(M, n)``.

    The cost is ``sum_i cdf_i * (2 (j_i - i) - 1)`` over i < n-1 (and the same with both sides swapped), where j_i bins
    of the other side end below cdf_i; the mean of both one-sided limits makes the gradient 0 where both sides agree.
    """
    n = cdf.shape[-1]
    inner, outer = cdf[:, :-1].contiguous(), other[:, :-1].contiguous()
    below = torch.searchsorted(outer, inner) + torch.searchsorted(outer, inner, right=True)
    slope = below - 2 * torch.arange(n - 1, device=cdf.device) - 1
    flipped = slope.flip(-1).cumsum(-1).flip(-1)
    return torch.nn.functional.pad(flipped, (0, 1))


class _WindowCost(torch.autograd.Function):
    """:func:`_plain_cost` with its analytic gradient, in chunks."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
        ctx.save_for_backward(x, y)
        rows = max(1, _CHUNK // x.shape[-1])
        pairs = zip(torch.split(x, rows), torch.split(y, rows), strict=True)
        return torch.cat([_plain_cost(a, b) for a, b in pairs])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, y = ctx.saved_tensors
        rows = max(1, _CHUNK // x.shape[-1])
        out: list[Tensor | None] = [None, None]
        for side, (a, b) in enumerate(((x, y), (y, x))):
            if ctx.needs_input_grad[side]:
                pieces = [
                    g[:, None] * _potential(*(v.to(_accumulator(v)).cumsum(-1) for v in pair)).to(g.dtype)
                    for *pair, g in zip(*(torch.split(v, rows) for v in (a, b, grads[0])), strict=True)
                ]
                out[side] = torch.cat(pieces)
        return tuple(out)


def window_cost(x: Tensor, y: Tensor) -> Tensor:
    """Return W_2^2 between histograms over the bin grid.

    Args:
        x: masses ``(..., n)``, never negative; they need not sum to one.
        y: masses of the same shape.

    Returns:
        Costs ``(...)``; lower is better, 0 where both agree. Differentiable; the gradient is finite everywhere.

    Example:
        One unit moves two bins, at a cost of 2 ** 2:

        >>> window_cost(torch.tensor([1.0, 0, 0, 0]), torch.tensor([0, 0, 1.0, 0]))
        tensor(4.)
    """
    n = x.shape[-1]
    flat: Tensor = _WindowCost.apply(x.reshape(-1, n), y.reshape(-1, n))
    return flat.reshape(x.shape[:-1])


def _plain_shift(x: Tensor, y: Tensor, noise: Tensor, scales: Sequence[float | Tensor], clamp: bool) -> Tensor:
    """Change of channel costs ``(T, C)`` after adding ``noise * scale`` to both sides, a few channels at a time."""
    rows = max(1, _CHUNK // noise.numel())
    out = x.new_empty(len(scales), x.shape[0])
    wide = _accumulator(x)
    for start in range(0, x.shape[0] if scales else 0, rows):
        a, b = (v[start : start + rows] for v in (x, y))
        base = _plain_cost(*(v.reshape(-1, v.shape[-1]).to(wide) for v in (a, b))).view(a.shape[:-1])
        for t, scale in enumerate(scales):
            moved = [v + noise * scale for v in (a, b)]
            if clamp:
                moved = [v.clamp_(min=0) for v in moved]
            cost = _plain_cost(*(v.reshape(-1, v.shape[-1]).to(wide) for v in moved)).view(a.shape[:-1])
            out[t, start : start + rows] = (cost - base).sum(-1).to(x.dtype)
    return out


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
    """Return what every channel costs to transport, and how that cost responds to noise.

    Args:
        x: masses of the distorted image, ``(C, P, n)``: channels, windows, bins.
        y: masses of the reference.
        noise: standard normal noise ``(P, n)``, the same for all channels and for both sides.
        scales: T factors of the noise (strength times mean mass); none if the response is not wanted.
        clamp: cut negative mass after the noise; the published code lets it through.
        kernel: ``"compiled"`` (CPU), ``"torch"`` (anywhere), or ``"auto"`` to choose the faster one that applies.

    Returns:
        Costs per window ``(C, P)``, differentiable, and how much the noise changes the cost of every channel,
        ``(T, C)``, constants.

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
            shift = _plain_shift(x.detach(), y.detach(), noise, scales, clamp)
        return window_cost(x, y), shift
    from causaliqa.functional import _kernels

    return _kernels.transport_response(x, y, noise, scales)


@dataclass(frozen=True, kw_only=True)
class LevelResponse:
    """What one feature level costs, and how its channels respond to the intervention."""

    ot: Tensor
    """W_2^2 between the masses, ``(C, P)``."""
    md: Tensor
    """Euclidean norm of the difference of the masses, ``(C, P)``."""
    l2: Tensor
    """Squared difference of the features, ``(C, P)``."""
    shift: Tensor
    """Change of every channel's cost at T strengths, ``(T, C)``; T = 0 where nothing can be below the tolerance."""
    tolerance: Tensor
    """A smaller change is indifference: ``threshold * |sum((X - Y) / 2)|``, a scalar."""


def level_response(
    x: Tensor,
    y: Tensor,
    *,
    window: int,
    how: str,
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
        how: ``"share"`` or ``"softmax"``, see :func:`~causaliqa.functional.intervention.mass`.
        noise: standard normal noise ``(P, window * window)``.
        strengths: strengths of the intervention, in units of the mean mass; none if the response is not wanted.
        threshold: see :attr:`LevelResponse.tolerance`.
        clamp: cut negative mass after the noise.
        kernel: ``"compiled"``, ``"torch"`` or ``"auto"``. The compiled one takes float32 on the CPU, clamps, and passes
            no gradient.

    Example:
        >>> x = torch.rand(2, 8, 8)
        >>> made = level_response(x, x, window=4, how="share", noise=torch.zeros(4, 16), strengths=[0.1])
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
            x, y, window=window, share=how == "share", noise=noise, strengths=strengths, threshold=threshold
        )
        return LevelResponse(ot=ot, md=md, l2=l2, shift=shift, tolerance=ot.new_tensor(limit))
    if kernel == "auto" and takes_batches(x, clamp):
        batch = level_responses(
            x[None], y[None], window=window, how=how, noise=noise, strengths=strengths, threshold=threshold
        )
        return LevelResponse(
            ot=batch.ot[0],
            md=batch.md[0],
            l2=batch.l2[0],
            shift=batch.shift[:, 0],
            tolerance=batch.tolerance[0, 0],
        )
    raw_x, raw_y = (windows(pad_to_windows(v, window), window) for v in (x, y))
    mass_x, mass_y = mass(raw_x, how), mass(raw_y, how)
    noise = noise.to(mass_x)
    with torch.no_grad():
        tolerance = threshold * mass_gap(mass_x, mass_y, how)
        # A tensor, not a number: the device is not waited for.
        mean = (mass_x.mean() + mass_y.mean()) / 2
        scales = [s * mean for s in strengths] if how == "share" else []
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
    how: str,
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
        x, y, window=window, rule=how, noise=noise.to(x.device), strengths=strengths, threshold=threshold
    )
    return LevelResponse(ot=ot, md=md, l2=l2, shift=shift, tolerance=tolerance)
