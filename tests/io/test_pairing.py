"""Images of several folders, paired by their file stems."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from causaliqa.api.errors import ImageError
from causaliqa.io.pairing import common_files, file_pairs


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Folders a (1 2 3 x), b (1 2 3), c (2 3 y)."""
    made = []
    for name, files in (("a", "1.png 2.png 3.bmp x.png"), ("b", "1.png 2.bmp 3.png"), ("c", "2.png 3.png y.png")):
        (tmp_path / name).mkdir()
        for file in files.split():
            Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / name / file)
        (tmp_path / name / "notes.txt").write_text("no image")
        made.append(tmp_path / name)
    return made


def test_stems_that_all_folders_have(folders: list[Path]) -> None:
    rows, alone = common_files(folders)
    assert [tuple(path.name for path in row) for row in rows] == [
        ("2.png", "2.bmp", "2.png"),
        ("3.bmp", "3.png", "3.png"),
    ]
    assert [f"{p.parent.name}/{p.name}" for p in alone] == ["a/1.png", "a/x.png", "b/1.png", "c/y.png"]


def test_two_folders(folders: list[Path]) -> None:
    pairs, alone = file_pairs(folders[0], folders[1])
    assert [(img.name, ref.name) for img, ref in pairs if ref] == [
        ("1.png", "1.png"),
        ("2.png", "2.bmp"),
        ("3.bmp", "3.png"),
    ]
    assert [path.name for path in alone] == ["x.png"]


def test_one_reference_for_a_folder_is_not_compared_with_itself(folders: list[Path]) -> None:
    reference = folders[0] / "x.png"
    pairs, alone = file_pairs(folders[0], reference)
    assert [img.name for img, _ in pairs] == ["1.png", "2.png", "3.bmp"]
    assert {ref for _, ref in pairs} == {reference}
    assert alone == []


def test_without_references(folders: list[Path]) -> None:
    assert [(img.name, ref) for img, ref in file_pairs(folders[2], None)[0]] == [
        ("2.png", None),
        ("3.png", None),
        ("y.png", None),
    ]
    assert file_pairs(folders[2] / "y.png", None) == ([(folders[2] / "y.png", None)], [])


def test_what_cannot_be_paired(folders: list[Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "twice").mkdir()
    for name in ("1.png", "1.bmp"):
        (tmp_path / "twice" / name).write_bytes((folders[0] / "1.png").read_bytes())
    for arguments, words in (
        ((tmp_path / "none", folders[0]), "does not exist"),
        ((folders[0] / "1.png", folders[0]), "a file and a folder"),
        ((tmp_path / "empty", None), "no image"),
        ((tmp_path / "empty", folders[0]), "no image with the same file stem: got 0 and 4 images"),
        ((tmp_path / "twice", folders[0]), "same stem"),
    ):
        with pytest.raises(ImageError, match=words):
            file_pairs(*arguments)
    with pytest.raises(ImageError, match="expected a folder"):
        common_files([folders[0], folders[0] / "1.png"])
