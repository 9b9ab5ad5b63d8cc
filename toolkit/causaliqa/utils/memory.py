"""Memory of the machine and of this process, checked before large allocations."""

from __future__ import annotations

import sys

from causaliqa.api.errors import CausaliqaError

__all__ = ["available", "peak_memory", "require", "total_memory"]

_UNCHECKED = 1 << 28
"""Bytes below which nothing is checked: every machine that runs torch has as much free."""


def available(device: str = "cpu") -> int:
    """Return the bytes available on a device, including swap and torch's own cache.

    Example:
        >>> available() > 0
        True
    """
    if device.startswith("cuda"):
        import torch

        free, _ = torch.cuda.mem_get_info(device)
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    import psutil

    return int(psutil.virtual_memory().available + psutil.swap_memory().free)


def require(needed: float, what: str, *, device: str = "cpu", remedy: str) -> None:
    """Raise if ``needed`` cannot fit. Pass a lower bound, so that nothing that fits is refused.

    Args:
        needed: lower bound of the bytes needed.
        what: what needs them, for the message.
        device: torch device.
        remedy: advice for the message.

    Raises:
        CausaliqaError: less memory is available.

    Example:
        >>> require(1e18, "image a.png", remedy="crop it")
        Traceback (most recent call last):
        causaliqa.api.errors.CausaliqaError: image a.png needs 931322574.6 GiB of memory, ...
    """
    if needed > _UNCHECKED and needed > (there := available(device)):
        raise CausaliqaError(
            f"{what} needs {needed / 2**30:.1f} GiB of memory, {there / 2**30:.1f} GiB are free on {device}; {remedy}"
        )


def total_memory() -> int:
    """Return the bytes of memory that the machine has, without swap.

    Example:
        >>> total_memory() > 0
        True
    """
    import psutil

    return int(psutil.virtual_memory().total)


def peak_memory(device: str = "cpu") -> int:
    """Return the most bytes that were in use so far: on CUDA by torch's own count, else by this process.

    Example:
        >>> peak_memory() > 0
        True
    """
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.max_memory_allocated(device))
    import psutil

    memory = psutil.Process().memory_info()
    if hasattr(memory, "peak_wset"):  # Windows
        return int(memory.peak_wset)
    import resource  # psutil has no peak outside Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
