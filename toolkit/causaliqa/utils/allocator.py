"""How the C library of a process handles freed memory."""

from __future__ import annotations

import ctypes
import os
import platform

__all__ = ["KEPT", "keep_freed_memory"]

KEPT = 2**30
"""Bytes that a process may keep free at the top of its heap; more than that is returned to the system."""

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""Numbers of the parameters in glibc's malloc.h."""

_SETTINGS = (
    "MALLOC_TRIM_THRESHOLD_",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_MMAP_MAX_",
    "MALLOC_TOP_PAD_",
    "GLIBC_TUNABLES",
    "LD_PRELOAD",
)
"""Variables by which users tune or replace the allocator themselves."""


def keep_freed_memory() -> bool:
    """Let this process reuse the memory of freed tensors instead of returning it to the system.

    By default glibc maps each large block on its own and unmaps it when it is freed, so each large tensor begins with a
    page fault for every 4 KB; ``benchmarks/allocator.py`` measures what that costs. (A higher threshold is no way out:
    glibc accepts 32 MB at most, and the buffers of convolutions are larger.) Call this once, early, in programs that
    own their process. Nothing happens with another C library or allocator, or where the user has tuned it.

    Returns:
        True if glibc took the settings.

    Example:
        >>> keep_freed_memory() in (True, False)
        True
    """
    if platform.libc_ver()[0] != "glibc" or any(os.environ.get(name) for name in _SETTINGS):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    mallopt.argtypes, mallopt.restype = (ctypes.c_int, ctypes.c_int), ctypes.c_int
    return all([mallopt(_MMAP_MAX, 0), mallopt(_TRIM_THRESHOLD, KEPT)])
