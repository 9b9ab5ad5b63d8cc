"""Compiled CPU kernels behind :mod:`causaliqa.functional.transport`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

from causaliqa.functional.transport import _potential

__all__ = ["level", "transport_response"]

_FAST = {"nsz", "arcp", "contract", "reassoc"}
"""Liberties with rounding, but not with infinities: they end the cumulative sums."""


_LANES = 5
"""Merges that run side by side: one is a chain of dependent steps, five of them fill the processor's pipeline."""


@numba.njit(inline="always")
def _move(x: Any, noise: Any, scale: Any, out: Any) -> None:
    """Add noise to one window and cut what is negative; whole vectors at a time."""
    for k in range(len(out)):
        out[k] = max(x[k] + scale * noise[k], np.float32(0))


@numba.njit(inline="always")
def _step(cdf_x: Any, cdf_y: Any, i: int, k: int, level: float, cost: float) -> tuple[int, float, float]:
    """Make step k, to the next end of a bin on either side, without a branch; i ends of x lie behind."""
    a = cdf_x[i]
    b = cdf_y[k - i]
    upper = min(a, b)
    gap = 2 * i - k
    return i + (a <= b), upper, cost + (upper - level) * (gap * gap)


@numba.njit(fastmath=_FAST, cache=True, nogil=True)
def _merge(
    x: Any, y: Any, noise: Any, scales: Any, places: Any, moved: Any, cdf_x: Any, cdf_y: Any, job: int, last: int
) -> Any:
    """Costs of five jobs; job = place * strengths + strength. The last entries of both sums stay +inf."""
    strengths = len(scales)
    n = x.shape[1]
    for lane in range(_LANES):
        place, t = divmod(min(job + lane, last), strengths)
        p = places[place]
        _move(x[p], noise[p], scales[t], moved[0, lane])
        _move(y[p], noise[p], scales[t], moved[1, lane])
    u0, u1, u2, u3, u4 = cdf_x[0], cdf_x[1], cdf_x[2], cdf_x[3], cdf_x[4]
    v0, v1, v2, v3, v4 = cdf_y[0], cdf_y[1], cdf_y[2], cdf_y[3], cdf_y[4]
    m, w = moved[0], moved[1]
    a0 = a1 = a2 = a3 = a4 = b0 = b1 = b2 = b3 = b4 = 0.0
    for k in range(n - 1):
        a0 += m[0, k]
        a1 += m[1, k]
        a2 += m[2, k]
        a3 += m[3, k]
        a4 += m[4, k]
        b0 += w[0, k]
        b1 += w[1, k]
        b2 += w[2, k]
        b3 += w[3, k]
        b4 += w[4, k]
        u0[k], u1[k], u2[k], u3[k], u4[k] = a0, a1, a2, a3, a4
        v0[k], v1[k], v2[k], v3[k], v4[k] = b0, b1, b2, b3, b4
    i0 = i1 = i2 = i3 = i4 = 0
    l0 = l1 = l2 = l3 = l4 = c0 = c1 = c2 = c3 = c4 = 0.0
    for k in range(2 * (n - 1)):
        i0, l0, c0 = _step(u0, v0, i0, k, l0, c0)
        i1, l1, c1 = _step(u1, v1, i1, k, l1, c1)
        i2, l2, c2 = _step(u2, v2, i2, k, l2, c2)
        i3, l3, c3 = _step(u3, v3, i3, k, l3, c3)
        i4, l4, c4 = _step(u4, v4, i4, k, l4, c4)
    return c0, c1, c2, c3, c4


@numba.njit(fastmath=_FAST, cache=True, nogil=True)
def _channel(x: Any, y: Any, noise: Any, scales: Any, cost: Any, shift: Any) -> None:
    """Fill ``cost (P,)`` and add to ``shift (T,)`` for one channel; ``scales (T + 1,)`` begins with 0."""
    windows, n = x.shape
    strengths = len(scales)
    moved = np.empty((2, _LANES, n), dtype=np.float32)
    cdf_x = np.full((_LANES, n), np.inf)
    cdf_y = np.full((_LANES, n), np.inf)
    places = np.empty(windows, dtype=np.int64)
    count = 0
    for p in range(windows):
        # Where both sides are the same they stay the same under the same noise.
        cost[p] = 0
        differ = 0
        for k in range(n):
            differ += x[p, k] != y[p, k]
        if differ:
            places[count] = p
            count += 1
    last = count * strengths - 1
    for job in range(0, last + 1, _LANES):
        values = _merge(x, y, noise, scales, places, moved, cdf_x, cdf_y, job, last)
        for lane in range(min(_LANES, last + 1 - job)):
            place, t = divmod(job + lane, strengths)
            p = places[place]
            if t == 0:
                cost[p] = values[lane]
            else:
                shift[t - 1] += values[lane] - cost[p]


@numba.njit(fastmath=_FAST, cache=True, nogil=True, parallel=True)
def _response(x: Any, y: Any, noise: Any, scales: Any, cost: Any, shift: Any) -> None:
    for c in numba.prange(len(x)):
        _channel(x[c], y[c], noise, scales, cost[c], shift[c])


