"""Pairs of images as metrics get them: prepared, and with the mask of what counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.api.data import ROI
from causaliqa.api.errors import ImageError, InputError
from causaliqa.evaluation.channels import channel_note
from causaliqa.evaluation.preparation import Preparation
from causaliqa.io.masks import MaskFiles

if TYPE_CHECKING:
    from torch import Tensor

    from causaliqa.api.protocols import Metric

__all__ = ["PairPreparer", "PreparedPair", "masked_call"]


@dataclass(frozen=True, kw_only=True)
class PreparedPair:
    """A pair of images as it is scored."""

    img: Tensor
    """Image ``(1, C, H, W)``, three channels unless :attr:`each`."""
    ref: Tensor | None = None
    """Its reference; None without one."""
    mask: Tensor | None = None
    """True where pixels count, ``(H, W)``; None where all do."""
    each: bool = False
    """True if every channel is scored as a gray image, and the score is the mean."""
    note: str = ""
    """What was found on the way, such as a shift."""

    def to(self, device: str) -> PreparedPair:
        """Return the same on a device."""
        ref, mask = (None if x is None else x.to(device) for x in (self.ref, self.mask))
        return replace(self, img=self.img.to(device), ref=ref, mask=mask)


class PairPreparer:
    """A preparation and the masks that it names, looked up once for all pairs of a run.

    Args:
        prepare: what is done to every pair.

    Raises:
        ImageError: the masks do not exist.

    Example:
        >>> preparer = PairPreparer(Preparation(crop=4))
        >>> preparer.key, preparer.said
        ('crop=4', '4 border pixels cut off')
    """

    def __init__(self, prepare: Preparation) -> None:
        self.prepare = prepare
        self.masks = MaskFiles(prepare.mask) if prepare.mask else None

    @cached_property
    def key(self) -> str:
        """What a stored score depends on besides metric and files; empty where nothing is done."""
        return self.prepare.key(self._checksum)

    @cached_property
    def said(self) -> str:
        """What is done, in words; empty where nothing is."""
        return f"{self.prepare} (sha256 {self._checksum[:12]})" if self.masks else str(self.prepare)

    @cached_property
    def _checksum(self) -> str:
        return self.masks.checksum() if self.masks else ""

    def check(self, modes: Mapping[str, str], refs: Iterable[Path | None]) -> None:
        """Refuse, before any work, what a mask cannot be used with.

        Args:
            modes: ``FR`` or ``NR`` by metric.
            refs: the references of all pairs.

        Raises:
            InputError: a metric looks at one image only.
            ImageError: a reference has no mask.
        """
        if self.masks is None:
            return
        if alone := [name for name, mode in modes.items() if mode == "NR"]:
            raise InputError(
                f"mask: metric {alone[0]!r} looks at one image, in which nothing can stand for what a mask leaves out; "
                "give a rectangle instead, as in --region X,Y,W,H"
            )
        self.masks.check(ref for ref in refs if ref is not None)

    def __call__(self, img: Tensor, ref: Tensor | None, ref_path: Path | None) -> PreparedPair:
        """Prepare one pair.

        Args:
            img: image ``(1, 3, H, W)`` in [0, 1].
            ref: its reference, or None.
            ref_path: file of the reference, which its mask is found by.

        Raises:
            ImageError: sizes differ, the mask cannot be used, or nothing is left.
            InputError: there is nothing to align with.
        """
        shape = img.shape if ref is None else ref.shape
        mask = self._mask((shape[-2], shape[-1]), ref_path)
        found = self.prepare.with_mask(img, ref, None if mask is None else mask.to(img.device))
        note = "; ".join(filter(None, (found[3], channel_note(found[0]))))
        each = found[0].shape[1] != 3 or self.prepare.channel == "each"
        return PreparedPair(img=found[0], ref=found[1], mask=found[2], each=each, note=note)

    def _mask(self, size: tuple[int, int], ref_path: Path | None) -> Tensor | None:
        if self.prepare.region:
            return _rectangle(ROI.parse(self.prepare.region), size)
        if self.masks is None:
            return None
        if ref_path is None:
            raise ImageError("mask: got no reference, expected one, which masks belong to")
        return self.masks.read(ref_path, size)


def _rectangle(region: ROI, size: tuple[int, int]) -> Tensor:
    import torch

    height, width = size
    if region.x + region.width > width or region.y + region.height > height:
        raise ImageError(f"region: got {region}, expected one inside an image of {width} x {height} pixels")
    mask = torch.zeros(size, dtype=torch.bool)
    mask[region.y : region.y + region.height, region.x : region.x + region.width] = True
    return mask


def masked_call(metric: Metric, img: Tensor, ref: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Return images and options with which a metric scores what a mask counts.

    A metric that takes masks gets it. For others both images are cut to its bounding box, and what lies outside the
    mask in the image is replaced by the reference. A mask that is true everywhere is none, so that it changes no bit.

    Args:
        metric: the metric.
        img: image ``(1, 3, H, W)``.
        ref: its reference.
        mask: true where pixels count, ``(H, W)``; None for everywhere.
    """
    if mask is None or bool(mask.all()):
        return img, ref, {}
    if getattr(metric, "masked", False):
        return img, ref, {"mask": mask}
    from causaliqa.functional.masking import crop_to

    return *crop_to(img, ref, mask), {}
