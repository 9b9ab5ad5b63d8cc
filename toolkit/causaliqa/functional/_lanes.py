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

__all__ = ["LANES", "lane_costs"]

LANES = 32
"""Windows processed together: four registers of eight numbers hide the latency of a step."""

_BOOL, _INT, _LONG, _SINGLE, _DOUBLE = (ir.IntType(1), ir.IntType(32), ir.IntType(64), ir.FloatType(), ir.DoubleType())
_MASK, _PLACES, _SINGLES, _DOUBLES = (ir.VectorType(t, LANES) for t in (_BOOL, _LONG, _SINGLE, _DOUBLE))
_POINTERS = ir.VectorType(_DOUBLE.as_pointer(), LANES)
_WIDE = 8
"""Bytes of a double."""
_FAST = ("nsz", "arcp", "contract", "reassoc")
"""Fast-math flags without ``ninf``: infinities end the cumulative sums."""


def _all(kind: Any, value: float) -> Any:
    return ir.Constant(kind, [value] * LANES)


def _spread(builder: Any, value: Any, kind: Any) -> Any:
    """Broadcast a number to all lanes."""
    empty = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(empty, value, ir.Constant(_INT, 0))
    return builder.shuffle_vector(first, empty, _all(ir.VectorType(_INT, LANES), 0))


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


def _merge(builder: Any, cdf: Any, bins: Any) -> Any:
    """Return the costs: step to the next bin edge of either cumulative sum, without branches."""
    lanes, row = ir.Constant(_LONG, LANES), _all(_PLACES, _WIDE * LANES)
    other = builder.gep(cdf, [builder.mul(bins, lanes)])
    ends = [cgutils.alloca_once_value(builder, _load(builder, side, _DOUBLES)) for side in (cdf, other)]
    own = ir.Constant(_PLACES, [_WIDE * lane for lane in range(LANES)])
    places = [
        cgutils.alloca_once_value(builder, builder.add(_spread(builder, builder.ptrtoint(side, _LONG), _PLACES), own))
        for side in (cdf, other)
    ]
    cost, level, gap = (cgutils.alloca_once_value(builder, _all(_DOUBLES, 0)) for _ in range(3))
    gather = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(_DOUBLES, [_POINTERS, _INT, _MASK, _DOUBLES]),
        f"llvm.masked.gather.v{LANES}f64.v{LANES}p0",
    )
    steps = builder.mul(builder.sub(bins, ir.Constant(_LONG, 1)), ir.Constant(_LONG, 2))
    with cgutils.for_range(builder, steps):
        a, b, apart = builder.load(ends[0]), builder.load(ends[1]), builder.load(gap)
        first = builder.fcmp_ordered("<=", a, b)
        upper = builder.select(first, a, b)
        height = builder.fsub(upper, builder.load(level), flags=_FAST)
        square = builder.fmul(apart, apart, flags=_FAST)
        builder.store(builder.fadd(builder.load(cost), builder.fmul(height, square, flags=_FAST), flags=_FAST), cost)
        builder.store(upper, level)
        builder.store(builder.fadd(apart, builder.select(first, _all(_DOUBLES, 1), _all(_DOUBLES, -1))), gap)
        old = [builder.load(place) for place in places]
        new = [builder.add(place, row) for place in old]
        where = builder.inttoptr(builder.select(first, *new), _POINTERS)
        after = builder.call(gather, [where, ir.Constant(_INT, _WIDE), _all(_MASK, 1), _all(_DOUBLES, 0)])
        builder.store(builder.select(first, new[0], old[0]), places[0])
        builder.store(builder.select(first, old[1], new[1]), places[1])
        builder.store(builder.select(first, after, a), ends[0])
        builder.store(builder.select(first, b, after), ends[1])
    return builder.load(cost)


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
        _store(builder, _merge(builder, room, bins), builder.gep(out, [builder.mul(args[3], lanes)]))
        return context.get_dummy_value()

    return signature, generate


lane_costs: Any = intrinsic(_lane_costs)
