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

_FAST = {"nsz", "arcp", "contract", "reassoc"}
"""Liberties with rounding, but not with infinities: they end the cumulative sums."""


_LANES = 5
"""Merges that run side by side: one is a chain of dependent steps, five of them fill the processor's pipeline."""


@numba.njit(inline="always")
def _add(x: Any, y: Any, moved: Any, k: int, a: float, b: float, cdf_x: Any, cdf_y: Any) -> tuple[float, float]:
    """Take bin k into both cumulative sums."""
    a += max(x[k] + moved[0] * moved[1][k], np.float32(0))
    b += max(y[k] + moved[0] * moved[1][k], np.float32(0))
    cdf_x[k] = a
    cdf_y[k] = b
    return a, b


@numba.njit(inline="always")
def _step(cdf_x: Any, cdf_y: Any, i: int, j: int, level: float, cost: float) -> tuple[int, int, float, float]:
    """Go to the next end of a bin on either side, without a branch."""
    a = cdf_x[i]
    b = cdf_y[j]
    first = a <= b
    upper = min(a, b)
    gap = i - j
    return i + first, j + (not first), upper, cost + (upper - level) * (gap * gap)


@numba.njit(fastmath=_FAST, cache=True, nogil=True)
def _merge(x: Any, y: Any, noise: Any, scales: Any, cdf_x: Any, cdf_y: Any, job: int, last: int) -> Any:
    """Costs of five jobs; job = window * strengths + strength. The last entries of both sums stay +inf."""
    strengths = len(scales)
    n = x.shape[1]
    p0, t0 = divmod(min(job, last), strengths)
    p1, t1 = divmod(min(job + 1, last), strengths)
    p2, t2 = divmod(min(job + 2, last), strengths)
    p3, t3 = divmod(min(job + 3, last), strengths)
    p4, t4 = divmod(min(job + 4, last), strengths)
    u0, u1, u2, u3, u4 = cdf_x[0], cdf_x[1], cdf_x[2], cdf_x[3], cdf_x[4]
    v0, v1, v2, v3, v4 = cdf_y[0], cdf_y[1], cdf_y[2], cdf_y[3], cdf_y[4]
    a0 = a1 = a2 = a3 = a4 = b0 = b1 = b2 = b3 = b4 = 0.0
    for k in range(n - 1):
        a0, b0 = _add(x[p0], y[p0], (scales[t0], noise[p0]), k, a0, b0, u0, v0)
        a1, b1 = _add(x[p1], y[p1], (scales[t1], noise[p1]), k, a1, b1, u1, v1)
        a2, b2 = _add(x[p2], y[p2], (scales[t2], noise[p2]), k, a2, b2, u2, v2)
        a3, b3 = _add(x[p3], y[p3], (scales[t3], noise[p3]), k, a3, b3, u3, v3)
        a4, b4 = _add(x[p4], y[p4], (scales[t4], noise[p4]), k, a4, b4, u4, v4)
    i0 = i1 = i2 = i3 = i4 = j0 = j1 = j2 = j3 = j4 = 0
    l0 = l1 = l2 = l3 = l4 = c0 = c1 = c2 = c3 = c4 = 0.0
    for _ in range(2 * (n - 1)):
        i0, j0, l0, c0 = _step(u0, v0, i0, j0, l0, c0)
        i1, j1, l1, c1 = _step(u1, v1, i1, j1, l1, c1)
        i2, j2, l2, c2 = _step(u2, v2, i2, j2, l2, c2)
        i3, j3, l3, c3 = _step(u3, v3, i3, j3, l3, c3)
        i4, j4, l4, c4 = _step(u4, v4, i4, j4, l4, c4)
    return c0, c1, c2, c3, c4


@numba.njit(fastmath=_FAST, cache=True, nogil=True, parallel=True)
def _response(x: Any, y: Any, noise: Any, scales: Any, cost: Any, shift: Any) -> None:
    """Fill ``cost (C, P)`` and ``shift (T, C)``; ``scales (T + 1,)`` begins with 0."""
    channels, windows, n = x.shape
    strengths = len(scales)
    for c in numba.prange(channels):
        cdf_x = np.full((_LANES, n), np.inf)
        cdf_y = np.full((_LANES, n), np.inf)
        last = windows * strengths - 1
        for job in range(0, last + 1, _LANES):
            values = _merge(x[c], y[c], noise, scales, cdf_x, cdf_y, job, last)
            for lane in range(min(_LANES, last + 1 - job)):
                p, t = divmod(job + lane, strengths)
                if t == 0:
                    cost[c, p] = values[lane]
                else:
                    shift[t - 1, c] += values[lane] - cost[c, p]


class _Response(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, noise: Tensor, scales: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(x, y)
        cost = np.empty(x.shape[:2])
        shift = np.zeros((len(scales) - 1, x.shape[0]))
        a, b, z, s = (v.detach().contiguous().numpy() for v in (x, y, noise, scales))
        _response(a, b, z, s, cost, shift)
        out = torch.from_numpy(cost.astype(np.float32)), torch.from_numpy(shift.astype(np.float32))
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


def transport_response(x: Tensor, y: Tensor, noise: Tensor, scales: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Compiled version of :func:`causaliqa.functional.transport.transport_response`."""
    out: tuple[Tensor, Tensor] = _Response.apply(x, y, noise, torch.tensor([0.0, *scales], dtype=torch.float32))
    return out
