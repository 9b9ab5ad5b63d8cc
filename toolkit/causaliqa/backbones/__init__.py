"""Feature networks of the causal metric, registered through the hooks like any plugin's."""

from __future__ import annotations

from collections.abc import Iterable

from causaliqa.hookspecs import hookimpl
from causaliqa.specs import BackboneSpec, lazy

__all__ = ["causaliqa_backbones"]

_TORCHVISION = "BSD-3-Clause (torchvision weights, trained on ImageNet)"


@hookimpl
def causaliqa_backbones() -> Iterable[BackboneSpec]:
    """The three networks of the paper, and one whose trained weights come with a package."""
    yield BackboneSpec(
        name="vgg",
        factory=lazy("causaliqa.backbones.vgg:build"),
        summary="VGG16 with L2 pooling, five stages",
        licence=_TORCHVISION,
        reference="Simonyan & Zisserman 2015; L2 pooling: Henaff & Simoncelli 2016",
        weights="vgg16-397923af.pth",
        window=8,
        mass="share",
    )
    yield BackboneSpec(
        name="resnet",
        factory=lazy("causaliqa.backbones.torchvision_stages:build_resnet50"),
        summary="ResNet50, four stages",
        licence=_TORCHVISION,
        reference="He et al. 2016",
        weights="resnet50-0676ba61.pth",
    )
    yield BackboneSpec(
        name="effnet",
        factory=lazy("causaliqa.backbones.torchvision_stages:build_efficientnet_b7"),
        summary="EfficientNet-B7, seven stages",
        licence=_TORCHVISION,
        reference="Tan & Le 2019",
        weights="efficientnet_b7_lukemelas-c5b4e57e.pth",
    )
    yield BackboneSpec(
        name="effnet_lite0",
        factory=lazy("causaliqa.backbones.timm_features:build", model="tf_efficientnet_lite0", by_order=True),
        summary="EfficientNet-Lite0, five stages; trained weights come with a pip dependency",
        licence="Apache-2.0",
        reference="Tan & Le 2019, Lite variant",
        weights="efficientnet-lite0-57934424.pth",
        normalise="half",
    )
