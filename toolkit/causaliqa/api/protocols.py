"""Interfaces of the objects that specs build."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from matplotlib.figure import Figure

__all__ = [
    "Degradation",
    "Explanation",
    "FeatureBackbone",
    "FeatureInfo",
    "Metric",
    "PlacedSampler",
    "Restorer",
    "Sampler",
]


class FeatureInfo(Protocol):
    """Description of the maps, as ``feature_info`` of timm's ``features_only`` models."""

    def channels(self) -> list[int]:
        """Number of channels of every map."""

    def reduction(self) -> list[int]:
        """Stride of every map relative to the input."""


@runtime_checkable
class FeatureBackbone(Protocol):
    """Interface of timm's ``features_only`` models: maps images to a list of feature maps."""

    feature_info: FeatureInfo

    def __call__(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Map ``(N, 3, H, W)`` to maps ``(N, C_k, H_k, W_k)``."""


class Metric(Protocol):
    """A quality metric: ``(img, ref) -> (N,)``, both ``(N, 3, H, W)``, RGB in [0, 1]."""

    lower_better: bool
    metric_mode: str

    def __call__(self, img: torch.Tensor, ref: torch.Tensor) -> torch.Tensor:
        """Score every image of the batch on its own."""


@runtime_checkable
class Explanation(Protocol):
    """Where the score of one image pair comes from: what ``explain(img, ref)`` of a metric returns."""

    score: float
    """The score itself."""
    shares: tuple[torch.Tensor, ...]
    """Each channel's share of the score, per level ``(C_k,)``; level 0 is the image."""

    def columns(self) -> Mapping[str, tuple[torch.Tensor, ...]]:
        """Return what is known of every channel, by the name of a column, per level ``(C_k,)``."""

    def figures(
        self, others: Sequence[Explanation] = (), *, names: Sequence[str] = (), title: str = ""
    ) -> Mapping[str, Figure]:
        """Return figures by the stem of their files, with others of the same metric and reference side by side."""


class Restorer(Protocol):
    """A restoration network: ``(N, 3, h, w)`` in [0, 1] to ``(N, 3, s h, s w)``, for any N."""

    def __call__(self, img: torch.Tensor) -> torch.Tensor:
        """Restore every image of the batch on its own."""


class Sampler(Protocol):
    """A source of clean patches for interventions.

    If it has an attribute ``screening``, a sampler, the coarse stage uses that one.
    """

    def __call__(self, n: int, size: int, generator: torch.Generator) -> torch.Tensor:
        """Draw ``(n, 3, size, size)`` patches, RGB in [0, 1]; determined by the generator."""


@runtime_checkable
class PlacedSampler(Protocol):
    """A sampler whose patches depend on the image, or on the patch that they replace."""

    def in_place(
        self, img: torch.Tensor, y: int, x: int, height: int, width: int, *, generator: torch.Generator
    ) -> torch.Tensor:
        """Draw one ``(3, height, width)`` patch for position ``(y, x)`` of the clean image ``(3, H, W)``."""


class Degradation(Protocol):
    """A degradation of a clean image, and of a patch in place in the same way; both 8-bit where files would be.

    Image and patch must follow the same degraded distribution; otherwise the measured effect is that of the seam
    (CEM, Definition IV.1).
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
            y: top row in clean pixels, a multiple of ``scale``.
            x: left column in clean pixels, a multiple of ``scale``.
            patch: clean patches ``(n, 3, h, w)``, sides multiples of ``scale``.
            seed: seed of the image, as passed to :meth:`degrade`, for randomness shared by image and patch.
            generator: for randomness that differs from patch to patch.

        Returns:
            Degraded patches ``(n, 3, h // scale, w // scale)``.
        """
