"""The small trained networks that come with the package; ``train_tiny.py`` and ``train_seven.py`` made them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.builtin.restorers import architectures
from causaliqa.builtin.restorers.checkpoint import load_checkpoint

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ARCHS", "WEIGHTS", "build", "build_seven", "network"]

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
    "tiny_seven": ("FoldedNAFNet", {"num_feat": 32, "num_block": 2, "num_middle": 4}),
}
"""Class in :mod:`causaliqa.builtin.restorers.architectures` (most are in basicsr, too) and its arguments, by name."""


def network(name: str, **changes: Any) -> nn.Module:
    """Build one of the small networks with random weights, and with other arguments where ``changes`` has some."""
    arch, options = ARCHS[name]
    made: nn.Module = getattr(architectures, arch)(**{**options, **changes})
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
    return _with_weights(network(name), checkpoint or WEIGHTS / f"{name}.safetensors")


def build_seven(*, task: str | None = None, checkpoint: str | os.PathLike[str] | None = None) -> nn.Module:
    """Build the network of all seven tasks: it enlarges by four for ``sr`` and keeps the size for any other task.

    Args:
        task: what it is used for; the weights are the same.
        checkpoint: other weights of the same network.

    Raises:
        InputError: the checkpoint does not fit.

    Example:
        >>> import torch
        >>> hazy = torch.rand(1, 3, 8, 8)
        >>> build_seven(task="dehaze")(hazy).shape, build_seven(task="sr")(hazy).shape
        (torch.Size([1, 3, 8, 8]), torch.Size([1, 3, 32, 32]))
    """
    module = network("tiny_seven", upscale=4 if task == "sr" else 1)
    return _with_weights(module, checkpoint or WEIGHTS / "tiny_seven.safetensors")


def _with_weights(module: nn.Module, file: str | os.PathLike[str]) -> nn.Module:
    load_checkpoint(module, file)
    return module.eval().requires_grad_(False)
