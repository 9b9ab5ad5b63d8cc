"""Checksums of what a network holds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["state_dict_checksum"]


def state_dict_checksum(state: Mapping[str, Tensor], *, prefix: str = "", shapes: bool = False) -> str:
    """Return the SHA-256 of the names and bytes of all tensors of a state dict, in hexadecimal.

    Args:
        state: tensors by name, in order.
        prefix: text that the checksum also covers, such as the class of the network.
        shapes: cover type and shape of every tensor, too.

    Example:
        >>> import torch
        >>> a, b = {"w": torch.zeros(2)}, {"w": torch.ones(2)}
        >>> state_dict_checksum(a) == state_dict_checksum(dict(a)), state_dict_checksum(a) == state_dict_checksum(b)
        (True, False)
    """
    import torch

    digest = hashlib.sha256(prefix.encode("utf-8", "backslashreplace"))
    for name, tensor in state.items():
        digest.update(
            (f"{name} {tensor.dtype} {tuple(tensor.shape)}" if shapes else name).encode("utf-8", "backslashreplace")
        )
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
