"""timm's feature networks behind causaliqa's contract: normalised inside, any size, weights found and checked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

from causaliqa import BackboneSpec, InputError, WeightsEntry
from causaliqa.builtin.backbones.timm_features import AnySize, create_features

__all__ = ["TimmFeatures", "build", "describe"]

_LICENCES = {"apache-2.0": "Apache-2.0", "mit": "MIT", "bsd-3-clause": "BSD-3-Clause", "cc-by-nc-4.0": "CC-BY-NC-4.0"}
"""timm's spelling and that of SPDX."""


def describe(model: str) -> BackboneSpec:
    """Return the record of one model; nothing is built.

    VGG gets the facts of causaliqa's own VGG: windows of 8 on maps as fine as the image, and features after a ReLU.

    Args:
        model: timm's name, with or without the tag of the weights.

    Raises:
        InputError: timm has no such model.

    Example:
        >>> describe("resnet18.a1_in1k").licence
        'Apache-2.0'
    """
    if not timm.is_model(model):
        near = timm.list_models(f"*{model.partition('.')[0].partition('_')[0]}*")[:4]
        hint = f"; near: {', '.join(near)}" if near else ""
        raise InputError(f"timm {timm.__version__} has no model {model!r}{hint}; expected one of timm.list_models()")
    config = timm.get_pretrained_cfg(model)
    licence = _LICENCES.get(str(config.license), config.license) if config and config.license else "unknown"
    fine = model.startswith("vgg")
    return BackboneSpec(
        name=f"timm.{model}",
        factory=lambda *, weights, taps=None: build(model, weights=weights, taps=taps),
        summary=f"timm's {model}",
        licence=licence,
        reference=f"https://huggingface.co/{config.hf_hub_id}" if config and config.hf_hub_id else "",
        weights=_weights(model, config, licence),
        window=8 if fine else 4,
        mass="share" if fine else "softmax",
    )


def _weights(model: str, config: Any, licence: str) -> WeightsEntry | None:
    """Return the file on the hub, which causaliqa fetches once and keeps, like any other weights."""
    if config is None or not config.hf_hub_id:
        return None
    name = config.hf_hub_filename or "model.safetensors"
    hub = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    tag = f".{config.tag}" if config.tag else ""
    return WeightsEntry(
        file=f"{config.architecture}{tag}{Path(name).suffix}",
        url=f"{hub}/{config.hf_hub_id}/resolve/main/{name}",
        licence=licence,
        source=f"timm, {config.hf_hub_id} on the Hugging Face hub",
    )


class TimmFeatures(nn.Module):
    """A ``features_only`` model that takes RGB in [0, 1] of any size, normalised as its data configuration says.

    Args:
        network: timm's model.
        mean: mean of its training data.
        std: standard deviation of its training data.
        tile: side of its input where that is fixed, else None.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Any, std: Any, tile: int | None = None) -> None:
        super().__init__()
        self.network = AnySize(network, tile)
        self.feature_info: Any = network.feature_info
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map ``(N, 3, H, W)`` in [0, 1] to maps ``(N, C_k, H / stride_k, W / stride_k)``, rounded up."""
        maps: list[Tensor] = self.network((x - self.mean.to(x)) / self.std.to(x))
        return maps


def build(model: str, *, weights: Path | None, taps: list[int] | None = None) -> nn.Module:
    """Build a model.

    Args:
        model: timm's name.
        weights: state dict of the whole model, classifier included; None leaves it random.
        taps: which of its maps, by timm's ``out_indices``; by default those that timm chooses.

    Raises:
        InputError: the model gives no features, or the weights are those of another.
    """
    config = timm.get_pretrained_cfg(model)
    source: dict[str, Any] = {}
    if weights is not None:
        source = {"pretrained": True, "pretrained_cfg_overlay": {"file": str(weights)}}
        _check_weights(model, weights, source)
    network, tile = create_features(model, taps=taps, **source)
    return TimmFeatures(network, config.mean, config.std, tile).eval().requires_grad_(False)


def _check_weights(model: str, weights: Path, source: dict[str, Any]) -> None:
    """Load the whole model once: without its classifier timm would not mind a file that does not fit."""
    try:
        timm.create_model(model, **source)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"weights {weights} are not those of timm's {model}: {reason}") from error
