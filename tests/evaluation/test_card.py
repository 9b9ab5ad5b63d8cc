"""Cards: metrics with known faults are flagged, those without are not."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from causaliqa.api.errors import ImageError, InputError
from causaliqa.catalog.create import create_metric, default_catalog
from causaliqa.evaluation import card_order
from causaliqa.evaluation.card import card_images, card_steps, measure_card
from causaliqa.evaluation.card_facts import CardSettings
from causaliqa.evaluation.card_order import measure_order
from causaliqa.evaluation.card_scorer import Scorer
from causaliqa.functional.doses import DISTORTIONS

FEW = CardSettings(images=1, side=64, steps=0, floor_sides=(32, 64), cost_sides=(32, 64))


class Hand(nn.Module):
    """A metric made by hand."""

    metric_mode = "FR"

    def __init__(self, score, lower_better=True):
        super().__init__()
        self.score, self.lower_better = score, lower_better

    def forward(self, img, ref):
        return self.score(img, ref)


def mse(img, ref):
    return (img - ref).square().mean((1, 2, 3))


def measured(score, *, settings=FEW, **options):
    metric = score if isinstance(score, nn.Module) else Hand(score, **options)
    return measure_card(metric, "made by hand", card_images(None, settings), settings=settings)


def texts(facts, kind=None):
    return " | ".join(flag.text for flag in facts.flags if kind in (None, flag.kind))


def check(facts, name):
    (found,) = (check for check in facts.checks if check.name == name)
    return found


@pytest.fixture(scope="module")
def sound():
    return measured(mse, settings=replace(FEW, images=2))


def test_a_sound_metric_has_no_flag(sound):
    assert sound.flags == () and sound.order_ok and sound.problems == ()
    assert sound.tau == 1 and all(curve.steps == 1 for curve in sound.curves)
    assert [curve.distortion for curve in sound.curves] == list(DISTORTIONS)
    assert all(len(line) == 9 and line[0] == 0 for curve in sound.curves for line in curve.scores)
    assert all(order.right == order.n > 0 for order in sound.orders)
    assert check(sound, "symmetry").value < 1e-6 and check(sound, "repeatability").value < 1e-9
    assert check(sound, "gradient at the reference itself").ok


def test_numbers_by_hand(sound):
    """Eight grey levels of brightness, in units of the median first dose."""
    firsts = sorted(curve.scores[0][1] for curve in sound.curves)
    median = (firsts[5] + firsts[6]) / 2
    second = sorted(curve.scores[1][1] for curve in sound.curves)
    brightness = next(response for response in sound.responses if response.change == "brightness")
    own = (8 / 255) ** 2  # where nothing is clipped
    assert brightness.ratio == pytest.approx((own / median + own / ((second[5] + second[6]) / 2)) / 2, rel=0.2)
    assert [floor.side for floor in sound.floors] == [32, 64] == [cost.side for cost in sound.costs]
    assert all(floor.float64 < 1e-5 and floor.threads < 1e-5 for floor in sound.floors)
    assert all(cost.seconds > 0 for cost in sound.costs)


def test_the_wrong_direction_is_flagged():
    facts = measured(lambda img, ref: -mse(img, ref))
    assert facts.tau == -1 and not facts.order_ok
    assert "improves with distortion" in texts(facts, "order") and "negative not worse than" in texts(facts, "order")
    assert measured(lambda img, ref: -mse(img, ref), lower_better=False).order_ok


def test_preferring_the_negative_is_flagged():
    def sign_blind(img, ref):
        return torch.minimum(mse(img, ref), mse(1 - img, ref))

    facts = measured(sign_blind)
    assert "negative not worse than moderate noise" in texts(facts, "order")
    assert "mirrored" not in texts(facts)


def test_preferring_one_distortion_is_flagged():
    def likes_blur(img, ref):
        rough = [(x[..., 1:] - x[..., :-1]).square().mean((1, 2, 3)) / x.var((1, 2, 3)) for x in (img, ref)]
        return torch.where(rough[0] < 0.9 * rough[1], -mse(img, ref), mse(img, ref))

    said = texts(measured(likes_blur), "order")
    assert "more blur counts as better" in said and "more noise" not in said


def test_what_it_cannot_see_is_said_and_is_no_wrong_order():
    def grey(img, ref):
        luma = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
        return ((img - ref) * luma).sum(1).square().mean((1, 2))

    facts = measured(grey)
    assert [curve.distortion for curve in facts.curves if curve.blind] == ["saturation loss"]
    assert facts.order_ok


def test_asymmetry_is_flagged():
    facts = measured(lambda img, ref: mse(img, ref) * (1 + ref.mean((1, 2, 3))))
    assert check(facts, "symmetry").ok is False and facts.order_ok
    assert "cannot change places" in texts(facts, "symmetry")


def test_a_score_that_does_not_repeat_is_flagged():
    state = {"calls": 0}

    def counts(img, ref):
        state["calls"] += 1
        return mse(img, ref) + 1e-5 * state["calls"]

    assert "another score the next time" in texts(measured(counts), "numerics")


def test_a_score_that_depends_on_the_batch_is_flagged():
    assert "batch" in texts(measured(lambda img, ref: mse(img, ref) * len(img)), "numerics")


@pytest.mark.parametrize(
    ("score", "said"),
    [
        (lambda img, ref: mse(img, ref).sqrt(), "gradient at the reference itself: it is not finite"),
        (lambda img, ref: mse(img, ref) + 0 * (img - img).sqrt().mean((1, 2, 3)), "gradient at moderate noise"),
    ],
)
def test_gradients_that_are_not_finite_are_flagged(score, said):
    assert said in texts(measured(score), "gradient")


def test_no_gradient_is_a_fault_only_where_one_is_declared():
    facts = measured(lambda img, ref: mse(img.detach(), ref))
    assert check(facts, "gradient at moderate noise").ok is None and facts.flags == () and facts.descents == ()


def test_as_a_loss():
    settings = CardSettings(images=1, side=64, steps=10, floor_sides=(), cost_sides=())
    good = measured(lambda img, ref: 100 * mse(img, ref), settings=settings)
    assert {descent.start for descent in good.descents} == {"reduced", "noise"}
    assert all(descent.psnr_end > descent.psnr_start for descent in good.descents) and good.flags == ()

    def wants_noise(img, ref):
        return 1e-6 * mse(img, ref) - (img[..., 1:] - img[..., :-1]).square().mean((1, 2, 3))

    assert "spoils the image" in texts(measured(wants_noise, settings=settings), "loss")


def test_its_own_loss_is_tried_too():
    metric = Hand(lambda img, ref: mse(img, ref).sqrt())
    metric.loss = mse
    settings = CardSettings(images=1, side=64, steps=3, floor_sides=(), cost_sides=())
    assert [descent.loss for descent in measured(metric, settings=settings).descents] == ["score"] * 2 + ["loss"] * 2


def test_failures_are_entries():
    def picky(img, ref):
        if img.shape[-1] < 64:
            raise RuntimeError("kernel larger than the image")
        if img.dtype == torch.float64:
            raise TypeError("only float32")
        if len(img) > 1:
            raise ValueError("one at a time")
        if float((img - ref).detach().abs().max()) > 0.9:
            return torch.full((1,), math.nan)
        return mse(img, ref)

    facts = measured(picky)
    assert facts.floors[0].text.startswith("does not take 32 x 32: RuntimeError: kernel larger")
    assert "does not take float64: TypeError: only float32" in facts.floors[1].text and facts.floors[1].threads == 0
    assert check(facts, "batch").ok is None and any(
        "a batch of two: ValueError: one at a time" in p for p in facts.problems
    )
    assert any("the score is nan" in problem and "more" in problem for problem in facts.problems)
    assert facts.costs[0].seconds is None and "kernel larger" in facts.costs[0].text


def test_a_metric_that_scores_nothing_is_one_flag():
    def broken(img, ref):
        raise RuntimeError("no licence key")

    facts = measured(broken)
    assert [flag.kind for flag in facts.flags] == ["failure"]
    assert len(facts.problems) == 1 and facts.problems[0].endswith("more: RuntimeError: no licence key")


def test_the_metric_is_not_changed():
    metric = Hand(mse)
    metric.weight = nn.Parameter(torch.ones(3))
    threads = torch.get_num_threads()
    measured(metric)
    assert metric.weight.dtype == torch.float32 and metric.weight.grad is None and torch.get_num_threads() == threads


def test_without_a_reference():
    class Sharpness(nn.Module):
        lower_better, metric_mode = False, "NR"

        def forward(self, img, ref=None):
            return (img[..., 1:] - img[..., :-1]).abs().mean((1, 2, 3))

    facts = measured(Sharpness())
    assert facts.metric_mode == "NR" and facts.descents == ()
    assert "noise alone not worse than the photograph itself" in texts(facts, "order")
    assert "uniform grey" not in texts(facts, "order") and check(facts, "symmetry").ok


def test_the_same_seed_gives_the_same_facts():
    settings = CardSettings(images=1, side=48, steps=2, floor_sides=(), cost_sides=(), seed=5)
    assert measured(mse, settings=settings) == measured(mse, settings=settings)


def test_progress_counts_to_its_length():
    steps = []
    images = card_images(None, FEW)
    measure_card(Hand(mse), "m", images, settings=FEW, progress=steps.append)
    assert sum(steps) == card_steps(len(images))


def test_images(tmp_path):
    from PIL import Image

    for number in range(3):
        Image.new("RGB", (80, 64 + number), (50 * number, 90, 10)).save(tmp_path / f"{number}.png")
    (tmp_path / "notes.txt").write_text("no image")
    made = card_images(tmp_path, replace(FEW, images=2))
    assert list(made) == ["0.png", "1.png"] and {tuple(img.shape) for img in made.values()} == {(1, 3, 64, 64)}
    assert list(card_images([torch.rand(3, 64, 64), torch.rand(3, 70, 90)], replace(FEW, images=2))) == [
        "image 1",
        "image 2",
    ]
    assert list(card_images(tmp_path / "2.png", FEW)) == ["2.png"]
    with pytest.raises(ImageError, match=r"0\.png is 80 x 64, expected at least 65 x 65"):
        card_images(tmp_path / "0.png", CardSettings(side=65))
    for nothing in ([], tmp_path.parent / "empty"):
        if not isinstance(nothing, list):
            nothing.mkdir()
        with pytest.raises(ImageError, match=r"holds no image|got none"):
            card_images(nothing, FEW)


def test_a_metric_without_a_direction_is_refused():
    with pytest.raises(InputError, match="set its attribute lower_better"):
        measure_card(mse, "mse", card_images(None, FEW), settings=FEW)


QUICK = CardSettings(images=1, side=192, steps=3, floor_sides=(64, 192), cost_sides=(64, 128))
SMALL = replace(QUICK, side=96, floor_sides=(64, 96), cost_sides=(64, 96))


@pytest.mark.parametrize("name", ["psnr", "ssim"])
def test_classics_pass(name):
    from causaliqa.report.card import card

    small = CardSettings(images=1, side=64, steps=2, floor_sides=(64,), cost_sides=(64,))
    made = card(name, settings=small, device="cpu", progress=False)
    assert made.order_ok and made.facts.tau > 0.85
    assert {descent.psnr_end is not None for descent in made.facts.descents} == {True}


ORDERS = pytest.mark.parametrize(("name", "right"), [("calibrated_effnet_lite0", True), ("causal_effnet_lite0", False)])


@ORDERS
def test_the_calibrated_metric_takes_no_negative_for_a_good_image_and_the_causal_one_does(name, right, monkeypatch):
    """Issue 16: with noise as the only distortion, which is enough to tell."""
    monkeypatch.setattr(card_order, "DISTORTIONS", {"noise": DISTORTIONS["noise"]})
    settings = CardSettings(images=1, side=192)
    ref = next(iter(card_images(None, settings).values()))
    _, _, orders = measure_order(Scorer(create_metric(name, device="cpu"), "cpu"), [ref], ref.flip(-2), seed=0)
    found = {(order.worse, order.better): order.ok for order in orders}
    assert found.pop(("negative", "moderate noise")) is right
    assert all(found.values()) or not right


@pytest.mark.slow
@ORDERS
def test_the_calibrated_metric_orders_what_the_causal_one_does_not(name, right):
    settings = replace(CardSettings.quick(), steps=0, floor_sides=(), cost_sides=())
    metric = create_metric(name, device="cpu")
    facts = measure_card(metric, name, card_images(None, settings), settings=settings)
    assert facts.order_ok is right and facts.tau > 0.95
    assert ("negative not worse than moderate noise" in texts(facts, "order")) is not right


def _without_download():
    from causaliqa.api.specs import MetricSpec
    from causaliqa.catalog.needed_weights import weights_state

    catalog = default_catalog()
    records = catalog.registrations(MetricSpec)
    return [name for name, r in records.items() if r.provider == "pyiqa" and weights_state(catalog, name) == "none"]


@pytest.mark.slow
@pytest.mark.parametrize("name", _without_download())
def test_every_metric_of_pyiqa_without_weights_has_a_card(name):
    from causaliqa.report.card import card

    # ms_ssim needs 161 pixels a side; mad takes a minute on as many.
    made = card(name, settings=QUICK if "ms_ssim" in name else SMALL, device="cpu", progress=False)
    assert "failure" not in {flag.kind for flag in made.flags}
    assert sum(curve.tau is not None for curve in made.facts.curves) == 12
    assert made.to_html() and made.to_json()
