"""Which implementation of the transport runs on a device; decided once per device and process."""

from __future__ import annotations

import functools
import logging

import torch

__all__ = ["implementation"]

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
