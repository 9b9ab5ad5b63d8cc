"""CARN and CARN-M: residual blocks cascaded inside and outside of larger blocks.

Source: Ahn et al., "Fast, Accurate, and Lightweight Super-Resolution with Cascading Residual Network", 2018,
arXiv:1803.08664.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from causaliqa_archs.networks.base import Network, State, shuffle_scale
from causaliqa_archs.networks.blocks import ConvRelu, MeanShift, conv, upsampler

__all__ = ["CARN", "CARNM"]


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(width, width), nn.ReLU(), conv(width, width))

    def forward(self, x: Tensor) -> Tensor:
        return (self.body(x) + x).relu()


class _GroupedResidual(_Residual):
    """Grouped convolutions, joined by a 1 x 1 convolution."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__(width)
        self.body = nn.Sequential(
            conv(width, width, groups=groups),
            nn.ReLU(),
            conv(width, width, groups=groups),
            nn.ReLU(),
            conv(width, width, 1),
        )


class _Cascade(nn.Module):
    """Three stages, each of which sees the outputs of all before it.

    Args:
        width: channels.
        stage: makes one stage.
        shared: the three stages are one and the same.
    """

    def __init__(self, width: int, stage: Callable[[], nn.Module], *, shared: bool = False) -> None:
        super().__init__()
        self.shared = shared
        for k in (1,) if shared else (1, 2, 3):
            self.add_module(f"b{k}", stage())
        for k in (1, 2, 3):
            self.add_module(f"c{k}", ConvRelu((k + 1) * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape."""
        joined = out = x
        for k in (1, 2, 3):
            stage = self.get_submodule("b1" if self.shared else f"b{k}")
            joined = torch.cat([joined, stage(out)], 1)
            out = self.get_submodule(f"c{k}")(joined)
        return out


def _shared_cascade(width: int, groups: int) -> _Cascade:
    return _Cascade(width, partial(_GroupedResidual, width, groups), shared=True)


class _Upsampler(nn.Module):
    def __init__(self, scale: int, width: int, groups: int) -> None:
        super().__init__()
        self.body = upsampler(scale, width, groups=groups, activation=nn.ReLU, before=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class CARN(Network):
    """Cascading residual network; one file may hold several scales.

    Args:
        scale: enlargement: 2, 3 or 4, one of those in the file.
        scales: all enlargements of a file with several; empty for one.
        width: channels.
    """

    def __init__(self, *, scale: int = 4, scales: tuple[int, ...] = (), width: int = 64) -> None:
        super().__init__()
        self._build(scale, scales, width, partial(_Cascade, width, partial(_Residual, width)), groups=1)

    def _build(
        self, scale: int, scales: tuple[int, ...], width: int, block: Callable[[], nn.Module], *, groups: int
    ) -> None:
        self.scale, self.branch = scale, f"up{scale}" if scales else "up"
        self.sub_mean = nn.ModuleDict({"shifter": MeanShift(-1)})
        self.add_mean = nn.ModuleDict({"shifter": MeanShift(1)})
        self.entry = conv(3, width)
        self.body = _Cascade(width, block)
        branches = {f"up{s}": s for s in scales} or {"up": scale}
        self.upsample = nn.ModuleDict({name: _Upsampler(s, width, groups) for name, s in branches.items()})
        self.exit = conv(width, 3)

    @classmethod
    def canonical(cls, state: State) -> dict[str, Tensor]:
        # The outer cascade lies at the top of public files.
        return {re.sub(r"^([bc][123]\.)", r"body.\1", key): value for key, value in state.items()}

    @classmethod
    def options(cls, state: State) -> dict[str, Any]:
        scales = tuple(s for s in (2, 3, 4) if f"upsample.up{s}.body.0.weight" in state)
        width = state["entry.weight"].shape[0]
        scale = max(scales, default=0) or shuffle_scale(state, "upsample.up.body.", width)
        return {"scale": scale, "scales": scales, "width": width}

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge ``(N, 3, h, w)``."""
        out = self.body(self.entry(self.sub_mean["shifter"](x)))
        return self.add_mean["shifter"](self.exit(self.upsample[self.branch](out)))


class CARNM(CARN):
    """The mobile CARN: grouped convolutions, and in each block one residual block three times.

    Args:
        scale: enlargement: 2, 3 or 4, one of those in the file.
        scales: all enlargements of a file with several; empty for one.
        width: channels.
        groups: groups of the convolutions.
    """

    def __init__(self, *, scale: int = 4, scales: tuple[int, ...] = (), width: int = 64, groups: int = 4) -> None:
        Network.__init__(self)
        self._build(scale, scales, width, partial(_shared_cascade, width, groups), groups=groups)

    @classmethod
    def options(cls, state: State) -> dict[str, Any]:
        found = super().options(state)
        return found | {"groups": found["width"] // state["body.b1.b1.body.0.weight"].shape[1]}
