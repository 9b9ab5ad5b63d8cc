"""GPU kernels behind :mod:`causaliqa.functional._triton_level`, in Triton.

Each thread handles one window of one channel. It walks over both cumulative sums to the next end of a bin on either
side, 2 (n - 1) steps, and computes a mass from the feature map when it gets there: nothing is sorted, and neither
windows nor masses are written to memory. Masses are float32, cumulative sums and costs float64.

Feature maps are ``(N, C, H, W)`` and contiguous; windows of ROWS x COLS tile them, with zeros on the right and bottom
where they stand out. Windows are numbered ``(pair * C + channel) * P + place``.
"""

# ruff: noqa: N803  (constants of a kernel are upper-case in Triton)
# mypy: disallow-untyped-decorators=False
# No delayed annotations: Triton reads tl.constexpr from the signature.
import triton
import triton.language as tl

__all__ = ["potential", "softmax_sums", "transport"]


@triton.jit
def _feature(
    plane: tl.tensor,
    row: tl.tensor,
    col: tl.tensor,
    bin: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    BINS: tl.constexpr,
    COLS: tl.constexpr,
) -> tl.tensor:
    """Load bin ``bin`` of windows that begin at (row, col) of their plane; 0 in the padding and past the last bin."""
    row += bin // COLS
    col += bin % COLS
    return tl.load(plane + row * width + col, (row < height) & (col < width) & (bin < BINS), 0.0).to(tl.float32)


@triton.jit
def _mass(
    value: tl.tensor, share: tl.tensor, sums: tl.tensor, bin: tl.tensor, BINS: tl.constexpr, RULE: tl.constexpr
) -> tl.tensor:
    """Turn features into masses."""
    if RULE == "share":
        value = value * (value * share)
    elif RULE == "softmax":
        value = tl.exp(value - tl.load(sums + 2 * bin, bin < BINS, 0.0)) / tl.load(sums + 2 * bin + 1, bin < BINS, 1.0)
    return value


