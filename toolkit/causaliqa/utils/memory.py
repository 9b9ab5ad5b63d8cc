"""How much memory there is, asked before something large is tried."""

from __future__ import annotations

from causaliqa.api.errors import CausaliqaError

__all__ = ["available", "peak", "require"]

_SURELY_FREE = 1 << 28
"""Needs below it are not looked at: no machine that runs torch lacks so little."""


def available(device: str = "cpu") -> int:
    """Return the bytes that could be had on a device without taking them from another process; swap counts.

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


def peak(device: str = "cpu") -> int:
    """Return the most bytes that a device has given so far: torch's own count on CUDA, else this process's memory.

    Example:
        >>> peak() > 0
        True
    """
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.max_memory_allocated(device))
    import psutil

    memory = psutil.Process().memory_info()
    if hasattr(memory, "peak_wset"):  # Windows
        return int(memory.peak_wset)
    import resource

    # psutil does not tell the peak elsewhere; macOS counts in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if psutil.MACOS else 1024)


def require(needed: float, what: str, *, device: str = "cpu", remedy: str) -> None:
    """Refuse what surely does not fit; needs that were measured as the least keep what fits from being refused.

    Args:
        needed: bytes that are needed at least.
        what: what needs them, for the message.
        device: where.
        remedy: what to do.

    Raises:
        CausaliqaError: there is less.

    Example:
        >>> require(1e18, "image a.png", remedy="crop it")
        Traceback (most recent call last):
        causaliqa.api.errors.CausaliqaError: image a.png needs 931322574.6 GiB of memory, ...
    """
    if needed > _SURELY_FREE and needed > (there := available(device)):
        raise CausaliqaError(
            f"{what} needs {needed / 2**30:.1f} GiB of memory, {there / 2**30:.1f} GiB are free on {device}; {remedy}"
        )
