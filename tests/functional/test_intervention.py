"""Masses, noise, and the decision which channels are causal."""

import pytest
import torch

from causaliqa.functional.intervention import (
    STRENGTHS,
    channel_strength,
    keeps_channel,
    mass,
    mass_gap,
    noise_field,
    top_strength,
)


def test_share_is_each_value_times_its_share():
    x = torch.rand(2, 3, 4)
    torch.testing.assert_close(mass(x, "share"), x * (x / (x.sum() + 1e-6)))
    assert not mass(torch.zeros(2, 3, 4), "share").any()


def test_softmax_sums_to_one_over_windows():
    torch.testing.assert_close(mass(torch.randn(2, 5, 4), "softmax").sum(1), torch.ones(2, 4))


def test_unknown_mass():
    with pytest.raises(ValueError, match="softmax"):
        mass(torch.zeros(1, 1, 1), "nope")


def test_noise_depends_on_its_arguments_alone():
    a = noise_field(7, 2, 100, 64)
    assert torch.equal(a, noise_field(7, 2, 100, 64))
    assert not torch.equal(a, noise_field(8, 2, 100, 64))
    assert not torch.equal(a, noise_field(7, 3, 100, 64))
    assert abs(float(a.mean())) < 0.05
    assert abs(float(a.std()) - 1) < 0.05


def test_rules_by_hand():
    shift = torch.tensor([[1.0, 1.0, 0.0], [-2.0, 0.0, 0.0]])
    tolerance = torch.tensor(0.5)
    assert keeps_channel(shift, tolerance).tolist() == [True, False, False]
    assert keeps_channel(shift, tolerance, "any").tolist() == [True, True, False]
    with pytest.raises(ValueError, match="every"):
        keeps_channel(shift, tolerance, "most")


def test_softmax_masses_leave_no_gap():
    x, y = torch.randn(2, 3, 5, 4)
    assert float(mass_gap(mass(x, "softmax"), mass(y, "softmax"), "softmax")) == 0
    assert float(mass_gap(x.abs(), y.abs() + 1, "share")) > 1
    assert keeps_channel(torch.zeros(9, 4), torch.tensor(0.0)).all()


def test_strength_and_rule_say_the_same():
    shift = 0.4 * torch.rand(9, 50, generator=torch.Generator().manual_seed(0))
    tolerance = torch.tensor(0.05)
    strength = channel_strength(shift, tolerance, STRENGTHS)
    keep = keeps_channel(shift, tolerance)
    top = top_strength(torch.tensor(STRENGTHS))
    assert float(top) == pytest.approx(0.1)
    assert torch.equal(strength >= top - 1e-6, keep)
    assert 0 < int(keep.sum()) < 50
    assert float(strength.min()) >= 0.01 - 1e-6
