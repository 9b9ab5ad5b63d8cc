"""Choice of the torch device."""

from __future__ import annotations

from causaliqa.api.errors import InputError
from causaliqa.utils.text import brief

__all__ = ["choose_device"]


def choose_device(wanted: str | None = None) -> str:
    """Return the device if usable; by default CUDA if available, otherwise the CPU.

    Raises:
        InputError: torch cannot use the device.

    Example:
        >>> choose_device("cpu")
        'cpu'
    """
    import torch

    if wanted is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=wanted)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {wanted!r} cannot be used: {brief(error, 200, kind=False)}") from error
    return wanted
