"""Constants that are kept on a device."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

__all__ = ["constants_on"]


@functools.lru_cache(maxsize=32)
def constants_on(device: torch.device, values: tuple[float, ...], dtype: torch.dtype = torch.float32) -> Tensor:
    """Return numbers ``(len(values),)`` on a device, copied once: each copy of a list makes the host wait.

    Args:
        device: where they are wanted.
        values: the numbers.
        dtype: their type.

    Example:
        >>> constants_on(torch.device("cpu"), (0.5, 1.0))
        tensor([0.5000, 1.0000])
    """
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=dtype, device=device)
