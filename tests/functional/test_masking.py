"""Masks on grids of pixels and windows, by hand."""

from __future__ import annotations

import pytest
import torch

from causaliqa.api.errors import ImageError
from causaliqa.functional.masking import box_of, counted, crop_to, fill_outside, window_shares


def _mask(rows: slice, columns: slice, size: tuple[int, int] = (12, 16)) -> torch.Tensor:
    mask = torch.zeros(size, dtype=torch.bool)
    mask[rows, columns] = True
    return mask


def test_what_lies_outside_is_the_reference() -> None:
    img, ref, mask = torch.rand(2, 3, 12, 16), torch.rand(2, 3, 12, 16), _mask(slice(2, 5), slice(4, 9))
    filled = fill_outside(img, ref, mask)
    assert torch.equal(filled[..., mask], img[..., mask])
    assert torch.equal(filled[..., ~mask], ref[..., ~mask])


def test_a_rectangle_is_cropped_and_nothing_is_filled() -> None:
    img, ref, mask = torch.rand(1, 3, 12, 16), torch.rand(1, 3, 12, 16), _mask(slice(2, 5), slice(4, 9))
    assert box_of(mask) == (slice(2, 5), slice(4, 9))
    ours, theirs = crop_to(img, ref, mask)
    assert torch.equal(ours, img[..., 2:5, 4:9])
    assert torch.equal(theirs, ref[..., 2:5, 4:9])


@pytest.mark.parametrize(
    ("shares", "inside"),
    [
        ([0.0, 0.49, 0.5, 1.0], [False, False, True, True]),
        ([0.0, 0.1, 0.3, 0.3], [False, False, True, True]),  # none is half inside: those of the largest share
        ([1.0, 1.0], [True, True]),
    ],
)
def test_cells_that_count(shares: list[float], inside: list[bool]) -> None:
    assert counted(torch.tensor(shares)).tolist() == inside


@pytest.mark.parametrize("shares", [[0.0, 0.0], []])
def test_no_cell_counts(shares: list[float]) -> None:
    with pytest.raises(ImageError, match="it lies at the border"):
        counted(torch.tensor(shares))


@pytest.mark.parametrize("protocol", ["pad", "reference"])
def test_windows_of_a_full_mask_are_all_inside(protocol: str) -> None:
    assert window_shares(torch.ones(12, 16), (7, 9), 4, protocol).tolist() == [1.0] * (6 if protocol == "pad" else 4)


def test_windows_by_hand() -> None:
    """A map of half the size, windows of 2 x 2: each covers 4 x 4 pixels of the mask."""
    mask = _mask(slice(0, 6), slice(0, 8)).float()
    assert window_shares(mask, (6, 8), 2).tolist() == [1, 1, 0, 0, 0.5, 0.5, 0, 0, 0, 0, 0, 0]
