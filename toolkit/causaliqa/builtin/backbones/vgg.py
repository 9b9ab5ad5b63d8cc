"""VGG16 with L2 pooling: relu1_2, relu2_2, relu3_3, relu4_3, relu5_3."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from causaliqa.builtin.backbones._stages import StagedBackbone, freeze
from causaliqa.io.weights import load_into

__all__ = ["L2Pool", "build"]

_WIDTHS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""Channels and convolutions between two max-pools."""
_TAPS = (4, 9, 16, 23, 30)
"""Indices of the max-pools in torchvision's ``features``; a stage ends before each."""


class L2Pool(nn.Module):
    """Square, smooth with a 3 x 3 Hann window at stride 2, square root (DISTS, DeepWSD).

    Example:
        >>> L2Pool(2)(torch.ones(1, 2, 8, 8))[0, 0, 1, 1]
        tensor(1.)
    """

    kernel: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        taps = torch.hann_window(5, periodic=False, dtype=torch.float64)[1:-1]
        kernel = torch.outer(taps, taps)
        kernel = (kernel / kernel.sum()).float().expand(channels, 1, 3, 3).clone()
        self.register_buffer("kernel", kernel, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Halve ``(N, C, H, W)``, rounding up."""
        power = F.conv2d(x * x, self.kernel, stride=2, padding=1, groups=x.shape[1])
        return (power + 1e-12).sqrt()


def build(*, weights: Path | None) -> nn.Module:
    """Build the backbone; ``weights`` is a torchvision ``vgg16`` state dict, None for random weights."""
    layers = list(_features(weights))
    stages, channels, start, width = [], [], 0, 3
    for end in _TAPS:
        # Without in-place ReLU, which would change the output of the previous stage.
        block = [nn.ReLU() if isinstance(m, nn.ReLU) else m for m in layers[start:end]]
        if isinstance(block[0], nn.MaxPool2d):
            block[0] = L2Pool(width)
        width = [m for m in block if isinstance(m, nn.Conv2d)][-1].out_channels
        stages.append(nn.Sequential(*block))
        channels.append(width)
        start = end
    return freeze(StagedBackbone(stages, channels=channels, reduction=[1, 2, 4, 8, 16]))


def _features(weights: Path | None) -> nn.Sequential:
    """Return torchvision's ``vgg16().features``."""
    if weights is None:
        from torchvision.models import vgg16  # draws the weights

        random: nn.Sequential = vgg16(weights=None).features
        return random
    # Not from torchvision: loading it, and its large classifier, takes longer than scoring many pairs.
    layers: list[nn.Module] = []
    inside = 3
    for channels, count in _WIDTHS:
        for _ in range(count):
            layers += [nn.Conv2d(inside, channels, 3, padding=1), nn.ReLU(inplace=True)]
            inside = channels
        layers.append(nn.MaxPool2d(2, 2))
    features = nn.Sequential(*layers)
    load_into(features, weights, prefix="features.")
    return features
