"""What things must be able to do: the interfaces behind every kind of record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch

__all__ = ["Degradation", "FeatureBackbone", "FeatureInfo", "Metric", "PlacedSampler", "Restorer", "Sampler"]


class FeatureInfo(Protocol):
    """What timm's ``features_only`` models say of their maps."""

    def channels(self) -> list[int]:
        """Number of channels of every map."""

    def reduction(self) -> list[int]:
        """Stride of every map against the input."""


@runtime_checkable
class FeatureBackbone(Protocol):
    """timm's ``features_only`` contract: an image goes in, a list of feature maps comes out."""

    feature_info: FeatureInfo

    def __call__(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Map ``(N, 3, H, W)`` to maps ``(N, C_k, H_k, W_k)``."""


class Metric(Protocol):
    """A quality metric: ``(img, ref) -> (N,)``, both ``(N, 3, H, W)``, RGB in [0, 1]."""

    lower_better: bool
    metric_mode: str

    def __call__(self, img: torch.Tensor, ref: torch.Tensor) -> torch.Tensor:
        """Score every image of the batch on its own."""


class Restorer(Protocol):
    """A restoration network: ``(N, 3, h, w)`` in [0, 1] to ``(N, 3, s h, s w)``; N > 1 works."""

    def __call__(self, img: torch.Tensor) -> torch.Tensor:
        """Restore every image of the batch on its own."""


class Sampler(Protocol):
    """A source of clean patches for interventions.

    One that has an attribute ``screening``, a sampler too, is asked for that one's patches in the coarse stage.
    """

    def __call__(self, n: int, size: int, generator: torch.Generator) -> torch.Tensor:
        """Draw ``(n, 3, size, size)`` patches, RGB in [0, 1]; the generator decides which."""


@runtime_checkable
class PlacedSampler(Protocol):
    """A sampler whose patches depend on the image, or on the patch that they replace."""

    def in_place(
        self, img: torch.Tensor, y: int, x: int, height: int, width: int, *, generator: torch.Generator
    ) -> torch.Tensor:
        """Draw one ``(3, height, width)`` patch for the place ``(y, x)`` of the clean image ``(3, H, W)``."""


class Degradation(Protocol):
    """A degradation of a clean image, and of a patch in place in the same way; both 8-bit where files would be.

    An image and a patch that goes into it must come from the same degraded distribution, or the effect of the patch
    is that of the seam (CEM, Definition IV.1).
    """

    scale: int
    """Side of the clean image divided by the side of the degraded one."""

    def degrade(self, img: torch.Tensor, seed: int) -> torch.Tensor:
        """Degrade a clean image ``(3, H, W)``; returns ``(3, H // scale, W // scale)``."""

    def patch_in_place(
        self, img: torch.Tensor, y: int, x: int, patch: torch.Tensor, *, seed: int, generator: torch.Generator
    ) -> torch.Tensor:
        """Degrade clean patches as they would be at ``(y, x)`` of the clean image.

        Args:
            img: clean image ``(3, H, W)``.
            y: first row of the place, in clean pixels, a multiple of ``scale``.
            x: first column of the place.
            patch: clean patches ``(n, 3, h, w)``, sides multiples of ``scale``.
            seed: seed of the whole image, as passed to :meth:`degrade`: what the image and the patch share.
            generator: decides what is fresh for every patch.

        Returns:
            Degraded patches ``(n, 3, h // scale, w // scale)``.
        """
