"""Inner loop of the transport cost, vectorised over 16 windows with LLVM intrinsics.

Merging two cumulative sums is a chain of dependent steps, other ones in every window. So all windows pass the same
bitonic merging network, whose comparisons depend on no data: each sum carries its side in its lowest bit, and the cost
is read off the sorted sums. Compilers do not keep the rows of a network in registers, so it is written as LLVM IR.

Source: Batcher, "Sorting networks and their applications", 1968.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from causaliqa.functional.compiled import inlined

__all__ = ["EIGHT", "LANES", "TOGETHER", "cut_eight", "lane_costs", "next_number", "room_rows"]

LANES = 32
"""Windows that lie side by side in memory."""

TOGETHER = 16
"""Windows that are merged at once: two registers of eight numbers hide the latency of a step."""

EIGHT = 8
"""Doubles in a register of 512 bits, or in two of 256."""
_LAST = 8
"""Rows that are sorted while the cost is read off."""

_INT, _LONG, _SINGLE, _DOUBLE = (ir.IntType(32), ir.IntType(64), ir.FloatType(), ir.DoubleType())
_SINGLES, _DOUBLES, _LONGS = (ir.VectorType(t, TOGETHER) for t in (_SINGLE, _DOUBLE, _LONG))
_REGISTER, _PLACES = (ir.VectorType(t, EIGHT) for t in (_DOUBLE, _LONG))
_END = 2.0**1000
"""Stands behind the sums of either side: larger than any, and its lowest bit is 0."""
_FAST = ("nsz", "arcp", "contract")
"""Fast-math flags that keep the order of additions."""


def _all(kind: Any, value: float) -> Any:
    return ir.Constant(kind, [value] * kind.count)


def _spread(builder: Any, value: Any, kind: Any) -> Any:
    """Broadcast a number to a vector."""
    empty = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(empty, value, ir.Constant(_INT, 0))
    return builder.shuffle_vector(first, empty, _all(ir.VectorType(_INT, kind.count), 0))


def _load(builder: Any, pointer: Any, kind: Any) -> Any:
    made = builder.load(builder.bitcast(pointer, kind.as_pointer()))
    made.align = 4 if kind.element is _SINGLE else 8
    return made


def _store(builder: Any, value: Any, pointer: Any) -> None:
    single = value.type.element is _SINGLE
    builder.store(value, builder.bitcast(pointer, value.type.as_pointer())).align = 4 if single else 8


def _row(builder: Any, room: Any, row: Any, lane: int = 0) -> Any:
    """Return the pointer to a row of the room."""
    return builder.gep(room, [builder.add(builder.mul(row, _LONG(TOGETHER)), _LONG(lane))])


def _exchange(builder: Any, values: list[Any], stride: int, *, spare: bool = False) -> None:
    """Make one stage of the network: of two rows ``stride`` apart, the lower number goes first.

    With ``spare``, the higher one is made of the bits that are left: faster where the units for other bits are idle.
    """
    for k in range(len(values)):
        if k & stride:
            continue
        a, b = values[k], values[k + stride]
        low = builder.select(builder.fcmp_ordered("<", a, b), a, b)
        if spare:
            first, second, lower = (builder.bitcast(v, _PLACES) for v in (a, b, low))
            high = builder.bitcast(builder.xor(builder.xor(first, second), lower), _REGISTER)
        else:
            high = builder.select(builder.fcmp_ordered(">", a, b), a, b)
        values[k], values[k + stride] = low, high


def _arrays(context: Any, builder: Any, signature: Any, args: Any) -> list[Any]:
    """Return the pointers to the arrays among the arguments."""
    return [
        context.make_array(kind)(context, builder, value).data
        for kind, value in zip(signature.args, args, strict=True)
        if isinstance(kind, types.Array)
    ]


def _write_sums(typing: Any, x: Any, y: Any, noise: Any, at: Any, bins: Any, scale: Any, room: Any, rows: Any) -> Any:
    """Write the cumulative sums of ``max(x + scale * noise, 0)`` and of y, all bins but the last, into the room.

    Those of x rise from its first row on, those of y fall to its last row; between them stands :data:`_END`. ``at`` is
    the place of the first value in ``x``, ``y`` and ``noise``.
    """
    signature = types.void(x, y, noise, types.intp, types.intp, types.float32, room, types.intp)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        *sides, field, room = _arrays(context, builder, signature, args)
        at, bins, rows = args[3], args[4], args[7]
        scale, zero, one = _spread(builder, args[5], _SINGLES), _all(_SINGLES, 0), _LONG(1)
        totals = [cgutils.alloca_once_value(builder, _all(_DOUBLES, 0)) for _ in sides]
        inner, last = builder.sub(bins, one), builder.sub(rows, one)
        with cgutils.for_range(builder, inner) as loop:
            place = builder.add(at, builder.mul(loop.index, _LONG(LANES)))
            push = builder.fmul(_load(builder, builder.gep(field, [place]), _SINGLES), scale, flags=_FAST)
            for number, (side, total) in enumerate(zip(sides, totals, strict=True)):
                moved = builder.fadd(_load(builder, builder.gep(side, [place]), _SINGLES), push, flags=_FAST)
                moved = builder.select(builder.fcmp_ordered(">", moved, zero), moved, zero)
                made = builder.fadd(builder.load(total), builder.fpext(moved, _DOUBLES))
                builder.store(made, total)
                bits = builder.bitcast(made, _LONGS)
                bits = builder.or_(bits, _all(_LONGS, 1)) if number else builder.and_(bits, _all(_LONGS, -2))
                row = builder.sub(last, loop.index) if number else loop.index
                _store(builder, builder.bitcast(bits, _DOUBLES), _row(builder, room, row))
        with cgutils.for_range(builder, builder.sub(rows, inner), start=inner) as loop:
            _store(builder, _all(_DOUBLES, _END), _row(builder, room, loop.index))
        return context.get_dummy_value()

    return signature, generate


def _pass(deep: int) -> Any:
    """Return a function that makes ``deep`` stages, of strides ``finest << (deep - 1)`` down to ``finest``."""

    def sort(typing: Any, room: Any, rows: Any, finest: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            (room,) = _arrays(context, builder, signature, args)
            _, rows, finest = args
            count = 1 << deep
            with (
                cgutils.for_range(builder, builder.udiv(rows, builder.mul(finest, _LONG(count)))) as block,
                cgutils.for_range(builder, finest) as loop,
            ):
                first = builder.add(builder.mul(block.index, builder.mul(finest, _LONG(count))), loop.index)
                for lane in range(0, TOGETHER, EIGHT):
                    places = [
                        _row(builder, room, builder.add(first, builder.mul(finest, _LONG(k))), lane)
                        for k in range(count)
                    ]
                    values = [_load(builder, place, _REGISTER) for place in places]
                    for stage in reversed(range(deep)):
                        _exchange(builder, values, 1 << stage, spare=True)
                    for value, place in zip(values, places, strict=True):
                        _store(builder, value, place)
            return context.get_dummy_value()

        return types.void(room, types.intp, types.intp), generate

    sort.__name__ = f"sort_{deep}"
    return intrinsic(sort)


def _read_costs(typing: Any, room: Any, rows: Any, out: Any, at: Any) -> Any:
    """Make the last three stages and write the costs to ``out[at:][:TOGETHER]``.

    Every sum is the upper end of an interval of mass that moves as many bins as one side is ahead. Behind the last sum
    of both sides, neither is ahead and nothing moves.
    """
    signature = types.void(room, types.intp, out, types.intp)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        room, out = _arrays(context, builder, signature, args)
        lanes = range(0, TOGETHER, EIGHT)
        states = [[cgutils.alloca_once_value(builder, _all(_REGISTER, 0)) for _ in range(3)] for _ in lanes]
        with cgutils.for_range(builder, builder.udiv(args[1], _LONG(_LAST))) as loop:
            first = builder.mul(loop.index, _LONG(_LAST))
            for lane, state in zip(lanes, states, strict=True):
                places = (_row(builder, room, builder.add(first, _LONG(k)), lane) for k in range(_LAST))
                values = [_load(builder, place, _REGISTER) for place in places]
                for stride in (4, 2, 1):
                    _exchange(builder, values, stride)
                cost, level, gap = (builder.load(v) for v in state)
                for upper in values:
                    cost, level, gap = _step(builder, upper, cost, level, gap)
                for value, place in zip((cost, level, gap), state, strict=True):
                    builder.store(value, place)
        for lane, (cost, *_) in zip(lanes, states, strict=True):
            _store(builder, builder.load(cost), builder.gep(out, [builder.add(args[3], _LONG(lane))]))
        return context.get_dummy_value()

    return signature, generate


def _step(builder: Any, upper: Any, cost: Any, level: Any, gap: Any) -> tuple[Any, Any, Any]:
    """Add the interval between ``level`` and ``upper``; return the next cost, level and gap."""
    bits = builder.bitcast(upper, _PLACES)
    # Without the side, sums that agree are equal, and identical windows cost nothing at all.
    upper = builder.bitcast(builder.and_(bits, _all(_PLACES, -2)), _REGISTER)
    height = builder.fsub(upper, level, flags=_FAST)
    square = builder.fmul(gap, gap, flags=_FAST)
    cost = builder.fadd(cost, builder.fmul(height, square, flags=_FAST), flags=_FAST)
    on_x = builder.icmp_unsigned("==", builder.and_(bits, _all(_PLACES, 1)), _all(_PLACES, 0))
    ahead = builder.select(on_x, _all(_REGISTER, 1), _all(_REGISTER, -1))
    return cost, upper, builder.fadd(gap, ahead, flags=_FAST)


_write: Any = intrinsic(_write_sums)
_read: Any = intrinsic(_read_costs)
_sort_1, _sort_2, _sort_3, _sort_4 = (_pass(deep) for deep in (1, 2, 3, 4))


@inlined()
def room_rows(bins: int) -> int:
    """Return how many rows of ``TOGETHER`` doubles :func:`lane_costs` needs: both sides, each a power of two."""
    side = _LAST
    while side < bins:
        side *= 2
    return 2 * side


@inlined()
def lane_costs(x: Any, y: Any, noise: Any, group: int, scale: Any, room: Any, cost: Any) -> None:
    """Fill ``cost[group * LANES:][:LANES]`` with W_2^2 between ``max(x + scale * noise, 0)`` and the same of y.

    ``x``, ``y`` and ``noise`` are C-contiguous float32 ``(groups, n, LANES)``; ``room`` has ``room_rows(n) * TOGETHER``
    doubles; ``cost`` is float64 ``(groups * LANES,)``.
    """
    bins = x.shape[1]
    rows = room_rows(bins)
    for lane in range(0, LANES, TOGETHER):
        _write(x, y, noise, group * bins * LANES + lane, bins, scale, room, rows)
        stride = rows // 2
        while stride >= 8 * _LAST:
            _sort_4(room, rows, stride // 8)
            stride //= 16
        if stride == 4 * _LAST:
            _sort_3(room, rows, _LAST)
        elif stride == 2 * _LAST:
            _sort_2(room, rows, _LAST)
        elif stride == _LAST:
            _sort_1(room, rows, _LAST)
        _read(room, rows, cost, group * LANES + lane)


def _cut_eight(typing: Any, features: Any, at: Any, out: Any, to: Any) -> Any:
    """Cut one row of eight windows of side eight, which lie beside each other: an 8 x 8 transposition.

    ``at`` and ``to`` are the places of the first values; every column of the windows is a row of ``LANES`` in ``out``.
    """
    signature = types.void(features, types.intp, out, types.intp)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        features, out = _arrays(context, builder, signature, args)
        kind, places = ir.VectorType(_SINGLE, EIGHT), ir.VectorType(_INT, EIGHT)
        starts = (builder.gep(features, [builder.add(args[1], _LONG(EIGHT * k))]) for k in range(EIGHT))
        rows = [_load(builder, start, kind) for start in starts]
        for stride in (4, 2, 1):
            low = ir.Constant(places, [k + (k & stride and EIGHT - stride) for k in range(EIGHT)])
            high = ir.Constant(places, [k + (EIGHT if k & stride else stride) for k in range(EIGHT)])
            for k in range(EIGHT):
                if not k & stride:
                    a, b = rows[k], rows[k + stride]
                    rows[k], rows[k + stride] = builder.shuffle_vector(a, b, low), builder.shuffle_vector(a, b, high)
        for k, row in enumerate(rows):
            _store(builder, row, builder.gep(out, [builder.add(args[3], _LONG(LANES * k))]))
        return context.get_dummy_value()

    return signature, generate


cut_eight: Any = intrinsic(_cut_eight)


def _next_number(typing: Any, counter: Any) -> Any:
    """Return ``counter[0]`` and add 1 to it, in one step for all threads; an int64 array."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        return builder.atomic_rmw("add", array.data, ir.Constant(_LONG, 1), "monotonic")

    return types.int64(counter), generate


next_number: Any = intrinsic(_next_number)
