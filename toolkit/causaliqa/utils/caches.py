"""Folders for what can be made or downloaded again: below the home of the user, else below the temporary folder."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

__all__ = ["cache_root", "cache_roots", "can_write", "give_matplotlib_a_folder", "temporary_root", "writable_root"]


def cache_root() -> Path:
    """Return ``$XDG_CACHE_HOME/causaliqa``, else ``~/.cache/causaliqa``; without a home, :func:`temporary_root`."""
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "causaliqa"
    except RuntimeError:  # neither HOME nor an entry in the list of users
        return temporary_root()


def temporary_root() -> Path:
    """Return the folder of this user below the temporary folder; it need not exist."""
    try:
        base = tempfile.gettempdir()
    except OSError:  # no temporary folder can be written to
        base = os.sep
    user = os.getuid() if hasattr(os, "getuid") else "user"
    return Path(base) / f"causaliqa-{user}"


def cache_roots() -> list[Path]:
    """Return the folders that may hold files of ours, in search order."""
    roots = list(dict.fromkeys([cache_root(), temporary_root()]))
    return [root for root in roots if root != temporary_root() or _is_private(root)]


def writable_root() -> Path | None:
    """Return the first of the folders that can be written to, made if it does not exist; None if there is none."""
    for root in dict.fromkeys([cache_root(), temporary_root()]):
        with suppress(OSError):
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            if can_write(root) and (root != temporary_root() or _is_private(root)):
                return root
    return None


def _is_private(folder: Path) -> bool:
    """Return whether nobody else can write to a folder: in /tmp others could have made it for us."""
    with suppress(OSError):
        found = folder.lstat()
        return not hasattr(os, "getuid") or (found.st_uid == os.getuid() and not found.st_mode & 0o022)
    return False


def can_write(folder: Path) -> bool:
    """Return whether a file can be made in a folder; permissions do not show read-only disks."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def give_matplotlib_a_folder() -> None:
    """Set ``MPLCONFIGDIR`` where Matplotlib could not write to its usual folder, of which it warns at every start."""
    if "MPLCONFIGDIR" in os.environ:
        return
    try:
        usual = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        there = next(folder for folder in (usual / "matplotlib", usual, *usual.parents) if _exists(folder))
        if os.access(there, os.W_OK):
            return
    except RuntimeError:  # no home is known
        pass
    root = writable_root()
    if root is not None:
        with suppress(OSError):
            (root / "matplotlib").mkdir(exist_ok=True)
            os.environ["MPLCONFIGDIR"] = str(root / "matplotlib")


def _exists(folder: Path) -> bool:
    try:
        return folder.exists()
    except OSError:  # in a folder that may not be searched, such as the home of root
        return False
