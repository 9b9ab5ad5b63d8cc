"""Feature levels of an image, shared by metrics on deep features."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from causaliqa.functional.image import downsample, normalise, size_factor

if TYPE_CHECKING:
    from causaliqa.api.protocols import FeatureBackbone

__all__ = ["FeatureLevels"]


class FeatureLevels(nn.Module):
    """The image itself (level 0) and one map per stage of a backbone.

    The levels of the latest reference are cached while its tensor exists, because data sets have many images per
    reference.

    Args:
        backbone: feature network.
        normalisation: input normalisation for the backbone; level 0 stays in [0, 1].
        resize: average-pool to about 256 pixels first.
    """

    def __init__(self, backbone: FeatureBackbone, normalisation: str, *, resize: bool = True) -> None:
        super().__init__()
        self.backbone = backbone
        self.normalisation = normalisation
        self.resize = resize
        self._last: tuple[weakref.ref[Tensor], int, list[list[Tensor]]] | None = None

    def forward(self, img: Tensor) -> list[list[Tensor]]:
        """Return levels ``(C_k, H_k, W_k)`` for every image of ``(N, 3, H, W)``."""
        small = downsample(img, size_factor(*img.shape[-2:])) if self.resize else img
        # One image at a time: convolutions round differently at other batch sizes.
        return [
            [level[0] for level in (one, *self.backbone(normalise(one, self.normalisation)))]
            for one in torch.split(small, 1)
        ]

    def of_batch(self, img: Tensor) -> list[Tensor]:
        """Return levels ``(N, C_k, H_k, W_k)`` of all images in one pass."""
        small = downsample(img, size_factor(*img.shape[-2:])) if self.resize else img
        return [small, *self.backbone(normalise(small, self.normalisation))]

    def small_size(self, img: Tensor) -> tuple[int, int]:
        """Return height and width after the size protocol."""
        factor = size_factor(*img.shape[-2:]) if self.resize else 1
        return img.shape[-2] // factor, img.shape[-1] // factor

    def of_reference(self, ref: Tensor) -> list[list[Tensor]]:
        """Return the same as :meth:`forward`, cached if ``ref`` is the unchanged tensor of the last call."""
        if ref.requires_grad or ref.is_inference():
            return self.forward(ref)
        if self._last is not None:
            known, version, levels = self._last
            if known() is ref and version == ref._version:
                return levels
        with torch.no_grad():
            levels = self.forward(ref)
        self._last = (weakref.ref(ref), ref._version, levels)
        return levels

    def _apply(self, fn: object, recurse: bool = True) -> FeatureLevels:
        self._last = None  # the module moves to another device or dtype
        return super()._apply(fn, recurse)  # type: ignore[no-any-return, no-untyped-call]

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_last": None}  # weak references cannot be pickled
