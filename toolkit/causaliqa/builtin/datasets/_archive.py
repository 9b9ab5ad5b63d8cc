"""What the loaders of archives share: their records, and files found whatever the case of their names."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from causaliqa.api.errors import ManifestError
from causaliqa.io.text_files import read_text

__all__ = ["Archive", "Entry", "Tree", "read_lines"]

_SUFFIXES = (".bmp", ".png", ".jpg", ".jpeg", ".jp2", ".tif", ".tiff", ".webp")


class Tree:
    """The files below a folder, found whatever the case of their names."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            raise ManifestError(f"data set {root}: there is no such folder; expected the authors' archive, unpacked")
        self._files: dict[str, str] = {}
        for folder, folders, names in os.walk(self.root):
            folders.sort()
            for name in sorted(names):
                path = (Path(folder) / name).relative_to(self.root).as_posix()
                self._files.setdefault(path.lower(), path)

    def find(self, *candidates: str) -> str | None:
        """Return the first candidate that is there, as it is spelt there, relative to the root."""
        for candidate in candidates:
            if found := self._files.get(candidate.lower()):
                return found
        return None

    def label_file(self, *candidates: str) -> Path:
        """Return the path of a label file.

        Raises:
            ManifestError: none of the candidates is there.
        """
        if found := self.find(*candidates):
            return self.root / found
        raise ManifestError(
            f"data set {self.root}: no {' or '.join(candidates)}; expected the folder with the authors' label file"
        )

    def images(self, folder: str) -> list[str]:
        """Return the images below a folder, as they are spelt."""
        start = folder.lower() + "/"
        return [path for key, path in self._files.items() if key.startswith(start) and key.endswith(_SUFFIXES)]

    def files(self, folder: str, suffix: str) -> list[str]:
        """Return the files below a folder that end in ``suffix``, sorted."""
        start = folder.lower() + "/"
        return sorted(p for key, p in self._files.items() if key.startswith(start) and key.endswith(suffix))


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What a label file says of one image; paths relative to the root, in the order in which they are tried."""

    ref: tuple[str, ...]
    """Where the reference may be."""
    dist: tuple[str, ...]
    """Where the distorted image may be."""
    label: float
    """Opinion score."""
    std: float | None = None
    """Its deviation."""
    type: str = ""
    """Distortion type."""
    level: str = ""
    """Distortion level."""
    split: str = ""
    """Train or validation."""
    pristine: bool = False
    """True for an undistorted copy of the reference."""


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A data set as its authors distribute it."""

    name: str
    """Short name for tables."""
    label: str
    """``mos``, ``dmos`` or ``elo``."""
    label_lower_better: bool
    """Direction of the label."""
    label_range: tuple[float, float]
    """Scale of the label."""
    references: int
    """References of the whole archive."""
    images: int
    """Distorted images of the whole archive that have a label, undistorted copies not counted."""
    read: Callable[[Tree], list[Entry]]
    """Reads the label files."""
    image_folders: tuple[str, ...]
    """Where images lie that must all have a label."""
    graded: bool = False
    """True if a higher level is a stronger distortion."""


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file that are not empty.

    Raises:
        ManifestError: the file cannot be read, is no text or holds nothing.
    """
    text = read_text(path, "label file", "the authors' own file")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise ManifestError(f"label file {path} is empty; expected the authors' own file")
    return lines
