"""EDSR, and the frame that it shares with RCAN, SAN and RNAN.

Source: Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution", 2017, arXiv:1707.02921.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from causaliqa_archs.networks.base import Network, State, count, rename, shuffle_scale
from causaliqa_archs.networks.blocks import MEAN, MeanShift, ResidualBlock, conv, upsampler

__all__ = ["EDSR", "MeanShifted"]


class MeanShifted(Network):
    """Subtract the mean, make features, work on them with a long skip, enlarge, add the mean.

    Args:
        width: channels of the features.
        scale: 1, 2, 3, 4 or 8.
        input_range: what white is, 1 or 255.
    """

    optional = ("sub_mean.", "add_mean.")

    def __init__(self, *, width: int, scale: int, input_range: float) -> None:
        super().__init__()
        self.scale, self.input_range = scale, input_range
        self.sub_mean, self.add_mean = MeanShift(-1, input_range), MeanShift(1, input_range)
        self.head = nn.Sequential(conv(3, width))
        self.tail = nn.Sequential(upsampler(scale, width), conv(width, 3))

    @classmethod
    def frame(cls, state: State) -> dict[str, Any]:
        """Read width, scale and input range, which a file without the mean does not tell."""
        width = state["head.0.weight"].shape[0]
        bias = state.get("sub_mean.bias")
        white = None if bias is None else 255.0 if abs(float(bias[0])) > 2 * MEAN[0] else 1.0
        return {
            "width": width,
            "scale": shuffle_scale(state, "tail.0.", width),
            "input_range": white,
        }

    def features(self, x: Tensor) -> Tensor:
        """Map features ``(N, width, h, w)`` to better ones."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Restore ``(N, 3, h, w)`` in [0, input_range]."""
        return self.add_mean(self.tail(self.features(self.head(self.sub_mean(x)))))


class EDSR(MeanShifted):
    """Residual blocks without normalisation; its reach is local.

    Args:
        width: channels of the features.
        blocks: number of residual blocks.
        scale: 1, 2, 3, 4 or 8.
        input_range: what white is, 1 or 255.
        res_scale: factor of what a block adds; 0.1 is the paper's for 256 channels.
    """

    def __init__(
        self,
        *,
        width: int = 64,
        blocks: int = 16,
        scale: int = 4,
        input_range: float = 255.0,
        res_scale: float = 1.0,
    ) -> None:
        super().__init__(width=width, scale=scale, input_range=input_range)
        self.body = nn.Sequential(*(ResidualBlock(width, res_scale) for _ in range(blocks)), conv(width, width))

    @classmethod
    def canonical(cls, state: State) -> dict[str, Tensor]:
        blocks = count(state, r"body\.(\d+)\.conv1\.")
        return rename(
            state,
            (r"conv_first\.", "head.0."),
            (r"body\.(\d+)\.conv1\.", r"body.\1.body.0."),
            (r"body\.(\d+)\.conv2\.", r"body.\1.body.2."),
            (r"conv_after_body\.", f"body.{blocks}."),
            (r"upsample\.", "tail.0."),
            (r"conv_last\.", "tail.1."),
        )

    @classmethod
    def options(cls, state: State) -> dict[str, Any]:
        found = cls.frame(state)
        res_scale = 0.1 if found["width"] >= 256 else 1.0
        return found | {"blocks": count(state, r"body\.(\d+)\.body\."), "res_scale": res_scale}

    def features(self, x: Tensor) -> Tensor:
        return x + self.body(x)
