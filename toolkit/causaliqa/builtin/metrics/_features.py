"""Feature levels of an image, shared by metrics on deep features."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from causaliqa.builtin.metrics._memory import memory_of
from causaliqa.functional.frozen import StayInEval
from causaliqa.functional.image import downsample, normalise, size_factor
from causaliqa.functional.threads import one_thread_after_fork
from causaliqa.io.images import as_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from causaliqa.api.protocols import FeatureBackbone

    Image = Tensor | NDArray[Any] | str | os.PathLike[str]

__all__ = ["FeatureLevels"]

T = TypeVar("T")


class FeatureLevels(StayInEval):
    """The image itself (level 0) and one map per stage of a backbone.

    Maps are remembered with the backbone (see :mod:`causaliqa.builtin.metrics._memory`): data sets have many images per
    reference, and several metrics may share a backbone. Do not change them.

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
        self.eval()  # also a backbone that was built by hand

    def tensor(self, image: Image) -> Tensor:
        """Return an image that may be a path or an array as a tensor ``(1, 3, H, W)`` where the backbone is."""
        if isinstance(image, Tensor):
            return image
        return as_image(image).to(next(self.parameters(), torch.empty(0)).device)

    def forward(self, img: Tensor) -> list[list[Tensor]]:
        """Return levels ``(C_k, H_k, W_k)`` for every image of ``(N, 3, H, W)``."""
        return self.of_small(self.small(img))

    def of_reference(self, ref: Tensor) -> list[list[Tensor]]:
        """Return the same as :meth:`forward`; remembered also during training, unless its gradient is wanted."""
        return self.of_small(self.small(ref), reference=True)

    def small(self, img: Tensor) -> Tensor:
        """Return images ``(N, 3, h, w)`` after the size protocol."""
        return downsample(img, size_factor(*img.shape[-2:])) if self.resize else img

    def of_small(self, small: Tensor, *, reference: bool = False, remember: bool = True) -> list[list[Tensor]]:
        """Return the same as :meth:`forward` for images that went through :meth:`small`.

        Args:
            small: images ``(N, 3, h, w)``.
            reference: they are references: more images will be compared with them.
            remember: they may come again.
        """
        one_thread_after_fork()
        with torch.set_grad_enabled(torch.is_grad_enabled() and (small.requires_grad or not reference)):
            x = normalise(small, self.normalisation)
            maps = self.recall("maps", (x,), self._maps, reference=reference) if remember else self._maps(x)
        return [[level[0] for level in (one, *stages)] for one, stages in zip(torch.split(small, 1), maps, strict=True)]

    def _maps(self, x: Tensor) -> list[Sequence[Tensor]]:
        # One image at a time: convolutions round differently at other batch sizes.
        return [self.backbone(one) for one in torch.split(x, 1)]

    def recall(self, what: Hashable, images: Sequence[Tensor], make: Callable[..., T], *, reference: bool = False) -> T:
        """Return ``make(*images)``, from the memory of the backbone if it has it.

        Args:
            what: what is made: everything that it depends on besides the images and the backbone.
            images: images after the size protocol.
            make: makes it; nobody may change what it returns.
            reference: the images are references.
        """
        if not isinstance(self.backbone, nn.Module):
            return make(*images)  # whether it has changed cannot be told
        return memory_of(self.backbone).recall(self.backbone, what, images, make, reference=reference)

    def of_batch(self, img: Tensor) -> list[Tensor]:
        """Return levels ``(N, C_k, H_k, W_k)`` of all images in one pass."""
        small = self.small(img)
        return [small, *self.backbone(normalise(small, self.normalisation))]

    def small_size(self, img: Tensor) -> tuple[int, int]:
        """Return height and width after the size protocol."""
        factor = size_factor(*img.shape[-2:]) if self.resize else 1
        return img.shape[-2] // factor, img.shape[-1] // factor
