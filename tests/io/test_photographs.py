"""Photographs from installed packages."""

import numpy as np
import pytest

from causaliqa.api.errors import InputError
from causaliqa.io import photographs as module
from causaliqa.io.photographs import photograph, photographs


def test_photographs_come_with_packages_in_the_order_asked_for():
    found = dict(photographs(["coffee", "astronaut"]))
    assert list(found) == ["coffee", "astronaut"]
    assert all(pixels.dtype == np.uint8 and pixels.shape[2] == 3 for pixels in found.values())


def test_gray_photographs_have_three_equal_channels():
    pixels = photograph("brick")
    assert (pixels == pixels[..., :1]).all()


def test_missing_packages_are_reported(monkeypatch):
    with pytest.raises(InputError, match="'nothing' was not found"):
        photograph("nothing")
    monkeypatch.setattr(module, "package_file", lambda where: None)
    with pytest.raises(InputError, match="no photographs"):
        dict(photographs())
