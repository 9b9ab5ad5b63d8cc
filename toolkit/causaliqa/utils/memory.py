"""Memory of the machine and of this process, checked before large allocations."""

from __future__ import annotations

import ctypes
import gc
import sys
from contextlib import suppress
from pathlib import Path

from causaliqa.api.errors import CausaliqaError

__all__ = ["PeakMemory", "available", "peak_memory", "require", "total_memory"]

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


class PeakMemory:
    """Measures how much memory a block of code needs beyond what was in use when it began.

    On CUDA by torch's own count. On Linux by the peak of the process, which the kernel resets on request; memory that
    the C library keeps for reuse is given back first. Elsewhere :attr:`growth` stays None.

    Args:
        device: torch device.

    Example:
        >>> with PeakMemory() as peak:
        ...     block = bytearray(2**26)
        >>> peak.growth is None or peak.growth > 2**25
        True
    """

    def __init__(self, device: str = "cpu") -> None:
        self.device = device
        self.growth: int | None = None
        """Bytes at the peak beyond those at the beginning; None if it is not known."""
        self._before: int | None = None

    def __enter__(self) -> PeakMemory:
        gc.collect()
        if self.device.startswith("cuda"):
            import torch

            torch.cuda.synchronize(self.device)
            torch.cuda.reset_peak_memory_stats(self.device)
            self._before = int(torch.cuda.memory_allocated(self.device))
        elif self.device == "cpu":
            with suppress(OSError, AttributeError):
                ctypes.CDLL(None).malloc_trim(0)
            with suppress(OSError):
                Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
                self._before = _status("VmRSS")
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is None:
            return
        if self.device.startswith("cuda"):
            peak: int | None = peak_memory(self.device)
        else:
            peak = _status("VmHWM")
        self.growth = None if peak is None else max(0, peak - self._before)


def _status(field: str) -> int | None:
    """Return a size in bytes that Linux knows of this process."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
    return None
