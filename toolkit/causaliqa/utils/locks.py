"""Locks on files, and file systems that have none: Lustre without ``-o flock``, NFS whose lock daemon is down."""

from __future__ import annotations

import errno
import os
import tempfile
from typing import Literal

__all__ = ["has_locks"]

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


def has_locks(folder: str | os.PathLike[str], kind: Literal["fcntl", "flock"] = "fcntl") -> bool:
    """Return whether files in a folder can be locked; True where that cannot be tried.

    Args:
        folder: where a temporary file is locked.
        kind: ``fcntl`` (POSIX) as SQLite does, or ``flock``.

    Example:
        >>> has_locks(tempfile.gettempdir())
        True
    """
    try:
        import fcntl
    except ImportError:  # Windows, whose file systems have locks
        return True
    try:
        # A file of its own: closing a file drops every POSIX lock that this process holds on it.
        with tempfile.TemporaryFile(dir=folder) as file:
            (fcntl.lockf if kind == "fcntl" else fcntl.flock)(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _NO_LOCKS
    return True
