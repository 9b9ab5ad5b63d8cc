"""The small trained networks that come with the package; ``benchmarks/train_tiny.py`` made them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.builtin.restorers import architectures
from causaliqa.builtin.restorers.checkpoint import load_checkpoint

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ARCHS", "WEIGHTS", "build", "network"]

WEIGHTS = Path(__file__).parent / "weights"
"""Folder of the weights, one ``NAME.safetensors`` each."""

ARCHS: dict[str, tuple[str, dict[str, Any]]] = {
    "tiny_edsr_x4": ("EDSR", {"num_feat": 32, "num_block": 8, "upscale": 4, "img_range": 1.0}),
    "tiny_rcan_x4": (
        "RCAN",
        {"num_feat": 32, "num_group": 3, "num_block": 2, "squeeze_factor": 8, "upscale": 4, "img_range": 1.0},
    ),
    "tiny_dncnn_50": ("SRVGGNetCompact", {"num_feat": 32, "num_conv": 16, "upscale": 1}),
    "tiny_edsr_rain": ("EDSR", {"num_feat": 32, "num_block": 8, "upscale": 1, "img_range": 1.0}),
    "tiny_seven": ("FoldedRCAN", {"num_feat": 48, "num_block": 4, "squeeze_factor": 8}),
}
"""Class in :mod:`causaliqa.builtin.restorers.architectures` (most are in basicsr, too) and its arguments, by name."""


def network(name: str) -> nn.Module:
    """Build one of the small networks with random weights."""
    arch, options = ARCHS[name]
    made: nn.Module = getattr(architectures, arch)(**options)
    return made


def build(*, name: str, checkpoint: str | os.PathLike[str] | None = None) -> nn.Module:
    """Build one of the small networks with its trained weights, or with those of ``checkpoint``.

    Raises:
        InputError: the checkpoint does not fit.

    Example:
        >>> import torch
        >>> build(name="tiny_edsr_x4")(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 32, 32])
    """
    module = network(name)
    load_checkpoint(module, checkpoint or WEIGHTS / f"{name}.safetensors")
    return module.eval().requires_grad_(False)
