"""What is done to a pair of images before it is scored: encoded, resized, aligned, cropped, reduced to luma, masked."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from causaliqa.api.data import ROI
from causaliqa.api.errors import ImageError, InputError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["AS_THEY_ARE", "CHANNELS", "ENCODINGS", "FILTERS", "Preparation"]

CHANNELS = ("rgb", "y", "each")
"""All channels together, luma alone, or each channel as a gray image."""
ENCODINGS = ("pu21", "pq")
"""What images of high dynamic range hold: linear light, or values of the perceptual quantizer."""
FILTERS = ("bicubic", "lanczos")
"""Filters for images of another size than their reference."""


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """How images are prepared, in this order: HDR encoded, resized, aligned, cropped, reduced to luma.

    Raises:
        InputError: a value is out of range.

    Example:
        >>> str(Preparation(channel="y", crop=4)), str(Preparation())
        ('4 border pixels cut off; luma (BT.601, 16 to 235)', '')
    """

    channel: str = "rgb"
    """``rgb``, or ``y``: luma of BT.601 in studio range as MATLAB's ``rgb2ycbcr`` computes it, which metrics of colour
    images get as three equal channels; the usual choice of super-resolution tables. ``each``: every channel is scored
    as a gray image, and the score is the mean over channels; images of two or more than three channels always are."""
    crop: int = 0
    """Border pixels that are cut off both images, usually the scale of super-resolution."""
    align: int = 0
    """Largest shift of the image against its reference that is found and undone, in pixels; 0 looks for none."""
    resize: str = ""
    """``bicubic`` or ``lanczos``: filter that brings an image to the size of its reference; by default other sizes are
    refused."""
    mask: str = ""
    """Image that is white where pixels count, of the size of the reference; or a folder of them, by the file stems of
    the references."""
    region: str = ""
    """``X,Y,W,H``: rectangle of the reference that counts, instead of a mask."""
    hdr: str = ""
    """``pu21``: the files hold linear light (.exr, .hdr, .pfm); ``pq``: they are 16-bit images of SMPTE ST 2084. Both
    become PU21 values divided by 256, so that 1 is about 100 cd/m2. With ``channel="y"``, luminance is encoded."""
    peak: float | None = None
    """Luminance in cd/m2 that the largest value of the reference (without one: of the image) stands for, with
    ``hdr="pu21"``; the pair is scaled by one factor. By default values are cd/m2."""

    def __post_init__(self) -> None:
        """Check the values."""
        for name, known in (("channel", CHANNELS), ("resize", ("", *FILTERS)), ("hdr", ("", *ENCODINGS))):
            if (got := getattr(self, name)) not in known:
                raise InputError(f"{name}: got {got!r}, expected {' or '.join(filter(None, known))}")
        for name in ("crop", "align"):
            if (got := getattr(self, name)) < 0:
                raise InputError(f"{name}: got {got}, expected 0 or more pixels")
        if self.peak is not None and self.hdr != "pu21":
            raise InputError(f"peak: got {self.peak:g} without linear light, expected --hdr pu21 (PQ is absolute)")
        if self.peak is not None and not 1 <= self.peak <= 10_000:
            raise InputError(f"peak: got {self.peak:g}, expected from 1 to 10000 cd/m2")
        object.__setattr__(self, "mask", os.fspath(self.mask))
        if self.mask and self.region:
            raise InputError("region: got a mask, too; expected one of the two")
        if self.region:
            object.__setattr__(self, "region", _region(self.region))

    @property
    def light(self) -> bool:
        """True if the files hold linear light."""
        return self.hdr == "pu21"

    def __str__(self) -> str:
        """Say what is done; empty if nothing is."""
        light = f"largest value at {self.peak:g} cd/m2" if self.peak else "values in cd/m2"
        said = (
            {"pu21": f"linear light ({light}) as PU21 / 256", "pq": "PQ light as PU21 / 256"}.get(self.hdr, ""),
            f"resized by {self.resize}" if self.resize else "",
            f"shifts of up to {self.align} px undone" if self.align else "",
            f"{self.crop} border pixels cut off" if self.crop else "",
            self._reduction,
            f"only the region {self.region} (x, y, width, height) counts" if self.region else "",
            f"only pixels inside the masks {Path(self.mask).name} count" if self.mask else "",
        )
        return "; ".join(filter(None, said))

    def key(self, masks: str = "") -> str:
        """Return what a stored score depends on; empty if nothing is done, as in stores of older versions.

        Args:
            masks: checksum of the masks, which stands for their path.

        Example:
            >>> Preparation(channel="y", crop=4).key()
            'channel=y crop=4'
        """
        changed = {f.name: v for f in fields(self) if (v := getattr(self, f.name)) != f.default}
        if self.mask:
            changed["mask"] = masks
        return " ".join(f"{name}={value}" for name, value in changed.items())

    @property
    def _reduction(self) -> str:
        if self.channel == "each":
            return "mean over channels"
        if self.channel != "y":
            return ""
        return {"": "luma (BT.601, 16 to 235)", "pu21": "luminance (BT.709)", "pq": "luminance (BT.2020)"}[self.hdr]

    def apply(self, img: Tensor, ref: Tensor | None) -> tuple[Tensor, Tensor | None, str]:
        """Return both images as they are scored, and what was found on the way.

        Args:
            img: image ``(1, C, H, W)`` in [0, 1], as :func:`~causaliqa.evaluation.loading.load_pair` returns it.
            ref: its reference, or None.

        Raises:
            ImageError: the sizes differ and are not resized, or nothing is left after cropping.
            InputError: there is nothing to align with.
        """
        img, ref, _, note = self.with_mask(img, ref, None)
        return img, ref, note

    def with_mask(
        self, img: Tensor, ref: Tensor | None, mask: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None, str]:
        """Do the same as :meth:`apply`, and to the mask of the reference ``(H, W)`` what its pixels go through."""
        note = ""
        if ref is not None and img.shape != ref.shape and self.resize:
            img = _resized(img, ref.shape[-2:], self.resize)
        if ref is not None and img.shape != ref.shape:
            raise ImageError(
                f"sizes differ: {_size(img)} and {_size(ref)} (width x height); crop or resize one of them first, or "
                "allow it with --resize lanczos (in Python resize='lanczos')"
            )
        if self.align:
            img, ref, mask, note = _aligned(img, ref, mask, self.align)
        img = self._cropped(img)
        ref, mask = (None if x is None else self._cropped(x) for x in (ref, mask))
        if mask is not None and not bool(mask.any()):
            raise ImageError("mask: nothing of it is left when the border is cut off; expected a larger one")
        return self._converted(img), None if ref is None else self._converted(ref), mask, note

    def _cropped(self, img: Tensor) -> Tensor:
        """Return an image or a mask without its border."""
        if self.crop and min(img.shape[-2:]) <= 2 * self.crop:
            raise ImageError(
                f"crop: got {_size(img)} pixels and a border of {self.crop}, expected more than twice the border"
            )
        return img[..., self.crop : -self.crop, self.crop : -self.crop] if self.crop else img

    def _converted(self, img: Tensor) -> Tensor:
        """Return an image with the channels that are scored."""
        if self.channel == "y" and not self.hdr:
            if img.shape[1] != 3:
                raise ImageError(f"channel y: got {img.shape[1]} channels, expected gray or RGB")
            from causaliqa.functional.image import studio_luma  # loads torch

            img = studio_luma(img).expand(-1, 3, -1, -1)
        return img


AS_THEY_ARE = Preparation()
"""Images are not changed."""


def _most(img: Tensor) -> float:
    """Return the largest value that interpolation may make: that of the image, where it is brighter than white."""
    return max(1.0, float(img.max()))


def _size(img: Tensor) -> str:
    return f"{img.shape[-1]} x {img.shape[-2]}"


def _resized(img: Tensor, size: tuple[int, ...], name: str) -> Tensor:
    """Resize with Pillow's filters, which average where they make smaller; values stay floats."""
    import numpy as np
    import torch
    from PIL import Image

    kind = {"bicubic": Image.Resampling.BICUBIC, "lanczos": Image.Resampling.LANCZOS}[name]
    channels = [
        np.asarray(Image.fromarray(channel.cpu().numpy(), mode="F").resize((size[1], size[0]), kind))
        for channel in img[0].float()
    ]
    return torch.from_numpy(np.stack(channels)).clamp(0, _most(img))[None].to(img)


