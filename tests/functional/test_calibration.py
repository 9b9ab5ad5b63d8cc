"""Interventions, window terms and their calibration."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from causaliqa.functional.calibration import (
    INTERVENTIONS,
    TERMS,
    calibrated_ratio,
    intervene,
    visibility,
    window_terms,
)


def floor(value=1.0):
    return torch.tensor(value)


@pytest.mark.parametrize("name", INTERVENTIONS)
def test_interventions_are_small_and_leave_the_image_alone(name):
    img = torch.rand(2, 3, 24, 30, generator=torch.Generator().manual_seed(0))
    kept = img.clone()
    changed = intervene(img, name)
    assert changed.shape == img.shape
    assert torch.equal(img, kept)
    assert not torch.equal(changed, img)
    if name != "shift":
        assert float((changed - img).abs().mean()) < 10 / 255


def test_interventions_by_hand():
    img = torch.tensor([0.5, 1.0, 0.25]).view(1, 3, 1, 1).repeat(1, 1, 2, 2)
    img[..., 0, 0] = 0.0
    assert intervene(img, "brightness")[0, :, 1, 1].tolist() == pytest.approx(
        [0.5 + 8 / 255, 1 + 8 / 255, 0.25 + 8 / 255]
    )
    assert intervene(img, "contrast")[0, :, 1, 1].tolist() == pytest.approx([0.5, 0.95, 0.275])
    assert intervene(img, "colour")[0, :, 1, 1].tolist() == pytest.approx([0.53, 1.0, 0.235])
    assert intervene(img, "shift")[0, 0].tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_shift_moves_one_pixel_to_the_right_and_down():
    img = torch.arange(9.0).view(1, 1, 3, 3).expand(1, 3, 3, 3)
    assert intervene(img, "shift")[0, 0].tolist() == [[0, 0, 1], [0, 0, 1], [3, 3, 4]]


def test_noise_has_its_strength_and_depends_on_the_seed_alone():
    img = torch.full((2, 3, 64, 64), 0.5)
    noise = intervene(img, "noise") - img
    assert float(noise.std()) == pytest.approx(5 / 255, rel=0.03)
    assert torch.equal(noise[0], noise[1])
    assert torch.equal(intervene(img, "noise"), intervene(img, "noise", seed=0))
    assert not torch.equal(intervene(img, "noise"), intervene(img, "noise", seed=1))


def test_an_unknown_intervention_is_refused():
    with pytest.raises(ValueError, match="got 'blur', expected one of"):
        intervene(torch.zeros(1, 3, 4, 4), "blur")


def test_terms_by_hand():
    """One window of four values: x = 1 3 1 3, y = 2 2 6 6."""
    x, y = torch.tensor([[[1.0, 3.0], [1.0, 3.0]]]), torch.tensor([[[2.0, 2.0], [6.0, 6.0]]])
    made = dict(zip(TERMS, window_terms(x, y, window=2, floor=floor()).flatten().tolist(), strict=True))
    assert made["mean"] == pytest.approx((2 - 4) ** 2 / (4 + 16 + 1))
    assert made["contrast"] == pytest.approx((math.sqrt(2) - math.sqrt(5)) ** 2 / (1 + 4 + 1))
    assert made["structure"] == pytest.approx(np.var([-1, 1, -5, -3]) / (1 + 4 + 1))


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (8, 8), (13, 22)])
def test_equal_maps_cost_exactly_nothing(size):
    x = torch.randn(5, *size) * 100
    costs = window_terms(x, x.clone(), window=8, floor=floor())
    assert costs.shape[:2] == (len(TERMS), 5)
    assert not costs.any()


@pytest.mark.parametrize(("size", "grid"), [((8, 8), (3, 3)), ((9, 11), (3, 4)), ((3, 5), (1, 3)), ((1, 1), (1, 1))])
def test_windows_overlap_by_half(size, grid):
    x = torch.rand(2, *size)
    assert window_terms(x, x + 1, window=4, floor=floor()).shape == (3, 2, *grid)


def test_terms_are_ssims_for_a_vanishing_constant():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(2, 1, 8, 8, generator=generator).double()
    mean, contrast, structure = window_terms(x, y, window=8, floor=torch.tensor(1e-15).double()).flatten()
    (mx, my), (sx, sy) = (x.mean(), y.mean()), (x.std(correction=0), y.std(correction=0))
    cov = ((x - mx) * (y - my)).mean()
    torch.testing.assert_close(1 - mean, 2 * mx * my / (mx**2 + my**2))
    torch.testing.assert_close(1 - contrast, 2 * sx * sy / (sx**2 + sy**2))
    torch.testing.assert_close(1 - structure, 2 * cov / (sx**2 + sy**2))


def test_gradients_are_right_and_finite_in_flat_windows():
    x, y = torch.rand(2, 2, 6, 6, generator=torch.Generator().manual_seed(0)).double()
    assert torch.autograd.gradcheck(lambda v: window_terms(v, y, window=4, floor=floor().double()), x.requires_grad_())
    flat = torch.zeros(2, 6, 6, requires_grad=True)
    window_terms(flat, y.float(), window=4, floor=floor()).sum().backward()
    assert torch.isfinite(flat.grad).all()


def test_calibration_by_hand():
    costs = torch.tensor([[2.0, 6.0], [1.0, 0.0]])
    responses = torch.tensor([[[1.0, 2.0], [4.0, 0.0]], [[3.0, 4.0], [0.0, 0.0]]])
    # Mean responses 2 3 / 2 0, of their level 2.5 / 1, so with a fifth of that 2.5 3.5 / 2.2 0.2; times the mean of
    # 2/2.5 and 3/3.5, and of 2/2.2 and 0.
    units = [[2.5 * 29 / 35, 3.5 * 29 / 35], [1.0, 0.2 / 2.2]]
    expected = [[2 / units[0][0], 6 / units[0][1]], [1.0, 0.0]]
    torch.testing.assert_close(calibrated_ratio(costs, responses, share=0.2, eps=0.0), torch.tensor(expected))


def test_the_changes_themselves_have_mean_one():
    responses = torch.rand(5, 3, 40, generator=torch.Generator().manual_seed(0)) ** 4
    torch.testing.assert_close(calibrated_ratio(responses, responses, eps=0.0).mean(dim=(0, 2)), torch.ones(3))


def test_a_constant_keeps_silent_channels_finite():
    assert not calibrated_ratio(torch.zeros(3, 4), torch.zeros(5, 3, 4)).any()
    assert float(calibrated_ratio(torch.full((1, 1), 1e-3), torch.zeros(5, 1, 1))) == pytest.approx(10)


def test_visibility_is_a_tenth_of_the_mean_squared_difference():
    assert float(visibility(torch.tensor([[[3.0, 1.0]]]), torch.tensor([[[1.0, 1.0]]]))) == pytest.approx(0.2)
