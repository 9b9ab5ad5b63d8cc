"""The calibrated metric."""

from __future__ import annotations

import copy
import math

import calibration_loss
import pytest
import torch

from causaliqa.api.protocols import Explanation
from causaliqa.api.specs import BackboneSpec
from causaliqa.builtin.metrics._memory import COUNT, memory_of
from causaliqa.builtin.metrics.calibrated import CalibratedMetric
from causaliqa.functional.calibration import INTERVENTIONS, intervene
from causaliqa.functional.descent import descend, descent_starts, high_share, image_psnr
from conftest import photo


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(3)
    ref = torch.rand(3, 3, 48, 56, generator=generator)
    img = (ref + 0.1 * torch.randn(ref.shape, generator=generator)).clamp(0, 1)
    return img, ref


@pytest.fixture
def metric(tiny):
    net, spec = tiny
    return CalibratedMetric(net, spec())


def photograph(side=96):
    return torch.from_numpy(photo(side).copy()).float().div(255).permute(2, 0, 1)[None]


def test_an_image_against_itself_is_exactly_zero(metric, images):
    assert metric(images[1], images[1].clone()).tolist() == [0.0, 0.0, 0.0]
    assert metric.loss(images[1], images[1].clone()).tolist() == [0.0, 0.0, 0.0]


def test_batch_and_order_do_not_matter(metric, images):
    together = metric(*images)
    assert together.shape == (3,)
    assert all(together > 0)
    assert torch.equal(together, torch.cat([metric(a[None], b[None]) for a, b in zip(*images, strict=True)]))
    assert torch.equal(metric(*(x.flip(0) for x in images)).flip(0), together)


def test_more_references_than_are_kept(metric, images):
    many = [torch.cat([x] * 6) + torch.arange(18).view(18, 1, 1, 1) / 100 for x in images]
    assert torch.equal(metric(*many), torch.cat([metric(a[None], b[None]) for a, b in zip(*many, strict=True)]))
    assert len(memory_of(metric.feature_levels.backbone)._kept) <= COUNT


