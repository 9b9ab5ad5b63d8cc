"""The causal metric: identity, batches, determinism, options, gradients, explanations."""

import copy

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from causaliqa.api.specs import BackboneSpec
from causaliqa.builtin.backbones._stages import StagedBackbone
from causaliqa.builtin.metrics.causal import CHANNELS, TERMS, CausalMetric, combine


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(1)
    ref = torch.rand(3, 3, 40, 56, generator=generator)
    return (ref + 0.1 * torch.rand(ref.shape, generator=generator)).clamp(0, 1), ref


@pytest.mark.parametrize("mass", ["share", "softmax"])
@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("terms", [*TERMS, "ot+md", "ot+md+l2"])
def test_identical_images_score_zero(tiny, images, mass, channels, terms):
    net, spec = tiny
    metric = CausalMetric(net, spec(mass=mass), channels=channels, terms=terms)
    assert metric(images[1], images[1]).tolist() == [0, 0, 0]


def test_a_score_does_not_depend_on_batch_or_order(tiny, images):
    net, spec = tiny
    metric = CausalMetric(net, spec())
    together = metric(*images)
    assert together.shape == (3,)
    assert all(together > 0)
    alone = torch.cat([metric(a[None], b[None]) for a, b in zip(*images, strict=True)])
    assert torch.equal(together, alone)
    assert torch.equal(metric(*(x.flip(0) for x in images)).flip(0), together)


def test_channels_add_up(tiny, images):
    net, spec = tiny
    levels = CausalMetric(net, spec(), threshold=0.5).levels(*images)[0]
    kept = sum(int(level.keep.sum()) for level in levels)
    assert 0 < kept < sum(len(level.keep) for level in levels)
    causal, everything, residual = (combine(levels, ("ot", "md"), which) for which in ("causal", "all", "residual"))
    torch.testing.assert_close(causal + residual, everything)


def test_terms_add_up(tiny, images):
    net, spec = tiny
    scores = {t: CausalMetric(net, spec(), terms=t)(*images) for t in ("ot", "md", "l2", "ot+md+l2")}
    torch.testing.assert_close(scores["ot"] + scores["md"] + scores["l2"], scores["ot+md+l2"])


def test_one_level_by_hand():
    """A backbone without stages leaves level 0: the image itself, one window, one moved unit."""
    net = torch.nn.Identity()
    net.forward = lambda x: []
    from causaliqa.api.specs import BackboneSpec

    spec = BackboneSpec(name="none", factory=lambda: net, summary="-", licence="-", mass="share", window=32)
    img, ref = torch.zeros(1, 3, 32, 32), torch.zeros(1, 3, 32, 32)
    img[0, 0, 0, 0], ref[0, 0, 0, 3] = 1.0, 1.0
    metric = CausalMetric(net, spec, channels="all", terms="ot")
    # Mass x * x / (sum + 1e-6), one unit moved three bins.
    assert metric(img, ref).item() == pytest.approx(9 / (1 + 1e-6), rel=1e-6)
    assert CausalMetric(net, spec, channels="all", terms="md")(img, ref).item() == pytest.approx(2**0.5, rel=1e-5)
    assert CausalMetric(net, spec, channels="all", terms="l2")(img, ref).item() == 2.0


def test_seed_decides(tiny, images):
    net, spec = tiny
    first, again, other = (
        torch.cat([level.strength for level in CausalMetric(net, spec(), threshold=0.01, seed=s).levels(*images)[0]])
        for s in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_softmax_masses_keep_every_channel(tiny, images):
    """Both sides weigh the same, so nothing is below the threshold; the mask cannot come from rounding."""
    net, spec = tiny
    levels = CausalMetric(net, spec(mass="softmax"), threshold=10.0).levels(*images)[0]
    assert all(level.keep.all() for level in levels)


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (97, 131), (300, 520)])
def test_any_size(tiny, size):
    net, spec = tiny
    ref = torch.rand(1, 3, *size)
    metric = CausalMetric(net, spec())
    assert metric(ref, ref).item() == 0
    assert metric(1 - ref, ref).item() > 0


def test_gradients_reach_the_image(tiny, images):
    net, spec = tiny
    img = images[0].clone().requires_grad_()
    CausalMetric(net, spec())(img, images[1]).sum().backward()
    assert torch.isfinite(img.grad).all()
    assert all(float(g.abs().sum()) > 0 for g in img.grad)
    same = images[1].clone().requires_grad_()
    CausalMetric(net, spec())(same, images[1]).sum().backward()
    assert torch.isfinite(same.grad).all()


def test_a_step_along_the_gradient_lowers_the_score(tiny, images):
    net, spec = tiny
    metric = CausalMetric(net, spec())
    img = images[0][:1].clone().requires_grad_()
    before = metric(img, images[1][:1])
    before.backward()
    with torch.no_grad():
        after = metric(img - 1e-3 * img.grad / img.grad.norm(), images[1][:1])
    assert after.item() < before.item()


