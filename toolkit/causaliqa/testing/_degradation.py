"""Contract of a degradation."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor

from causaliqa.api.protocols import Degradation
from causaliqa.api.specs import DegradationSpec
from causaliqa.testing._common import AnySubject, check_repeats, photo, subject

__all__ = ["check_degradation"]

_PLACES = tuple((y, x) for y in range(0, 96, 24) for x in range(0, 120, 24))
"""Positions of patches, multiples of every usual scale."""
_SIDE = 24
_MEAN = 0.05
"""Largest difference of mean brightness between patches and image."""
_EDGES = 1.6
"""Largest ratio of their mean gradients, which borders of patches raise."""


def check_degradation(degradation: str | DegradationSpec, **options: Any) -> None:
    """Check that a degradation treats an image and a patch in place alike, reproducibly from a seed.

    Clauses: import, scale, output, range, determinism, input, seam. "seam" degrades the image's own patches in place:
    the result must look like the degraded image there.

    Args:
        degradation: name of an installed degradation, or a spec.
        options: options to build it with.

    Raises:
        ContractError: a clause is broken; the message gives the clause and a remedy.

    Example:
        >>> check_degradation("sr", scale=2)
    """
    made = subject(degradation, DegradationSpec)
    spec = made.spec
    built = made.catalog.create(DegradationSpec, made.name, **options)
    scale = getattr(built, "scale", None)
    if not isinstance(scale, int) or scale < 1 or (scale != spec.scale and "scale" not in options):
        made.fail("scale", f"the object says {scale!r}, the record {spec.scale}; expected one whole number, 1 or more")
    for height, width in ((96, 120), (50, 61)):
        _check_image(made, built, photo(height, width)[0])
    _check_seam(made, built, photo(96, 120)[0])


def _check_image(made: AnySubject, built: Degradation, img: Tensor) -> None:
    degraded = check_repeats(made, lambda: built.degrade(img, 7), img, what="one seed gives different images")
    height, width = img.shape[1:]
    _check_values(made, degraded, (3, height // built.scale, width // built.scale))


def _placed(built: Degradation, img: Tensor, y: int, x: int, patch: Tensor) -> Tensor:
    return built.patch_in_place(img, y, x, patch, seed=7, generator=Generator().manual_seed(5))


def _check_seam(made: AnySubject, built: Degradation, img: Tensor) -> None:
    degraded = built.degrade(img, 7)
    small = _SIDE // built.scale
    own, there = [], []
    for y, x in _PLACES:
        patch = img[None, :, y : y + _SIDE, x : x + _SIDE].repeat(3, 1, 1, 1)
        call = partial(_placed, built, img, y, x, patch)
        got = check_repeats(made, call, img, patch, what="one seed and generator state give different patches")
        _check_values(made, got, (3, 3, small, small))
        own.append(got)
        top, left = y // built.scale, x // built.scale
        there.append(degraded[None, :, top : top + small, left : left + small])
    patches, places = torch.cat(own).double(), torch.cat(there).double()
    gap = abs(float(patches.mean() - places.mean()))
    edges = [float(v.diff(dim=-1).abs().mean() + v.diff(dim=-2).abs().mean()) + 1e-6 for v in (patches, places)]
    if gap > _MEAN or max(edges) / min(edges) > _EDGES:
        made.fail(
            "seam",
            f"the image's own patches come out unlike the image (brightness {gap:.2g} off, edges {edges[0]:.2g} "
            f"against {edges[1]:.2g}); degrade patches in patch_in_place as degrade does the image",
        )


def _check_values(made: AnySubject, got: Any, expected: tuple[int, ...]) -> None:
    if not isinstance(got, Tensor) or tuple(got.shape) != expected or not got.is_floating_point():
        found = f"{tuple(got.shape)} {got.dtype}" if isinstance(got, Tensor) else type(got).__name__
        made.fail("output", f"got {found}, expected floats of shape {expected}")
    if not bool(got.isfinite().all()) or float(got.min()) < 0 or float(got.max()) > 1:
        made.fail("range", f"values from {float(got.min()):.3g} to {float(got.max()):.3g}, expected [0, 1]; clip them")
