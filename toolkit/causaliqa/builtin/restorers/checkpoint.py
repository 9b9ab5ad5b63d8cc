"""Load the checkpoint that the user named into a network."""

from __future__ import annotations

import os
from pathlib import Path

from torch import nn

from causaliqa.api.errors import InputError, WeightsError
from causaliqa.io.weights import load_into

__all__ = ["load_checkpoint"]


def load_checkpoint(network: nn.Module, file: str | os.PathLike[str]) -> None:
    """Load a ``.pth`` or ``.safetensors`` file: bare, or below ``params_ema``, ``params`` or ``state_dict``.

    Raises:
        InputError: there is no such file, it is no state dict, or its keys are not those of the network.
    """
    path = Path(file).expanduser()
    if not path.is_file():
        raise InputError(f"checkpoint: got {str(file)!r}, which is no file; expected a .pth or .safetensors file")
    try:
        load_into(network, path, strict=True)
    except WeightsError as error:
        # The user chose the file, so a wrong one is bad input.
        raise InputError(str(error)) from error
