"""Regions are proposed where the gradient energy is, and nowhere else."""

import numpy as np
import pytest
import torch

from causaliqa.functional.resampled import resampled_interval
from causaliqa.functional.texture import gradient_energy, textured_windows


def test_the_energy_is_that_of_central_differences():
    img = torch.rand(3, 9, 11, dtype=torch.float64)
    y = (img * torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64).view(3, 1, 1)).sum(0).numpy()
    down, across = np.gradient(y)
    expected = np.hypot(across, down)[1:-1, 1:-1]
    np.testing.assert_allclose(gradient_energy(img)[1:-1, 1:-1], expected, atol=1e-7)


def test_windows_are_the_strongest_and_share_no_pixel():
    img = torch.rand(3, 128, 160, generator=torch.Generator().manual_seed(1))
    found = textured_windows(img, size=16, count=6)
    energy = gradient_energy(img)
    sums = [float(energy[y : y + 16, x : x + 16].sum()) for x, y in found]
    assert sums == sorted(sums, reverse=True)
    brute = max(float(energy[y : y + 16, x : x + 16].sum()) for y in range(16, 97, 8) for x in range(16, 129, 8))
    assert sums[0] == pytest.approx(brute)
    assert all(max(abs(a - c), abs(b - d)) >= 16 for k, (a, b) in enumerate(found) for c, d in found[:k])
    assert all(x % 8 == y % 8 == 0 and 16 <= x <= 128 and 16 <= y <= 96 for x, y in found)
    assert textured_windows(img, size=16, count=6) == found


@pytest.mark.parametrize(("side", "found"), [(8, []), (16, [(0, 0)]), (20, [(0, 0)]), (40, [(8, 8)]), (48, [(16, 16)])])
def test_a_small_image_has_smaller_margins(side, found):
    assert textured_windows(torch.zeros(3, side, side), size=16) == found


def test_the_interval_of_a_mean_holds_it():
    rng = np.random.default_rng(0)
    samples = rng.normal(3.0, 1.0, (200, 9))
    ends = [resampled_interval(sample) for sample in samples]
    inside = np.mean([low <= 3.0 <= high for low, high in ends])
    assert 0.90 <= inside <= 0.99


def test_three_images_have_no_interval_and_unknown_ones_do_not_count():
    assert np.isnan(resampled_interval([1.0, 2.0, 3.0, float("nan")])).all()
    assert resampled_interval([1.0, 2.0, 3.0, 4.0, float("nan")]) == resampled_interval([1.0, 2.0, 3.0, 4.0])
