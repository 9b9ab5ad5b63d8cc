"""Descent on pixels, and what is measured at its end."""

import math

import torch

from causaliqa.functional.descent import descend, descent_starts, high_share, image_psnr


def test_descent_finds_the_reference_and_leaves_the_start():
    ref = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    start = descent_starts(ref)["noise"]
    before = start.clone()
    end = descend(lambda a, b: (a - b).square().mean((1, 2, 3)), start, ref, steps=80)
    assert image_psnr(end, ref) > 40 > image_psnr(start, ref)
    assert torch.equal(start, before) and not end.requires_grad


def test_starts():
    ref = torch.rand(2, 3, 32, 32)
    starts = descent_starts(ref, seed=4)
    assert torch.allclose(starts["reduced"].mean(), ref.mean(), atol=0.02)
    assert starts["reduced"].std() < ref.std()
    assert torch.equal(starts["noise"], descent_starts(ref, seed=4)["noise"])
    assert not torch.equal(starts["noise"], descent_starts(ref)["noise"])


def test_share_of_high_frequencies():
    generator = torch.Generator().manual_seed(0)
    grey = torch.full((1, 3, 64, 64), 0.5)
    white = grey + 0.05 * torch.randn(grey.shape, generator=generator)
    # All frequencies but the square of those below three quarters of the Nyquist frequency.
    assert math.isclose(high_share(white, grey), 1 - 0.75**2, abs_tol=0.03)
    assert high_share(grey + 0.1, grey) < 1e-6
    assert math.isnan(high_share(grey, grey)) and image_psnr(grey, grey) == math.inf
