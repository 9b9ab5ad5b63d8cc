"""Local attribution maps: completeness, reach, and hand-computed cases."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from causaliqa import InputError
from causaliqa.api.data import ROI
from causaliqa.effects.effect_map import EffectMap
from causaliqa.effects.lam import Attribution, edge_strength, gini, integrated_gradients
from causaliqa.effects.plot import draw_attribution

ROI_8 = (12, 12, 8, 8)


class GlobalGain(nn.Module):
    """Every output pixel depends on the whole input."""

    def forward(self, x):
        return x * (1 + (x - 0.5).square().mean((2, 3), keepdim=True))


@pytest.fixture
def img():
    return torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("values", "expected"), [([5, 5], 0), ([0, 1], 0.5), ([1, 2, 3], 2 / 9), ([0, 0, 0], 0), ([0] * 99 + [1], 0.99)]
)
def test_gini_by_hand(values, expected):
    assert gini(np.array(values, float)) == pytest.approx(expected)


def test_edge_strength_of_ramps():
    ramp = torch.arange(6.0).expand(2, 3, 6, 6)
    assert edge_strength(ramp) == pytest.approx([48.0, 48.0])
    assert edge_strength(ramp + ramp.transpose(2, 3)) == pytest.approx([48 * 2**0.5] * 2, rel=1e-5)
    assert float(edge_strength(torch.ones(1, 3, 6, 6))) < 1e-3


@pytest.mark.parametrize("net", [nn.Identity(), nn.AvgPool2d(3, 1, 1), GlobalGain()])
def test_map_sums_to_the_change_and_more_steps_come_closer(img, net):
    few, many = (integrated_gradients(net, img, ROI_8, steps=n).summary()["completeness_error"] for n in (3, 60))
    assert many < 0.01
    assert many < few


@pytest.mark.parametrize(("reach", "net"), [(0, nn.Identity()), (1, nn.AvgPool2d(3, 1, 1)), (2, nn.AvgPool2d(5, 1, 2))])
def test_nothing_beyond_the_reach_of_the_network_counts(img, reach, net):
    strength = integrated_gradients(net, img, ROI_8, steps=4).strength
    inside = np.zeros((32, 32), bool)
    inside[12 - reach : 20 + reach, 12 - reach : 20 + reach] = True
    assert (strength[~inside] == 0).all()
    assert strength[inside].sum() > 0


def test_a_network_that_looks_everywhere_has_the_higher_diffusion_index(img):
    local, wide = (
        integrated_gradients(net, img, ROI_8, steps=8).diffusion_index for net in (nn.Identity(), GlobalGain())
    )
    assert 0 < local < wide < 100


def test_super_resolution_maps_lie_on_the_input(img):
    made = integrated_gradients(nn.Upsample(scale_factor=4), img[:, :16, :16], (16, 16, 16, 16), scale=4, steps=4)
    assert made.attribution.shape == (3, 16, 16)
    rows, cols = np.nonzero(made.strength)
    assert (rows.min(), rows.max(), cols.min(), cols.max()) == (4, 7, 4, 7)


def test_parameters_get_no_gradient_and_the_input_stays(img):
    net, before = nn.Conv2d(3, 3, 3, padding=1), img.clone()
    integrated_gradients(net, img, ROI_8, steps=2)
    assert all(p.grad is None for p in net.parameters())
    assert torch.equal(img, before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps: got 0"),
        ({"sigma": 0.0}, "sigma: got 0.0"),
        ({"roi": (0, 0, 2, 9)}, "smaller than 3 x 3"),
        ({"roi": (30, 0, 8, 8)}, "outside"),
        ({"forward_func": lambda x: x[..., :8, :8]}, "another size"),
        ({"forward_func": lambda x: x.detach()}, "no gradient"),
        ({"forward_func": lambda x: x * float("nan")}, "NaN"),
    ],
)
def test_bad_input_is_named(img, options, message):
    given = {"forward_func": nn.Identity(), "img": img, "roi": ROI_8, "steps": 2, **options}
    with pytest.raises(InputError, match=message):
        integrated_gradients(**given)


def test_save_and_picture_beside_a_causal_effect_map(img, tmp_path):
    made = integrated_gradients(nn.AvgPool2d(3, 1, 1), img, ROI_8, steps=2)
    folder = made.save(tmp_path / "lam")
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["diffusion_index"] == pytest.approx(made.diffusion_index)
    with np.load(folder / "lam.npz") as arrays:
        np.testing.assert_array_equal(arrays["attribution"], made.attribution)
    effect = np.full((4, 4), 0.1)
    effects = EffectMap(
        effect=effect,
        count=np.ones((4, 4), int),
        sem=effect,
        samples=effect[..., None],
        image=made.image,
        base=30.0,
        roi=ROI(*ROI_8),
        patch_size=8,
    )
    assert len(draw_attribution(made).axes) == 2
    assert len(draw_attribution(made, effects=effects).axes) == 3


def test_a_flat_map_has_no_division_by_zero():
    made = Attribution(
        attribution=np.zeros((3, 4, 4)), image=np.zeros((4, 4, 3), np.uint8), roi=ROI(0, 0, 4, 4), change=0
    )
    assert made.summary()["completeness_error"] == 0
    assert made.diffusion_index == 100
