"""ResNet50 and EfficientNet-B7 of torchvision, cut into the stages of the causal metric."""

from __future__ import annotations

from pathlib import Path

from torch import nn
from torchvision.models import efficientnet_b7, resnet50

from causaliqa.builtin.backbones._stages import StagedBackbone, freeze
from causaliqa.io.weights import load_into

__all__ = ["build_efficientnet_b7", "build_resnet50"]


def build_resnet50(*, weights: Path | None) -> nn.Module:
    """Build ResNet50: conv1 to layer1, layer2, layer3, layer4; ``weights`` as torchvision's ``resnet50``."""
    net = resnet50(weights=None)
    if weights is not None:
        load_into(net, weights)
    stem = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool, net.layer1)
    stages = [stem, net.layer2, net.layer3, net.layer4]
    return freeze(StagedBackbone(stages, channels=[256, 512, 1024, 2048], reduction=[4, 8, 16, 32]))


def build_efficientnet_b7(*, weights: Path | None) -> nn.Module:
    """Build EfficientNet-B7: ``features[0:2]``, then ``features[2]`` to ``features[7]`` one by one."""
    net = efficientnet_b7(weights=None)
    if weights is not None:
        load_into(net, weights)
    stages = [net.features[0:2], *(net.features[k] for k in range(2, 8))]
    channels = [32, 48, 80, 160, 224, 384, 640]
    return freeze(StagedBackbone(stages, channels=channels, reduction=[2, 4, 8, 16, 16, 32, 32]))
