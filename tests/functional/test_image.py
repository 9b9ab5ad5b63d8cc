"""Checks, size protocol, windows."""

import pytest
import torch

from causaliqa.functional.image import check_pair, downsample, normalise, pad_to_windows, size_factor, windows


@pytest.mark.parametrize(
    ("height", "width", "factor"), [(512, 768, 3), (384, 512, 2), (512, 512, 2), (288, 288, 1), (32, 32, 1)]
)
def test_size_factor_is_the_protocol_of_the_paper(height, width, factor):
    assert size_factor(height, width) == factor


def test_downsample_is_a_box():
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert downsample(x, 2).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert downsample(x, 1) is x


@pytest.mark.parametrize(
    ("img", "ref", "error", "words"),
    [
        (torch.zeros(1, 3, 40, 40), torch.zeros(1, 3, 40, 41), ValueError, "differ"),
        (torch.zeros(1, 3, 16, 40), torch.zeros(1, 3, 16, 40), ValueError, "too small"),
        (torch.zeros(1, 1, 40, 40), torch.zeros(1, 1, 40, 40), ValueError, "N, 3, H, W"),
        (torch.zeros(0, 3, 40, 40), torch.zeros(0, 3, 40, 40), ValueError, "N, 3, H, W"),
        (torch.zeros(1, 3, 40, 40, dtype=torch.uint8), torch.zeros(1, 3, 40, 40), TypeError, "uint8"),
        ("a.png", torch.zeros(1, 3, 40, 40), TypeError, "str"),
    ],
)
def test_bad_pairs(img, ref, error, words):
    with pytest.raises(error, match=words):
        check_pair(img, ref, 32)


def test_windows_tile_the_map():
    x = torch.arange(2 * 4 * 6.0).view(2, 4, 6)
    cut = windows(x, 2)
    assert cut.shape == (2, 6, 4)
    assert cut[0, 1].tolist() == [2, 3, 8, 9]
    assert sorted(cut.flatten().tolist()) == sorted(x.flatten().tolist())


@pytest.mark.parametrize("side", [1, 7, 8, 9, 17])
def test_padding_never_crops(side):
    x = torch.ones(1, side, side)
    padded = pad_to_windows(x, 8)
    assert padded.shape[-1] % 8 == 0
    assert padded.sum() == side * side
    assert padded[0, 0, 0] == 1  # on the right and bottom


def test_reference_padding_is_the_published_rule():
    assert pad_to_windows(torch.ones(1, 5, 11), 8, "reference").shape == (1, 8, 8)
    assert pad_to_windows(torch.ones(1, 6, 6), 8, "reference")[0, 5, 2:].sum() == 6  # on the left


def test_normalise_refuses_unknown_names():
    with pytest.raises(ValueError, match="imagenet"):
        normalise(torch.zeros(1, 3, 2, 2), "nope")


@pytest.mark.parametrize(("height", "width"), [(4, 20), (20, 3)])
def test_maps_that_the_published_rule_would_crop_away_are_refused(height, width):
    with pytest.raises(ValueError, match=f"got features of {height} x {width}.*more than 4.*protocol=pad"):
        pad_to_windows(torch.ones(1, height, width), 8, "reference")
    assert pad_to_windows(torch.ones(1, height, width), 8).shape[-2:] == (8 * -(-height // 8), 8 * -(-width // 8))
    assert pad_to_windows(torch.ones(1, 5, 20), 8, "reference").shape == (1, 8, 16)