def test_the_reference_is_remembered_and_a_change_noticed(tiny, images):
    net, spec = tiny
    metric = CausalMetric(net, spec())
    img, ref = (x.clone() for x in images)
    before = metric(img, ref)
    assert torch.equal(metric(img, ref), before)
    ref.mul_(0.5)
    changed = metric(img, ref)
    assert torch.equal(changed, CausalMetric(net, spec())(img, ref))
    assert not torch.equal(changed, before)
    assert torch.equal(copy.deepcopy(metric)(img, ref), changed)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"terms": "ott"}, "terms: got 'ott'"),
        ({"terms": "ot+ot"}, "each term once"),
        ({"channels": "some"}, "channels"),
        ({"window": 0}, "window"),
        ({"window": 2.5}, "window"),
        ({"seed": -1}, "seed"),
        ({"strengths": (0.2, 0.1)}, "rising"),
        ({"strengths": ()}, "rising"),
        ({"normalise": "no"}, "normalise"),
        ({"rule": "most"}, "rule"),
        ({"threshold": float("nan")}, "threshold"),
        ({"protocol": "crop"}, "protocol"),
    ],
)
def test_bad_options(tiny, options, words):
    net, spec = tiny
    with pytest.raises(ValueError, match=words):
        CausalMetric(net, spec(), **options)


@pytest.mark.parametrize("options", [{"clamp": False}, {"rule": "any"}, {"protocol": "reference"}, {"resize": False}])
def test_variants_run(tiny, images, options):
    net, spec = tiny
    scores = CausalMetric(net, spec(), **options)(*images)
    assert torch.isfinite(scores).all()
    assert all(scores > 0)


def test_explanation_adds_up(tiny, images):
    net, spec = tiny
    metric = CausalMetric(net, spec())
    explanation = metric.explain(images[0][:1], images[1][:1])
    assert explanation.score == pytest.approx(metric(*images)[0].item())
    assert float(sum(s.sum() for s in explanation.shares)) == pytest.approx(1, rel=1e-5)
    assert explanation.cost_map.shape == (40, 56)
    assert float(explanation.cost_map.sum()) == pytest.approx(explanation.score, rel=1e-4)
    assert [len(s) for s in explanation.strengths] == [3, 6, 8]
    with pytest.raises(ValueError, match="batch of 3"):
        metric.explain(*images)


def test_an_explanation_shows_itself(tiny, images, tmp_path):
    net, spec = tiny
    metric = CausalMetric(net, spec())
    arrays = [x[0].permute(1, 2, 0).numpy() for x in images]
    explanation = metric.explain(*arrays)
    assert explanation.score == metric.explain(images[0][:1], images[1][:1]).score
    full = sum(explanation.full_strength(level) for level in range(3))
    assert repr(explanation) == (
        f"CausalExplanation(score={explanation.score:.6g}, 3 levels, {full} of 17 channels respond at every strength)"
    )
    assert len(explanation.plot("channels", title="a_b").axes) == 4  # three strips and the colour bar
    explanation.plot().savefig(tmp_path / "cost.png")
    assert (tmp_path / "cost.png").stat().st_size > 5000
    assert explanation._repr_html_().count("<tr>") == 4
    with pytest.raises(ValueError, match="expected 'cost' or 'channels'"):
        explanation.plot("map")


def test_the_metric_shows_itself_in_one_line(tiny):
    net, spec = tiny
    text = repr(CausalMetric(net, spec(), terms="md", seed=3))
    assert text == f"CausalMetric({spec().name}, terms=md, channels=causal, window={spec().window}, seed=3)"


PUBLISHED = {
    # Score of the published code and the tolerance agreed on; contrast.4 depends on the noise.
    "AWGN.3": (4526.1, 0.02),
    "AWGN.5": (14493.9, 0.02),
    "fnoise.5": (55781.5, 0.02),
    "contrast.4": (38142.1, 0.15),
    "BLUR.5": (68684.6, 0.02),
    "JPEG.5": (36110.4, 0.02),
}


@pytest.mark.data
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_scores(data, vgg_weights, name):
    from causaliqa.catalog.create import create_metric
    from causaliqa.io.images import load_image

    metric = create_metric("causal_vgg", device="cpu", weights=vgg_weights)
    folder = data / "mini_real" / "csiq"
    ref = load_image(folder / "1600.png")
    expected, tolerance = PUBLISHED[name]
    with torch.no_grad():
        assert metric(load_image(folder / f"1600.{name}.png"), ref).item() == pytest.approx(expected, rel=tolerance)


def test_severity_orders_scores(pair_files):
    """The embedded default puts worse noise and blur above milder ones."""
    from causaliqa.catalog.create import create_metric
    from causaliqa.io.images import load_image

    metric = create_metric("causal_effnet_lite0", device="cpu")
    ref = load_image(pair_files[1])
    noise = torch.from_numpy(np.random.default_rng(0).normal(size=ref.shape)).float()
    scores = [metric((ref + s * noise).clamp(0, 1), ref).item() for s in (0.02, 0.06, 0.2)]
    assert scores == sorted(scores)
    assert Image.open(pair_files[1]).size == (64, 64)


def test_a_backbone_built_by_hand_stays_in_evaluation_mode():
    stage = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
    spec = BackboneSpec(name="tiny", factory=lambda: None, summary="-", licence="MIT", window=8)
    metric = CausalMetric(StagedBackbone([stage], channels=[4], reduction=[1]), spec)
    img, ref = torch.rand(2, 1, 3, 40, 40)
    before = float(metric(img, ref))
    assert float(metric.train()(img, ref)) == before
    assert not any(module.training for module in metric.feature_levels.modules())
