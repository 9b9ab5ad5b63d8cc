"""The patches of an image, and which of them lie outside the region of interest."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass

from causaliqa.api.data import ROI
from causaliqa.api.errors import InputError

__all__ = ["Box", "Grid", "RoiLike", "as_roi"]

RoiLike = ROI | str | Sequence[int]
"""A region of interest: ``ROI``, four whole numbers, or the text ``"x,y,width,height"``."""


def as_roi(roi: RoiLike) -> ROI:
    """Return a region of interest from whatever describes it.

    Raises:
        InputError: it is not four whole numbers.

    Example:
        >>> as_roi("96,152,32,32") == as_roi((96, 152, 32, 32)) == ROI(96, 152, 32, 32)
        True
    """
    if isinstance(roi, ROI):
        return roi
    if isinstance(roi, str):
        return ROI.parse(roi)
    try:
        x, y, width, height = (operator.index(value) for value in roi)
    except (TypeError, ValueError) as error:
        raise InputError(f"roi: got {roi!r}, expected four whole numbers (x, y, width, height)") from error
    return ROI(x, y, width, height)


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels: rows ``top`` to ``bottom`` - 1, columns ``left`` to ``right`` - 1.

    Example:
        >>> Box(0, 0, 4, 8).grow(2, Box(0, 0, 16, 9))
        Box(top=0, left=0, bottom=6, right=9)
    """

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    def grow(self, by: int, limit: Box) -> Box:
        """Grow on all sides, but not beyond ``limit``."""
        return Box(
            max(self.top - by, limit.top),
            max(self.left - by, limit.left),
            min(self.bottom + by, limit.bottom),
            min(self.right + by, limit.right),
        )

    def overlaps(self, other: Box) -> bool:
        """Say whether the two share a pixel."""
        return (
            self.top < other.bottom and other.top < self.bottom and self.left < other.right and other.left < self.right
        )

    def meet(self, other: Box) -> Box:
        """Return the part that both share; they must overlap."""
        return Box(
            max(self.top, other.top),
            max(self.left, other.left),
            min(self.bottom, other.bottom),
            min(self.right, other.right),
        )

    def seen_from(self, corner: Box) -> Box:
        """Return the same rectangle, counted from the top left corner of another."""
        return Box(self.top - corner.top, self.left - corner.left, self.bottom - corner.top, self.right - corner.left)

    def scaled(self, scale: int) -> Box:
        """Return the same rectangle on a grid that is ``scale`` times finer."""
        return Box(self.top * scale, self.left * scale, self.bottom * scale, self.right * scale)

    def shrunk(self, scale: int) -> Box:
        """Return the smallest rectangle on a grid ``scale`` times coarser that holds all of it."""
        return Box(self.top // scale, self.left // scale, -(-self.bottom // scale), -(-self.right // scale))


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The patches of an output of ``height`` x ``width`` pixels, row by row; the last ones may be partial.

    Raises:
        InputError: patch size, region or image do not fit each other.

    Example:
        >>> grid = Grid(height=256, width=256, patch_size=8, roi=ROI(96, 152, 32, 32), scale=4)
        >>> grid.rows, grid.cols, len(grid.outside)
        (32, 32, 1008)
    """

    height: int
    width: int
    patch_size: int
    roi: ROI
    scale: int = 1

    def __post_init__(self) -> None:
        size, roi = self.patch_size, self.roi
        if size < 1 or size % self.scale:
            raise InputError(f"patch size: got {size}, expected a multiple of the scale {self.scale}, in output pixels")
        if min(self.height, self.width) < size:
            raise InputError(
                f"image of {self.width} x {self.height} is smaller than a patch of {size} x {size}; "
                "use a larger image or a smaller patch"
            )
        if min(roi.width, roi.height) < size:
            raise InputError(f"roi {roi} is smaller than a patch of {size} x {size}; use a larger roi")
        if roi.x < 0 or roi.y < 0 or roi.x + roi.width > self.width or roi.y + roi.height > self.height:
            raise InputError(
                f"roi {roi} (X,Y,W,H) reaches outside the output of {self.width} x {self.height} pixels; "
                "choose one inside"
            )

    @property
    def rows(self) -> int:
        """Rows of patches."""
        return -(-self.height // self.patch_size)

    @property
    def cols(self) -> int:
        """Columns of patches."""
        return -(-self.width // self.patch_size)

    @property
    def region(self) -> Box:
        """The region of interest in output pixels."""
        roi = self.roi
        return Box(roi.y, roi.x, roi.y + roi.height, roi.x + roi.width)

    def box(self, patch: int) -> Box:
        """Return the output pixels of a patch."""
        row, col = divmod(patch, self.cols)
        top, left = row * self.patch_size, col * self.patch_size
        return Box(top, left, min(top + self.patch_size, self.height), min(left + self.patch_size, self.width))

    @property
    def outside(self) -> tuple[int, ...]:
        """Patches that share no pixel with the region of interest; only they have an effect."""
        region = self.region
        return tuple(p for p in range(self.rows * self.cols) if not self.box(p).overlaps(region))
