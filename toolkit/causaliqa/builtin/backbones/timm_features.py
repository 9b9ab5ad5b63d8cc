"""timm models as backbones, through timm's ``features_only`` interface."""

from __future__ import annotations

import os
from typing import Any

import timm
from torch import nn

from causaliqa.api.errors import WeightsInputError
from causaliqa.builtin.backbones._stages import freeze
from causaliqa.io.weights import load_into, load_state

__all__ = ["build"]


def build(*, model: str, weights: str | os.PathLike[str] | None, by_order: bool = False) -> nn.Module:
    """Build ``timm.create_model(model, features_only=True)``.

    Args:
        model: timm's name.
        weights: state dict of the model, with or without classifier; None for random weights.
        by_order: match tensors by order, for files with other names.
    """
    net: nn.Module = timm.create_model(model, pretrained=False, features_only=True)
    if weights is not None and by_order:
        net.load_state_dict(_renamed(model, weights), strict=False)
    elif weights is not None:
        load_into(net, weights)
    return freeze(net)


def _renamed(model: str, weights: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the tensors of a file under the names of timm's full model, in the same order."""
    own = timm.create_model(model, pretrained=False).state_dict()
    state = load_state(weights)
    if [v.shape for v in own.values()] != [v.shape for v in state.values()]:
        raise WeightsInputError(f"weights {weights} do not fit {model}: its tensors differ in number, order or shape")
    return dict(zip(own, state.values(), strict=True))
