"""A causaliqa plugin: any timm model with ``features_only`` is the backbone ``timm.<name>``."""

from __future__ import annotations

import causaliqa

__all__ = ["causaliqa_backbones"]


def _describe(model: str) -> causaliqa.BackboneSpec:
    from causaliqa_timm.networks import describe

    return describe(model)


@causaliqa.hookimpl
def causaliqa_backbones() -> list[causaliqa.BackboneSpec]:
    """Announce all of timm in one record; timm is imported when one of its models is asked for."""
    return [
        causaliqa.BackboneSpec(
            name="timm",
            factory=_describe,
            summary="any timm model that gives features: timm.resnet50.a1_in1k",
            licence="that of the weights; given for every model",
            reference="https://github.com/huggingface/pytorch-image-models",
            many=_describe,
        )
    ]
