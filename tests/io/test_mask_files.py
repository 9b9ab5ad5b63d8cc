"""Files of masks: found by the stems of references, checked, identified by their content."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from causaliqa.api.errors import ImageError
from causaliqa.io.masks import MaskFiles


def _write(path: Path, pixels: list[list[int]]) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.array(pixels, np.uint8)).save(path)
    return path


def test_a_mask_counts_where_it_is_at_least_half_white(tmp_path: Path) -> None:
    path = _write(tmp_path / "mask.png", [[0, 127], [128, 255]])
    assert MaskFiles(path).read(Path("any.png"), (2, 2)).tolist() == [[False, False], [True, True]]


def test_masks_of_a_folder_belong_to_references_of_the_same_stem(tmp_path: Path) -> None:
    _write(tmp_path / "masks" / "a.png", [[255, 0]])
    _write(tmp_path / "masks" / "b.bmp", [[0, 255]])
    masks = MaskFiles(tmp_path / "masks")
    assert masks.read(Path("ref/b.webp"), (1, 2)).tolist() == [[False, True]]
    masks.check([Path("a.jpg"), Path("b.jpg")])
    with pytest.raises(ImageError, match=r"got none for c.jpg and 1 more, expected an image of the same file stem"):
        masks.check([Path("a.jpg"), Path("c.jpg"), Path("d.jpg")])


def test_the_checksum_is_that_of_content_and_stems(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        _write(tmp_path / folder / "a.png", [[255, 0]])
    one, two = MaskFiles(tmp_path / "one"), MaskFiles(tmp_path / "two")
    assert one.checksum() == two.checksum()
    _write(tmp_path / "two" / "a.png", [[255, 255]])
    assert one.checksum() != two.checksum()
    assert MaskFiles(tmp_path / "one" / "a.png").checksum() != MaskFiles(tmp_path / "two" / "a.png").checksum()


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        ([[0, 0], [0, 0]], "it is empty: no pixel is white"),
        ([[255, 255, 255]], "got 3 x 1 pixels, expected 2 x 2"),
    ],
)
def test_masks_that_cannot_be_used(tmp_path: Path, pixels: list[list[int]], words: str) -> None:
    path = _write(tmp_path / "mask.png", pixels)
    with pytest.raises(ImageError, match=words):
        MaskFiles(path).read(Path("ref.png"), (2, 2))


def test_no_masks(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="a folder without images"):
        MaskFiles(tmp_path)
    with pytest.raises(ImageError, match="does not exist"):
        MaskFiles(tmp_path / "none.png")
