"""Compiled functions whose machine code is kept on disk where that is possible.

Numba's parallel loops are not used: their pool of threads (OpenMP) aborts a forked process.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

__all__ = ["cache_folder", "compiled", "inlined"]

config: Any = numba.config

Function = TypeVar("Function", bound=Callable[..., Any])


def inlined(**options: Any) -> Callable[[Function], Function]:
    """Compile a function that only compiled functions call; it becomes a part of them."""
    decorate: Any = numba.njit(nogil=True, **options)
    return cast("Callable[[Function], Function]", decorate)


def compiled(**options: Any) -> Callable[[Function], Function]:
    """Compile a function that Python calls; the machine code is kept on disk where that is possible.

    Where it cannot be read or written (no home, a full disk, a damaged file), it is compiled again by every process.
    """

    def decorate(function: Any) -> Any:
        try:
            with _kept_in(cache_folder()):
                kept = numba.njit(cache=config.CACHE_DIR != "", nogil=True, **options)(function)
        except (RuntimeError, OSError):  # numba finds no place for it
            kept = numba.njit(nogil=True, **options)(function)
        return _Compiled(kept, function, options)

    return decorate


class _Compiled:
    """Calls the function that is kept on disk, or compiles it in memory."""

    def __init__(self, kept: Any, function: Any, options: dict[str, Any]) -> None:
        self._call, self._function, self._options = kept, function, options

    def __call__(self, *args: Any) -> Any:
        try:
            return self._call(*args)
        # What numba raises for a file that it cannot read, write or unpickle; the kernels themselves raise nothing.
        except (OSError, EOFError, pickle.PickleError, ValueError, AttributeError, ImportError, IndexError):
            self._call = numba.njit(nogil=True, **self._options)(self._function)
            return self._call(*args)


@lru_cache(maxsize=1)
def cache_folder() -> str:
    """Return the folder that keeps compiled code, empty where there is none.

    Its name has a checksum of the sources: numba itself compares only size and time stamp of one file. It lies in the
    folder ``NUMBA_CACHE_DIR``, else beside the sources, else in the cache folder of the user.
    """
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for source in sorted([*here.glob("_*.py"), Path(__file__)]):
        digest.update(source.name.encode() + source.read_bytes())
    name = f"kernels-{digest.hexdigest()[:16]}"
    places = [config.CACHE_DIR] if config.CACHE_DIR else [str(here / "__pycache__"), *_of_user()]
    return next((made for place in places if (made := _writable(os.path.join(place, name)))), "")  # noqa: PTH118


def _of_user() -> Iterator[str]:
    with suppress(RuntimeError):  # no home is known
        yield str(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "causaliqa")


def _writable(folder: str) -> str:
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return ""


@contextmanager
def _kept_in(folder: str) -> Iterator[None]:
    """Let numba keep what is decorated meanwhile in a folder."""
    before, config.CACHE_DIR = config.CACHE_DIR, folder
    try:
        yield
    finally:
        config.CACHE_DIR = before
