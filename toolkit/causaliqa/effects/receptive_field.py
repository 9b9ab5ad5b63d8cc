"""Receptive field of a region of the output, found by probing the network as a black box.

If NaN outside a rectangle leaves the region finite, nothing outside matters, provided that every operator propagates
NaN. This is checked: random content outside must not change the region either. A crop of the input is used only if it
gives the output of the whole input.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from causaliqa.effects.black_box import BlackBox, NetworkError
from causaliqa.effects.grid import Box
from causaliqa.functional.degrade import generator_for

__all__ = ["ALIGNMENTS", "ROUNDING", "Reach", "probe", "whole"]

ROUNDING = 1e-5
"""Largest difference of outputs in [0, 1] that counts as rounding: 1/400 of a gray level."""

ALIGNMENTS = (1, 8, 16, 32, 64)
"""Multiples that a crop is aligned to in turn, for networks that pool or attend in windows."""


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Receptive field of the region of interest."""

    support: Box
    """Input pixels outside of it have no influence on the region."""
    crop: Box
    """Part of the input that is enough to compute the region; the whole input where no smaller part is."""
    probes: int
    """Inferences on the whole input made to find it."""
    note: str
    """The result in words."""


def whole(img: Tensor, note: str, probes: int = 0) -> Reach:
    """Return the receptive field that prunes nothing: the whole image."""
    box = Box(0, 0, *img.shape[-2:])
    return Reach(support=box, crop=box, probes=probes, note=note)


def probe(network: BlackBox, img: Tensor, region: Box, *, seed: int = 0) -> Reach:
    """Find the receptive field of a region of the output.

    Args:
        network: the black box.
        img: degraded input ``(3, h, w)``.
        region: rectangle of the output, in output pixels.
        seed: seed of the random content.

    Returns:
        The smallest rectangles that passed every test; the whole image where one failed.

    Example:
        >>> blur = torch.nn.AvgPool2d(5, stride=1, padding=2)
        >>> reach = probe(BlackBox(blur, 1), torch.rand(3, 64, 64), Box(20, 20, 28, 28))
        >>> reach.support == reach.crop == Box(18, 18, 30, 30)
        True
    """
    before = network.inferences
    everything = Box(0, 0, *img.shape[-2:])
    inner = region.shrunk(network.scale)

    def looked_at(x: Tensor) -> Tensor:
        return network.crop(x[None], _cut(region))[0]

    def clean(box: Box) -> bool:
        return bool(looked_at(_outside(img, box, torch.full_like(img, torch.nan))).isfinite().all())

    def used() -> int:
        return network.inferences - before

    try:
        support = _tighten(_smallest_growth(inner, everything, clean), inner, clean)
    except NetworkError as error:
        return whole(img, f"the network does not take NaN ({type(error.__cause__).__name__}); full grid", used())
    if support == everything:
        return whole(img, "every part of the image can reach the region; full grid", used())
    truth = looked_at(img)
    for k, other in enumerate(_contents(img, seed)):
        if not _same(looked_at(_outside(img, support, other)), truth):
            return whole(img, f"NaN stayed away from the region but random content {k} did not; full grid", used())
    crop = _sufficient_crop(network, (img, *_contents(img, seed)), support, region)
    if crop == everything:
        note = f"reach {_margins(inner, support)} pixels; no part of the input gives the same output, full image"
    else:
        note = f"reach {_margins(inner, support)} pixels; runs on {crop.width} x {crop.height}"
    return Reach(support=support, crop=crop, probes=used(), note=note)


def _cut(box: Box) -> Callable[[Tensor], Tensor]:
    return lambda out: out[..., box.top : box.bottom, box.left : box.right]


def _outside(img: Tensor, box: Box, other: Tensor) -> Tensor:
    """Replace everything outside a rectangle."""
    mixed = other.clone()
    mixed[:, box.top : box.bottom, box.left : box.right] = img[:, box.top : box.bottom, box.left : box.right]
    return mixed


def _contents(img: Tensor, seed: int) -> tuple[Tensor, ...]:
    """Random content: white noise, and the image upside down."""
    noise = torch.rand(img.shape, generator=generator_for(seed, 1, 1))
    return noise.to(img), img.flip(1, 2)


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool(((a - b).abs() <= ROUNDING).all())


def _smallest_growth(inner: Box, everything: Box, clean: Callable[[Box], bool]) -> Box:
    """Grow ``inner`` evenly until nothing outside matters, by bisection; the whole image always passes."""
    most = max(inner.top, inner.left, everything.bottom - inner.bottom, everything.right - inner.right)
    # A global network is found with one probe: its region depends on the outermost pixels.
    low, high = (-1, most - 1) if most and clean(inner.grow(most - 1, everything)) else (most - 1, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if clean(inner.grow(middle, everything)) else (middle, high)
    return inner.grow(high, everything)


def _tighten(box: Box, inner: Box, clean: Callable[[Box], bool]) -> Box:
    """Move each side inwards as far as it stays clean."""
    sides = {"top": inner.top, "left": inner.left, "bottom": inner.bottom, "right": inner.right}
    for side, limit in sides.items():
        start = getattr(box, side)
        step = 1 if limit > start else -1
        good, bad = 0, abs(limit - start) + 1

        def moved(by: int, side: str = side, start: int = start, step: int = step, box: Box = box) -> Box:
            return Box(**{**vars(box), side: start + step * by})

        if bad > 1 and not clean(moved(1)):
            continue
        while bad - good > 1:
            middle = (good + bad) // 2
            good, bad = (middle, bad) if clean(moved(middle)) else (good, middle)
        box = moved(good)
    return box


def _sufficient_crop(network: BlackBox, images: tuple[Tensor, ...], support: Box, region: Box) -> Box:
    """Return the smallest tried crop that gives the same region as the whole input, on several inputs."""
    everything = Box(0, 0, *images[0].shape[-2:])
    truths = [network.crop(x[None], _cut(region))[0] for x in images]
    tried = set()
    for multiple in ALIGNMENTS:
        crop = Box(
            support.top // multiple * multiple,
            support.left // multiple * multiple,
            min(-(-support.bottom // multiple) * multiple, everything.bottom),
            min(-(-support.right // multiple) * multiple, everything.right),
        )
        if crop == everything or crop in tried:
            continue
        tried.add(crop)
        if all(_same(_on_crop(network, x, crop, region), y) for x, y in zip(images, truths, strict=True)):
            return crop
    return everything


def _on_crop(network: BlackBox, img: Tensor, crop: Box, region: Box) -> Tensor:
    """Return the region of the output, computed from a part of the input; empty if the network refuses its size."""
    part = img[:, crop.top : crop.bottom, crop.left : crop.right]
    local = region.seen_from(crop.scaled(network.scale))
    try:
        return network.crop(part[None], _cut(local))[0]
    except (RuntimeError, ValueError):
        return torch.empty(0)


def _margins(inner: Box, box: Box) -> int:
    """Return how far the rectangle reaches beyond the region, in input pixels."""
    return max(inner.top - box.top, inner.left - box.left, box.bottom - inner.bottom, box.right - inner.right)
