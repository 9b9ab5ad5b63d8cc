"""PIPAL (Gu et al., ECCV 2020): Elo scores of 23,200 training and 1,000 validation images, 200 and 25 references."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath

from causaliqa.api.errors import ManifestError
from causaliqa.builtin.datasets._archive import Archive, Entry, Tree, read_lines
from causaliqa.utils.text import number as number_of

__all__ = ["PIPAL", "PIPAL_TRAINVAL", "PIPAL_VAL"]

_TRAIN = ("Train_Dist", "Distortion_1", "Distortion_2", "Distortion_3", "Distortion_4")
_VAL = ("Val_Dist", "Val_Distortion")


def _read(tree: Tree, split: str, folders: tuple[str, ...]) -> list[Entry]:
    """Read the labels of one split: a file per reference, lines ``A0001_00_00.bmp,1520.0648`` (name, Elo score)."""
    files = tree.files(f"{split}_Label", ".txt")
    if not files:
        raise ManifestError(
            f"data set {tree.root}: no {split}_Label/*.txt; expected the folder with {split}_Ref and {split}_Label"
        )
    entries = []
    for file in files:
        for number, line in enumerate(read_lines(tree.root / file), start=1):
            name, _, score = (part.strip() for part in line.partition(","))
            parts = PurePosixPath(name).stem.split("_")
            try:
                label = number_of(score)
            except ValueError:
                parts = []
            if len(parts) != 3:
                raise ManifestError(
                    f"label file {tree.root / file}, line {number}: got {line!r}, expected a name like "
                    "A0001_00_00.bmp and an Elo score; are columns swapped?"
                )
            entries.append(
                Entry(
                    ref=(f"{split}_Ref/{parts[0]}.bmp",),
                    dist=tuple(f"{folder}/{name}" for folder in folders),
                    label=label,
                    type=parts[1],
                    level=parts[2],
                    split=split.lower(),
                )
            )
    return entries


def _read_both(tree: Tree) -> list[Entry]:
    return [*_read(tree, "Train", _TRAIN), *_read(tree, "Val", _VAL)]


PIPAL = Archive(
    name="pipal",
    reference="Gu et al., 2020, arXiv:2007.12142",
    source="https://github.com/HaomingCai/PIPAL-dataset",
    note="training split",
    label="elo",
    label_lower_better=False,
    label_range=(868.0, 1858.0),
    references=200,
    images=23200,
    read=partial(_read, split="Train", folders=_TRAIN),
    image_folders=("Train_Ref", *_TRAIN),
)
"""Training split. Type is the group of distortions (00 to 06), level the number within it, which is not a strength."""
PIPAL_VAL = replace(
    PIPAL,
    name="pipal_val",
    note="validation split",
    references=25,
    images=1000,
    read=partial(_read, split="Val", folders=_VAL),
    image_folders=("Val_Ref", *_VAL),
)
"""Validation split, in the same layout: Val_Ref, Val_Dist, Val_Label."""

PIPAL_TRAINVAL = replace(
    PIPAL,
    name="pipal_trainval",
    note="both splits with public labels, in one folder",
    references=225,
    images=24200,
    read=_read_both,
    image_folders=("Train_Ref", *_TRAIN, "Val_Ref", *_VAL),
)
"""Both splits in one folder: the 24,200 images of the causal IQA paper. The split of a pair is train or val."""
