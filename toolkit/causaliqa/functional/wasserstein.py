"""W_2^2 between histograms over their bin index, in plain tensor operations on any device.

The cost is W_2^2 (power 2, not rooted) on the grid 0..n-1 with *unnormalised* masses, coupled through their quantile
functions; past the smaller total, that side stays in the last bin. Source: Causal IQA, Eq. 8, as published; POT's
``wasserstein_1d`` computes the same for one histogram pair. :func:`window_cost` is the reference of the kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["cost_potential", "cost_shift", "window_cost"]

_CHUNK = 1 << 21
"""Elements processed at once; bounds the memory to about 200 MB."""


def _accumulator(x: Tensor) -> torch.dtype:
    """Return the type of cumulative sums: double precision, which Apple's devices lack."""
    return torch.float32 if x.device.type == "mps" else torch.float64


def _plain_cost(x: Tensor, y: Tensor) -> Tensor:
    """Return W_2^2 along the last axis of ``(M, n)`` by merging both cumulative sums."""
    n = x.shape[-1]
    cdf_x, cdf_y = (v.to(_accumulator(v)).cumsum(-1) for v in (x, y))
    levels = torch.cat([cdf_x, cdf_y], -1).sort(-1).values
    bin_x, bin_y = (torch.searchsorted(cdf.contiguous(), levels).clamp_(max=n - 1) for cdf in (cdf_x, cdf_y))
    step = levels.diff(dim=-1, prepend=levels.new_zeros(levels.shape[0], 1))
    return (step * (bin_x - bin_y).square()).sum(-1).to(x.dtype)


def cost_potential(cdf: Tensor, other: Tensor) -> Tensor:
    """Return the derivative of the cost with respect to the masses whose cumulative sum is ``cdf``, ``(M, n)``.

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
                    g[:, None] * cost_potential(*(v.to(_accumulator(v)).cumsum(-1) for v in pair)).to(g.dtype)
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


def cost_shift(x: Tensor, y: Tensor, noise: Tensor, scales: Sequence[float | Tensor], clamp: bool) -> Tensor:
    """Return how channel costs change, ``(T, C)``, when ``noise * scale`` is added to both sides; no gradient.

    Args:
        x: masses ``(C, P, n)``.
        y: masses of the same shape.
        noise: ``(P, n)``, the same for all channels and for both sides.
        scales: T factors of the noise.
        clamp: cut negative mass after the noise.

    Example:
        >>> x = torch.rand(2, 3, 16)
        >>> cost_shift(x, x, torch.zeros(3, 16), [0.1], clamp=True)
        tensor([[0., 0.]])
    """
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
