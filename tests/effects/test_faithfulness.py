"""Whether a map is right, asked of networks whose effects are known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import causaliqa
from causaliqa import InputError
from causaliqa.effects.check_effects import check_effects
from causaliqa.effects.faithfulness import plan_within, score_maps, shuffled
from causaliqa.effects.rival_maps import effects_of_groups, on_grid

IMAGE = torch.linspace(0.3, 0.7, 40).expand(3, 40, 40).clone()


class Wide(nn.Module):
    """Averages over a wide window, near pixels most: exact on a ramp, unless a patch is not what it was."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 25, padding=12, bias=False, padding_mode="reflect")
        ticks = torch.arange(-12.0, 13.0)
        weights = (-(ticks[:, None].square() + ticks.square()) / 72).exp()
        with torch.no_grad():
            self.conv.weight[:] = weights / weights.sum()

    def forward(self, img):
        return self.conv(img.reshape(-1, 1, *img.shape[-2:])).reshape(img.shape)


def effects_of(network, **settings):
    given = {"task": "denoise", "sampler": "zero", "device": "cpu", "progress": False, "fine": 8, **settings}
    (made,) = causaliqa.effect_maps(network, IMAGE, "16,16,8,8", **given)
    return made


@pytest.fixture(scope="module")
def network():
    return Wide()


@pytest.fixture(scope="module")
def made(network):
    return effects_of(network)


def check(made, network, **changes):
    return check_effects(made, IMAGE, network, **{"sampler": "zero", "device": "cpu", "progress": False, **changes})


@pytest.fixture(scope="module")
def checked(made, network):
    return check(made, network)


def test_the_true_map_is_supported(checked):
    own, *others, chance = checked.scores
    assert [own.name, *(other.name for other in others), chance.name] == [
        "cem", "lam", "gradients", "occlusion", "random",
    ]  # fmt: skip
    assert own.deletion > chance.deletion + chance.deletion_half
    assert own.joint_low > 0.5
    assert np.isfinite(own.error) and np.isnan(others[0].error)
    assert all(score.scaled_error > 0 for score in (own, *others)) and np.isnan(chance.scaled_error)
    assert own.scaled_error <= own.error
    assert own.scaled_error < others[1].scaled_error
    assert checked.repeated[0] > 0.8
    assert not [d for d in checked.doubts if "shuffled" not in d]


def test_a_map_turned_upside_down_is_doubted(made, network, checked):
    upside = check(replace(made, effect=-made.effect), network)
    assert {doubt.split()[0] for doubt in upside.doubts} >= {"deletion", "insertion", "its"}
    assert upside.scores[0].joint == pytest.approx(-checked.scores[0].joint)
    # The order of the others, and what chance does, is the same.
    assert str(upside.scores[1:]) == str(checked.scores[1:])


def test_groups_are_replaced_together(made, network):
    from causaliqa.effects import check_effects as module
    from causaliqa.effects.names import NetworkRequest
    from causaliqa.effects.rival_maps import KeptDraws, with_scene

    request = NetworkRequest(network=network, task="denoise")
    _, plain = module._runner(made, IMAGE, request, None, "zero", None, "cpu")
    runner = with_scene(plain, KeptDraws, seed=5)
    a, b = runner.reached[:2]
    found = effects_of_groups(runner, [(a,), (a, b), ()], 2)
    mixed = torch.stack([runner.input_with(a, b, number=t) for t in range(2)])
    expected = runner.base - runner.quality(runner.restore(mixed))
    np.testing.assert_allclose(found[1], expected)
    assert found[2].tolist() == [0.0, 0.0]
    assert found[0].tolist() != found[1].tolist()
    whole = on_grid(np.ones(runner.scene.degraded.shape[1:]), runner.scene.grid, runner.reached)
    assert set(whole) == {64.0}
    with pytest.raises(InputError, match="there is no order"):
        score_maps(_Nothing(), {}, plan_within(None, 1, 1), in_units=(), seed=0)


class _Nothing:
    reached = (3,)


def test_shuffled_weights_are_a_copy_with_the_same_values(network):
    before = network.conv.weight.clone()
    other = shuffled(network, 0)
    assert torch.equal(network.conv.weight, before)
    assert not torch.equal(other.conv.weight, before)
    assert torch.equal(other.conv.weight.flatten().sort().values, before.flatten().sort().values)
    with pytest.raises(InputError, match="does not share"):
        shuffled(lambda x: network(x) + 0, 0)


def test_a_function_without_gradient_is_compared_with_fewer_maps(made, network):
    found = check(made, lambda x: network(x.detach()), budget=600)
    assert [score.name for score in found.scores] == ["cem", "occlusion", "random"]
    assert len(found.notes) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 0}, "seed: got 0, that of the map"),
        ({"budget": 10}, "budget: got 10 inferences"),
        ({"network": nn.Identity()}, "network: the region has"),
        ({"image": IMAGE.flip(2)}, "image: its degraded version"),
    ],
)
def test_what_is_not_of_the_map_is_refused(made, network, changes, message):
    given = {"image": IMAGE, "network": network, **changes}
    with pytest.raises(InputError, match=message):
        check_effects(made, sampler="zero", device="cpu", progress=False, **given)


def test_the_cost_is_what_was_said(made, network):
    plan = plan_within(600, 10, 4)
    assert plan.cost(10, 4) <= 600 < plan_within(None, 10, 4).cost(10, 4)
