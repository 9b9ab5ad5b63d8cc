"""What the loaders of archives share: files found whatever their case, and checks of labels and images."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from causaliqa.errors import ManifestError
from causaliqa.specs import Pair, PairDataset

__all__ = ["Archive", "Entry", "Tree", "load", "read_lines", "verify"]

_SUFFIXES = (".bmp", ".png", ".jpg", ".jpeg", ".jp2", ".tif", ".tiff", ".webp")
_SLACK = 0.15
"""Share of its range by which a label may leave it: realigned and estimated scales do."""
_SPREAD = 0.4
"""Share of its range that the labels of any archive cover; deviations, read by mistake, cover less."""


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
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except OSError as error:
        raise ManifestError(f"label file {path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError:
        raise ManifestError(f"label file {path} is no text; expected the authors' own file") from None
    if not lines:
        raise ManifestError(f"label file {path} is empty; expected the authors' own file")
    return lines


def load(
    archive: Archive,
    root: Path,
    *,
    references: int | None = None,
    images: int | None = None,
    undistorted: bool = False,
) -> PairDataset:
    """Return the labelled pairs of an archive; the images are not opened.

    Args:
        archive: what to expect.
        root: folder of the archive.
        references: number of references, where it is a part of the archive.
        images: number of distorted images, likewise.
        undistorted: keep undistorted copies of references, which most evaluations leave out.

    Raises:
        ManifestError: a label file is missing, unreadable or implausible, or images are missing.
    """
    tree = Tree(root)
    entries = archive.read(tree)
    problems = [*_labels(archive, entries), *_counts(archive, entries, references, images), *_missing(tree, entries)]
    if problems:
        raise ManifestError(f"data set {archive.name} in {root}: {problems[0]}" + _more(problems[1:]))
    pairs = tuple(
        Pair(
            ref=tree.root / str(tree.find(*entry.ref)),
            dist=tree.root / str(tree.find(*entry.dist)),
            label=entry.label,
            label_std=entry.std,
            type=entry.type,
            level=entry.level,
            split=entry.split,
        )
        for entry in entries
        if undistorted or not entry.pristine
    )
    return PairDataset(
        name=archive.name,
        pairs=pairs,
        label=archive.label,
        label_lower_better=archive.label_lower_better,
        label_range=archive.label_range,
    )


def verify(archive: Archive, root: Path, *, references: int | None = None, images: int | None = None) -> list[str]:
    """Return what is wrong with an archive, one line each: nothing if it is as its authors distribute it.

    Looks at label files, at missing and extra images, at names whose case differs, and opens the head of every image.
    """
    try:
        tree = Tree(root)
        entries = archive.read(tree)
    except ManifestError as error:
        return [str(error)]
    named = {found for e in entries for path in (e.ref, e.dist) if (found := tree.find(*path))}
    extra = sorted({path for folder in archive.image_folders for path in tree.images(folder)} - named)
    cased = sorted(
        f"{found} for {PurePosixPath(path[0]).name}"
        for path in {path for e in entries for path in (e.ref, e.dist)}
        if (found := tree.find(*path)) and found not in path
    )
    return [
        *_labels(archive, entries),
        *_counts(archive, entries, references, images),
        *_missing(tree, entries),
        *_list("image has no label", "images have no label", extra),
        *_list("name differs in case", "names differ in case", cased),
        *_sizes(tree, entries),
    ]


def _more(problems: Sequence[str]) -> str:
    return "".join(f"; {problem}" for problem in problems)


def _list(one: str, many: str, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return [f"{len(names)} {one if len(names) == 1 else many}: {', '.join(names[:3])}{more}"]


def _missing(tree: Tree, entries: Iterable[Entry]) -> list[str]:
    wanted = dict.fromkeys(path for e in entries for path in (e.ref, e.dist))
    return _list("image is missing", "images are missing", [path[0] for path in wanted if tree.find(*path) is None])


def _counts(archive: Archive, entries: Sequence[Entry], references: int | None, images: int | None) -> list[str]:
    distorted = [e for e in entries if not e.pristine]
    out = []
    for what, got, expected in (
        ("distorted images", len(distorted), archive.images if images is None else images),
        ("references", len({e.ref for e in distorted}), archive.references if references is None else references),
    ):
        if got != expected:
            out.append(f"the label files name {got} {what}, expected {expected}; they are incomplete or of another set")
    twice = [path[0] for path, count in Counter(e.dist for e in entries).items() if count > 1]
    return out + _list("image has two labels", "images have two labels", twice)


def _labels(archive: Archive, entries: Sequence[Entry]) -> list[str]:
    """Labels from the wrong column leave the scale, cover little of it, or rise as images get worse."""
    low, high = archive.label_range
    slack = _SLACK * (high - low)
    outside = [e for e in entries if not low - slack <= e.label <= high + slack]
    if outside:
        got = "not a number" if math.isnan(outside[0].label) else f"{outside[0].label:g}"
        return [
            f"the label of {outside[0].dist[0]} is {got}, expected {low:g} to {high:g} ({archive.label}); "
            "is it another column?"
        ]
    labels = [e.label for e in entries]
    if entries and max(labels) - min(labels) < _SPREAD * (high - low):
        return [
            f"the labels run from {min(labels):g} to {max(labels):g} only, expected most of {low:g} to {high:g} "
            f"({archive.label}); is it another column?"
        ]
    worst, best = _ends(archive, entries)
    sign = -1 if archive.label_lower_better else 1
    if worst and best and sign * _mean(best) <= sign * _mean(worst):
        return [
            f"the labels of mild distortions (mean {_mean(best):g}) are no better than those of strong ones "
            f"(mean {_mean(worst):g}) though {'low' if archive.label_lower_better else 'high'} is good; "
            "are columns swapped or the scale turned round?"
        ]
    return []


def _ends(archive: Archive, entries: Sequence[Entry]) -> tuple[list[float], list[float]]:
    """Labels of the strongest and of the mildest distortions; nothing where the set does not tell."""
    if pristine := [e.label for e in entries if e.pristine]:
        return [e.label for e in entries if not e.pristine], pristine
    levels = sorted({int(e.level) for e in entries}) if archive.graded else []
    if len(levels) < 2:
        return [], []
    by_end = [[e.label for e in entries if int(e.level) == end] for end in (levels[-1], levels[0])]
    return by_end[0], by_end[1]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _sizes(tree: Tree, entries: Sequence[Entry]) -> list[str]:
    """Images that cannot be opened, and pairs of different size, by the heads of the files."""
    from PIL import Image

    sizes: dict[str, tuple[int, int] | None] = {}
    for path in {found for e in entries for p in (e.ref, e.dist) if (found := tree.find(*p))}:
        try:
            with Image.open(tree.root / path) as image:
                sizes[path] = image.size
        except (OSError, ValueError, Image.DecompressionBombError):
            sizes[path] = None
    broken = sorted(path for path, size in sizes.items() if size is None)
    pairs = [(tree.find(*e.ref), tree.find(*e.dist)) for e in entries]
    other = [d for r, d in pairs if r and d and sizes[r] and sizes[d] and sizes[r] != sizes[d]]
    return [
        *_list("image cannot be read", "images cannot be read", broken),
        *_list("image has another size than its reference", "images have another size than their reference", other),
    ]