@triton.jit
def _positive(value: tl.tensor) -> tl.tensor:
    """Cut negative mass; NaN stays."""
    return tl.maximum(value, 0.0, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def _walk(
    plane_x: tl.tensor,
    plane_y: tl.tensor,
    share_x: tl.tensor,
    share_y: tl.tensor,
    sums_x: tl.tensor,
    sums_y: tl.tensor,
    noise: tl.tensor,
    scale: tl.tensor,
    row: tl.tensor,
    col: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    BINS: tl.constexpr,
    COLS: tl.constexpr,
    RULE: tl.constexpr,
    BLOCK: tl.constexpr,
) -> tl.tensor:
    """Return W_2^2 of windows after ``noise * scale`` was added to both sides."""
    push = tl.load(noise) * scale
    first_x = _feature(plane_x, row, col, 0, height, width, BINS, COLS)
    first_y = _feature(plane_y, row, col, 0, height, width, BINS, COLS)
    end_x = _positive(_mass(first_x, share_x, sums_x, 0, BINS, RULE) + push).to(tl.float64)
    end_y = _positive(_mass(first_y, share_y, sums_y, 0, BINS, RULE) + push).to(tl.float64)
    bin_x = tl.zeros([BLOCK], tl.int32)
    bin_y = tl.zeros([BLOCK], tl.int32)
    level = tl.zeros([BLOCK], tl.float64)
    total = tl.zeros([BLOCK], tl.float64)
    for _ in range(2 * (BINS - 1)):
        on_x = end_x <= end_y
        upper = tl.where(on_x, end_x, end_y)
        apart = (bin_x - bin_y).to(tl.float64)
        total += (upper - level) * (apart * apart)
        level = upper
        bin_x += on_x.to(tl.int32)
        bin_y += 1 - on_x.to(tl.int32)
        bin = tl.where(on_x, bin_x, bin_y)
        value = _feature(tl.where(on_x, plane_x, plane_y), row, col, bin, height, width, BINS, COLS)
        sums = tl.where(on_x, sums_x, sums_y)
        mass = _mass(value, tl.where(on_x, share_x, share_y), sums, bin, BINS, RULE)
        moved = _positive(mass + tl.load(noise + bin, bin < BINS, 0.0) * scale)
        # The last bin is open above.
        upper = tl.where(bin < BINS - 1, upper + moved, float("inf"))
        end_x = tl.where(on_x, upper, end_x)
        end_y = tl.where(on_x, end_y, upper)
    return total


@triton.jit
def softmax_sums(
    maps: tl.tensor,
    sums: tl.tensor,
    places: tl.tensor,
    across: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    BINS: tl.constexpr,
    WIDE: tl.constexpr,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Fill ``sums (N * C, BINS, 2)`` with the maximum over the windows of one channel and the sum of exponentials.

    WIDE is the power of two at or above BINS. Grid: N * C.
    """
    channel = tl.program_id(0).to(tl.int64)
    plane = maps + channel * (height * width)
    bins = tl.arange(0, WIDE)
    top = tl.full([WIDE], float("-inf"), tl.float32)
    total = tl.zeros([WIDE], tl.float32)
    for first in range(0, places, BLOCK):
        place = first + tl.arange(0, BLOCK)[:, None]
        value = _feature(plane, place // across * ROWS, place % across * COLS, bins[None, :], height, width, BINS, COLS)
        value = tl.where(place < places, value, float("-inf"))
        above = tl.maximum(top, tl.max(value, 0))
        total = total * tl.exp(top - above) + tl.sum(tl.exp(value - above[None, :]), 0)
        top = above
    at = sums + 2 * (channel * BINS + bins)
    tl.store(at, top, bins < BINS)
    tl.store(at + 1, total, bins < BINS)


@triton.jit
def transport(
    x: tl.tensor,
    y: tl.tensor,
    sums_x: tl.tensor,
    sums_y: tl.tensor,
    noise: tl.tensor,
    scales: tl.tensor,
    cost: tl.tensor,
    md: tl.tensor,
    l2: tl.tensor,
    count: tl.tensor,
    channels: tl.tensor,
    places: tl.tensor,
    across: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    strengths: tl.tensor,
    BINS: tl.constexpr,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
    RULE: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Fill ``cost (T + 1, windows)``, ``md`` and ``l2 (windows,)`` of all windows of all channels of all pairs.

    Row t of the cost is W_2^2 after noise ``(P, BINS)`` times ``scales[pair, t]`` was added to both sides. Grid: blocks
    of windows; programs that share the T + 1 strengths among them.
    """
    number = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live = number < count
    window = tl.minimum(number, count - 1)
    place = window % places
    channel = window // places
    pair = channel // channels
    row = place // across * ROWS
    col = place % across * COLS
    plane_x = x + channel.to(tl.int64) * (height * width)
    plane_y = y + channel.to(tl.int64) * (height * width)
    share_x = tl.load(sums_x + pair) if RULE == "share" else 0.0
    share_y = tl.load(sums_y + pair) if RULE == "share" else 0.0
    sums_x += channel * (2 * BINS)
    sums_y += channel * (2 * BINS)
    noise += place * BINS

    gap = tl.zeros([BLOCK], tl.float32)
    square = tl.zeros([BLOCK], tl.float32)
    differ = tl.zeros([BLOCK], tl.int32)
    for bin in range(BINS):
        value_x = _feature(plane_x, row, col, bin, height, width, BINS, COLS)
        value_y = _feature(plane_y, row, col, bin, height, width, BINS, COLS)
        mass_x = _mass(value_x, share_x, sums_x, bin, BINS, RULE)
        mass_y = _mass(value_y, share_y, sums_y, bin, BINS, RULE)
        square += (value_x - value_y) * (value_x - value_y)
        gap += (mass_x - mass_y) * (mass_x - mass_y)
        differ = tl.maximum(differ, (mass_x != mass_y).to(tl.int32))
    if tl.program_id(1) == 0:
        tl.store(md + number, tl.sqrt(gap), live)
        tl.store(l2 + number, square, live)

    # Where both sides are the same they stay the same under the same noise.
    any_differs = tl.max(differ, 0)
    far = tl.full([BLOCK], 1, tl.int64)
    for t in range(tl.program_id(1), strengths, tl.num_programs(1)):
        total = tl.zeros([BLOCK], tl.float64)
        if any_differs > 0:
            scale = tl.load(scales + pair * strengths + t)
            total = _walk(
                plane_x,
                plane_y,
                share_x,
                share_y,
                sums_x,
                sums_y,
                noise,
                scale,
                row,
                col,
                height,
                width,
                BINS,
                COLS,
                RULE,
                BLOCK,
            )
        tl.store(cost + (far * t * count + number), total, live)


@triton.jit
def potential(
    x: tl.tensor,
    y: tl.tensor,
    sums_x: tl.tensor,
    sums_y: tl.tensor,
    by_ot: tl.tensor,
    by_md: tl.tensor,
    out: tl.tensor,
    count: tl.tensor,
    channels: tl.tensor,
    places: tl.tensor,
    across: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    BINS: tl.constexpr,
    WIDE: tl.constexpr,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
    RULE: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Fill ``out (windows, BINS)`` with the derivative by the masses of x, given those by ``ot`` and ``md (windows,)``.

    By mass k the cost has the derivative sum over k <= i < n-1 of ``(below_i + upto_i - 2 i - 1)``: the numbers of
    y's bins that end below, and not above, the end of bin i of x. Where both sides agree it is 0. Grid: blocks of
    windows. WIDE is the power of two at or above BINS.
    """
    number = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    window = tl.minimum(number, count - 1)
    place = window % places
    channel = window // places
    row = place // across * ROWS
    col = place % across * COLS
    plane_x = x + channel.to(tl.int64) * (height * width)
    plane_y = y + channel.to(tl.int64) * (height * width)
    share_x = tl.load(sums_x + channel // channels) if RULE == "share" else 0.0
    share_y = tl.load(sums_y + channel // channels) if RULE == "share" else 0.0
    sums_x += channel * (2 * BINS)
    sums_y += channel * (2 * BINS)

    bins = tl.arange(0, WIDE)[None, :]
    ends = tl.full([BLOCK, WIDE], float("inf"), tl.float64)
    apart = tl.zeros([BLOCK, WIDE], tl.float32)
    square = tl.zeros([BLOCK], tl.float32)
    end = tl.zeros([BLOCK], tl.float64)
    for bin in range(BINS):
        value_x = _feature(plane_x, row, col, bin, height, width, BINS, COLS)
        value_y = _feature(plane_y, row, col, bin, height, width, BINS, COLS)
        mass_x = _mass(value_x, share_x, sums_x, bin, BINS, RULE)
        gap = mass_x - _mass(value_y, share_y, sums_y, bin, BINS, RULE)
        end += mass_x.to(tl.float64)
        ends = tl.where(bins == bin, end[:, None], ends)
        apart = tl.where(bins == bin, gap[:, None], apart)
        square += gap * gap
    ranks = tl.zeros([BLOCK, WIDE], tl.int32)
    end = tl.zeros([BLOCK], tl.float64)
    for bin in range(BINS - 1):
        value_y = _feature(plane_y, row, col, bin, height, width, BINS, COLS)
        end += _mass(value_y, share_y, sums_y, bin, BINS, RULE).to(tl.float64)
        ranks += (end[:, None] < ends).to(tl.int32) + (end[:, None] <= ends).to(tl.int32)
    slope = tl.where(bins < BINS - 1, ranks - 2 * bins - 1, 0)
    rest = tl.sum(slope, 1)[:, None] - tl.cumsum(slope, 1) + slope
    unit = tl.where(square > 0, tl.load(by_md + window) / tl.sqrt(tl.where(square > 0, square, 1.0)), 0.0)
    made = tl.load(by_ot + window)[:, None] * rest.to(tl.float32) + unit[:, None] * apart
    at = out + number[:, None].to(tl.int64) * BINS + bins
    tl.store(at, made, (number[:, None] < count) & (bins < BINS))
