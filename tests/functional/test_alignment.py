"""Shifts between images: known shifts of photographs, made by an independent interpolation in the Fourier domain."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from causaliqa.api.errors import InputError
from causaliqa.functional.alignment import find_shift, undo_shift
from causaliqa.io.photographs import photograph


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """Three channels, smooth enough for shifts by parts of a pixel to be defined."""
    pixels = photograph("astronaut")[100:260, 150:310].astype(float) / 255
    return np.stack([ndimage.gaussian_filter(pixels[..., c], 1.2) for c in range(3)])


def _shifted(photo: np.ndarray, rows: float, columns: float) -> np.ndarray:
    moved = [np.fft.ifft2(ndimage.fourier_shift(np.fft.fft2(c), (rows, columns))).real for c in photo]
    return np.stack(moved)


@pytest.mark.parametrize("shift", [(0, 0), (1, 0), (-3, 2), (0.5, -0.3), (1.7, 2.2), (-2.4, -0.1)])
@pytest.mark.parametrize("change", ["none", "noise", "brightness"])
def test_a_known_shift_is_found_to_a_tenth_of_a_pixel(photo, shift, change) -> None:
    img = _shifted(photo, *shift)
    if change == "noise":
        img = img + np.random.default_rng(0).normal(scale=0.02, size=img.shape)
    if change == "brightness":
        img = img + 0.1
    found = find_shift(img.mean(0), photo.mean(0), 4)
    assert found == pytest.approx(shift, abs=0.1)


@pytest.mark.parametrize("shift", [(2, -1), (-3, 0), (0.5, -0.3)])
def test_what_is_undone_is_the_reference(photo, shift) -> None:
    img, ref = undo_shift(_shifted(photo, *shift), photo, shift)
    assert img.shape == ref.shape
    inner = (slice(None), slice(8, -8), slice(8, -8))  # the Fourier shift wraps round
    assert np.abs(img[inner] - ref[inner]).max() < 0.01
    assert np.abs(_shifted(photo, *shift) - photo)[inner].max() > 0.05


def test_whole_pixels_stay_what_they_are(photo) -> None:
    img, ref = undo_shift(photo[:, 2:, 3:], photo[:, :-2, :-3], (-2.0, -3.0))
    assert (img == ref).all()
    assert img.shape == (3, 156, 154)


def test_a_constant_image_has_no_shift() -> None:
    assert find_shift(np.zeros((20, 20)), np.ones((20, 20)), 2) == (0.0, 0.0)


@pytest.mark.parametrize(("size", "limit"), [((20, 20), 6), ((20, 21), 2), ((20, 20), 0)])
def test_bad_input(size, limit) -> None:
    with pytest.raises(InputError, match="align"):
        find_shift(np.zeros(size), np.zeros((20, 20)), limit)
