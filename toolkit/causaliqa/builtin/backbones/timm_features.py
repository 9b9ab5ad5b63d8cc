"""Any timm model as a backbone: timm's own ``features_only`` models keep the contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm
from torch import nn

from causaliqa.api.errors import WeightsError
from causaliqa.builtin.backbones._stages import freeze
from causaliqa.io.weights import load_into, load_state

__all__ = ["build"]


def build(*, model: str, weights: Path | None, by_order: bool = False) -> nn.Module:
    """Build ``timm.create_model(model, features_only=True)``.

    Args:
        model: timm's name.
        weights: state dict of the whole model, classifier included or not; None leaves it random.
        by_order: the file names its tensors differently but holds them in the same order.
    """
    net: nn.Module = timm.create_model(model, pretrained=False, features_only=True)
    if weights is not None and by_order:
        net.load_state_dict(_renamed(model, weights), strict=False)
    elif weights is not None:
        load_into(net, weights)
    return freeze(net)


def _renamed(model: str, weights: Path) -> dict[str, Any]:
    """Give the tensors of a file the names that timm's full model has at the same places."""
    own = timm.create_model(model, pretrained=False).state_dict()
    state = load_state(weights)
    if [v.shape for v in own.values()] != [v.shape for v in state.values()]:
        raise WeightsError(f"weights {weights} do not fit {model}: its tensors differ in number, order or shape")
    return dict(zip(own, state.values(), strict=True))
