"""The file that a run can be resumed from: one line per finished patch, only ever appended to."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from causaliqa.errors import InputError

__all__ = ["Journal"]


class Journal:
    """Effects by stage and patch, on disk as they come.

    A process that is killed loses the patch it was at. A line that it left unfinished is cut off.

    Args:
        path: the file; None keeps nothing.
        settings: everything that decides the result; a file of other settings is refused.

    Raises:
        InputError: the file belongs to another run.
    """

    def __init__(self, path: str | os.PathLike[str] | None, settings: dict[str, Any]) -> None:
        self.seen: dict[tuple[str, int], NDArray[np.float64]] = {}
        self._file: IO[bytes] | None = None
        if path is None:
            return
        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        head = {"schema": 1, "settings": settings}
        whole = self._read(file, head) if file.is_file() else 0
        self._file = file.open("r+b" if file.is_file() else "w+b")
        self._file.truncate(whole)
        self._file.seek(whole)
        if not whole:
            self._append(head)

    def _read(self, file: Path, head: dict[str, Any]) -> int:
        """Take in the finished lines; return how many bytes they are."""
        content = file.read_bytes()
        whole = content.rfind(b"\n") + 1
        lines = content[:whole].splitlines()
        if not lines:
            return 0
        try:
            first, *rest = (json.loads(line) for line in lines)
        except ValueError as error:
            raise InputError(f"resume: {str(file)!r} is no file of a run; delete it to start anew") from error
        wanted = json.loads(json.dumps(head))
        if first != wanted:
            old = first.get("settings", {}) if isinstance(first, dict) else {}
            differ = sorted(k for k, v in wanted["settings"].items() if old.get(k) != v)
            raise InputError(
                f"resume: {str(file)!r} belongs to another run: {', '.join(differ) or 'schema'} differ; "
                "repeat that run's settings, or delete the file to start anew"
            )
        for line in rest:
            self.seen[line["stage"], line["patch"]] = np.array(line["effects"])
        return whole

    def _append(self, line: dict[str, Any]) -> None:
        if self._file is not None:
            self._file.write(json.dumps(line).encode() + b"\n")
            self._file.flush()

    def add(self, stage: str, patch: int, effects: NDArray[np.float64]) -> None:
        """Keep the effects of one patch; numbers survive to the last bit."""
        self.seen[stage, patch] = effects
        self._append({"stage": stage, "patch": patch, "effects": effects.tolist()})

    def __enter__(self) -> Journal:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
