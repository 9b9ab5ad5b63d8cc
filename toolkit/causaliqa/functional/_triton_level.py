"""The transport of a feature level on a GPU: what :mod:`causaliqa.functional._triton_kernels` needs around it.

Nothing here waits for the device: no tensor is read back, and small constants are copied to it once.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import triton
from torch import Tensor
from torch.autograd.function import once_differentiable

from causaliqa.functional import _triton_kernels as kernels
from causaliqa.functional.device import constants_on

__all__ = ["level", "transport_response"]

_BLOCK = 128
"""Windows of a program, one per thread."""

_WARPS = _BLOCK // 32

_TILE = 1024
"""Windows times bins of a program that holds whole windows: as many as fit into registers (none is spilled)."""

_FULL = 8
"""Programs per multiprocessor from which on a program takes all strengths, so that it reads its features once."""


@dataclass(frozen=True, kw_only=True)
class _Tiling:
    """How windows tile feature maps."""

    rows: int
    """Height of a window."""
    cols: int
    """Width of a window."""
    height: int
    """Height of the map."""
    width: int
    """Width of the map."""

    @property
    def bins(self) -> int:
        return self.rows * self.cols

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of windows."""
        return -(-self.height // self.rows), -(-self.width // self.cols)

    @property
    def places(self) -> int:
        return self.grid[0] * self.grid[1]

    def join(self, windows: Tensor) -> Tensor:
        """Put windows ``(N, C, P, n)`` back in place, ``(N, C, H, W)``."""
        pairs, channels = windows.shape[:2]
        cut = windows.reshape(pairs, channels, *self.grid, self.rows, self.cols).transpose(3, 4)
        return cut.flatten(4, 5).flatten(2, 3)[..., : self.height, : self.width]

    def cut(self, maps: Tensor) -> Tensor:
        """Cut maps ``(N, C, H, W)`` into windows ``(N, C, P, n)``, with zeros on the right and bottom."""
        down, across = self.grid
        padded = torch.nn.functional.pad(maps, (0, across * self.cols - self.width, 0, down * self.rows - self.height))
        split = padded.reshape(*maps.shape[:2], down, self.rows, across, self.cols).transpose(3, 4)
        return split.flatten(4, 5).flatten(2, 3)


def _device_of(x: Tensor) -> AbstractContextManager[Any]:
    """Triton launches on the current device, whatever the tensors are on."""
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()


@functools.cache
def _multiprocessors(device: torch.device) -> int:
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 1


def _softmax_sums(maps: Tensor, tiling: _Tiling) -> Tensor:
    """Return maximum and sum of exponentials over the windows of every channel, ``(N, C, n, 2)``."""
    sums = maps.new_empty(*maps.shape[:2], tiling.bins, 2, dtype=torch.float32)
    wide = triton.next_power_of_2(tiling.bins)
    kernels.softmax_sums[(maps.shape[0] * maps.shape[1],)](
        maps,
        sums,
        tiling.places,
        tiling.grid[1],
        tiling.height,
        tiling.width,
        BINS=tiling.bins,
        WIDE=wide,
        ROWS=tiling.rows,
        COLS=tiling.cols,
        BLOCK=max(1, _TILE // wide),
    )
    return sums


def _costs(
    x: Tensor, y: Tensor, sums: Sequence[Tensor], noise: Tensor, scales: Tensor, tiling: _Tiling, rule: str
) -> tuple[Tensor, Tensor, Tensor]:
    """Return costs ``(T + 1, N, C, P)``, float64, and both distances ``(N, C, P)`` of the windows."""
    pairs, channels = x.shape[:2]
    count = pairs * channels * tiling.places
    cost = x.new_empty(scales.shape[1], pairs, channels, tiling.places, dtype=torch.float64)
    md, l2 = x.new_empty(2, pairs, channels, tiling.places, dtype=torch.float32)
    blocks = triton.cdiv(count, _BLOCK)
    parts = 1 if blocks >= _FULL * _multiprocessors(x.device) else scales.shape[1]
    kernels.transport[(blocks, parts)](
        x,
        y,
        *sums,
        noise,
        scales,
        cost,
        md,
        l2,
        count,
        channels,
        tiling.places,
        tiling.grid[1],
        tiling.height,
        tiling.width,
        scales.shape[1],
        BINS=tiling.bins,
        ROWS=tiling.rows,
        COLS=tiling.cols,
        RULE=rule,
        BLOCK=_BLOCK,
        num_warps=_WARPS,
    )
    return cost, md, l2


def _by_mass(
    x: Tensor, y: Tensor, sums: Sequence[Tensor], by_ot: Tensor, by_md: Tensor, tiling: _Tiling, rule: str
) -> Tensor:
    """Return the derivative by the masses of x, ``(N, C, P, n)``."""
    out = x.new_empty(*by_ot.shape, tiling.bins, dtype=torch.float32)
    wide = triton.next_power_of_2(tiling.bins)
    block = max(1, _TILE // wide)
    kernels.potential[(triton.cdiv(by_ot.numel(), block),)](
        x,
        y,
        *sums,
        by_ot,
        by_md,
        out,
        by_ot.numel(),
        x.shape[1],
        tiling.places,
        tiling.grid[1],
        tiling.height,
        tiling.width,
        BINS=tiling.bins,
        WIDE=wide,
        ROWS=tiling.rows,
        COLS=tiling.cols,
        RULE=rule,
        BLOCK=block,
        num_warps=_WARPS,
    )
    return out


def _by_features(by_mass: Tensor, x: Tensor, sums: Tensor, tiling: _Tiling, rule: str) -> Tensor:
    """Apply the chain rule of the masses to ``by_mass (N, C, P, n)``; returns ``(N, C, H, W)``."""
    if rule == "softmax":
        mass = tiling.cut(x).softmax(dim=2)
        return tiling.join(mass * (by_mass - (mass * by_mass).sum(dim=2, keepdim=True)))
    by_mass = tiling.join(by_mass)
    if rule == "as is":
        return by_mass
    share = sums.view(-1, 1, 1, 1)
    pull = (by_mass * x.square()).sum(dim=(1, 2, 3), keepdim=True, dtype=torch.float64).to(share.dtype)
    return share * (2 * x * by_mass - share * pull)


class _Level(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        y: Tensor,
        sums_x: Tensor,
        sums_y: Tensor,
        noise: Tensor,
        scales: Tensor,
        tiling: _Tiling,
        rule: str,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        cost, md, l2 = _costs(x, y, (sums_x, sums_y), noise, scales, tiling, rule)
        shift = (cost[1:] - cost[:1]).sum(dim=3).float()
        ctx.save_for_backward(x, y, sums_x, sums_y)
        ctx.tiling, ctx.rule = tiling, rule
        ctx.mark_non_differentiable(shift)
        ctx.set_materialize_grads(False)
        return cost[0].float(), md, l2, shift

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_ot: Tensor | None, by_md: Tensor | None, by_l2: Tensor | None, _: None) -> Any:
        x, y, *sums = ctx.saved_tensors
        tiling: _Tiling = ctx.tiling
        shape = (*x.shape[:2], tiling.places)
        ot, md, l2 = (
            x.new_zeros(shape, dtype=torch.float32) if by is None else by.contiguous() for by in (by_ot, by_md, by_l2)
        )
        made: list[Tensor | None] = [None] * 8
        for side, (a, b) in enumerate(((x, y), (y, x))):
            if ctx.needs_input_grad[side]:
                known = sums if side == 0 else sums[::-1]
                by_mass = _by_mass(a, b, known, ot, md, tiling, ctx.rule)
                by_features = _by_features(by_mass, a.float(), known[0], tiling, ctx.rule)
                if by_l2 is not None:
                    by_features += 2 * (a - b).float() * tiling.join(l2[..., None].expand(*shape, tiling.bins))
                made[side] = by_features.to(a.dtype)
        return tuple(made)


def _moments(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sum and the sum of squares of every image of ``(N, C, H, W)``, float64 ``(N,)``."""
    flat = maps.flatten(1)
    return flat.sum(dim=1, dtype=torch.float64), torch.linalg.vector_norm(flat, dim=1, dtype=torch.float64).square()


def level(
    x: Tensor, y: Tensor, *, window: int, rule: str, noise: Tensor, strengths: Sequence[float], threshold: float
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return what a level of a batch of pairs costs; see :func:`causaliqa.functional.transport.level_response`.

    Args:
        x: features of the distorted images, ``(N, C, H, W)``.
        y: features of the references.
        window: side of the windows.
        rule: ``"share"`` or ``"softmax"``.
        noise: ``(P, window * window)``, on the same device.
        strengths: T strengths; not used with softmax masses, with which no change can be too small.
        threshold: see :attr:`causaliqa.functional.transport.LevelResponse.tolerance`.

    Returns:
        ``ot``, ``md`` and ``l2 (N, C, P)``, which pass gradients to both sides; ``shift (T, N, C)`` and the tolerance
        ``(N, 1)``, constants.
    """
    tiling = _Tiling(rows=window, cols=window, height=x.shape[2], width=x.shape[3])
    x, y = x.contiguous(), y.contiguous()
    fixed_x, fixed_y = x.detach(), y.detach()
    scales = x.new_zeros(len(x), 1, dtype=torch.float32)
    with torch.no_grad(), _device_of(x):
        if rule == "share":
            (first_x, second_x), (first_y, second_y) = _moments(fixed_x), _moments(fixed_y)
            shares = 1 / (first_x + 1e-6), 1 / (first_y + 1e-6)
            mass_x, mass_y = second_x * shares[0], second_y * shares[1]
            mean = (mass_x + mass_y) / (2 * x.shape[1] * noise.numel())
            tolerance = threshold * (mass_x - mass_y).abs() / 2
            scales = (mean[:, None] * constants_on(x.device, (0.0, *strengths))).float()
            sums = tuple(share.float() for share in shares)
        else:
            tolerance = x.new_zeros(len(x))
            sums = tuple(_softmax_sums(side, tiling) for side in (fixed_x, fixed_y))
    with _device_of(x):
        ot, md, l2, shift = _Level.apply(x, y, *sums, noise.contiguous(), scales, tiling, rule)
    return ot, md, l2, shift, tolerance.float()[:, None]


def transport_response(x: Tensor, y: Tensor, noise: Tensor, scales: Tensor) -> tuple[Tensor, Tensor]:
    """Return costs ``(C, P)`` and their change ``(T, C)``; see the function of this name in ``transport``.

    Args:
        x: masses ``(C, P, n)``.
        y: masses of the same shape.
        noise: ``(P, n)``, on the same device.
        scales: factors of the noise ``(T,)``, on the same device.
    """
    tiling = _Tiling(rows=1, cols=x.shape[2], height=x.shape[1], width=x.shape[2])
    unused = x.new_empty(1, dtype=torch.float32)
    scales = torch.cat([scales.new_zeros(1), scales])[None].float()
    with _device_of(x):
        ot, _, _, shift = _Level.apply(
            x[None].contiguous(), y[None].contiguous(), unused, unused, noise.contiguous(), scales, tiling, "as is"
        )
    return ot[0], shift[:, 0]
