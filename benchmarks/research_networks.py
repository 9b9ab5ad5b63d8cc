"""Architectures of public checkpoints that no pip package carries, written from the papers and the checkpoints' keys.

They go through the public interface like any network of a user:

    causaliqa cem benchmarks/research_networks.py:DnCNN --checkpoint dncnn_color_sigma50.pth --task denoise ...
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


def conv(inputs, outputs, side=3):
    return nn.Conv2d(inputs, outputs, side, padding=side // 2)


class ContrastAttention(nn.Module):
    """Weights for channels from their contrast: mean and standard deviation over the whole map."""

    def __init__(self, width, squeeze=16):
        super().__init__()
        narrow = width // squeeze
        self.conv_du = nn.Sequential(conv(width, narrow, 1), nn.ReLU(), conv(narrow, width, 1), nn.Sigmoid())

    def forward(self, x):
        mean = x.mean((2, 3), keepdim=True)
        deviation = (x - mean).square().mean((2, 3), keepdim=True).sqrt()
        return x * self.conv_du(mean + deviation)


class DistillationBlock(nn.Module):
    """Three times a quarter of the channels is kept and the rest goes on."""

    def __init__(self, width):
        super().__init__()
        self.sizes = (width // 4, width - width // 4)
        self.c1, self.c2, self.c3 = conv(width, width), conv(self.sizes[1], width), conv(self.sizes[1], width)
        self.c4, self.c5 = conv(self.sizes[1], self.sizes[0]), conv(width, width, 1)
        self.cca = ContrastAttention(width)

    def forward(self, x):
        kept, rest = [], x
        for layer in (self.c1, self.c2, self.c3):
            part, rest = F.leaky_relu(layer(rest), 0.05).split(self.sizes, 1)
            kept.append(part)
        return self.c5(self.cca(torch.cat([*kept, self.c4(rest)], 1))) + x


class IMDN(nn.Module):
    """Information multi-distillation network (Hui et al. 2019), x4."""

    blocks = 6

    def __init__(self, width=64, scale=4):
        super().__init__()
        self.fea_conv = conv(3, width)
        for k in range(self.blocks):
            setattr(self, f"IMDB{k + 1}", DistillationBlock(width))
        self.c = nn.Sequential(conv(self.blocks * width, width, 1), nn.LeakyReLU(0.05))
        self.LR_conv = conv(width, width)
        self.upsampler = nn.Sequential(conv(width, 3 * scale**2), nn.PixelShuffle(scale))

    def forward(self, x):
        first = out = self.fea_conv(x)
        outs = []
        for k in range(self.blocks):
            out = getattr(self, f"IMDB{k + 1}")(out)
            outs.append(out)
        return self.upsampler(self.LR_conv(self.c(torch.cat(outs, 1))) + first)


class DnCNN(nn.Module):
    """20 layers that predict the noise (Zhang et al. 2017)."""

    def __init__(self, depth=20, width=64):
        super().__init__()
        layers = [conv(3, width), nn.ReLU()]
        layers += [layer for _ in range(depth - 2) for layer in (conv(width, width), nn.ReLU())]
        self.model = nn.Sequential(*layers, conv(width, 3))

    def forward(self, x):
        return x - self.model(x)


class PReNet(nn.Module):
    """Progressive recurrent network for rain (Ren et al. 2019): one small network six times, with an LSTM."""

    def __init__(self, stages=6, width=32):
        super().__init__()
        self.stages, self.width = stages, width
        self.conv0 = nn.Sequential(conv(6, width), nn.ReLU())
        for k in range(1, 6):
            block = nn.Sequential(conv(width, width), nn.ReLU(), conv(width, width), nn.ReLU())
            setattr(self, f"res_conv{k}", block)
        for gate, last in (("i", nn.Sigmoid()), ("f", nn.Sigmoid()), ("g", nn.Tanh()), ("o", nn.Sigmoid())):
            setattr(self, f"conv_{gate}", nn.Sequential(conv(2 * width, width), last))
        self.conv = nn.Sequential(conv(width, 3))

    def forward(self, rainy):
        out = rainy
        hidden = cell = rainy.new_zeros(len(rainy), self.width, *rainy.shape[2:])
        for _ in range(self.stages):
            joint = torch.cat([self.conv0(torch.cat([rainy, out], 1)), hidden], 1)
            cell = self.conv_f(joint) * cell + self.conv_i(joint) * self.conv_g(joint)
            hidden = x = self.conv_o(joint) * cell.tanh()
            for k in range(1, 6):
                x = F.relu(getattr(self, f"res_conv{k}")(x) + x)
            out = self.conv(x) + rainy
        return out
