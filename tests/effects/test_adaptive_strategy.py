"""The adaptive strategy: budgets, precision, fairness, and independence of everything but the seed."""

import numpy as np
import pytest
import torch
from torch import nn

from causaliqa import CausalEffectMap, InputError, create_degradation, create_sampler
from causaliqa.api.data import ROI
from causaliqa.effects.adaptive_strategy import Adaptive, make_adaptive
from causaliqa.effects.effect_map import EffectMap, similarity

SR = {"degradation": create_degradation("sr", scale=2), "sampler": create_sampler("natural")}
REGION = (16, 16, 16, 16)


class Restorer(nn.Module):
    """A smooth network with a reach of four input pixels whose errors are far from zero."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(3, 3, 5, 5, generator=generator) * 0.05, requires_grad=False)

    def forward(self, x):
        for _ in range(2):
            x = x + torch.tanh(torch.conv2d(x, self.weight, padding=2))
        return torch.nn.functional.interpolate(x, scale_factor=2.0, mode="nearest").clamp(0, 1)


@pytest.fixture(scope="module")
def image():
    coarse = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    return torch.nn.functional.interpolate(coarse, size=(48, 48), mode="bicubic")[0].clamp(0, 1)


@pytest.fixture(scope="module")
def cem():
    return CausalEffectMap(Restorer(), scale=2)


@pytest.fixture(scope="module")
def truth(cem, image):
    return cem.attribute(image, REGION, strategy="plain", interventions=400, seed=77, **SR)


def simulated(plan, truth, noise, seed=0):
    """Run a plan on effects that scatter around the truth; return the effects by stage."""
    rng, seen = np.random.default_rng(seed), {}
    patches = list(range(len(truth)))
    for todo in plan.rounds(patches, seen):
        stage = seen.setdefault(todo.stage, {})
        for p in todo.patches:
            assert p not in stage
            block = list(todo.blocks.get(p, (p,)))
            scatter = rng.standard_normal((len(todo.draws), len(block)))
            stage[p] = (truth[block] + noise[block] * scatter).sum(axis=1)
    return seen


def spent(seen):
    return sum(len(v) for stage in seen.values() for v in stage.values())


@pytest.mark.parametrize("budget", [10, 11, 20, 100, 137, 1000])
def test_a_budget_is_kept_and_used(budget):
    plan = Adaptive(budget=budget)
    assert spent(simulated(plan, np.zeros(10), np.ones(10))) == budget
    assert plan.most(10) == budget


@pytest.mark.parametrize("budget", [32, 33, 47, 60, 100, 256, 700, 5000])
@pytest.mark.parametrize("strength", [0.0, 1e-4, 0.01, 1.0])
def test_a_budget_is_kept_whatever_the_blocks_show(budget, strength):
    truth = np.zeros(256)
    truth[100:110] = 0.1
    plan = Adaptive(budget=budget, columns=16)
    seen = simulated(plan, truth, np.full(256, strength))
    assert spent(seen) <= budget
    found = plan.estimates(range(256), seen)
    assert sorted(found) == list(range(256))
    assert all(np.isfinite(e.effect) for e in found.values())
    if budget >= 100 and strength >= 0.01:  # there are patches worth it, and room to look into them
        assert spent(seen) == budget


def test_a_budget_too_small_to_try_everything_is_refused():
    with pytest.raises(InputError, match="got 31, expected 32 or more"):
        simulated(Adaptive(budget=31, columns=16), np.zeros(256), np.zeros(256))
    with pytest.raises(InputError, match="got 9, expected 10 or more"):
        simulated(Adaptive(budget=9), np.zeros(10), np.zeros(10))


def test_quiet_blocks_cost_two_interventions_and_a_check():
    truth = np.full(256, 1e-6)
    truth[[85, 86, 101, 102]] = 0.1, -0.2, 0.3, 0.05  # all in one block
    plan = Adaptive(budget=600, columns=16)
    seen = simulated(plan, truth, np.zeros(256))
    found = plan.estimates(range(256), seen)
    assert len(seen["blocks"]) == 16
    assert len(seen["check"]) == 15
    assert set(seen["draws 0-2"]) == {row * 16 + col for row in range(4, 8) for col in range(4, 8)}
    np.testing.assert_allclose([found[p].effect for p in range(256)], truth, atol=1e-9)
    assert found[0].sem == pytest.approx(16e-6)  # what the whole block does
    assert found[0].count == 2


def test_a_check_finds_what_cancels_out_in_a_block():
    truth = np.zeros(64)
    truth[[0, 1]] = 0.5  # the block that is looked into
    truth[[4, 12]] = 0.3, -0.3  # beside it, in the next one
    plan = Adaptive(budget=300, columns=8)
    seen = simulated(plan, truth, np.zeros(64))
    assert list(seen["blocks"][4]) == [0, 0]
    assert list(seen["check"][4]) == [0.3]
    found = plan.estimates(range(64), seen)
    assert [found[p].effect for p in (4, 12, 5)] == [0.3, -0.3, 0]


def test_a_patch_that_is_small_by_chance_is_tried_again_beside_strong_ones():
    truth = np.zeros(64)
    truth[[9, 10, 11, 17, 19, 25, 26, 27]] = 0.1
    for columns, again in ((8, True), (None, False)):
        plan = Adaptive(budget=200, columns=columns, first=1)
        seen = simulated(plan, truth, np.zeros(64))
        assert (plan.estimate(18, seen).count > 1) == again  # 18 itself shows nothing


def test_interventions_go_where_the_error_is():
    noise = np.array([0.001] * 8 + [1.0, 2.0])
    seen = simulated(Adaptive(budget=200), np.zeros(10), noise)
    plan = Adaptive(budget=200)
    counts = [plan.estimate(p, seen).count for p in range(10)]
    assert max(counts[:8]) == 2
    assert 30 < counts[8] < counts[9]


def test_precision_is_reached_everywhere():
    plan = make_adaptive(None, 0.1, 0.01)
    seen = simulated(plan, np.linspace(-1, 1, 10), np.full(10, 0.5))
    assert max(plan.estimate(p, seen).sem for p in range(10)) <= 0.1
    assert max(plan.estimate(p, seen).count for p in range(10)) < 80


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((0, None, 0.01), "budget: got 0"),
        ((None, -1.0, 0.01), "precision: got -1.0"),
        ((5, 0.1, 0.01), "expected one of them"),
    ],
)
def test_nonsense_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        make_adaptive(*options)


def test_budget_belongs_to_the_strategy(cem, image):
    with pytest.raises(InputError, match="belong to the strategy adaptive"):
        cem.attribute(image, REGION, budget=5, **SR)


def test_closer_than_plain_at_the_same_number_of_interventions(cem, image, truth):
    reached = truth.facts["patches_reached"]
    budget = 12 * reached
    ours, plain = [], []
    for seed in range(4):
        made = cem.attribute(image, REGION, strategy="adaptive", budget=budget, seed=seed, **SR)
        assert made.facts["inferences"] <= budget
        ours.append(similarity(made.effect, truth.effect))
        other = cem.attribute(image, REGION, strategy="plain", interventions=12, seed=seed, **SR)
        plain.append(similarity(other.effect, truth.effect))
    assert np.mean(ours) > np.mean(plain) + 5


def test_intervals_hold_the_truth(cem, image, truth):
    inside = []
    for seed in range(8):
        made = cem.attribute(
            image, REGION, strategy="adaptive", budget=12 * truth.facts["patches_reached"], seed=seed, **SR
        )
        told = made.count >= 10
        error = np.hypot(made.sem, truth.sem)[told]
        inside.append(np.abs(made.effect - truth.effect)[told] < 2.2 * error)
    inside = np.concatenate(inside)
    assert len(inside) > 50
    assert inside.mean() >= 0.9


def test_resumed_after_a_stop_it_ends_with_the_same_map(cem, image, tmp_path):
    options = {"strategy": "adaptive", "budget": 300, "seed": 3, **SR}
    whole = cem.attribute(image, REGION, **options)

    class Stop(Exception):
        pass

    def stop(done, known):
        if done > 150:
            raise Stop

    with pytest.raises(Stop):
        cem.attribute(image, REGION, resume=tmp_path / "journal", progress=stop, **options)
    resumed = cem.attribute(image, REGION, resume=tmp_path / "journal", **options)
    np.testing.assert_array_equal(resumed.effect, whole.effect)
    np.testing.assert_array_equal(resumed.sem, whole.sem)
    np.testing.assert_array_equal(resumed.count, whole.count)


def test_samplers_without_a_library_draw_independently(cem, image):
    made = cem.attribute(
        image, REGION, strategy="adaptive", budget=100, degradation=SR["degradation"], sampler=create_sampler("noise")
    )
    assert made.facts["inferences"] <= 100


def test_even_draws_have_the_mean_of_the_library():
    sampler = SR["sampler"]
    seeds = np.random.default_rng(0).integers(0, 2**32, 40)
    patches = torch.cat([sampler.sequence(k, int(s), 8) for s in seeds for k in range(16)])
    whole = sampler.library.patches(8).float().mean() / 255
    assert float(patches.mean()) == pytest.approx(float(whole), abs=0.01)
    places = sampler.coordinates(sampler.library.patches(8).float() / 255)
    assert np.abs(places.mean(axis=0)).max() < 1e-6
    assert places[:, 0].std() == pytest.approx(1, rel=1e-3)
    np.testing.assert_allclose(sampler.population(8).mean(axis=0), 0, atol=0.02)
    np.testing.assert_allclose(sampler.population(8).std(axis=0), places.std(axis=0), rtol=0.1)


def test_false_discoveries_are_rare_and_true_ones_found():
    rng = np.random.default_rng(0)
    false, found = [], []
    for _ in range(40):
        real = np.zeros((10, 10))
        real[:3] = np.sign(rng.standard_normal((3, 10)))
        samples = real[..., None] + rng.standard_normal((10, 10, 20))
        made = EffectMap(
            effect=samples.mean(-1),
            count=np.full((10, 10), 20),
            sem=samples.std(-1, ddof=1) / 20**0.5,
            samples=samples,
            image=np.zeros((80, 80, 3), np.uint8),
            base=30.0,
            roi=ROI(0, 0, 8, 8),
            patch_size=8,
        )
        signs = made.signs()
        wrong = (signs != 0) & (signs != real)
        false.append(wrong.sum() / max(1, (signs != 0).sum()))
        found.append((signs[:3] == real[:3]).mean())
    assert np.mean(false) < 0.05
    assert np.mean(found) > 0.6
    assert made.summary()["significant_positive_percent"] == pytest.approx(100 * (signs > 0).mean())
