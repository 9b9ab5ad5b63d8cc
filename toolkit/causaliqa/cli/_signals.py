"""Interrupted commands: exit codes, and messages about the results that were kept.

130 after SIGINT (Ctrl-C), 143 after SIGTERM, as shells count them; both go the way of an exception, so that files are
closed and half-written ones are removed.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

from causaliqa.api.errors import CausaliqaError

__all__ = ["Terminated", "abandon_stdout", "kept", "kept_patches", "kept_scores", "no_room", "stoppable"]


class Terminated(KeyboardInterrupt):
    """SIGTERM came."""


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise Terminated


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def no_room(error: OSError) -> bool:
    """Return whether an error means that the disk is full or read-only."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


def abandon_stdout() -> None:
    """Discard further output: the reader was closed or the disk is full, and flushing would fail again at exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def kept(args: argparse.Namespace) -> str:
    """Return what a command has kept so far and how to go on, or nothing where a command keeps nothing."""
    tell = getattr(args, "kept", None)
    return str(tell(args)) if tell else ""


def kept_scores(args: argparse.Namespace) -> str:
    """Return how many scores are in the store, as a message."""
    if args.store is None:
        return "nothing is kept; with --store FILE every score is kept as it comes"
    from causaliqa.evaluation.store import ScoreStore

    try:
        with ScoreStore(args.store, create=False) as store:
            count = f"{len(store)} scores are"
    except CausaliqaError:
        count = "what was finished is"
    return f"{count} kept in {args.store}; run the same command again to go on"


def kept_patches(args: argparse.Namespace) -> str:
    """Return how many patches are in the journals, as a message."""
    journals = sorted(args.out.rglob("cem.journal")) if args.out else []
    count = 0
    for journal in journals:
        with contextlib.suppress(OSError):
            count += max(0, journal.read_bytes().count(b"\n") - 1)
    if not count:
        return "no patch was finished"
    where = journals[0] if len(journals) == 1 else f"{len(journals)} journals in {args.out}"
    return f"{count} finished patches are kept in {where}; run the same command again to go on"
