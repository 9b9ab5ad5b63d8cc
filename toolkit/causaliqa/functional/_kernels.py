"""Compiled CPU kernel behind :func:`causaliqa.functional.transport.transport_response`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

from causaliqa.functional.transport import _potential

__all__ = ["transport_response"]


@numba.njit(fastmath=True, cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _merge(cdf_x: Any, cdf_y: Any, n: int) -> float:
    """Cost between two cumulative sums whose last entries are +inf: 2 (n - 1) steps without a branch."""
    i = 0
    j = 0
    level = 0.0
    cost = 0.0
    for _ in range(2 * (n - 1)):
        a = cdf_x[i]
        b = cdf_y[j]
        first = a <= b
        upper = min(a, b)
        gap = i - j
        cost += (upper - level) * (gap * gap)
        level = upper
        i += first
        j += not first
    return cost


@numba.njit(fastmath={"nsz", "arcp", "contract", "reassoc"}, cache=True, nogil=True, parallel=True)  # type: ignore[untyped-decorator]
def _response(x: Any, y: Any, noise: Any, scales: Any, cost: Any, shift: Any) -> None:
    channels, windows, n = x.shape
    big = np.inf
    for c in numba.prange(channels):
        cdf_x = np.empty(n)
        cdf_y = np.empty(n)
        for p in range(windows):
            base = 0.0
            for t in range(-1, len(scales)):
                scale = scales[t] if t >= 0 else np.float32(0)
                a = 0.0
                b = 0.0
                for k in range(n - 1):
                    moved = scale * noise[p, k]
                    a += max(x[c, p, k] + moved, np.float32(0))
                    b += max(y[c, p, k] + moved, np.float32(0))
                    cdf_x[k] = a
                    cdf_y[k] = b
                cdf_x[n - 1] = big
                cdf_y[n - 1] = big
                value = _merge(cdf_x, cdf_y, n)
                if t < 0:
                    base = value
                    cost[c, p] = value
                else:
                    shift[t, c] += value - base


class _Response(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, y: Tensor, noise: Tensor, scales: Tensor
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(x, y)
        cost = np.empty(x.shape[:2], dtype=np.float32)
        shift = np.zeros((len(scales), x.shape[0]))
        arrays = (v.detach().contiguous().numpy() for v in (x, y, noise, scales))
        _response(*arrays, cost, shift)
        out = torch.from_numpy(cost), torch.from_numpy(shift.astype(np.float32))
        ctx.mark_non_differentiable(out[1])
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, y = ctx.saved_tensors
        out: list[Tensor | None] = [None, None]
        for side, (a, b) in enumerate(((x, y), (y, x))):
            if ctx.needs_input_grad[side]:
                potential = _potential(*(v.double().flatten(0, 1).cumsum(-1) for v in (a, b)))
                out[side] = grads[0][..., None] * potential.view_as(a).to(a.dtype)
        return out[0], out[1], None, None


def transport_response(
    x: Tensor, y: Tensor, noise: Tensor, scales: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """Compiled version of :func:`causaliqa.functional.transport.transport_response`."""
    out: tuple[Tensor, Tensor] = _Response.apply(  # type: ignore[no-untyped-call]
        x, y, noise, torch.tensor(list(scales), dtype=torch.float32)
    )
    return out
