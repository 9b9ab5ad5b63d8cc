"""Small networks of our own, written from the papers.

Weights of EDSR, RCAN and SRVGGNetCompact also load into basicsr's class of that name; parameter names follow basicsr
1.4.2.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from causaliqa.builtin.restorers.padding import pad_reflect

__all__ = ["EDSR", "RCAN", "FoldedNAFNet", "SRVGGNetCompact"]

_MEAN = (0.4488, 0.4371, 0.4040)
"""Mean colour of DIV2K, which both papers subtract."""


def _conv(inputs: int, outputs: int, side: int = 3) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, side, padding=side // 2)


def _upsampler(scale: int, width: int) -> nn.Sequential:
    """Sub-pixel convolutions for a scale of 1, 2, 4 or 8."""
    layers: list[nn.Module] = []
    for _ in range(scale.bit_length() - 1):
        layers += [_conv(width, 4 * width), nn.PixelShuffle(2)]
    return nn.Sequential(*layers)


class _ResidualBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = _conv(width, width)
        self.conv2 = _conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape of ``(N, width, h, w)``."""
        out: Tensor = x + self.conv2(self.conv1(x).relu())
        return out


class _MeanShifted(nn.Module):
    """What EDSR and RCAN share: mean subtraction, features, body with a long skip connection, upsampling."""

    mean: Tensor

    def __init__(self, body: Sequence[nn.Module], num_feat: int, upscale: int, img_range: float) -> None:
        super().__init__()
        self.img_range = img_range
        self.conv_first = _conv(3, num_feat)
        self.body = nn.Sequential(*body)
        self.conv_after_body = _conv(num_feat, num_feat)
        self.upsample = _upsampler(upscale, num_feat)
        self.conv_last = _conv(num_feat, 3)
        mean = self.conv_first.weight.new_tensor(_MEAN).view(1, 3, 1, 1)
        self.register_buffer("mean", mean, persistent=False)

    def forward(self, img: Tensor) -> Tensor:
        """Restore ``(N, 3, h, w)`` in [0, 1] to ``(N, 3, s h, s w)``."""
        x = self.conv_first((img - self.mean) * self.img_range)
        x = x + self.conv_after_body(self.body(x))
        out: Tensor = self.conv_last(self.upsample(x)) / self.img_range + self.mean
        return out


class EDSR(_MeanShifted):
    """Residual blocks without normalisation; its receptive field is local.

    Args:
        num_feat: width.
        num_block: number of residual blocks.
        upscale: 1, 2, 4 or 8; 1 keeps the size.
        img_range: what an input in [0, 1] is multiplied by inside.

    Source: Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution", 2017.

    Example:
        >>> import torch
        >>> EDSR(num_feat=8, num_block=1)(torch.rand(2, 3, 6, 5)).shape
        torch.Size([2, 3, 24, 20])
    """

    def __init__(self, *, num_feat: int = 64, num_block: int = 16, upscale: int = 4, img_range: float = 255.0) -> None:
        super().__init__([_ResidualBlock(num_feat) for _ in range(num_block)], num_feat, upscale, img_range)


