"""timm models as backbones, through timm's ``features_only`` interface: maps (N, C, H, W) of images of any size."""

from __future__ import annotations

import os
from collections.abc import Sequence
from math import lcm
from typing import Any

import timm
import torch.nn.functional as F
from torch import Tensor, nn

from causaliqa.api.errors import InputError
from causaliqa.builtin.backbones._stages import freeze
from causaliqa.io.weights import load_into
from causaliqa.utils.text import brief

__all__ = ["AnySize", "build", "create_features"]

_ADAPTABLE: tuple[dict[str, Any], ...] = ({"dynamic_img_size": True}, {"strict_img_size": False})
"""Arguments by which models of a fixed input size take any other: vision transformers, Swin."""


class AnySize(nn.Module):
    """A ``features_only`` model that takes images of any size and gives maps ``(N, C, H, W)``.

    The image is padded by reflection to what the strides of the model need, and the maps are cut back. A model of one
    fixed size sees the image in tiles of that size. Maps with channels last are permuted.

    Args:
        network: timm's model.
        tile: side of its input where that is fixed, else None.
    """

    def __init__(self, network: nn.Module, tile: int | None = None) -> None:
        super().__init__()
        self.network = network
        self.feature_info: Any = network.feature_info
        self.tile = tile

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map ``(N, 3, H, W)`` to maps ``(N, C_k, H / stride_k, W / stride_k)``, rounded up."""
        height, width = x.shape[-2:]
        strides = self.feature_info.reduction()
        x = _pad(x, self.tile or lcm(*strides))
        maps = self._maps(x) if self.tile is None else self._tiled(x, self.tile)
        return [m[..., : -(-height // s), : -(-width // s)] for m, s in zip(maps, strides, strict=True)]

    def _maps(self, x: Tensor) -> list[Tensor]:
        maps: list[Tensor] = self.network(x)
        return [m.permute(0, 3, 1, 2) for m in maps] if _channels_last(self.network) else maps

    def _tiled(self, x: Tensor, side: int) -> list[Tensor]:
        count, _, height, width = x.shape
        rows, cols = height // side, width // side
        tiles = x.view(count, 3, rows, side, cols, side).permute(0, 2, 4, 1, 3, 5).reshape(-1, 3, side, side)
        found = []
        for level in self._maps(tiles):
            channels, high, wide = level.shape[1:]
            whole = level.reshape(count, rows, cols, channels, high, wide).permute(0, 3, 1, 4, 2, 5)
            found.append(whole.reshape(count, channels, rows * high, cols * wide))
        return found


def _channels_last(network: nn.Module) -> bool:
    """Whether the maps are (N, H, W, C), as Swin's and MambaOut's are."""
    return str(getattr(network, "output_fmt", "")).endswith("NHWC")


def _pad(x: Tensor, multiple: int) -> Tensor:
    """Reflect beyond the right and lower border up to a multiple, again and again where the image is small."""
    while any(missing := [-side % multiple for side in x.shape[-2:]]):
        down, right = (min(m, side - 1) for m, side in zip(missing, x.shape[-2:], strict=True))
        x = F.pad(x, (0, right, 0, down), mode="reflect")
    return x


def create_features(model: str, *, taps: Sequence[int] | None = None, **options: Any) -> tuple[nn.Module, int | None]:
    """Build ``timm.create_model(model, features_only=True)``, for images of any size where the model allows it.

    Args:
        model: timm's name.
        taps: which of its maps, by timm's ``out_indices``; by default those that timm chooses.
        options: passed on to timm.

    Returns:
        The network, and the side of its input if that is fixed.

    Raises:
        InputError: timm has no such model, or the model gives no features.
    """
    if not timm.is_model(model):
        raise InputError(f"timm {timm.__version__} has no model {model!r}; expected one of timm.list_models()")
    fixed = _fixed_side(model)
    options |= {} if taps is None else {"out_indices": tuple(taps)}
    try:
        for extra in _ADAPTABLE if fixed is not None else ():
            try:
                return timm.create_model(model, features_only=True, **options, **extra), None
            except TypeError:
                continue  # this model does not take the argument
        network: nn.Module = timm.create_model(model, features_only=True, **options)
    except (RuntimeError, AttributeError, AssertionError, IndexError) as error:
        reason = brief(error, 200, kind=False)
        raise InputError(f"timm.{model} gives no features: {reason}; choose another model or other taps") from error
    return network, fixed


def _fixed_side(model: str) -> int | None:
    """Side of the input of a model of one size, else None."""
    config = timm.get_pretrained_cfg(model)
    return int(config.input_size[-1]) if config is not None and config.fixed_input_size else None


def build(*, model: str, weights: str | os.PathLike[str] | None) -> nn.Module:
    """Build a timm model as a backbone.

    Args:
        model: timm's name.
        weights: state dict of the model, with or without classifier; None for random weights.

    Raises:
        InputError: the model gives no features.
        WeightsError: the weights are those of another model.
    """
    network, tile = create_features(model, pretrained=False)
    if weights is not None:
        load_into(network, weights)
    adapted = _fixed_side(model) is not None or _channels_last(network)
    return freeze(AnySize(network, tile) if adapted else network)
