"""DeepWSD: Wasserstein distance between windows of VGG16 features.

Source: Liao et al., "DeepWSD: Projecting Degradations in Perceptual Space to Wasserstein Distance in Deep Feature
Space", ACM Multimedia 2022.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from causaliqa.builtin.metrics._features import FeatureLevels
from causaliqa.functional.image import check_pair, pad_to_windows, size_factor, windows
from causaliqa.functional.intervention import mass
from causaliqa.functional.transport import transport_response

if TYPE_CHECKING:
    from causaliqa.api.protocols import FeatureBackbone
    from causaliqa.api.specs import BackboneSpec

__all__ = ["DeepWSD"]

LAYOUTS = ("strided", "spatial")


class DeepWSD(nn.Module):
    """DeepWSD of two image batches; lower is better, 0 for identical images.

    Args:
        backbone: feature network; VGG16 in the paper.
        backbone_spec: its spec.
        layout: ``strided`` forms the histograms like the published code, whose reshape makes window * window bins of
            consecutive values, so that a histogram spans the level, not a window; ``spatial`` uses windows as in the
            paper.
        log: map the score like the published code for quality assessment: ``log(1 + s)``, squared if the image was
            downsampled.

    Raises:
        ValueError: an option is out of its range.
    """

    lower_better = True
    metric_mode = "FR"

    def __init__(
        self, backbone: FeatureBackbone, backbone_spec: BackboneSpec, *, layout: str = "strided", log: bool = True
    ) -> None:
        super().__init__()
        if layout not in LAYOUTS:
            raise ValueError(f"layout: got {layout!r}, expected {' or '.join(LAYOUTS)}")
        self.backbone_spec = backbone_spec
        self.feature_levels = FeatureLevels(backbone, backbone_spec.normalise)
        self.layout = layout
        self.log = log

    def forward(self, img: Tensor, ref: Tensor) -> Tensor:
        """Score a batch ``(N, 3, H, W)``, RGB in [0, 1]; returns ``(N,)``, lower is better.

        Raises:
            ValueError: shapes differ or are too small.
        """
        check_pair(img, ref, self.backbone_spec.min_size)
        factor = size_factor(*img.shape[-2:])
        window = 16 if factor >= 5 else 4
        scores = torch.stack(
            [
                torch.stack([self._level(x, y, window) for x, y in zip(xs, ys, strict=True)]).mean()
                for xs, ys in zip(self.feature_levels(img), self.feature_levels.of_reference(ref), strict=True)
            ]
        )
        if not self.log:
            return scores
        return torch.log1p(scores) if factor == 1 else torch.log1p(scores).square()

    def _level(self, x: Tensor, y: Tensor, window: int) -> Tensor:
        x, y = (self._histograms(pad_to_windows(v, window), window) for v in (x, y))
        noise = x.new_zeros(x.shape[1:])
        wsd, _ = transport_response(mass(x, "share"), mass(y, "share"), noise, [])
        shifted = wsd + 10
        weight = 1 / ((-1 / shifted).exp().sqrt() * shifted.square())
        return (wsd + (x - y).square().sum(dim=2) * weight).sum()

    def _histograms(self, x: Tensor, window: int) -> Tensor:
        """Return ``(C, H, W)`` as ``(C, P, bins)``."""
        if self.layout == "spatial":
            return windows(x, window)
        return x.reshape(window * window, x.shape[0], -1).permute(1, 2, 0).contiguous()
