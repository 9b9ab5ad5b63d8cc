"""Restoration in tiles with overlap, for images whose activations do not fit into memory.

The overlap is computed and thrown away. If it is at least the receptive radius of the network, and the tiles begin at
multiples of its strides and windows, the output is that of the whole image. Both are measured, not assumed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from causaliqa.api.errors import InputError
from causaliqa.effects.black_box import BlackBox
from causaliqa.effects.grid import Box
from causaliqa.effects.receptive_field import ALIGNMENTS, ROUNDING, probe
from causaliqa.utils.memory import PeakMemory

__all__ = ["Tiling", "choose_tiling", "fitting_side", "middle", "pixel_memory", "receptive_radius", "restored"]

_PROBED = 256
"""Side in input pixels of the part of an image on which the network is probed."""
_REGION = 32
"""Side of the region whose receptive field is measured: no smaller than common strides and windows."""
_MEASURED = 192
"""Side of the input on which memory is measured."""
_SHARE = 0.6
"""Share of the free memory that one inference may take."""


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """How an image is divided, in input pixels.

    Raises:
        InputError: the overlaps leave nothing of a tile.

    Example:
        >>> [(tile.left, tile.right, core.left, core.right) for tile, core in Tiling(side=40, overlap=8).tiles(40, 64)]
        [(0, 30, 0, 22), (14, 52, 22, 44), (36, 64, 44, 64)]
    """

    side: int
    """Most rows and columns that the network sees at once, overlap included."""
    overlap: int
    """Rows and columns on each side of a tile whose output is not used."""
    multiple: int = 1
    """Tiles begin at multiples of it."""

    def __post_init__(self) -> None:
        if self.overlap < 0 or self._step < 1:
            raise InputError(
                f"tile: got {self.side} pixels and an overlap of {self.overlap}, expected a tile of more than twice "
                f"the overlap and {self.multiple} pixels; pass larger tiles or a smaller overlap"
            )

    @property
    def _step(self) -> int:
        return (self.side - 2 * self.overlap) // self.multiple * self.multiple

    def tiles(self, height: int, width: int) -> list[tuple[Box, Box]]:
        """Return what the network sees, and the part of it that is kept, of every tile, row by row."""
        everything = Box(0, 0, height, width)
        rows, columns = list(self._cuts(height)), list(self._cuts(width))
        cores = [Box(top, left, bottom, right) for top, bottom in rows for left, right in columns]
        return [(core.grow(self.overlap, everything), core) for core in cores]

    def _cuts(self, length: int) -> Iterator[tuple[int, int]]:
        """Divide an axis evenly."""
        count = 1 if length <= self.side else math.ceil(length / self._step)
        each = math.ceil(length / count / self.multiple) * self.multiple
        for start in range(0, length, each):
            yield start, min(start + each, length)


def restored(
    network: BlackBox, img: Tensor, tiling: Tiling | None = None, seen: Callable[[int, int], None] | None = None
) -> Tensor:
    """Restore one image, whole or in tiles.

    Args:
        network: the black box.
        img: input ``(3, h, w)`` in [0, 1].
        tiling: None restores the whole image at once.
        seen: called with the tiles done and all tiles.

    Returns:
        Output ``(3, s h, s w)`` on the CPU, not clipped.

    Example:
        >>> blur, img = BlackBox(torch.nn.AvgPool2d(5, 1, 2), 1), torch.rand(3, 50, 70)
        >>> bool((restored(blur, img, Tiling(side=24, overlap=2)) - restored(blur, img)).abs().max() < 1e-6)
        True
    """
    height, width = img.shape[-2:]
    if tiling is None:
        return _part(network, img, Box(0, 0, height, width), Box(0, 0, height, width))
    out = torch.empty(3, height * network.scale, width * network.scale)
    tiles = tiling.tiles(height, width)
    for done, (tile, core) in enumerate(tiles, 1):
        at = core.scaled(network.scale)
        out[:, at.top : at.bottom, at.left : at.right] = _part(network, img, tile, core)
        if seen is not None:
            seen(done, len(tiles))
    return out


def _part(network: BlackBox, img: Tensor, tile: Box, core: Box) -> Tensor:
    """Return the output at ``core``, computed from the input in ``tile``."""
    scale = network.scale
    top, left = (core.top - tile.top) * scale, (core.left - tile.left) * scale
    bottom, right = top + core.height * scale, left + core.width * scale
    seen = img[None, :, tile.top : tile.bottom, tile.left : tile.right]
    return network.crop(seen, lambda out: out[..., top:bottom, left:right])[0]


def receptive_radius(network: BlackBox, img: Tensor) -> int | None:
    """Return how many input pixels beyond a region its output depends on; None if on all that was probed.

    Args:
        network: the black box.
        img: input ``(3, h, w)``; its middle, at most 256 pixels wide, is probed.

    Example:
        >>> receptive_radius(BlackBox(torch.nn.AvgPool2d(9, 1, 4), 1), torch.rand(3, 300, 300))
        4
    """
    part = middle(img, _PROBED)
    height, width = part.shape[-2:]
    top, left = (max(0, (side - _REGION) // 2 // _REGION * _REGION) for side in (height, width))
    region = Box(top, left, min(height, top + _REGION), min(width, left + _REGION))
    reach = probe(network, part, region.scaled(network.scale)).support
    if reach == Box(0, 0, height, width):
        return None
    before = max(region.top - reach.top, region.left - reach.left)
    return max(before, reach.bottom - region.bottom, reach.right - region.right)


def choose_tiling(
    network: BlackBox, img: Tensor, side: int, overlap: int | None = None, *, whole: bool = False
) -> tuple[Tiling, float]:
    """Return a tiling under which the output changes least, and by how much it changes.

    Tiles that begin at multiples of 1, 8, 16, 32 and 64 are tried in turn, until one changes nothing.

    Args:
        network: the black box.
        img: input ``(3, h, w)``, larger than a tile.
        side: of a tile, in input pixels.
        overlap: by default the receptive radius, at most three eighths of the side.
        whole: compare with the output of the whole image; otherwise a tile is compared with a smaller one inside it,
            which takes no more memory than a tile.

    Returns:
        The tiling, and the largest difference of one tile's output, clipped to [0, 1].

    Raises:
        InputError: the overlaps leave nothing of a tile.
    """
    most = 3 * side // 8
    if overlap is None:
        radius = receptive_radius(network, img)
        overlap = most if radius is None else min(radius, most)
    truth = restored(network, img) if whole else None
    best = Tiling(side=side, overlap=overlap)
    least = _difference(network, img, best, truth)
    for multiple in ALIGNMENTS[1:]:
        wide = math.ceil(overlap / multiple) * multiple
        if least <= ROUNDING or side - 2 * wide < multiple:
            break
        tiling = Tiling(side=side, overlap=wide, multiple=multiple)
        found = _difference(network, img, tiling, truth)
        if found < least:
            best, least = tiling, found
    return best, least


def _difference(network: BlackBox, img: Tensor, tiling: Tiling, truth: Tensor | None) -> float:
    """Return how much the output of one tile depends on what lies beyond it."""
    tiles = tiling.tiles(*img.shape[-2:])
    tile, core = tiles[len(tiles) // 2]
    if truth is not None:
        at = core.scaled(network.scale)
        expected = truth[:, at.top : at.bottom, at.left : at.right]
    else:
        larger, multiple = tile, tiling.multiple
        # Half a tile in the middle of the tile, with the same overlap around it.
        rows, columns = (max(1, n // 4 // multiple) * multiple for n in (core.height, core.width))
        core = Box(core.top + rows, core.left + columns, core.bottom - rows, core.right - columns)
        if core.height < 1 or core.width < 1:
            raise InputError(
                f"tile: got {tiling.side} pixels and an overlap of {tiling.overlap}, expected larger tiles"
            )
        tile = core.grow(tiling.overlap, larger)
        expected = _part(network, img, larger, core)
    found = _part(network, img, tile, core)
    return float((found.clamp(0, 1) - expected.clamp(0, 1)).nan_to_num().abs().max())


def pixel_memory(network: BlackBox, img: Tensor) -> float:
    """Return the bytes that one inference takes per pixel of its input, measured on a small part of an image.

    Args:
        network: the black box; it has seen an image before.
        img: input ``(3, h, w)``.
    """
    part = middle(img, _MEASURED)
    with PeakMemory(str(network.device)) as peak:
        network(part[None])
    # At least input and output themselves, on the device and on the CPU.
    least = 4 * 3 * 2 * (1 + network.scale**2)
    return max(least, (peak.growth or 0) / (part.shape[-2] * part.shape[-1]))


def fitting_side(free: float, each: float, height: int, width: int) -> int | None:
    """Return the side of the largest tile that fits into 60 % of the free memory; None if the whole image does.

    Args:
        free: bytes of free memory.
        each: bytes per pixel of the input, see :func:`pixel_memory`.
        height: rows of the input.
        width: columns.

    Example:
        >>> fitting_side(2**30, 1000, 500, 500), fitting_side(2**30, 1000, 5000, 5000)
        (None, 768)
    """
    fitting = _SHARE * free / each
    return None if height * width <= fitting else max(64, math.isqrt(int(fitting)) // 64 * 64)


def middle(img: Tensor, side: int) -> Tensor:
    """Return the middle of an image, at most ``side`` pixels wide and high, sides multiples of 64 where it is larger.

    Example:
        >>> middle(torch.zeros(3, 500, 100), 256).shape
        torch.Size([3, 256, 64])
    """
    parts = []
    for length in img.shape[-2:]:
        size = min(side, length // 64 * 64) or length
        start = (length - size) // 2
        parts.append(slice(start, start + size))
    return img[:, parts[0], parts[1]]
