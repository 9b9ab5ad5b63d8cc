"""Inner loop of the transport cost, vectorised over 32 windows with LLVM intrinsics.

Merging two cumulative sums is a chain of dependent steps. Interleaving many windows hides their latency, provided that
the next values are loaded with gather instructions. Compilers do not vectorise this loop, so it is written as LLVM IR.
On processors without gather, LLVM emits scalar code with the same result.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

__all__ = ["LANES", "lane_costs", "next_number"]

LANES = 32
"""Windows processed together: four registers of eight numbers hide the latency of a step."""

WIDTH = 8
"""Windows that one merge steps through: a register of 512 bits, or two of 256."""

_BOOL, _INT, _LONG, _SINGLE, _DOUBLE = (ir.IntType(1), ir.IntType(32), ir.IntType(64), ir.FloatType(), ir.DoubleType())
_SINGLES, _DOUBLES = (ir.VectorType(t, LANES) for t in (_SINGLE, _DOUBLE))
_MASK, _PLACES, _REGISTER = (ir.VectorType(t, WIDTH) for t in (_BOOL, _LONG, _DOUBLE))
_POINTERS = ir.VectorType(_DOUBLE.as_pointer(), WIDTH)
_WIDE = 8
"""Bytes of a double."""
_ROW = _WIDE * LANES
"""Bytes from one bin to the next."""
_FAST = ("nsz", "arcp", "contract", "reassoc")
"""Fast-math flags without ``ninf``: infinities end the cumulative sums."""


def _all(kind: Any, value: float) -> Any:
    return ir.Constant(kind, [value] * kind.count)


def _spread(builder: Any, value: Any, kind: Any) -> Any:
    """Broadcast a number to a vector."""
    empty = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(empty, value, ir.Constant(_INT, 0))
    return builder.shuffle_vector(first, empty, _all(ir.VectorType(_INT, kind.count), 0))


def _load(builder: Any, pointer: Any, kind: Any) -> Any:
    made = builder.load(builder.bitcast(pointer, kind.as_pointer()))
    made.align = 4 if kind is _SINGLES else _WIDE
    return made


def _store(builder: Any, value: Any, pointer: Any) -> None:
    builder.store(value, builder.bitcast(pointer, value.type.as_pointer())).align = _WIDE


def _sums(builder: Any, sides: Any, noise: Any, scale: Any, cdf: Any, bins: Any) -> None:
    """Write the cumulative sums of ``max(x + scale * noise, 0)`` of both sides, all bins but the last."""
    totals = [cgutils.alloca_once_value(builder, _all(_DOUBLES, 0)) for _ in sides]
    lanes, zero = ir.Constant(_LONG, LANES), _all(_SINGLES, 0)
    with cgutils.for_range(builder, builder.sub(bins, ir.Constant(_LONG, 1))) as loop:
        at = builder.mul(loop.index, lanes)
        push = builder.fmul(_load(builder, builder.gep(noise, [at]), _SINGLES), scale, flags=_FAST)
        for side, total, row in zip(sides, totals, (loop.index, builder.add(bins, loop.index)), strict=True):
            moved = builder.fadd(_load(builder, builder.gep(side, [at]), _SINGLES), push, flags=_FAST)
            moved = builder.select(builder.fcmp_ordered(">", moved, zero), moved, zero)
            builder.store(builder.fadd(builder.load(total), builder.fpext(moved, _DOUBLES)), total)
            _store(builder, builder.load(total), builder.gep(cdf, [builder.mul(row, lanes)]))


def _merge(builder: Any, cdf: Any, bins: Any, out: Any) -> None:
    """Write the costs: step to the next bin edge of either cumulative sum, without branches."""
    walks = [_Walk(builder, cdf, bins, lane) for lane in range(0, LANES, WIDTH)]
    begin = builder.mul(builder.ptrtoint(cdf, _LONG), ir.Constant(_LONG, 2))
    rows = builder.mul(builder.add(bins, ir.Constant(_LONG, 1)), ir.Constant(_LONG, _ROW))
    both = cgutils.alloca_once_value(builder, _spread(builder, builder.add(begin, rows), _PLACES))
    steps = builder.mul(builder.sub(bins, ir.Constant(_LONG, 1)), ir.Constant(_LONG, 2))
    with cgutils.for_range(builder, steps):
        total = builder.load(both)
        for walk in walks:
            walk.step(total)
        builder.store(builder.add(total, _all(_PLACES, _ROW)), both)
    for walk in walks:
        _store(builder, builder.load(walk.cost), builder.gep(out, [ir.Constant(_LONG, walk.lane)]))


class _Walk:
    """Merge of the windows of one register, from ``lane`` on.

    Few values live from step to step, so that those of four registers stay in registers: only the place on x is kept,
    because places on both sides add up to the same in all windows.
    """

    def __init__(self, builder: Any, cdf: Any, bins: Any, lane: int) -> None:
        self.builder, self.lane = builder, lane
        self.own = [_WIDE * (lane + k) for k in range(WIDTH)]
        x = builder.gep(cdf, [ir.Constant(_LONG, lane)])
        y = builder.gep(x, [builder.mul(bins, ir.Constant(_LONG, LANES))])
        place = builder.add(_spread(builder, builder.ptrtoint(cdf, _LONG), _PLACES), ir.Constant(_PLACES, self.own))
        zero = _all(_REGISTER, 0)
        first = (_load(builder, x, _REGISTER), _load(builder, y, _REGISTER), place, zero, zero, zero)
        self.x, self.y, self.place, self.cost, self.level, self.gap = (
            cgutils.alloca_once_value(builder, value) for value in first
        )
        self.gather = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(_REGISTER, [_POINTERS, _INT, _MASK, _REGISTER]),
            f"llvm.masked.gather.v{WIDTH}f64.v{WIDTH}p0",
        )

    def step(self, both: Any) -> None:
        """Pass the lower of both edges; ``both`` is what the places of the next edges add up to in lane 0."""
        builder = self.builder
        x, y, gap, place = (builder.load(v) for v in (self.x, self.y, self.gap, self.place))
        on_x = builder.fcmp_ordered("<=", x, y)
        upper = builder.select(on_x, x, y)
        height = builder.fsub(upper, builder.load(self.level), flags=_FAST)
        square = builder.fmul(gap, gap, flags=_FAST)
        added = builder.fmul(height, square, flags=_FAST)
        builder.store(builder.fadd(builder.load(self.cost), added, flags=_FAST), self.cost)
        builder.store(upper, self.level)
        builder.store(builder.fadd(gap, builder.select(on_x, _all(_REGISTER, 1), _all(_REGISTER, -1))), self.gap)
        moved = builder.select(on_x, builder.add(place, _all(_PLACES, _ROW)), place)
        builder.store(moved, self.place)
        total = builder.add(both, ir.Constant(_PLACES, [2 * k for k in self.own]))
        where = builder.inttoptr(builder.select(on_x, moved, builder.sub(total, place)), _POINTERS)
        after = builder.call(self.gather, [where, ir.Constant(_INT, _WIDE), _all(_MASK, 1), _all(_REGISTER, 0)])
        builder.store(builder.select(on_x, after, x), self.x)
        builder.store(builder.select(on_x, y, after), self.y)


def _lane_costs(typing: Any, x: Any, y: Any, noise: Any, group: Any, scale: Any, cdf: Any, cost: Any) -> Any:
    """Fill ``cost[group * LANES:][:LANES]`` with W_2^2 between ``max(x + scale * noise, 0)`` and the same of y.

    ``x``, ``y`` and ``noise`` are C-contiguous float32 ``(groups, n, LANES)``; ``cdf`` has room for ``2 * n * LANES``
    doubles whose rows n - 1 and 2 n - 1 are and stay infinite; ``cost`` is float64 ``(groups * LANES,)``.
    """
    signature = types.void(x, y, noise, types.intp, types.float32, cdf, cost)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        arrays = [
            context.make_array(kind)(context, builder, value)
            for kind, value in zip(signature.args, args, strict=True)
            if isinstance(kind, types.Array)
        ]
        bins, lanes = builder.extract_value(arrays[0].shape, 1), ir.Constant(_LONG, LANES)
        offset = builder.mul(args[3], builder.mul(bins, lanes))
        sides = [builder.gep(array.data, [offset]) for array in arrays[:2]]
        field = builder.gep(arrays[2].data, [offset])
        room, out = arrays[3].data, arrays[4].data
        _sums(builder, sides, field, _spread(builder, args[4], _SINGLES), room, bins)
        _merge(builder, room, bins, builder.gep(out, [builder.mul(args[3], lanes)]))
        return context.get_dummy_value()

    return signature, generate


lane_costs: Any = intrinsic(_lane_costs)


def _next_number(typing: Any, counter: Any) -> Any:
    """Return ``counter[0]`` and add 1 to it, in one step for all threads; an int64 array."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        return builder.atomic_rmw("add", array.data, ir.Constant(_LONG, 1), "monotonic")

    return types.int64(counter), generate


next_number: Any = intrinsic(_next_number)
