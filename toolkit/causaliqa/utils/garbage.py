"""How often Python looks for cycles of objects that nobody uses."""

from __future__ import annotations

import atexit
import gc

__all__ = ["collect_rarely"]

_THRESHOLDS = 50_000, 20, 100
"""New objects before a search, and searches of a generation before one of the next; Python's own are 700, 10, 10."""


def collect_rarely() -> None:
    """Let this process search for unused cycles less often, and not at all when it ends.

    Loading torch makes a million objects that stay; by default they are searched again and again meanwhile, and twice
    more at the end, which takes as long as scoring many pairs. Tensors are freed by
    reference counts all the same. Call this once, early, in programs that own their process.

    Example:
        >>> before = gc.get_threshold()
        >>> collect_rarely(); gc.get_threshold()
        (50000, 20, 100)
        >>> gc.set_threshold(*before)
    """
    gc.set_threshold(*_THRESHOLDS)
    atexit.register(gc.freeze)
