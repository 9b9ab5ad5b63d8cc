"""The file that a run can be resumed from: one line per finished patch, only ever appended to.

Every line carries a hash of itself and of the run's settings, so that a line proves that it is whole and belongs here.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from causaliqa.api.errors import InputError
from causaliqa.utils.files import atomic, unwritten

if sys.platform != "win32":
    import fcntl

__all__ = ["Journal"]


class Journal:
    """Effects by stage and patch, on disk as they come.

    A process that is killed loses the patch it was at. A line that it left unfinished, or that was damaged since, is
    left out and its patch made again.

    Args:
        path: the file; None keeps nothing.
        settings: everything that decides the result; a file of other settings is refused.

    Raises:
        InputError: the file belongs to another run, or a run that still goes on writes to it.
        OutputError: it cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str] | None, settings: dict[str, Any]) -> None:
        self.seen: dict[tuple[str, int], NDArray[np.float64]] = {}
        self._file: IO[bytes] | None = None
        self._head = json.dumps({"schema": 2, "settings": settings})
        if path is None:
            return
        self._path = Path(path)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._open()
            self._take_in()
        except OSError as error:
            raise unwritten(self._path, error) from error
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def _open(self) -> None:
        """Open the file, and keep other runs out: they would make the same patches."""
        # Unbuffered: what a full disk refuses is not tried again at the end.
        self._file = self._path.open("ab", buffering=0)
        if sys.platform == "win32":
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise InputError(
                f"resume: another run is writing to {str(self._path)!r}; wait for it, or choose another folder"
            ) from error
        except OSError:
            pass  # a file system without locks

    def _take_in(self) -> None:
        """Take in the sound lines, and rid the file of all others."""
        content = self._path.read_bytes()
        lines = content.splitlines()
        kept = [self._head.encode()]
        for line in lines[1:]:
            if (told := self._sound(line)) is not None:
                kept.append(line)
                self.seen[told["stage"], told["patch"]] = np.array(told["effects"])
        sound = b"\n".join(kept) + b"\n"
        if content == sound:
            return
        whole = content[: content.rfind(b"\n") + 1]
        if not whole.strip(b"\0"):
            self._cut(0)
            self._append(self._head)
            return
        if lines[0] != kept[0] and len(kept) == 1:
            self._refuse(_parsed(lines[0]))
        if whole == sound:  # killed in the middle of a line
            self._cut(len(sound))
            return
        with atomic(self._path) as part:
            part.write_bytes(sound)
        self.__exit__(None, None, None)
        self._open()
        damaged = len(lines) - len(kept) + (lines[0] != kept[0])
        print(
            f"causaliqa: {self._path}: left out {damaged} damaged lines, kept {len(kept) - 1} sound ones",
            file=sys.stderr,
        )

    def _refuse(self, head: dict[str, Any] | None) -> NoReturn:
        if head is None or "settings" not in head:
            raise InputError(f"resume: {str(self._path)!r} is no file of a run; delete it to start anew")
        old, wanted = head["settings"], json.loads(self._head)["settings"]
        differ = sorted(k for k, v in wanted.items() if not isinstance(old, dict) or old.get(k) != v)
        raise InputError(
            f"resume: {str(self._path)!r} belongs to another run: {', '.join(differ) or 'schema'} differ; "
            "repeat that run's settings, or delete the file to start anew"
        )

    def _sound(self, line: bytes) -> dict[str, Any] | None:
        told = _parsed(line)
        if told is None or told.pop("hash", None) != self._hash(told):
            return None
        return told

    def _hash(self, told: dict[str, Any]) -> str:
        text = f"{self._head}\n{json.dumps(told)}"
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def _cut(self, length: int) -> None:
        if self._file is not None:
            self._file.truncate(length)

    def _append(self, line: str) -> None:
        if self._file is None:
            return
        left = line.encode() + b"\n"
        start = self._file.seek(0, os.SEEK_END)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(start)
            raise unwritten(self._path, error) from error

    def add(self, stage: str, patch: int, effects: NDArray[np.float64]) -> None:
        """Keep the effects of one patch; numbers survive to the last bit.

        Raises:
            OutputError: the disk is full; what was added before is kept.
        """
        self.seen[stage, patch] = effects
        if self._file is not None:
            told = {"stage": stage, "patch": patch, "effects": effects.tolist()}
            self._append(json.dumps({**told, "hash": self._hash(told)}))

    def __enter__(self) -> Journal:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        told = json.loads(line)
    except ValueError:
        return None
    return told if isinstance(told, dict) else None
