"""A checkpoint whose architecture, scale and sizes spandrel finds out, behind causaliqa's restorer contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from spandrel import ImageModelDescriptor, ModelLoader, UnsupportedModelError
from torch import Tensor, nn

from causaliqa import InputError

__all__ = ["SpandrelRestorer", "build"]

_ROUNDING = 1e-4
"""Largest difference between images restored together and one by one that rounding explains."""


class SpandrelRestorer(nn.Module):
    """spandrel's model as ``(N, 3, h, w)`` in [0, 1] to ``(N, 3, s h, s w)``, clipped to [0, 1]; no gradients.

    spandrel pads to the sizes that the model needs. It promises nothing for more than one image: they go together only
    where that was seen to give the same as one by one. A gray model restores the three channels on their own.

    Args:
        descriptor: what spandrel made of a checkpoint.
    """

    def __init__(self, descriptor: ImageModelDescriptor[nn.Module]) -> None:
        super().__init__()
        self.network = descriptor.model
        self.scale = descriptor.scale
        self._descriptor = descriptor
        self.batches = self._may_batch()

    def forward(self, img: Tensor) -> Tensor:
        """Restore ``(N, 3, h, w)``."""
        count, _, height, width = img.shape
        planes = img if self._descriptor.input_channels == 3 else img.reshape(-1, 1, height, width)
        parts = [planes] if self.batches else torch.split(planes, 1)
        out = torch.cat([self._descriptor(part) for part in parts])
        return out.reshape(count, 3, height * self.scale, width * self.scale)

    def _may_batch(self) -> bool:
        """Restore two images together and one by one, and see whether it is the same."""
        probe = torch.rand(2, self._descriptor.input_channels, 16, 16, generator=torch.Generator().manual_seed(0))
        try:
            together = self._descriptor(probe)
            alone = torch.cat([self._descriptor(one) for one in torch.split(probe, 1)])
        except RuntimeError:
            return False
        return together.shape == alone.shape and float((together - alone).abs().max()) < _ROUNDING


def build(*, file: str) -> nn.Module:
    """Load a checkpoint; nothing in it is executed.

    Args:
        file: path of a ``.pth``, ``.pt``, ``.ckpt`` or ``.safetensors`` file.

    Raises:
        InputError: there is no such file, spandrel does not recognise it, or it does not restore colour images.
    """
    path = Path(file).expanduser()
    if not path.is_file():
        raise InputError(f"spandrel: got {file!r}, which is no file; expected a .pth or .safetensors checkpoint")
    try:
        found: Any = ModelLoader(device="cpu").load_from_file(path)
    except UnsupportedModelError as error:
        raise InputError(
            f"spandrel does not recognise the architecture of {file!r}; pass a Python factory instead, "
            "path/to/file.py:factory"
        ) from error
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"spandrel cannot load {file!r}: {type(error).__name__}: {reason}") from error
    if not isinstance(found, ImageModelDescriptor):
        raise InputError(f"spandrel: {file!r} is a {found.architecture.name} for {found.purpose}, which wants a mask")
    channels = (found.input_channels, found.output_channels)
    if channels not in ((1, 1), (3, 3)):
        raise InputError(f"spandrel: {file!r} maps {channels[0]} channels to {channels[1]}, expected 3 to 3 or 1 to 1")
    return SpandrelRestorer(found.eval()).eval().requires_grad_(False)
