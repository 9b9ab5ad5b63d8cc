"""Feature levels of an image, shared by metrics on deep features."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from causaliqa.functional.frozen import StayInEval
from causaliqa.functional.image import downsample, normalise, size_factor
from causaliqa.functional.threads import one_thread_after_fork
from causaliqa.io.images import as_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from causaliqa.api.protocols import FeatureBackbone

    Image = Tensor | NDArray[Any] | str | os.PathLike[str]

__all__ = ["FeatureLevels"]


class FeatureLevels(StayInEval):
    """The image itself (level 0) and one map per stage of a backbone.

    The levels of the latest reference are kept, because data sets have many images per reference. They are used again
    for a reference with the same values: a tensor that is the same object may hold another image.

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
        self._last: tuple[Tensor, tuple[object, ...], list[list[Tensor]]] | None = None
        self.eval()  # also a backbone that was built by hand

    def tensor(self, image: Image) -> Tensor:
        """Return an image that may be a path or an array as a tensor ``(1, 3, H, W)`` where the backbone is."""
        if isinstance(image, Tensor):
            return image
        return as_image(image).to(next(self.parameters(), torch.empty(0)).device)

    def forward(self, img: Tensor) -> list[list[Tensor]]:
        """Return levels ``(C_k, H_k, W_k)`` for every image of ``(N, 3, H, W)``."""
        return self.of_small(self.small(img))

    def small(self, img: Tensor) -> Tensor:
        """Return images ``(N, 3, h, w)`` after the size protocol."""
        return downsample(img, size_factor(*img.shape[-2:])) if self.resize else img

    def of_small(self, small: Tensor) -> list[list[Tensor]]:
        """Return the same as :meth:`forward` for images that went through :meth:`small`."""
        one_thread_after_fork()
        # One image at a time: convolutions round differently at other batch sizes.
        return [
            [level[0] for level in (one, *self.backbone(normalise(one, self.normalisation)))]
            for one in torch.split(small, 1)
        ]

    def of_batch(self, img: Tensor) -> list[Tensor]:
        """Return levels ``(N, C_k, H_k, W_k)`` of all images in one pass."""
        small = self.small(img)
        return [small, *self.backbone(normalise(small, self.normalisation))]

    def small_size(self, img: Tensor) -> tuple[int, int]:
        """Return height and width after the size protocol."""
        factor = size_factor(*img.shape[-2:]) if self.resize else 1
        return img.shape[-2] // factor, img.shape[-1] // factor

    def of_reference(self, ref: Tensor) -> list[list[Tensor]]:
        """Return the same as :meth:`forward`, from memory if the reference holds the values of the last one."""
        if ref.requires_grad:
            return self.forward(ref)
        with torch.no_grad():
            small = self.small(ref)
            state = self.state(small)
            if self._last is not None:
                known, before, levels = self._last
                if state is not None and before == state and torch.equal(known, small):
                    return levels
            # A copy: without resizing, ``small`` is the caller's tensor, which may be filled with another image.
            kept = small.clone()
            levels = self.of_small(kept)
        self._last = None if state is None else (kept, state, levels)
        return levels

    def state(self, small: Tensor) -> tuple[object, ...] | None:
        """Return what the levels depend on beside the values of the reference; None if that is not known."""
        if not isinstance(self.backbone, nn.Module):
            return None
        tensors = [*self.backbone.parameters(), *self.backbone.buffers()]
        if any(v.is_inference() for v in tensors):
            return None
        mode = torch.is_inference_mode_enabled(), torch.is_autocast_enabled(), torch.is_autocast_cpu_enabled()
        weights = tuple((v.data_ptr(), v._version) for v in tensors)
        return small.shape, small.dtype, small.device, self.normalisation, self.resize, mode, weights

    def _apply(self, fn: object, recurse: bool = True) -> FeatureLevels:
        self._last = None  # the module moves to another device or dtype
        return super()._apply(fn, recurse)  # type: ignore[no-any-return, no-untyped-call]

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_last": None}  # another process makes its own
