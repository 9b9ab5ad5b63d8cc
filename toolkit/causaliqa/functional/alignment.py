"""Shifts between two images: found to a tenth of a pixel, and undone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from causaliqa.api.errors import InputError

__all__ = ["find_shift", "undo_shift"]

Array = NDArray[np.float64]

_WHOLE = 0.05
"""Shifts so near to whole pixels are taken for whole ones, which need no interpolation."""


def find_shift(img: Array, ref: Array, limit: int) -> tuple[float, float]:
    """Return how far the content of an image lies below and to the right of that of its reference.

    The whole pixel with the smallest variance of the difference is searched among all of them, then refined by
    interpolating the image with cubic splines. A difference of brightness does not matter.

    Args:
        img: gray image ``(H, W)``.
        ref: reference ``(H, W)``.
        limit: largest shift that is looked for, in pixels of either direction.

    Returns:
        Rows and columns; ``(0.0, 0.0)`` where the image is constant.

    Raises:
        InputError: the shapes differ, or less than 8 pixels would be left.

    Example:
        >>> ref = np.random.default_rng(0).normal(size=(40, 40)).cumsum(0).cumsum(1)
        >>> find_shift(np.roll(ref, (2, -1), (0, 1)), ref, 3)
        (2.0, -1.0)
    """
    if img.shape != ref.shape or img.ndim != 2 or min(img.shape) < 2 * limit + 10 or limit < 1:
        raise InputError(
            f"align: got {img.shape}, {ref.shape} and {limit} px, expected equal sizes of {2 * limit + 10} px"
        )
    steps = range(-limit, limit + 1)
    costs = {(y, x): _difference(img, ref, y, x, limit) for y in steps for x in steps}
    # Among equal costs the smallest shift.
    best = min(costs, key=lambda at: (round(costs[at], 12), at[0] ** 2 + at[1] ** 2))
    return _refined(img, ref, best, limit)


def _difference(img: Array, ref: Array, y: int, x: int, limit: int) -> float:
    """Variance of the difference without the border that a shift may move out."""
    height, width = ref.shape
    inner = img[limit + y : height - limit + y, limit + x : width - limit + x]
    return float(np.var(inner - ref[limit : height - limit, limit : width - limit]))


def _refined(img: Array, ref: Array, start: tuple[int, int], limit: int) -> tuple[float, float]:
    from scipy import ndimage, optimize

    margin = limit + 2
    inner = (slice(margin, -margin), slice(margin, -margin))
    spline = ndimage.spline_filter(img, order=3)

    def cost(shift: Any) -> float:
        moved = ndimage.shift(spline, -np.asarray(shift), order=3, prefilter=False, mode="nearest")
        return float(np.var(moved[inner] - ref[inner]))

    bounds = [(max(-limit, s - 1), min(limit, s + 1)) for s in start]
    found = optimize.minimize(cost, start, method="Nelder-Mead", bounds=bounds, options={"xatol": 0.005, "fatol": 0})
    rows, columns = found.x if found.fun < cost(start) else start
    return tuple(float(round(s) if abs(s - round(s)) < _WHOLE else s) for s in (rows, columns))  # type: ignore[return-value]


def undo_shift(img: Array, ref: Array, shift: tuple[float, float]) -> tuple[Array, Array]:
    """Return both images without the border that the other one lacks, the image moved onto the reference.

    Whole pixels are cut off, parts of a pixel are interpolated with cubic splines, which costs two more pixels.

    Args:
        img: image ``(C, H, W)``.
        ref: reference ``(C, H, W)``.
        shift: as :func:`find_shift` returns it.

    Example:
        >>> ref = np.arange(144.0).reshape(1, 12, 12)
        >>> one, other = undo_shift(np.roll(ref, (2, -1), (1, 2)), ref, (2.0, -1.0))
        >>> one.shape, bool((one == other).all())
        ((1, 10, 11), True)
    """
    from scipy import ndimage

    whole = [round(s) for s in shift]
    parts = [s - w for s, w in zip(shift, whole, strict=True)]
    ours, theirs = [slice(None)], [slice(None)]
    for step, part in zip(whole, parts, strict=True):
        extra = 2 if part else 0
        ours.append(slice(max(step, 0) + extra, _end(min(step, 0) - extra)))
        theirs.append(slice(max(-step, 0) + extra, _end(min(-step, 0) - extra)))
    if any(parts):
        img = np.stack([ndimage.shift(channel, [-p for p in parts], order=3, mode="nearest") for channel in img])
    return img[tuple(ours)], ref[tuple(theirs)]


def _end(back: int) -> int | None:
    return back if back < 0 else None