@numba.njit(fastmath=_FAST, cache=True, nogil=True)
def _cut(features: Any, window: int, out: Any) -> None:
    """Cut one channel ``(H, W)`` into ``out (P, window * window)``; what is missing on the right and bottom is 0."""
    height, width = features.shape
    cols = -(-width // window)
    for p in range(len(out)):
        top, left = p // cols * window, p % cols * window
        across = min(window, width - left)
        if top + window > height or across < window:
            out[p] = 0
        for row in range(min(window, height - top)):
            for col in range(across):
                out[p, row * window + col] = features[top + row, left + col]


@numba.njit(fastmath=_FAST, cache=True, nogil=True)
def _to_mass(values: Any, share: float) -> None:
    """Turn features ``(P, n)`` of one channel into mass: ``x * x * share``, or softmax over windows if share is 0."""
    windows, n = values.shape
    if share != 0:
        for p in range(windows):
            for k in range(n):
                values[p, k] *= values[p, k] * np.float32(share)
        return
    top = np.full(n, -np.inf, dtype=np.float32)
    total = np.zeros(n)
    for p in range(windows):
        for k in range(n):
            top[k] = max(top[k], values[p, k])
    for p in range(windows):
        for k in range(n):
            values[p, k] = np.exp(values[p, k] - top[k])
            total[k] += values[p, k]
    for p in range(windows):
        for k in range(n):
            values[p, k] /= total[k]


@numba.njit(fastmath=_FAST, cache=True, nogil=True, parallel=True)
def _level(
    x: Any, y: Any, window: int, shares: Any, noise: Any, scales: Any, ot: Any, md: Any, l2: Any, shift: Any
) -> None:
    """Fill ``ot``, ``md``, ``l2 (C, P)`` and ``shift (C, T)`` of one level, one channel after the other."""
    channels, windows = ot.shape
    n = window * window
    for c in numba.prange(channels):
        a = np.empty((windows, n), dtype=np.float32)
        b = np.empty((windows, n), dtype=np.float32)
        _cut(x[c], window, a)
        _cut(y[c], window, b)
        for p in range(windows):
            total = 0.0
            for k in range(n):
                total += (a[p, k] - b[p, k]) ** 2
            l2[c, p] = total
        _to_mass(a, shares[0])
        _to_mass(b, shares[1])
        for p in range(windows):
            total = 0.0
            for k in range(n):
                total += (a[p, k] - b[p, k]) ** 2
            md[c, p] = np.sqrt(total)
        _channel(a, b, noise, scales, ot[c], shift[c])


@numba.njit(fastmath=_FAST, cache=True, nogil=True, parallel=True)
def _moments(x: Any, sums: Any) -> None:
    """Fill ``sums (C, 2)`` with the sum and the sum of squares of every channel of ``(C, H, W)``."""
    for c in numba.prange(len(x)):
        first = 0.0
        second = 0.0
        for row in range(x.shape[1]):
            for col in range(x.shape[2]):
                value = np.float64(x[c, row, col])
                first += value
                second += value * value
        sums[c, 0] = first
        sums[c, 1] = second


def level(
    x: Tensor, y: Tensor, *, window: int, share: bool, noise: Tensor, strengths: Sequence[float], threshold: float
) -> tuple[Tensor, Tensor, Tensor, Tensor, float]:
    """Compiled version of :func:`causaliqa.functional.transport.level_response`; takes float32 maps on the CPU."""
    a, b = (v.detach().contiguous().numpy() for v in (x, y))
    shares, mean, tolerance = (0.0, 0.0), 0.0, 0.0
    if share:
        sums = np.empty((2, len(a), 2))
        _moments(a, sums[0])
        _moments(b, sums[1])
        (first_x, second_x), (first_y, second_y) = sums.sum(axis=1)
        shares = (1 / (first_x + 1e-6), 1 / (first_y + 1e-6))
        mass_x, mass_y = second_x * shares[0], second_y * shares[1]
        mean = (mass_x + mass_y) / 2 / (len(a) * noise.numel())
        tolerance = threshold * abs(mass_x - mass_y) / 2
    # Nothing is below a tolerance of 0, so the response need not be known.
    scales = np.array([0.0, *(s * mean for s in strengths if tolerance > 0)], dtype=np.float32)
    ot, md, l2 = np.empty((3, len(a), len(noise)))
    shift = np.zeros((len(a), len(scales) - 1))
    _level(a, b, window, np.array(shares), noise.numpy(), scales, ot, md, l2, shift)
    done = [torch.from_numpy(v.astype(np.float32)) for v in (ot, md, l2, shift.T)]
    return done[0], done[1], done[2], done[3], tolerance


class _Response(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, noise: Tensor, scales: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(x, y)
        cost = np.empty(x.shape[:2])
        shift = np.zeros((x.shape[0], len(scales) - 1))
        a, b, z, s = (v.detach().contiguous().numpy() for v in (x, y, noise, scales))
        _response(a, b, z, s, cost, shift)
        out = torch.from_numpy(cost.astype(np.float32)), torch.from_numpy(shift.T.astype(np.float32))
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


def transport_response(x: Tensor, y: Tensor, noise: Tensor, scales: Sequence[float | Tensor]) -> tuple[Tensor, Tensor]:
    """Compiled version of :func:`causaliqa.functional.transport.transport_response`."""
    out: tuple[Tensor, Tensor] = _Response.apply(
        x, y, noise, torch.tensor([0.0, *(float(s) for s in scales)], dtype=torch.float32)
    )
    return out
