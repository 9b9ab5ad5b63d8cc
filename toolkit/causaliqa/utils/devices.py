"""The one choice of a torch device."""

from __future__ import annotations

from causaliqa.api.errors import InputError
from causaliqa.utils.text import brief

__all__ = ["choose_device"]


def choose_device(wanted: str | None = None) -> str:
    """Return the device that was asked for, or the best there is: CUDA where there is one, else the CPU.

    Raises:
        InputError: torch cannot use it.

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
