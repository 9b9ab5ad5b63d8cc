"""What no key tells: the enlargement of some networks, the task of others. The name of the file may, or its folder."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from causaliqa import InputError

__all__ = ["hint", "read_vector"]

_ENLARGEMENT = re.compile(r"(?<![a-z0-9])(?:x([2348])|([2348])x)(?![0-9])", re.IGNORECASE)
_SUPER = re.compile(r"(?<![a-z])sr(?![a-z])", re.IGNORECASE)
_SAME_SIZE = re.compile(r"denois|derain|dehaz|deblur|jpeg", re.IGNORECASE)
_VECTOR = 15
"""Numbers by which SRMD describes a blur."""


def hint(arch: str, option: str, file: Path) -> Any:
    """Return an option that no key of a checkpoint tells.

    Args:
        arch: what the checkpoint is of.
        option: ``scale``, ``task`` or ``degradation``.
        file: the checkpoint.

    Raises:
        InputError: nothing tells it.

    Example:
        >>> hint("srcnn", "scale", Path("srcnn_x3.pth"))
        3
    """
    reader, expected = _READERS[option]
    value = reader(file)
    if value is None:
        raise InputError(
            f"archs: {file.name!r} is of {arch}; neither its keys nor its name tell the {option}; expected {expected}"
        )
    return value


def _scale(file: Path) -> int | None:
    if found := _ENLARGEMENT.search(file.stem):
        return int(found[1] or found[2])
    if _SUPER.search(file.stem):
        return 4
    return 1 if _SAME_SIZE.search(file.stem) else None


def _task(file: Path) -> str | None:
    tasks = [task for task in ("dehaze", "derain") if task in file.stem.lower()]
    return tasks[0] if len(tasks) == 1 else None


def _degradation(file: Path) -> tuple[float, ...] | None:
    vectors = []
    for path in sorted(file.parent.glob("*.npy")):
        try:
            vectors.append(read_vector(path))
        except InputError:
            continue
    return vectors[0] if len(vectors) == 1 else None


_READERS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "scale": (_scale, "scale=4 or another, or a name such as net_x4.pth; 1 where the size stays"),
    "task": (_task, "task=dehaze or task=derain, or a name that says one of them"),
    "degradation": (_degradation, "degradation=FILE.npy, the 15 numbers of the blur, or one such file beside it"),
}


def read_vector(file: str | Path) -> tuple[float, ...]:
    """Read the 15 numbers by which SRMD describes a blur.

    Raises:
        InputError: the file is missing or holds something else.
    """
    try:
        numbers = np.load(file, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"archs: degradation: {str(file)!r} cannot be read: {error}; expected a .npy file") from error
    if numbers.size != _VECTOR or numbers.dtype.kind not in "fiu":
        raise InputError(f"archs: degradation: {str(file)!r} holds {numbers.size} values, expected {_VECTOR} numbers")
    return tuple(map(float, numbers.ravel()))