def test_seed_decides(tiny, images):
    net, spec = tiny
    first, again, other = (CalibratedMetric(net, spec(), seed=s)(*images) for s in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_one_stage_by_hand(tiny):
    """The stage gives the mean of the colours: one window, and do(brightness) alone as unit."""
    _, spec = tiny
    net = torch.nn.Identity()
    net.forward = lambda x: [x.mean(dim=1, keepdim=True)]
    ref = torch.full((1, 3, 32, 32), 0.5)
    metric = CalibratedMetric(net, spec(window=32), interventions="brightness")
    noise = intervene(ref, "noise") - ref
    energies = float(noise.square().mean()), float(noise.mean(dim=1).square().mean())

    def ratio(change, energy):
        mean = {c: c**2 / (0.5**2 + (0.5 + c) ** 2 + 0.1 * energy) for c in (change, 8 / 255)}
        return mean[change] / (mean[8 / 255] + 1e-4)

    # Contrast and structure respond to nothing and change by nothing: two of three terms are 0.
    expected = sum(ratio(0.1, e) for e in energies) / 2 / 3
    assert metric(ref + 0.1, ref).item() == pytest.approx(expected, rel=1e-2)


def test_the_interventions_have_mean_one(metric):
    """By construction, but for the small constant in the denominator."""
    ref = photograph()
    scores = torch.cat([metric(intervene(ref, name), ref) for name in INTERVENTIONS])
    assert float(scores.mean()) == pytest.approx(1, abs=0.05)


def test_the_unit_scale_keeps_the_order(tiny, images):
    net, spec = tiny
    plain, unit = (CalibratedMetric(net, spec(), unit=u)(*images) for u in (False, True))
    torch.testing.assert_close(unit, plain / (1 + plain))


def test_gradients(metric, images):
    img = images[0].clone().requires_grad_()
    metric(img, images[1]).sum().backward()
    assert torch.isfinite(img.grad).all()
    assert all(float(g.abs().sum()) > 0 for g in img.grad)
    for form in (metric, metric.loss):
        same = images[1].clone().requires_grad_()
        form(same, images[1]).sum().backward()
        assert torch.isfinite(same.grad).all()


def test_gradients_reach_the_reference_too(metric, images):
    ref = images[1].clone().requires_grad_()
    scores = metric(images[0], ref)
    torch.testing.assert_close(scores, metric(*images))
    scores.sum().backward()
    assert torch.isfinite(ref.grad).all()
    assert float(ref.grad.abs().sum()) > 0


def test_the_gradient_is_that_of_the_score(tiny):
    net, spec = tiny
    metric = CalibratedMetric(copy.deepcopy(net).double(), spec())
    generator = torch.Generator().manual_seed(0)
    img, ref, way = torch.rand(3, 1, 3, 32, 32, generator=generator, dtype=torch.float64)
    img = img.requires_grad_()
    metric(img, ref).backward()
    step = 1e-5 * way
    with torch.no_grad():
        change = (metric(img + step, ref) - metric(img - step, ref)).item()
    assert change == pytest.approx(2 * float((img.grad * step).sum()), rel=1e-4)


def test_the_reference_is_known_by_its_values(metric, images):
    calls = []
    metric.feature_levels.backbone.register_forward_hook(lambda *_: calls.append(1))
    metric(images[0][:1], images[1][:1])
    assert len(calls) == 2 + len(INTERVENTIONS)
    before = metric(images[0][:1], images[1][:1].clone())
    assert len(calls) == 3 + len(INTERVENTIONS)
    buffer = images[1][:1].clone()
    metric(images[0][:1], buffer)
    buffer.numpy()[:] = images[0][:1].numpy()  # not seen by the tensor's version counter
    assert metric(images[0][:1], buffer).item() == 0 < before.item()


def test_the_reference_is_measured_anew_with_other_weights(tiny, images):
    net, spec = tiny
    metric = CalibratedMetric(copy.deepcopy(net), spec())
    before = metric(*images)
    state = {key: value * 0.5 + 0.1 for key, value in net.state_dict().items()}
    metric.feature_levels.backbone.load_state_dict(state)
    other = copy.deepcopy(net)
    other.load_state_dict(state)
    expected = CalibratedMetric(other, spec())(*images)
    assert torch.equal(metric(*images), expected)
    assert not torch.equal(expected, before)


def test_a_reference_from_inference_mode_serves_training(metric, images):
    with torch.inference_mode():
        metric(*images)
    img = images[0].clone().requires_grad_()
    metric(img, images[1]).sum().backward()
    assert torch.isfinite(img.grad).all()


def test_the_backbone_never_trains(tiny, images):
    net, spec = tiny
    net = torch.nn.Sequential(torch.nn.BatchNorm2d(3), copy.deepcopy(net))
    metric = CalibratedMetric(net, spec())
    fresh = metric(*images)
    around = torch.nn.ModuleList([metric]).train()
    assert metric.training
    assert not any(m.training for m in metric.feature_levels.backbone.modules())
    assert torch.equal(around[0](*images), fresh)
    assert torch.equal(net[0].running_mean, torch.zeros(3))


def test_half_precision_counts_as_float32(metric, images):
    img, ref = (x.half() for x in images)
    scores = metric(img, ref)
    assert scores.dtype == torch.float32
    assert torch.equal(scores, metric(img.float(), ref.float()))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(metric(img, ref), scores)


def test_copies_score_alike(metric, images):
    assert torch.equal(copy.deepcopy(metric)(*images), metric(*images))


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (97, 131), (300, 520)])
def test_any_size(metric, size):
    ref = torch.rand(1, 3, *size)
    assert metric(ref, ref).item() == 0
    assert metric(1 - ref, ref).item() > 0


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_flat_references(metric, value):
    ref = torch.full((1, 3, 48, 48), value)
    noise = torch.randn(ref.shape, generator=torch.Generator().manual_seed(1))
    weak, strong = (metric((ref + s * noise).clamp(0, 1), ref).item() for s in (0.02, 0.2))
    assert metric(ref, ref.clone()).item() == 0
    assert 0 < weak < strong < math.inf


def test_explain_says_where_the_score_comes_from(metric):
    ref = photograph()
    img = ref.clone()
    img[..., :32, :32] = 1 - img[..., :32, :32]
    made = metric.explain(img, ref)
    assert made.score == pytest.approx(metric(img, ref).item())
    assert sum(float(s.sum()) for s in made.shares) == pytest.approx(1)
    assert [tuple(r.shape) for r in made.responses] == [(5, 3, 3), (5, 3, 6), (5, 3, 8)]
    assert float(made.cost_map.mean()) == pytest.approx(made.score, rel=0.3)
    assert made.cost_map.shape == (96, 96)
    assert float(made.cost_map[:24, :24].mean()) > 10 * float(made.cost_map[56:, 56:].mean())
    assert metric.explain(ref, ref).score == 0
    with pytest.raises(ValueError, match="got a batch of 2"):
        metric.explain(*torch.rand(2, 2, 3, 32, 32))


