"""HINet: two U-shaped stages, in whose encoders half of the channels are normalised.

Source: Chen et al., "HINet: Half Instance Normalization Network for Image Restoration", 2021, arXiv:2105.06086.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from causaliqa_archs.networks.base import Network, State, count
from causaliqa_archs.networks.blocks import conv

__all__ = ["HINet", "SupervisedAttention"]


class SupervisedAttention(nn.Module):
    """Weigh features by the image that they make (MPRNet).

    Args:
        width: channels of the features.
        side: side of the kernels.
        bias: whether the convolutions have one.
    """

    def __init__(self, width: int, side: int, *, bias: bool) -> None:
        super().__init__()
        self.conv1 = conv(width, width, side, bias=bias)
        self.conv2 = conv(width, 3, side, bias=bias)
        self.conv3 = conv(3, width, side, bias=bias)

    def forward(self, x: Tensor, img: Tensor) -> Tensor:
        """Keep the shape of the features."""
        weights = self.conv3(self.conv2(x) + img).sigmoid()
        return x + self.conv1(x) * weights


class _Block(nn.Module):
    """Two convolutions and a skip.

    Args:
        inputs: channels before.
        width: channels after.
        norm: normalise half of the channels.
        down: halve the size behind it.
        fused: take features of the stage before.
    """

    def __init__(self, inputs: int, width: int, *, norm: bool = False, down: bool = False, fused: bool = False) -> None:
        super().__init__()
        self.identity = conv(inputs, width, 1)
        self.conv_1, self.conv_2 = conv(inputs, width), conv(width, width)
        self.norm = nn.InstanceNorm2d(width // 2, affine=True) if norm else None
        if fused:
            self.csff_enc, self.csff_dec = conv(width, width), conv(width, width)
        if down:
            self.downsample = nn.Conv2d(width, width, 4, stride=2, padding=1, bias=False)

    def forward(self, x: Tensor, before: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Map ``(N, inputs, h, w)`` to ``(N, width, h, w)``; ``before`` are encoder and decoder of the stage before."""
        out = self.conv_1(x)
        if self.norm is not None:
            first, second = out.chunk(2, 1)
            out = torch.cat([self.norm(first), second], 1)
        out = F.leaky_relu(self.conv_2(F.leaky_relu(out, 0.2)), 0.2) + self.identity(x)
        if before is not None:
            out = out + self.csff_enc(before[0]) + self.csff_dec(before[1])
        return out


class _Up(nn.Module):
    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(inputs, width, 2, stride=2)
        self.conv_block = _Block(inputs, width)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.conv_block(torch.cat([self.up(x), skip], 1))


class HINet(Network):
    """Half instance normalisation network; every pixel reaches every other.

    Args:
        width: channels of the first level.
        depth: number of levels.
        normed: the levels whose encoder blocks normalise.
    """

    def __init__(self, *, width: int = 64, depth: int = 5, normed: tuple[int, ...] = (0, 1, 2, 3, 4)) -> None:
        super().__init__()
        self.depth = depth
        self.multiple = 2 ** (depth - 1)
        # Instance normalisation needs more than one place on the coarsest level.
        self.smallest = 2**depth
        widths = [width * 2**level for level in range(depth)]
        self.conv_01, self.conv_02 = conv(3, width), conv(3, width)
        for stage in (1, 2):
            down = [
                _Block(
                    widths[max(0, level - 1)],
                    here,
                    norm=level in normed,
                    down=level + 1 < depth,
                    fused=stage == 2 and level + 1 < depth,
                )
                for level, here in enumerate(widths)
            ]
            pairs = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
            self.add_module(f"down_path_{stage}", nn.ModuleList(down))
            self.add_module(f"up_path_{stage}", nn.ModuleList(_Up(below, here) for below, here in pairs))
            self.add_module(f"skip_conv_{stage}", nn.ModuleList(conv(here, here) for _, here in pairs))
        self.sam12 = SupervisedAttention(width, 3, bias=True)
        self.cat12 = conv(2 * width, width, 1)
        self.last = conv(width, 3)

    @classmethod
    def options(cls, state: State) -> dict[str, Any]:
        depth = count(state, r"down_path_1\.(\d+)\.")
        return {
            "width": state["conv_01.weight"].shape[0],
            "depth": depth,
            "normed": tuple(k for k in range(depth) if f"down_path_1.{k}.norm.weight" in state),
        }

    def forward(self, x: Tensor) -> Tensor:
        """Restore ``(N, 3, h, w)`` in [0, 1]; the sides are multiples of ``2 ** (depth - 1)``."""
        encoded, decoded = self._stage(1, self.conv_01(x))
        attended = self.sam12(decoded[-1], x)
        first = self.cat12(torch.cat([self.conv_02(x), attended], 1))
        before = list(zip(encoded, reversed(decoded), strict=True))
        _, decoded = self._stage(2, first, before)
        return self.last(decoded[-1]) + x

    def _stage(
        self, stage: int, x: Tensor, before: list[tuple[Tensor, Tensor]] | None = None
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return the features of the encoder but the coarsest, and those of the decoder, coarse to fine."""
        down, up, skip = (
            list(self.get_submodule(f"{name}_{stage}").children()) for name in ("down_path", "up_path", "skip_conv")
        )
        encoded = []
        for level, block in enumerate(down[:-1]):
            features = block(x, before[level] if before else None)
            encoded.append(features)
            x = block.get_submodule("downsample")(features)
        x = down[-1](x)
        decoded = []
        for level, block in enumerate(up):
            x = block(x, skip[level](encoded[-level - 1]))
            decoded.append(x)
        return encoded, decoded
