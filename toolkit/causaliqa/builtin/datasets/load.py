"""Load an archive as labelled pairs, and verify a copy of it."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from causaliqa.api.data import Finding, Pair, PairDataset
from causaliqa.api.errors import CausaliqaError, ManifestError
from causaliqa.builtin.datasets._archive import Archive, Entry, Tree
from causaliqa.builtin.datasets.archives import ARCHIVES
from causaliqa.io.images import image_size

__all__ = ["load", "verify"]

_SLACK = 0.15
"""Fraction of the scale by which labels may exceed it: realigned and estimated scales do."""
_SPREAD = 0.4
"""Fraction of the scale that labels must cover; deviations, read by mistake, cover less."""


def load(
    root: str | os.PathLike[str],
    *,
    archive: str,
    references: int | None = None,
    images: int | None = None,
    undistorted: bool = False,
    labels_only: bool = False,
) -> PairDataset:
    """Return the labelled pairs of an archive; the images are not opened.

    Args:
        root: folder of the archive.
        archive: name of the archive.
        references: expected number of references, for a part of the archive.
        images: expected number of distorted images, for a part of the archive.
        undistorted: keep undistorted copies of references, which most evaluations exclude.
        labels_only: do not require the images, for scores computed elsewhere.

    Raises:
        ManifestError: a label file is missing, unreadable or implausible, or images are missing.
    """
    known, tree = ARCHIVES[archive], Tree(Path(root))
    entries = known.read(tree)
    problems = [*_labels(known, entries), *_counts(known, entries, references, images)]
    problems += [] if labels_only else _missing(tree, entries)
    if problems:
        text = "; ".join(problem.message for problem in problems)
        raise ManifestError(f"data set {archive} in {root}: {text}")
    pairs = tuple(
        Pair(
            ref=tree.root / (tree.find(*entry.ref) or entry.ref[0]),
            dist=tree.root / (tree.find(*entry.dist) or entry.dist[0]),
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
        name=archive,
        pairs=pairs,
        label=known.label,
        label_lower_better=known.label_lower_better,
        label_range=known.label_range,
        root=tree.root,
    )


def verify(
    root: str | os.PathLike[str],
    *,
    archive: str,
    references: int | None = None,
    images: int | None = None,
    deep: bool = False,
) -> list[Finding]:
    """Return the problems of a copy of an archive; empty if it is as its authors distribute it.

    Checks label files, missing and extra images, names whose case differs (harmless), and the header of every image.

    Args:
        root: folder of the archive.
        archive: name of the archive.
        references: expected number of references, for a part of the archive.
        images: expected number of distorted images, for a part of the archive.
        deep: decode every image, which detects truncated files.
    """
    known = ARCHIVES[archive]
    try:
        tree = Tree(Path(root))
        entries = known.read(tree)
    except ManifestError as error:
        return [Finding(kind="label", message=str(error))]
    named = {found for e in entries for path in (e.ref, e.dist) if (found := tree.find(*path))}
    extra = sorted({path for folder in known.image_folders for path in tree.images(folder)} - named)
    cased = sorted(
        f"{found} for {PurePosixPath(path[0]).name}"
        for path in {path for e in entries for path in (e.ref, e.dist)}
        if (found := tree.find(*path)) and found not in path
    )
    return [
        *_labels(known, entries),
        *_counts(known, entries, references, images),
        *_missing(tree, entries),
        *_files("extra", "image has no label", "images have no label", extra),
        *_files("case", "name differs in case", "names differ in case", cased, harmless=True),
        *_images(tree, entries, deep),
    ]


def _files(kind: str, one: str, many: str, names: Sequence[str], *, harmless: bool = False) -> list[Finding]:
    if not names:
        return []
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    message = f"{len(names)} {one if len(names) == 1 else many}: {', '.join(names[:3])}{more}"
    return [Finding(kind=kind, message=message, files=tuple(names), harmless=harmless)]


def _missing(tree: Tree, entries: Iterable[Entry]) -> list[Finding]:
    wanted = dict.fromkeys(path for e in entries for path in (e.ref, e.dist))
    missing = [path[0] for path in wanted if tree.find(*path) is None]
    return _files("missing", "image is missing", "images are missing", missing)


def _counts(archive: Archive, entries: Sequence[Entry], references: int | None, images: int | None) -> list[Finding]:
    distorted = [e for e in entries if not e.pristine]
    out = []
    for what, got, expected in (
        ("distorted images", len(distorted), archive.images if images is None else images),
        ("references", len({e.ref for e in distorted}), archive.references if references is None else references),
    ):
        if got != expected:
            text = f"the label files name {got} {what}, expected {expected}; they are incomplete or of another set"
            out.append(Finding(kind="count", message=text))
    twice = [path[0] for path, count in Counter(e.dist for e in entries).items() if count > 1]
    return out + _files("count", "image has two labels", "images have two labels", twice)


def _labels(archive: Archive, entries: Sequence[Entry]) -> list[Finding]:
    """Return the problem of the labels, at most one."""
    problem = _implausible(archive, entries)
    return [Finding(kind="label", message=problem)] if problem else []


def _implausible(archive: Archive, entries: Sequence[Entry]) -> str:
    """Return why labels seem to come from a wrong column: out of scale, too little spread, or wrong direction."""
    low, high = archive.label_range
    slack = _SLACK * (high - low)
    outside = [e for e in entries if not low - slack <= e.label <= high + slack]
    if outside:
        got = "not a number" if math.isnan(outside[0].label) else f"{outside[0].label:g}"
        return (
            f"the label of {outside[0].dist[0]} is {got}, expected {low:g} to {high:g} ({archive.label}); "
            "is it another column?"
        )
    labels = [e.label for e in entries]
    if entries and max(labels) - min(labels) < _SPREAD * (high - low):
        return (
            f"the labels run from {min(labels):g} to {max(labels):g} only, expected most of {low:g} to {high:g} "
            f"({archive.label}); is it another column?"
        )
    worst, best = _ends(archive, entries)
    sign = -1 if archive.label_lower_better else 1
    if worst and best and sign * _mean(best) <= sign * _mean(worst):
        return (
            f"the labels of mild distortions (mean {_mean(best):g}) are no better than those of strong ones "
            f"(mean {_mean(worst):g}) though {'low' if archive.label_lower_better else 'high'} is good; "
            "are columns swapped or the scale turned round?"
        )
    return ""


def _ends(archive: Archive, entries: Sequence[Entry]) -> tuple[list[float], list[float]]:
    """Return the labels of the strongest and of the mildest distortions; empty if levels are unknown."""
    if pristine := [e.label for e in entries if e.pristine]:
        return [e.label for e in entries if not e.pristine], pristine
    levels = sorted({int(e.level) for e in entries}) if archive.graded else []
    if len(levels) < 2:
        return [], []
    by_end = [[e.label for e in entries if int(e.level) == end] for end in (levels[-1], levels[0])]
    return by_end[0], by_end[1]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _images(tree: Tree, entries: Sequence[Entry], deep: bool) -> list[Finding]:
    """Return empty and unreadable images, and pairs of different size; from the headers unless ``deep``."""
    sizes: dict[str, tuple[int, int] | None] = {}
    for path in {found for e in entries for p in (e.ref, e.dist) if (found := tree.find(*p))}:
        try:
            sizes[path] = image_size(tree.root / path, decode=deep)
        except CausaliqaError:
            sizes[path] = None
    broken = sorted(path for path, size in sizes.items() if size is None)
    empty = [path for path in broken if not (tree.root / path).stat().st_size]
    pairs = [(tree.find(*e.ref), tree.find(*e.dist)) for e in entries]
    other = [d for r, d in pairs if r and d and sizes[r] and sizes[d] and sizes[r] != sizes[d]]
    unreadable = [path for path in broken if path not in empty]
    return [
        *_files("empty", "image is empty (0 bytes)", "images are empty (0 bytes)", empty),
        *_files("unreadable", "image cannot be read", "images cannot be read", unreadable),
        *_files(
            "size", "image has another size than its reference", "images have another size than their reference", other
        ),
    ]
