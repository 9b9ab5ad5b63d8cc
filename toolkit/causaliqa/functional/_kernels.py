"""Compiled CPU kernels behind :mod:`causaliqa.functional.transport`.

Memory layout ``(groups, n, LANES)``: bin k of 32 windows is contiguous. Channels with few windows share a group.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causaliqa.functional._lanes import EIGHT, LANES, TOGETHER, cut_eight, lane_costs, next_number, room_rows
from causaliqa.functional.compiled import compiled, inlined
from causaliqa.functional.threads import share_work
from causaliqa.functional.wasserstein import cost_potential

__all__ = ["level", "transport_response"]

_FAST = {"nsz", "arcp", "contract", "reassoc"}
"""Fast-math flags that allow reordering but keep infinities."""

_BLOCK = 256
"""Windows processed together if one channel has fewer."""

_WORTH = 65_536
"""Values that a further thread is worth: half a millisecond of work, against a tenth to start it."""


def _parts(x: Tensor, block: int) -> int:
    """Return the number of threads that have enough to do."""
    return min(-(-len(x) // block), 1 + x.numel() // _WORTH)


def _channels_together(windows: int) -> int:
    """Return the number of channels in a block."""
    return max(1, _BLOCK // windows)


def _noise_lanes(noise: Tensor, channels: int) -> NDArray[np.float32]:
    """Return noise ``(P, n)``, repeated for the channels of a block, as ``(groups, n, LANES)``."""
    field = np.tile(noise.numpy(), (channels, 1))
    groups = -(-len(field) // LANES)
    padded = np.zeros((groups * LANES, field.shape[1]), dtype=np.float32)
    padded[: len(field)] = field
    return np.ascontiguousarray(padded.reshape(groups, LANES, -1).transpose(0, 2, 1))


@inlined(fastmath=_FAST)
def _rooms(noise: Any, strengths: int) -> tuple[Any, Any, Any, Any]:
    """Return what a thread works in: windows of both sides, as ``noise`` lies; the merge's room; costs of a block.

    It is made once: memory of every block anew would be returned to the system and come back page by page.
    """
    room = np.empty(room_rows(noise.shape[1]) * TOGETHER + 8)
    # Aligned to 64 bytes, so that no store crosses a cache line: 20 % faster.
    room = room[-room.ctypes.data % 64 // 8 :]
    return np.zeros_like(noise), np.zeros_like(noise), room, np.zeros((strengths, len(noise) * LANES))


@inlined(fastmath=_FAST)
def _costs(a: Any, b: Any, noise: Any, scales: Any, room: Any, found: Any, cost: Any, shift: Any) -> None:
    """Fill ``cost (C, P)`` and ``shift (C, T)`` of a block of channels; ``scales (T + 1,)`` begins with 0."""
    groups, n, _ = a.shape
    channels, windows = cost.shape
    found[:] = 0
    for g in range(groups):
        # Equal sides stay equal under the same noise.
        differ, k = 0, 0
        while differ == 0 and k < n:
            for lane in range(LANES):
                differ += a[g, k, lane] != b[g, k, lane]
            k += 1
        if differ:
            for t in range(len(scales)):
                lane_costs(a, b, noise, g, scales[t], room, found[t])
    for c in range(channels):
        for p in range(windows):
            cost[c, p] = found[0, c * windows + p]
        for t in range(1, len(scales)):
            total = 0.0
            for p in range(windows):
                total += found[t, c * windows + p] - cost[c, p]
            shift[c, t - 1] = total


@compiled(fastmath=_FAST)
def _response(x: Any, y: Any, noise: Any, scales: Any, block: int, cost: Any, shift: Any, counter: Any) -> None:
    """Fill ``cost (C, P)`` and ``shift (C, T)`` from masses ``(C, P, n)``, in blocks that no thread has taken yet."""
    channels, windows, _ = x.shape
    a, b, room, found = _rooms(noise, len(scales))
    begin = block * next_number(counter)
    while begin < channels:
        end = min(begin + block, channels)
        for c in range(begin, end):
            for p in range(windows):
                g, lane = divmod((c - begin) * windows + p, LANES)
                a[g, :, lane] = x[c, p]
                b[g, :, lane] = y[c, p]
        _costs(a, b, noise, scales, room, found, cost[begin:end], shift[begin:end])
        begin = block * next_number(counter)


def _cutter(side: int) -> Any:
    """Return a function that cuts windows of this side, or of any if it is 0; known sides are three times faster."""

    @inlined(fastmath=_FAST)
    def cut(features: Any, window: int, first: int, out: Any) -> None:
        """Cut one channel ``(H, W)`` into windows from index ``first``; padding on the right and bottom stays 0."""
        size = side if side > 0 else window
        height, width = features.shape
        cols, whole = -(-width // size), width // size
        for row in range(height):
            place, k = first + row // size * cols, row % size * size
            p = 0
            while p < whole:
                g, lane = (place + p) // LANES, (place + p) % LANES
                if side == EIGHT and p + EIGHT <= whole and lane + EIGHT <= LANES:
                    cut_eight(features, row * width + p * size, out, (g * out.shape[1] + k) * LANES + lane)
                    p += EIGHT
                else:
                    for col in range(size):
                        out[g, k + col, lane] = features[row, p * size + col]
                    p += 1
            for col in range(width - whole * size):
                g, lane = (place + whole) // LANES, (place + whole) % LANES
                out[g, k + col, lane] = features[row, whole * size + col]

    return cut


_cut_any, _cut_4, _cut_8 = _cutter(0), _cutter(4), _cutter(8)


@inlined(fastmath=_FAST)
def _cut(features: Any, window: int, out: Any) -> None:
    """Cut channels ``(C, H, W)`` into windows."""
    channels, height, width = features.shape
    windows = -(-height // window) * -(-width // window)
    for c in range(channels):
        if window == 8:
            _cut_8(features[c], window, c * windows, out)
        elif window == 4:
            _cut_4(features[c], window, c * windows, out)
        else:
            _cut_any(features[c], window, c * windows, out)


@inlined(fastmath=_FAST)
def _scale(values: Any, share: float) -> None:
    """Turn features into mass ``x * x * share`` in place."""
    flat = values.reshape(-1)
    for k in range(len(flat)):
        flat[k] *= flat[k] * np.float32(share)


@inlined(fastmath=_FAST)
def _softmax(values: Any, first: int, windows: int) -> None:
    """Turn features of one channel into mass in place: softmax over its windows."""
    for k in range(values.shape[1]):
        top, total = np.float32(-np.inf), 0.0
        for p in range(first, first + windows):
            top = max(top, values[p // LANES, k, p % LANES])
        for p in range(first, first + windows):
            g, lane = p // LANES, p % LANES
            values[g, k, lane] = np.exp(values[g, k, lane] - top)
            total += values[g, k, lane]
        for p in range(first, first + windows):
            values[p // LANES, k, p % LANES] /= total


@inlined(fastmath=_FAST)
def _distances(a: Any, b: Any, out: Any) -> None:
    """Fill ``out (C, P)`` with the squared distance of every window."""
    channels, windows = out.shape
    total = np.zeros((len(a), LANES))
    for g in range(len(a)):
        for k in range(a.shape[1]):
            for lane in range(LANES):
                total[g, lane] += (a[g, k, lane] - b[g, k, lane]) ** 2
    flat = total.reshape(-1)
    for c in range(channels):
        out[c] = flat[c * windows : (c + 1) * windows]


@compiled(fastmath=_FAST)
def _level(
    x: Any,
    y: Any,
    window: int,
    shares: Any,
    noise: Any,
    scales: Any,
    block: int,
    ot: Any,
    md: Any,
    l2: Any,
    shift: Any,
    counter: Any,
) -> None:
    """Fill ``ot``, ``md``, ``l2 (C, P)`` and ``shift (C, T)`` of one level, in blocks that no thread has taken yet."""
    channels, windows = ot.shape
    a, b, room, found = _rooms(noise, len(scales))
    begin = block * next_number(counter)
    while begin < channels:
        end = min(begin + block, channels)
        a[:] = 0
        b[:] = 0
        _cut(x[begin:end], window, a)
        _cut(y[begin:end], window, b)
        _distances(a, b, l2[begin:end])
        if shares[0] != 0:
            _scale(a, shares[0])
            _scale(b, shares[1])
        else:
            for c in range(end - begin):
                _softmax(a, c * windows, windows)
                _softmax(b, c * windows, windows)
        _distances(a, b, md[begin:end])
        md[begin:end] = np.sqrt(md[begin:end])
        _costs(a, b, noise, scales, room, found, ot[begin:end], shift[begin:end])
        begin = block * next_number(counter)


@compiled(fastmath=_FAST)
def _moments(x: Any, sums: Any, thread: int, threads: int) -> None:
    """Fill ``sums (C, 2)`` with the sum and the sum of squares of the channels of one thread of ``(C, H, W)``."""
    for c in range(thread, len(x), threads):
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
        parts = min(len(a), 1 + x.numel() // (32 * _WORTH))
        share_work(lambda k, n: (_moments(a, sums[0], k, n), _moments(b, sums[1], k, n)), parts)
        (first_x, second_x), (first_y, second_y) = sums.sum(axis=1)
        shares = (1 / (first_x + 1e-6), 1 / (first_y + 1e-6))
        mass_x, mass_y = second_x * shares[0], second_y * shares[1]
        mean = (mass_x + mass_y) / 2 / (len(a) * noise.numel())
        tolerance = threshold * abs(mass_x - mass_y) / 2
    # No response is below a tolerance of 0, so it need not be computed.
    scales = np.array([0.0, *(s * mean for s in strengths if tolerance > 0)], dtype=np.float32)
    ot, md, l2 = np.empty((3, len(a), len(noise)))
    shift = np.zeros((len(a), len(scales) - 1))
    block = _channels_together(len(noise))
    found = (window, np.array(shares), _noise_lanes(noise, block), scales, block, ot, md, l2, shift)
    counter = np.zeros(1, dtype=np.int64)
    share_work(lambda k, n: _level(a, b, *found, counter), _parts(x, block))
    ot[np.isnan(md)] = np.nan  # the walk itself takes NaN for an empty bin
    done = [torch.from_numpy(v.astype(np.float32)) for v in (ot, md, l2, shift.T)]
    return done[0], done[1], done[2], done[3], tolerance


class _Response(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, noise: Tensor, scales: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(x, y)
        cost = np.empty(x.shape[:2])
        shift = np.zeros((x.shape[0], len(scales) - 1))
        a, b, s = (v.detach().contiguous().numpy() for v in (x, y, scales))
        block = _channels_together(x.shape[1])
        given = (a, b, _noise_lanes(noise, block), s, block, cost, shift)
        counter = np.zeros(1, dtype=np.int64)
        share_work(lambda k, n: _response(*given, counter), _parts(x, block))
        out = torch.from_numpy(cost.astype(np.float32)), torch.from_numpy(shift.T.astype(np.float32))
        ctx.mark_non_differentiable(out[1])
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, y = ctx.saved_tensors
        out: list[Tensor | None] = [None, None]
        for side, (a, b) in enumerate(((x, y), (y, x))):
            if ctx.needs_input_grad[side]:
                potential = cost_potential(*(v.double().flatten(0, 1).cumsum(-1) for v in (a, b)))
                out[side] = grads[0][..., None] * potential.view_as(a).to(a.dtype)
        return out[0], out[1], None, None


def transport_response(x: Tensor, y: Tensor, noise: Tensor, scales: Sequence[float | Tensor]) -> tuple[Tensor, Tensor]:
    """Compiled version of :func:`causaliqa.functional.transport.transport_response`."""
    out: tuple[Tensor, Tensor] = _Response.apply(
        x, y, noise, torch.tensor([0.0, *(float(s) for s in scales)], dtype=torch.float32)
    )
    return out
