"""The file that a run can be resumed from: one line per finished patch, only ever appended to.

Every line carries a checksum of itself and of the run's settings: damaged lines, and those of other runs, are found.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NoReturn

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from causaliqa.api.errors import InputError
from causaliqa.utils.files import atomic, unwritten
from causaliqa.utils.locks import has_locks

__all__ = ["Journal", "check_free"]

_LOG = logging.getLogger(__name__)


_FINISHED = ("cem.npz", "lam.npz", "summary.json")


def check_free(folder: Path, run: str = "") -> None:
    """Refuse a folder that holds a finished map, unless it is that of the same run.

    Args:
        folder: where a map is to be written.
        run: checksum of everything that decides the map, as in its ``summary.json``.

    Raises:
        InputError: there is a map that would be overwritten.
    """
    there = [name for name in _FINISHED if (folder / name).exists()]
    if there and not (run and _run_in(folder / "summary.json") == run):
        raise InputError(
            f"{folder} holds a finished map of another run ({there[0]}); choose another folder, or --overwrite "
            "(overwrite=True) it"
        )


def _run_in(summary: Path) -> str:
    """Return the checksum of the run that wrote a summary; nothing where it does not say."""
    with contextlib.suppress(OSError):
        return str((_parsed(summary.read_bytes()) or {}).get("run", ""))
    return ""


class Journal:
    """Effects by stage and patch, written to disk as soon as they are known.

    A process that is killed loses the patch it was working on. Unfinished and damaged lines are removed, and their
    patches made again. A lock file beside the journal, ``.NAME.lock``, keeps a second run out; it is removed at the
    end, and one that a killed process left behind is harmless.

    Args:
        path: the file; None keeps nothing.
        settings: everything that decides the result; a file of other settings is refused.
        overwrite: begin anew in a file of other settings instead.

    Raises:
        InputError: the file belongs to another run, or another process is writing to it.
        OutputError: it cannot be written.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None, settings: dict[str, Any], *, overwrite: bool = False
    ) -> None:
        self._overwrite = overwrite
        self.seen: dict[tuple[str, int], NDArray[np.float64]] = {}
        self._file: IO[bytes] | None = None
        self._lock: FileLock | None = None
        self._head = json.dumps({"schema": 2, "settings": settings})
        if path is None:
            return
        self._path = Path(path)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._keep_others_out()
            self._open()
            self._read()
        except OSError as error:
            self.__exit__(None, None, None)
            raise unwritten(self._path, error) from error
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def _keep_others_out(self) -> None:
        """Lock the journal: a second run would make the same patches."""
        if not has_locks(self._path.parent, "flock"):
            return
        lock = FileLock(self._path.with_name(f".{self._path.name}.lock"), timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise InputError(
                f"resume: another run is writing to {str(self._path)!r}; wait for it, or choose another folder"
            ) from error
        except NotImplementedError:
            return  # a file system without locks
        self._lock = lock

    def _open(self) -> None:
        # Unbuffered: what a full disk refuses is not tried again at the end.
        self._file = self._path.open("ab", buffering=0)

    def _read(self) -> None:
        """Read the valid lines, and remove all others from the file."""
        content = self._path.read_bytes()
        lines = content.splitlines()
        kept = [self._head.encode()]
        for line in lines[1:]:
            if (told := self._valid(line)) is not None:
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
            if self._overwrite:
                self._cut(0)
                self._append(self._head)
                return
            self._refuse(_parsed(lines[0]))
        if whole == sound:  # killed in the middle of a line
            self._cut(len(sound))
            return
        with atomic(self._path) as part:
            part.write_bytes(sound)
        if self._file is not None:
            self._file.close()
        self._open()
        damaged = len(lines) - len(kept) + (lines[0] != kept[0])
        _LOG.warning("%s: left out %d damaged lines, kept %d sound ones", self._path, damaged, len(kept) - 1)

    def _refuse(self, head: dict[str, Any] | None) -> NoReturn:
        if head is None or "settings" not in head:
            raise InputError(
                f"{str(self._path)!r} is no file of a run to resume; choose another folder, or --overwrite "
                "(overwrite=True) to start anew"
            )
        old, wanted = head["settings"], json.loads(self._head)["settings"]
        differ = sorted(k for k, v in wanted.items() if not isinstance(old, dict) or old.get(k) != v)
        raise InputError(
            f"resume: {str(self._path)!r} belongs to another run: {', '.join(differ) or 'schema'} differ; choose "
            "another folder, repeat that run's settings, or --overwrite (overwrite=True) what is there"
        )

    def _valid(self, line: bytes) -> dict[str, Any] | None:
        told = _parsed(line)
        if told is None or told.pop("hash", None) != self._checksum(told):
            return None
        return told

    def _checksum(self, told: dict[str, Any]) -> str:
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
            self._append(json.dumps({**told, "hash": self._checksum(told)}))

    def __enter__(self) -> Journal:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file, and let others write to it."""
        if self._file is not None:
            self._file.close()
        if self._lock is not None:
            with contextlib.suppress(OSError):
                Path(self._lock.lock_file).unlink(missing_ok=True)
            self._lock.release()
            self._lock = None


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        told = json.loads(line)
    except ValueError:
        return None
    return told if isinstance(told, dict) else None
