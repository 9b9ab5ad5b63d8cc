"""MPRNet: three stages, on quarters, halves and the whole of the image.

Source: Zamir et al., "Multi-Stage Progressive Image Restoration", 2021, arXiv:2102.02808.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from causaliqa_archs.networks.base import Network, State, count
from causaliqa_archs.networks.blocks import ChannelAttention, conv
from causaliqa_archs.networks.hinet import SupervisedAttention

__all__ = ["MPRNet"]

Levels = list[Tensor]
"""Features of the three levels, fine to coarse."""


class _Block(nn.Module):
    """Channel attention block; all blocks of a network have the same activation."""

    def __init__(self, width: int, reduction: int, act: nn.PReLU) -> None:
        super().__init__()
        self.CA = ChannelAttention(width, width // reduction, bias=False)
        self.body = nn.Sequential(conv(width, width, bias=False), act, conv(width, width, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.CA(self.body(x))


class _Resize(nn.Module):
    """Bilinear change of the size, and a 1 x 1 convolution: ``name`` is what checkpoints call them."""

    def __init__(self, name: str, factor: float, inputs: int, outputs: int) -> None:
        super().__init__()
        resize = nn.Upsample(scale_factor=factor, mode="bilinear", align_corners=False)
        self.name = name
        self.add_module(name, nn.Sequential(resize, conv(inputs, outputs, 1, bias=False)))

    def forward(self, x: Tensor) -> Tensor:
        return self.get_submodule(self.name)(x)


class _Encoder(nn.Module):
    def __init__(self, widths: list[int], reduction: int, act: nn.PReLU, *, fused: bool) -> None:
        super().__init__()
        for k, width in enumerate(widths, start=1):
            blocks = (_Block(width, reduction, act) for _ in range(2))
            self.add_module(f"encoder_level{k}", nn.Sequential(*blocks))
            if fused:
                self.add_module(f"csff_enc{k}", conv(width, width, 1, bias=False))
                self.add_module(f"csff_dec{k}", conv(width, width, 1, bias=False))
        self.down12 = _Resize("down", 0.5, widths[0], widths[1])
        self.down23 = _Resize("down", 0.5, widths[1], widths[2])

    def forward(self, x: Tensor, encoded: Levels | None = None, decoded: Levels | None = None) -> Levels:
        """Return the features of three levels; the arguments after the first are those of the stage before."""
        levels = []
        for k in (1, 2, 3):
            x = self.get_submodule(f"encoder_level{k}")(x)
            if encoded is not None and decoded is not None:
                enc, dec = self.get_submodule(f"csff_enc{k}"), self.get_submodule(f"csff_dec{k}")
                x = x + enc(encoded[k - 1]) + dec(decoded[k - 1])
            levels.append(x)
            if k < 3:
                x = self.get_submodule(f"down{k}{k + 1}")(x)
        return levels


class _Decoder(nn.Module):
    decoder_level3: nn.Module

    def __init__(self, widths: list[int], reduction: int, act: nn.PReLU) -> None:
        super().__init__()
        for k, width in enumerate(widths, start=1):
            blocks = (_Block(width, reduction, act) for _ in range(2))
            self.add_module(f"decoder_level{k}", nn.Sequential(*blocks))
            if k < 3:
                self.add_module(f"skip_attn{k}", _Block(width, reduction, act))
        self.up21 = _Resize("up", 2.0, widths[1], widths[0])
        self.up32 = _Resize("up", 2.0, widths[2], widths[1])

    def forward(self, levels: Levels) -> Levels:
        """Return the features of three levels, fine to coarse."""
        out = self.decoder_level3(levels[2])
        decoded = [out]
        for k in (2, 1):
            skip = self.get_submodule(f"skip_attn{k}")(levels[k - 1])
            out = self.get_submodule(f"decoder_level{k}")(self.get_submodule(f"up{k + 1}{k}")(out) + skip)
            decoded.insert(0, out)
        return decoded


class _FullBlock(nn.Module):
    def __init__(self, width: int, blocks: int, reduction: int, act: nn.PReLU) -> None:
        super().__init__()
        layers = (_Block(width, reduction, act) for _ in range(blocks))
        self.body = nn.Sequential(*layers, conv(width, width, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class _FullResolution(nn.Module):
    """The last stage: nothing is made smaller; features of the second stage come in, enlarged."""

    def __init__(self, widths: list[int], wide: int, blocks: int, reduction: int, act: nn.PReLU) -> None:
        super().__init__()
        for k in (1, 2, 3):
            self.add_module(f"orb{k}", _FullBlock(wide, blocks, reduction, act))
            for side in ("enc", "dec"):
                self.add_module(f"conv_{side}{k}", conv(widths[0], wide, 1, bias=False))
        for side in ("enc", "dec"):
            steps = [_Resize("up", 2.0, widths[k + 1], widths[k]) for k in (0, 1, 0)]
            self.add_module(f"up_{side}1", steps[0])
            self.add_module(f"up_{side}2", nn.Sequential(*steps[1:]))

    def forward(self, x: Tensor, encoded: Levels, decoded: Levels) -> Tensor:
        """Keep the shape of x."""
        for k in (1, 2, 3):
            x = self.get_submodule(f"orb{k}")(x)
            for side, levels in (("enc", encoded), ("dec", decoded)):
                level = levels[k - 1]
                if k > 1:
                    level = self.get_submodule(f"up_{side}{k - 1}")(level)
                x = x + self.get_submodule(f"conv_{side}{k}")(level)
        return x


class MPRNet(Network):
    """Multi-stage progressive restoration; its channel attention lets every pixel reach every other.

    Args:
        width: channels of the first level.
        step: further channels of each level.
        extra: further channels of the last stage.
        blocks: blocks in each part of the last stage.
        reduction: channels divided by those inside the attention.
    """

    multiple = 8
    shallow_feat1: nn.Module
    shallow_feat2: nn.Module
    shallow_feat3: nn.Module
    stage1_encoder: nn.Module
    stage1_decoder: nn.Module
    stage2_encoder: nn.Module
    stage2_decoder: nn.Module

    def __init__(
        self, *, width: int = 40, step: int = 20, extra: int = 16, blocks: int = 8, reduction: int = 4
    ) -> None:
        super().__init__()
        act = nn.PReLU()
        widths = [width, width + step, width + 2 * step]
        for k in (1, 2, 3):
            self.add_module(
                f"shallow_feat{k}", nn.Sequential(conv(3, width, bias=False), _Block(width, reduction, act))
            )
        for stage in (1, 2):
            self.add_module(f"stage{stage}_encoder", _Encoder(widths, reduction, act, fused=stage == 2))
            self.add_module(f"stage{stage}_decoder", _Decoder(widths, reduction, act))
        self.stage3_orsnet = _FullResolution(widths, width + extra, blocks, reduction, act)
        self.sam12, self.sam23 = (SupervisedAttention(width, 1, bias=False) for _ in range(2))
        self.concat12 = conv(2 * width, width, bias=False)
        self.concat23 = conv(2 * width, width + extra, bias=False)
        self.tail = conv(width + extra, 3, bias=False)

    @classmethod
    def options(cls, state: State) -> dict[str, Any]:
        width = state["shallow_feat1.0.weight"].shape[0]
        return {
            "width": width,
            "step": state["stage1_encoder.down12.down.1.weight"].shape[0] - width,
            "extra": state["tail.weight"].shape[1] - width,
            "blocks": count(state, r"stage3_orsnet\.orb1\.body\.(\d+)\.") - 1,
            "reduction": width // state["shallow_feat1.1.CA.conv_du.0.weight"].shape[0],
        }

    def forward(self, x: Tensor) -> Tensor:
        """Restore ``(N, 3, h, w)`` in [0, 1]; the sides are multiples of 8."""
        halves = x.split(x.shape[2] // 2, 2)
        second: list[Levels] = []
        for half in halves:
            quarters = [self.stage1_encoder(self.shallow_feat1(part)) for part in half.split(x.shape[3] // 2, 3)]
            encoded = [torch.cat(pair, 3) for pair in zip(*quarters, strict=True)]
            decoded = self.stage1_decoder(encoded)
            joined = torch.cat([self.shallow_feat2(half), self.sam12(decoded[0], half)], 1)
            second.append(self.stage2_encoder(self.concat12(joined), encoded, decoded))
        encoded = [torch.cat(pair, 2) for pair in zip(*second, strict=True)]
        decoded = self.stage2_decoder(encoded)
        joined = torch.cat([self.shallow_feat3(x), self.sam23(decoded[0], x)], 1)
        return x + self.tail(self.stage3_orsnet(self.concat23(joined), encoded, decoded))
