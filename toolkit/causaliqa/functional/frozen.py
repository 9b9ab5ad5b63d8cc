"""Pretrained networks that stay as they are, and whose feature maps are checked."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from causaliqa.api.errors import PluginError

__all__ = ["FrozenBackbone", "StayInEval"]


class StayInEval(nn.Module):
    """A module that stays in evaluation mode, whatever ``train()`` is called on a module around it.

    Batch statistics and dropout of a pretrained network would otherwise change with every training loop that holds it.
    """

    def train(self, mode: bool = True) -> StayInEval:
        """Keep evaluation mode; ``mode`` is ignored."""
        return super().train(False)


class FrozenBackbone(StayInEval):
    """A feature network with constant weights, in evaluation mode for good, whose maps are checked at every call.

    Args:
        network: timm's ``features_only`` interface; it is set to evaluation mode and its weights to constant.
        name: name for messages.
        provider: who provides it, for messages.

    Raises:
        PluginError: the network has no ``feature_info``.

    Example:
        >>> import torch
        >>> net = nn.Conv2d(3, 4, 1)
        >>> class Info:
        ...     def channels(self): return [4]
        ...     def reduction(self): return [1]
        >>> class Net(nn.Module):
        ...     feature_info = Info()
        ...     def forward(self, x): return [net(x)]
        >>> frozen = FrozenBackbone(Net(), name="tiny", provider="mine")
        >>> frozen.train().training, [tuple(level.shape) for level in frozen(torch.ones(1, 3, 8, 8))]
        (False, [(1, 4, 8, 8)])
    """

    def __init__(self, network: nn.Module, *, name: str, provider: str) -> None:
        super().__init__()
        info = getattr(network, "feature_info", None)
        if not all(callable(getattr(info, fact, None)) for fact in ("channels", "reduction")):
            raise PluginError(f"backbone {name!r} of {provider}: feature_info.channels() and .reduction() are missing")
        self.network = network.eval().requires_grad_(False)
        self.feature_info: Any = info
        self._what = f"backbone {name!r} of {provider}"
        self.eval()

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map ``(N, 3, H, W)`` to maps ``(N, C_k, H_k, W_k)`` with ``H / stride_k`` rounded down or up.

        Raises:
            PluginError: the network fails on this size, or its maps are not those that ``feature_info`` states.
        """
        try:
            maps = self.network(x)
        except (RuntimeError, AssertionError, IndexError) as error:
            if "memory" in str(error):
                raise
            size = f"{x.shape[-2]} x {x.shape[-1]}"
            reason = " ".join(str(error).split())[:200]
            raise PluginError(f"{self._what} does not take images of {size} pixels: {reason}") from error
        expected = list(zip(self.feature_info.channels(), self.feature_info.reduction(), strict=True))
        if not isinstance(maps, list | tuple) or len(maps) != len(expected):
            count = f"{len(maps)} maps" if isinstance(maps, list | tuple) else type(maps).__name__
            raise PluginError(f"{self._what}: got {count}, expected {len(expected)} as feature_info states")
        for k, (level, (channels, stride)) in enumerate(zip(maps, expected, strict=True)):
            if not _fits(level, x, channels, stride):
                got = tuple(level.shape) if isinstance(level, Tensor) else type(level).__name__
                raise PluginError(
                    f"{self._what}: map {k} is {got} for an input {tuple(x.shape)}, expected {channels} channels at "
                    f"stride {stride} as (N, C, H, W); are its channels last?"
                )
        return list(maps)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            network = self.__dict__.get("_modules", {}).get("network")
            if network is None or name == "network":
                raise
            return getattr(network, name)


def _fits(level: Any, x: Tensor, channels: int, stride: int) -> bool:
    if not isinstance(level, Tensor) or level.dim() != 4 or tuple(level.shape[:2]) != (len(x), channels):
        return False
    return all(
        side // stride <= got <= -(-side // stride) for got, side in zip(level.shape[2:], x.shape[2:], strict=True)
    )
