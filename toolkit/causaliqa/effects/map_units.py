"""The maps of a run: images by name, their regions of interest, given or proposed, and the folders of the maps."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from causaliqa.api.data import ROI
from causaliqa.api.errors import InputError
from causaliqa.catalog.request import parse_request
from causaliqa.effects.grid import RoiLike, as_roi

if TYPE_CHECKING:
    from causaliqa.effects.settings import ImageLike

__all__ = ["MapUnit", "map_units", "one_region", "regions_of"]

_AUTO = "auto"
_SIDE = 32
"""Side of a proposed region in output pixels, that of the paper."""


@dataclass(frozen=True, kw_only=True)
class MapUnit:
    """One map to make."""

    image: ImageLike = field(compare=False)
    """Ground truth."""
    name: str
    """What tables and pictures call the image."""
    roi: ROI
    """Region of interest."""
    folder: Path | None
    """Folder that the map is written to, and resumed from; None writes nothing."""


def map_units(
    images: Sequence[ImageLike],
    regions: Sequence[RoiLike],
    out: str | os.PathLike[str] | None = None,
    *,
    patch_size: int = 8,
    nested: bool | None = None,
) -> list[MapUnit]:
    """Return the maps of images and regions, all regions of the first image, then of the next.

    Args:
        images: ground truths.
        regions: regions of interest; ``"auto[:count=N,size=S]"`` proposes some of every image.
        out: folder of the maps.
        patch_size: proposed regions begin at multiples of it.
        nested: give every image a folder of its own in ``out``; by default if there are several.

    Raises:
        InputError: there is no image or region, two images would share a folder, or none can be proposed.
    """
    if not images or not regions:
        raise InputError("images and regions: got none, expected at least one of each")
    paths = [Path(image) if isinstance(image, str | os.PathLike) else None for image in images]
    several = len(images) > 1
    names = [
        (path.name, path.stem) if path else (f"image-{number}",) * 2 if several else ("image",) * 2
        for number, path in enumerate(paths, 1)
    ]
    if out is not None:
        _check_folders(Path(out), paths, [stem for _, stem in names])
    found = []
    for image, path, (name, stem) in zip(images, paths, names, strict=True):
        there = [roi for region in regions for roi in regions_of(path or image, region, patch_size)]
        for roi in (distinct := list(dict.fromkeys(there))):
            folder = Path(out) if out is not None else None
            folder = folder / stem if folder and (several if nested is None else nested) else folder
            folder = folder / f"roi-{str(roi).replace(',', '-')}" if folder and len(distinct) > 1 else folder
            found.append(MapUnit(image=path or image, name=name, roi=roi, folder=folder))
    return found


def _check_folders(out: Path, paths: Sequence[Path | None], stems: list[str]) -> None:
    double = [path for path, stem in zip(paths, stems, strict=True) if stems.count(stem) > 1]
    if double:
        where = out / stems[paths.index(double[0])]
        raise InputError(f"cem: {double[0]} and {double[1]} would both be written to {where}; rename one")


def regions_of(image: ImageLike, region: RoiLike, patch_size: int = 8) -> list[ROI]:
    """Return the region, or those that are proposed for an image by its texture.

    Args:
        image: ground truth.
        region: four whole numbers in any form, or ``"auto[:count=N,size=S]"``: the N windows of S x S output pixels
            (1 and 32 by default) of :func:`causaliqa.functional.texture.textured_windows`.
        patch_size: the grid that they stand on.

    Raises:
        InputError: the region is neither, or the image has no room for one.

    Example:
        >>> import torch
        >>> regions_of(torch.zeros(3, 96, 96), "8,8,16,16"), regions_of(torch.zeros(3, 96, 96), "auto:size=16")
        ([ROI(x=8, y=8, width=16, height=16)], [ROI(x=16, y=16, width=16, height=16)])
    """
    if not isinstance(region, str) or not region.startswith(_AUTO):
        return [as_roi(region)]
    name, options = parse_request(region)
    given = {"count": 1, "size": _SIDE, **options}
    numbers = all(isinstance(value, int) and value >= 1 for value in given.values())
    if name != _AUTO or set(given) != {"count", "size"} or not numbers:
        raise InputError(f"roi: got {region!r}, expected X,Y,W,H or auto[:count=N,size=S] with whole numbers above 0")
    from causaliqa.functional.texture import textured_windows
    from causaliqa.io.images import as_image

    size = given["size"]
    clean = as_image(image)[0].cpu()
    corners = textured_windows(clean, size=size, count=given["count"], step=patch_size)
    if not corners:
        raise InputError(
            f"roi {region}: an image of {clean.shape[2]} x {clean.shape[1]} has no room for {size} x {size}"
        )
    return [ROI(x, y, size, size) for x, y in corners]


def one_region(image: ImageLike, region: RoiLike, patch_size: int = 8) -> ROI:
    """Return the region where only one is possible; see :func:`regions_of`.

    Raises:
        InputError: several are asked for, or none can be proposed.
    """
    found = regions_of(image, region, patch_size)
    if len(found) > 1:
        raise InputError(f"roi: got {region!r}, which asks for {len(found)} regions, expected one")
    return found[0]
