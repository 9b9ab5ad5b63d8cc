"""Threads that outlive no call, so that a process can be forked at any time.

A forked process inherits the state of a pool of threads without its threads: OpenMP, which torch uses, waits for them
without end.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import torch

__all__ = ["one_thread_after_fork", "share_work"]

_LATEST = [os.getpid()]
"""Process that used this module last; another one was forked from it."""


def one_thread_after_fork() -> None:
    """Set torch to one thread if this process was forked, as torch's DataLoader does in its workers; once a process."""
    if os.getpid() != _LATEST[0]:
        _LATEST[0] = os.getpid()
        if torch.get_num_threads() > 1:
            torch.set_num_threads(1)


def share_work(work: Callable[[int, int], object], most: int) -> None:
    """Call ``work(k, threads)`` in as many threads as torch uses, but at most ``most``.

    Threads run at the same time only while ``work`` releases the interpreter lock, as compiled functions do.

    Raises:
        BaseException: what a call raised.

    Example:
        >>> seen = []
        >>> share_work(lambda k, threads: seen.append(k < threads), most=1)
        >>> seen
        [True]
    """
    one_thread_after_fork()
    count = max(1, min(torch.get_num_threads(), most))
    errors: list[BaseException] = []

    def call(k: int) -> None:
        try:
            work(k, count)
        except BaseException as error:
            errors.append(error)

    helpers = [threading.Thread(target=call, args=(k,), daemon=True) for k in range(1, count)]
    for helper in helpers:
        helper.start()
    call(0)
    for helper in helpers:
        helper.join()
    if errors:
        raise errors[0]
