"""LIVE release 2 (Sheikh, Sabir and Bovik, IEEE TIP 15(11), 2006): 779 distorted images of 29 references."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from causaliqa.api.errors import ManifestError
from causaliqa.builtin.datasets._archive import Archive, Entry, Tree, read_lines

__all__ = ["ARCHIVE"]

_FOLDERS = {"jp2k": 227, "jpeg": 233, "wn": 174, "gblur": 174, "fastfading": 174}
"""Number of images per folder, with undistorted copies, in the order of the label vectors."""


def _matrix(path: Path, *names: str) -> list[Any]:
    """Return variables of a ``.mat`` file as flat lists."""
    from scipy.io import loadmat

    try:
        content = loadmat(path)
    except Exception as error:
        raise ManifestError(f"label file {path} cannot be read: {error}; expected the authors' MATLAB file") from error
    if lacking := [name for name in names if name not in content]:
        got = ", ".join(name for name in content if not name.startswith("_"))
        raise ManifestError(f"label file {path}: no variable {lacking[0]!r}; got {got or 'none'}")
    return [content[name].ravel().tolist() for name in names]


def _info(tree: Tree, folder: str) -> dict[str, tuple[str, str]]:
    """Return reference and strength of every image of a folder from its ``info.txt``; empty without one."""
    found = tree.find(f"{folder}/info.txt")
    lines = [line.split() for line in read_lines(tree.root / found)] if found else []
    return {line[1].lower(): (line[0], line[2]) for line in lines if len(line) == 3}


def _read(tree: Tree) -> list[Entry]:
    path = tree.label_file("dmos_realigned.mat", "dmos.mat")
    if path.name.lower() == "dmos.mat":
        labels, pristine = _matrix(path, "dmos", "orgs")
        deviations: list[float | None] = [None] * len(labels)
    else:
        labels, deviations, pristine = _matrix(path, "dmos_new", "dmos_std", "orgs")
    names = tree.label_file("refnames_all.mat")
    (refs,) = _matrix(names, "refnames_all")
    refs = [str(ref[0]) for ref in refs]
    info = {folder: _info(tree, folder) for folder in _FOLDERS}
    counts = _FOLDERS if len(labels) == sum(_FOLDERS.values()) else {folder: len(info[folder]) for folder in _FOLDERS}
    if not len(labels) == len(refs) == len(pristine) == len(deviations) == sum(counts.values()):
        raise ManifestError(
            f"label files in {tree.root}: got {len(labels)} labels, {len(refs)} reference names and folders with "
            f"{sum(counts.values())} images, expected equal numbers ({sum(_FOLDERS.values())} in the complete archive)"
        )
    entries = []
    places = ((folder, number) for folder, count in counts.items() for number in range(1, count + 1))
    for (folder, number), label, std, ref, copy in zip(places, labels, deviations, refs, pristine, strict=True):
        listed, strength = info[folder].get(f"img{number}.bmp", (ref, ""))
        if listed.lower() != ref.lower():
            raise ManifestError(
                f"label file {names}: {folder}/img{number}.bmp comes from {ref}, but {folder}/info.txt says {listed}"
            )
        entries.append(
            Entry(
                ref=(f"refimgs/{ref}",),
                dist=(f"{folder}/img{number}.bmp",),
                label=float(label),
                std=None if std is None else float(std),
                type=folder,
                level=strength,
                pristine=bool(copy),
            )
        )
    return entries


ARCHIVE = Archive(
    name="live",
    reference="Sheikh et al., 2006, doi:10.1109/TIP.2006.881959",
    source="https://live.ece.utexas.edu/research/quality/subjective.htm (release 2; ask the authors)",
    label="dmos",
    label_lower_better=True,
    label_range=(0.0, 100.0),
    references=29,
    images=779,
    read=_read,
    image_folders=tuple(_FOLDERS),
)
"""Labels of ``dmos_realigned.mat`` if present (with the standard error of the mean), else of ``dmos.mat``."""