def test_an_explanation_names_channels_and_their_responses(metric):
    ref = photograph()
    img = (ref + 0.1 * torch.randn(ref.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    made = metric.explain(img, ref)
    assert isinstance(made, Explanation)
    shares = made.term_shares()
    assert shares.shape == (3, 3)
    assert float(shares.sum()) == pytest.approx(1)
    torch.testing.assert_close(shares.sum(dim=1), torch.stack([s.sum() for s in made.shares]))
    strongest = made.strongest(5)
    assert [c.share for c in strongest] == sorted((float(s) for own in made.shares for s in own), reverse=True)[:5]
    first = strongest[0]
    assert first.cost == pytest.approx(float(made.ratios[first.level][:, first.channel].mean()))
    # do(noise) itself costs what the channel says of it.
    noisy = metric.explain(intervene(ref, "noise"), ref)
    cost = float(noisy.ratios[first.level][:, first.channel].mean())
    assert first.responses[INTERVENTIONS.index("noise")] == pytest.approx(cost, rel=1e-4)
    columns = made.columns()
    assert list(columns) == ["share", "mean", "contrast", "structure", *(f"do({name})" for name in INTERVENTIONS)]
    assert all([len(v) for v in levels] == [3, 6, 8] for levels in columns.values())


def test_an_explanation_shows_itself(metric):
    ref = photograph()
    arrays = [x[0].permute(1, 2, 0).numpy() for x in (1 - ref, ref)]
    made, none = metric.explain(*arrays), metric.explain(ref, ref)
    assert repr(made).startswith(f"CalibratedExplanation(score={made.score:.6g}, 3 levels, strongest channel: ")
    assert made._repr_html_().count("<tr>") == 4
    figures = made.figures([none], names=["negative", "same"], title="a_b")
    assert list(figures) == ["channels", "cost_map"]
    bars, cells = figures["channels"].axes[:2]
    assert [label.get_text() for label in bars.get_yticklabels()] == ["image", "stage 1", "stage 2"]
    first = made.strongest(1)[0]
    name = f"stage {first.level}" if first.level else "image"
    assert cells.get_yticklabels()[0].get_text().startswith(f"{name}, channel {first.channel} ")
    assert cells.texts[0].get_text() == f"{first.cost:.2g}"
    assert len(made.plot("channels").axes) == 3  # bars, cells, colour bar
    with pytest.raises(ValueError, match="expected 'cost' or 'channels'"):
        made.plot("map")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"interventions": "noise+blur"}, "got 'blur'"),
        ({"interventions": "noise+noise"}, "expected each once"),
        ({"window": 0}, "expected a positive whole number"),
        ({"seed": -1}, "0 or more"),
        ({"normalise": "zscore"}, "got 'zscore'"),
    ],
)
def test_wrong_options_are_refused(tiny, options, words):
    net, spec = tiny
    with pytest.raises(ValueError, match=words):
        CalibratedMetric(net, spec(), **options)


@pytest.mark.parametrize(
    ("shape", "error"), [((1, 3, 16, 16), ValueError), ((1, 1, 48, 48), ValueError), ((3, 48, 48), ValueError)]
)
def test_wrong_images_are_refused(metric, shape, error):
    with pytest.raises(error):
        metric(torch.rand(shape), torch.rand(shape))


def test_whole_numbers_and_other_sizes_are_refused(metric):
    with pytest.raises(TypeError, match="floating-point"):
        metric(torch.ones(1, 3, 48, 48, dtype=torch.uint8), torch.rand(1, 3, 48, 48))
    with pytest.raises(ValueError, match="differ in size"):
        metric(torch.rand(1, 3, 48, 48), torch.rand(1, 3, 48, 40))


def _trained(name, request):
    from causaliqa.catalog.create import create_backbone, default_catalog

    options = {"weights": request.getfixturevalue("vgg_weights")} if name == "vgg" else {}
    return CalibratedMetric(create_backbone(name, **options), default_catalog().get(BackboneSpec, name).spec)


TRAINED = [pytest.param("vgg", marks=pytest.mark.data), "effnet_lite0"]


@pytest.mark.parametrize("name", TRAINED)
def test_order(name, request):
    """What anybody can see: a negative is worse than moderate noise, more is worse than less."""
    metric, ref = _trained(name, request), photograph(128)
    noise = torch.randn(ref.shape, generator=torch.Generator().manual_seed(0))
    images = {
        "just noticeable": ref + 3 / 255,
        "weak noise": (ref + 5 / 255 * noise).clamp(0, 1),
        "moderate noise": (ref + 20 / 255 * noise).clamp(0, 1),
        "negative": 1 - ref,
        "mirrored": ref.flip(-1),
    }
    with torch.no_grad():
        scores = {k: metric(v, ref).item() for k, v in images.items()}
    assert scores["just noticeable"] < scores["weak noise"] < scores["moderate noise"]
    assert scores["moderate noise"] < min(scores["negative"], scores["mirrored"])
    assert scores["just noticeable"] < 1 < scores["moderate noise"]


@pytest.mark.parametrize("name", TRAINED)
def test_as_a_loss_it_restores_an_image(name, request):
    metric, ref = _trained(name, request), photograph(64)
    start = torch.nn.functional.interpolate(torch.nn.functional.avg_pool2d(ref, 4), scale_factor=4, mode="bicubic")
    img = start.clone().requires_grad_()
    adam = torch.optim.Adam([img], lr=0.02)
    for _ in range(30):
        adam.zero_grad()
        metric.loss(img, ref).sum().backward()
        adam.step()
    before, after = (float((x.detach() - ref).square().mean()) for x in (start, img))
    assert after < before / 4


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize(("start", "least"), [("reduced", 30), ("noise", 16)])
def test_as_a_loss_it_restores_the_astronaut(name, start, least, request):
    """100 steps of Adam at 0.02 on 128 x 128 pixels; the error that is left is not of high frequency."""
    metric = _trained(name, request)
    ref = calibration_loss.reference()
    end = descend(metric.loss, descent_starts(ref)[start], ref)
    assert image_psnr(end, ref) > least
    assert high_share(end, ref) < 0.44  # that of white noise