class _ChannelAttention(nn.Module):
    def __init__(self, width: int, squeeze: int) -> None:
        super().__init__()
        self.attention = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            _conv(width, width // squeeze, 1),
            nn.ReLU(),
            _conv(width // squeeze, width, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Weigh every channel by a function of its mean over the whole image."""
        out: Tensor = x * self.attention(x)
        return out


class _AttentionBlock(nn.Module):
    def __init__(self, width: int, squeeze: int) -> None:
        super().__init__()
        self.rcab = nn.Sequential(
            _conv(width, width), nn.ReLU(), _conv(width, width), _ChannelAttention(width, squeeze)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape of ``(N, width, h, w)``."""
        out: Tensor = x + self.rcab(x)
        return out


class _ResidualGroup(nn.Module):
    def __init__(self, width: int, blocks: int, squeeze: int) -> None:
        super().__init__()
        self.residual_group = nn.Sequential(*(_AttentionBlock(width, squeeze) for _ in range(blocks)))
        self.conv = _conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape of ``(N, width, h, w)``."""
        out: Tensor = x + self.conv(self.residual_group(x))
        return out


class RCAN(_MeanShifted):
    """Residual groups with channel attention; global pooling makes every output pixel depend on the whole image.

    Args:
        num_feat: width.
        num_group: number of residual groups.
        num_block: number of blocks in a group.
        squeeze_factor: width divided by the width inside the attention.
        upscale: 1, 2, 4 or 8; 1 keeps the size.
        img_range: what an input in [0, 1] is multiplied by inside.

    Source: Zhang et al., "Image Super-Resolution Using Very Deep Residual Channel Attention Networks", 2018.

    Example:
        >>> import torch
        >>> RCAN(num_feat=8, num_group=1, num_block=1, squeeze_factor=4)(torch.rand(2, 3, 6, 5)).shape
        torch.Size([2, 3, 24, 20])
    """

    def __init__(
        self,
        *,
        num_feat: int = 64,
        num_group: int = 10,
        num_block: int = 16,
        squeeze_factor: int = 16,
        upscale: int = 4,
        img_range: float = 255.0,
    ) -> None:
        groups = [_ResidualGroup(num_feat, num_block, squeeze_factor) for _ in range(num_group)]
        super().__init__(groups, num_feat, upscale, img_range)


class _ChannelNorm(nn.Module):
    """Normalisation over the channels of every pixel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width, 1, 1))
        self.bias = nn.Parameter(torch.zeros(width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape of ``(N, width, h, w)``."""
        x = x - x.mean(1, keepdim=True)
        return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-6) * self.weight + self.bias


def _gated(x: Tensor) -> Tensor:
    """Multiply both halves of the channels."""
    first, second = x.chunk(2, dim=1)
    return first * second


class _GatedBlock(nn.Module):
    """NAFNet's block: gates instead of activations, channel attention without squeezing."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = _ChannelNorm(width), _ChannelNorm(width)
        self.conv1 = _conv(width, 2 * width, 1)
        self.conv2 = nn.Conv2d(2 * width, 2 * width, 3, padding=1, groups=2 * width)
        self.attention = _conv(width, width, 1)
        self.conv3, self.conv4, self.conv5 = _conv(width, width, 1), _conv(width, 2 * width, 1), _conv(width, width, 1)
        self.beta = nn.Parameter(torch.zeros(width, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape of ``(N, width, h, w)``."""
        y = _gated(self.conv2(self.conv1(self.norm1(x))))
        x = x + self.beta * self.conv3(y * self.attention(y.mean((2, 3), keepdim=True)))
        out: Tensor = x + self.gamma * self.conv5(_gated(self.conv4(self.norm2(x))))
        return out


class FoldedNAFNet(nn.Module):
    """NAFNet's blocks at a half and a quarter of the resolution: for every pixel what to add, and a factor.

    Haze and darkness are undone by a product rather than a sum. Every 2 x 2 pixels are folded into the channels of one,
    which makes the same layers four times faster. To enlarge, the image is first interpolated (bicubic). The blocks see
    the mean of the whole image.

    Args:
        num_feat: width at half the resolution; it is twice that at a quarter.
        num_block: number of blocks at either end.
        num_middle: number of blocks at a quarter of the resolution.
        upscale: size of the output divided by that of the input; the weights do not depend on it.

    Source: Chen et al., "Simple Baselines for Image Restoration", 2022 (blocks); Shi et al., "Real-Time Single Image
    and Video Super-Resolution", 2016 (folding).

    Example:
        >>> import torch
        >>> FoldedNAFNet(num_feat=8, num_block=1, num_middle=1)(torch.rand(2, 3, 7, 6)).shape
        torch.Size([2, 3, 7, 6])
    """

    fold = 2

    def __init__(self, *, num_feat: int = 32, num_block: int = 2, num_middle: int = 4, upscale: int = 1) -> None:
        super().__init__()
        self.upscale = upscale
        self.conv_first = _conv(3 * self.fold**2, num_feat)
        self.encoder = nn.Sequential(*(_GatedBlock(num_feat) for _ in range(num_block)))
        self.down = nn.Conv2d(num_feat, 2 * num_feat, 2, stride=2)
        self.middle = nn.Sequential(*(_GatedBlock(2 * num_feat) for _ in range(num_middle)))
        self.up = nn.Sequential(_conv(2 * num_feat, 4 * num_feat, 1), nn.PixelShuffle(2))
        self.decoder = nn.Sequential(*(_GatedBlock(num_feat) for _ in range(num_block)))
        self.conv_last = _conv(num_feat, 3 * self.fold**2 + 3)

    def forward(self, img: Tensor) -> Tensor:
        """Restore ``(N, 3, h, w)`` in [0, 1] to ``(N, 3, s h, s w)``."""
        if self.upscale != 1:
            img = F.interpolate(img, scale_factor=float(self.upscale), mode="bicubic")
        height, width = img.shape[-2:]
        multiple = 2 * self.fold
        padded = pad_reflect(img, -height % multiple, -width % multiple)
        x = self.encoder(self.conv_first(F.pixel_unshuffle(padded - 0.5, self.fold)))
        x = self.conv_last(self.decoder(x + self.up(self.middle(self.down(x)))))
        factor = F.interpolate(x[:, :3], scale_factor=float(self.fold), mode="bilinear")
        out: Tensor = padded * (1 + factor) + F.pixel_shuffle(x[:, 3:], self.fold)
        return out[..., :height, :width]


class SRVGGNetCompact(nn.Module):
    """A chain of convolutions that predicts a residual of its input; without upscaling a DnCNN.

    Args:
        num_feat: width.
        num_conv: number of convolutions between the first and the last.
        upscale: size of the output divided by that of the input.

    Source: Zhang et al., "Beyond a Gaussian Denoiser", 2017; layout of Real-ESRGAN's compact network.

    Example:
        >>> import torch
        >>> SRVGGNetCompact(num_feat=8, num_conv=1, upscale=1)(torch.rand(2, 3, 6, 5)).shape
        torch.Size([2, 3, 6, 5])
    """

    def __init__(self, *, num_feat: int = 64, num_conv: int = 16, upscale: int = 4) -> None:
        super().__init__()
        self.upscale = upscale
        layers: list[nn.Module] = [_conv(3, num_feat), nn.PReLU(num_feat)]
        for _ in range(num_conv):
            layers += [_conv(num_feat, num_feat), nn.PReLU(num_feat)]
        self.body = nn.Sequential(*layers, _conv(num_feat, 3 * upscale**2))

    def forward(self, img: Tensor) -> Tensor:
        """Restore ``(N, 3, h, w)`` in [0, 1] to ``(N, 3, s h, s w)``."""
        base = F.interpolate(img, scale_factor=float(self.upscale), mode="nearest") if self.upscale > 1 else img
        out: Tensor = base + F.pixel_shuffle(self.body(img), self.upscale)
        return out
