"""Shared by the loaders of archives: facts of an archive, entries of a label file, case-insensitive file search."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from causaliqa.api.errors import ManifestError
from causaliqa.io.images import image_suffixes
from causaliqa.io.text_files import read_text

__all__ = ["Archive", "Entry", "Tree", "read_lines"]


class Tree:
    """The files below a folder, found regardless of case."""

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
        """Return the first candidate that exists, in its actual spelling, relative to the root."""
        for candidate in candidates:
            if found := self._files.get(candidate.lower()):
                return found
        return None

    def label_file(self, *candidates: str) -> Path:
        """Return the path of a label file.

        Raises:
            ManifestError: none of the candidates exists.
        """
        if found := self.find(*candidates):
            return self.root / found
        raise ManifestError(
            f"data set {self.root}: no {' or '.join(candidates)}; expected the folder with the authors' label file"
        )

    def images(self, folder: str) -> list[str]:
        """Return the images below a folder in their actual spelling."""
        start = folder.lower() + "/"
        suffixes = tuple(image_suffixes())
        return [path for key, path in self._files.items() if key.startswith(start) and key.endswith(suffixes)]

    def files(self, folder: str, suffix: str) -> list[str]:
        """Return the files below a folder that end in ``suffix``, sorted."""
        start = folder.lower() + "/"
        return sorted(p for key, p in self._files.items() if key.startswith(start) and key.endswith(suffix))


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of a label file; paths are relative to the root, in search order."""

    ref: tuple[str, ...]
    """Possible paths of the reference."""
    dist: tuple[str, ...]
    """Possible paths of the distorted image."""
    label: float
    """Opinion score."""
    std: float | None = None
    """Standard deviation of the score."""
    type: str = ""
    """Distortion type."""
    level: str = ""
    """Distortion level."""
    split: str = ""
    """``train`` or ``val``."""
    pristine: bool = False
    """True for an undistorted copy of the reference."""


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A data set as its authors distribute it."""

    name: str
    """Short name for tables."""
    reference: str
    """Paper, with DOI or arXiv number."""
    source: str
    """Where to get it."""
    note: str = ""
    """What to know before use, for listings."""
    label: str
    """``mos``, ``dmos`` or ``elo``."""
    label_lower_better: bool
    """True if a low label means good quality."""
    label_range: tuple[float, float]
    """Limits of the opinion scale."""
    references: int
    """References of the complete archive."""
    images: int
    """Distorted images with a label in the complete archive, without undistorted copies of references."""
    read: Callable[[Tree], list[Entry]]
    """Reads the label files."""
    image_folders: tuple[str, ...]
    """Folders in which every image must have a label."""
    graded: bool = False
    """True if a higher level is a stronger distortion."""


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file that are not empty.

    Raises:
        ManifestError: the file cannot be read, is no text or is empty.
    """
    text = read_text(path, "label file", "the authors' own file")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise ManifestError(f"label file {path} is empty; expected the authors' own file")
    return lines
