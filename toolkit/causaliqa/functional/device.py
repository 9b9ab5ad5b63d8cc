"""What depends on the device: which implementation runs there, and what is kept there."""

from __future__ import annotations

import functools
import logging

import torch
from torch import Tensor

from causaliqa.functional.intervention import noise_field

__all__ = ["constants_on", "implementation", "noise_on"]

_log = logging.getLogger(__name__)


@functools.cache
def implementation(device: torch.device) -> str:
    """Return which implementation of the transport runs on a device; decided once per device and process.

    Args:
        device: where the features are.

    Returns:
        ``"compiled"`` (numba) on the CPU; ``"triton"`` on a CUDA device where a first small cost comes out right;
        ``"torch"`` (plain tensor operations) anywhere else.

    Example:
        >>> implementation(torch.device("cpu"))
        'compiled'
    """
    if device.type == "cpu":
        return "compiled"
    return "triton" if device.type == "cuda" and _triton_works(device) else "torch"


def _triton_works(device: torch.device) -> bool:
    """Run the Triton kernel once: it needs the package, a recent card, a C compiler and a folder it may write to."""
    try:
        from causaliqa.functional import _triton_level

        with torch.no_grad():
            masses = torch.eye(4, device=device).view(2, 2, 4)
            cost, _ = _triton_level.transport_response(masses[:1], masses[1:], masses[0], masses.new_zeros(1))
        # Unit masses in bins 0 and 1 move two bins each.
        works = cost.tolist() == [[4.0, 4.0]]
        reason = f"a cost came out as {cost.tolist()}, expected [[4.0, 4.0]]"
    except Exception as error:  # whatever it is, the plain version needs nothing but torch
        works, reason = False, f"{type(error).__name__}: {error}"
    if not works:
        _log.warning("the Triton kernel cannot be used on %s (%s); slower tensor operations replace it", device, reason)
    return works


@functools.lru_cache(maxsize=32)
def constants_on(device: torch.device, values: tuple[float, ...]) -> Tensor:
    """Return numbers as float32 ``(len(values),)`` on a device, copied once: each copy of a list makes the host wait.

    Args:
        device: where they are wanted.
        values: the numbers.

    Example:
        >>> constants_on(torch.device("cpu"), (0.5, 1.0))
        tensor([0.5000, 1.0000])
    """
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=torch.float32, device=device)


@functools.lru_cache(maxsize=32)
def noise_on(device: torch.device, seed: int, level: int, windows: int, bins: int) -> Tensor:
    """Return :func:`~causaliqa.functional.intervention.noise_field` on a device; do not change the tensor.

    The last 32 fields are kept, which are those of five image sizes with a backbone of five stages.

    Example:
        >>> noise_on(torch.device("cpu"), 0, 1, 4, 16).shape
        torch.Size([4, 16])
    """
    with torch.inference_mode(False):
        return noise_field(seed, level, windows, bins).to(device)