def _region(text: str) -> str:
    """Return a checked region, written in one way only: it is part of keys."""
    try:
        region = ROI.parse(text)
    except InputError as error:
        raise InputError(f"region: got {text!r}, expected four whole numbers X,Y,W,H") from error
    if min(region.x, region.y) < 0 or min(region.width, region.height) < 1:
        raise InputError(f"region: got {text!r}, expected X and Y of 0 or more, W and H of 1 or more")
    return str(region)


def _aligned(
    img: Tensor, ref: Tensor | None, mask: Tensor | None, limit: int
) -> tuple[Tensor, Tensor, Tensor | None, str]:
    import torch

    from causaliqa.functional.alignment import find_shift, undo_shift

    if ref is None:
        raise InputError("align: got no reference, expected one to align with")
    ours, theirs = (x[0].double().cpu().numpy() for x in (img, ref))
    shift = find_shift(ours.mean(0), theirs.mean(0), limit)
    moved = undo_shift(ours, theirs, shift)
    if mask is not None:  # it lies on the reference, which is cut, not moved
        plane = mask[None].double().cpu().numpy()
        mask = torch.from_numpy(undo_shift(plane, plane, shift)[1][0] > 0).to(mask.device)
    most = max(_most(img), _most(ref))
    img, ref = (torch.from_numpy(x.copy()).clamp(0, most)[None].to(img) for x in moved)
    return img, ref, mask, f"shift {shift[0]:+.2f} rows, {shift[1]:+.2f} columns undone"
