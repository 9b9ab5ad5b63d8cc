import numpy as np
import pytest
import torch
from torch import nn

from causaliqa.api.errors import InputError
from causaliqa.builtin.degradations.paper import Downsampling, GaussianNoise, MediumRain
from causaliqa.builtin.restorers.tiny import network
from causaliqa.builtin.samplers.ablations import Blur, Constant, SelfPatches, UniformNoise
from causaliqa.builtin.samplers.natural import build as natural
from causaliqa.effects.causal_effect_map import CausalEffectMap
from causaliqa.effects.effect_map import EffectMap, similarity
from causaliqa.functional.degrade import generator_for


class Brighter:
    """A degradation that can be followed by hand: 10 gray levels more."""

    scale = 1

    def degrade(self, img, seed):
        return img + 10 / 255

    def patch_in_place(self, img, y, x, patch, *, seed, generator):
        return patch + 10 / 255


BLUR = nn.AvgPool2d(5, stride=1, padding=2, count_include_pad=False)
"""Mean over 5 x 5 pixels; a flat image stays what it is."""


def flat(size=32):
    return torch.full((3, size, size), 100 / 255)


def local(seed=0, depth=3):
    torch.manual_seed(seed)
    layers = [nn.Conv2d(3, 8, 3, padding=1), nn.ReLU()]
    layers += [m for _ in range(depth - 2) for m in (nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())]
    return nn.Sequential(*layers, nn.Conv2d(8, 3, 3, padding=1)).eval()


def picture(height=40, width=48):
    return torch.rand(3, height, width, generator=generator_for(99))


NOISE = {"degradation": GaussianNoise(sigma=25), "sampler": UniformNoise()}
QUICK = {**NOISE, "coarse": 2, "fine": 4, "tolerance": 0.001}
ROI = (16, 16, 8, 8)


def test_identity_by_hand():
    made = CausalEffectMap(nn.Identity()).attribute(
        flat(), (8, 8, 8, 8), degradation=Brighter(), sampler=Constant(value=0)
    )
    # The region is 10 levels too bright whatever happens outside of it.
    assert made.base == pytest.approx(20 * np.log10(255 / 10), abs=1e-6)
    assert np.isnan(made.effect[1, 1])
    outside = np.delete(made.effect.ravel(), 5)
    assert (outside == 0).all()
    assert made.facts["inferences"] == made.facts["patches_reached"] == 0
    assert made.summary()["none_percent"] == 100


@pytest.mark.parametrize("prune", [True, False])
@pytest.mark.parametrize("strategy", ["plain", "coarse-to-fine"])
def test_blur_by_hand(prune, strategy):
    """A patch 50 levels brighter beside the region raises a pixel by 2 levels for each of its pixels in the window.

    Beside: a pixel of the first column sees two columns of the patch, of the second one; of its rows 3, 4, 5, 5, 5, 5,
    4 and 3. At a corner: the four nearest pixels see 4, 2, 2 and 1. The error of all others is 10 levels as before.
    """
    rows = [3, 4, 5, 5, 5, 5, 4, 3]
    side = 48 * 10**2 + sum((10 + 2 * n * r) ** 2 for n in (2, 1) for r in rows)
    corner = 60 * 10**2 + 18**2 + 14**2 + 14**2 + 12**2
    assert (side, corner) == (13480, 6860)
    made = CausalEffectMap(BLUR).attribute(
        flat(),
        (8, 8, 8, 8),
        degradation=Brighter(),
        sampler=Constant(value=150 / 255),
        strategy=strategy,
        coarse=2,
        fine=3,
        interventions=3,
        prune=prune,
    )
    beside, diagonal = 10 * np.log10(side / 6400), 10 * np.log10(corner / 6400)
    expected = np.zeros((4, 4))
    expected[:3, :3] = [[diagonal, beside, diagonal], [beside, np.nan, beside], [diagonal, beside, diagonal]]
    np.testing.assert_allclose(made.effect, expected, atol=1e-6)
    assert made.facts["patches_reached"] == (8 if prune else 15)
    assert made.facts["inferences"] == {"plain": 3, "coarse-to-fine": 2}[strategy] * made.facts["patches_reached"] + (
        8 * 3 if strategy == "coarse-to-fine" else 0
    )
    summary = made.summary()
    assert summary["positive_percent"] == pytest.approx(100 * 8 / 15)
    assert summary["max"] == pytest.approx(beside)
    assert made.summary(counting="demo")["positive_percent"] == pytest.approx(100 * 9 / 16)


def test_misleading_patches_are_negative():
    made = CausalEffectMap(BLUR).attribute(
        flat(), (8, 8, 8, 8), degradation=Brighter(), sampler=Constant(value=50 / 255), coarse=1, fine=1
    )
    # At a corner the errors become 2, 6, 6 and 8 levels.
    assert made.effect[0, 0] == pytest.approx(10 * np.log10((60 * 100 + 4 + 36 + 36 + 64) / 6400), abs=1e-6)
    assert made.effect[0, 0] < 0
    assert made.summary()["negative_percent"] > 0


def test_measure_that_is_better_when_lower_turns_the_sign():
    def distance(img, ref):
        return (img - ref).abs().mean((1, 2, 3))

    distance.lower_better = True
    options = {"degradation": Brighter(), "sampler": Constant(value=150 / 255), "coarse": 1, "fine": 1}
    made = CausalEffectMap(BLUR, measure=distance).attribute(flat(), (8, 8, 8, 8), tolerance=1e-4, **options)
    assert made.base == pytest.approx(10 / 255)
    # Nine counted pixels at a corner: 4 + 2 + 2 + 1, two levels each, over 64 pixels.
    assert made.effect[0, 0] == pytest.approx(18 / 64 / 255, abs=1e-7)


@pytest.mark.parametrize("task", ["denoise", "derain", "sr"])
def test_pruned_map_is_the_unpruned_one(task):
    torch.manual_seed(3)
    scale = 2 if task == "sr" else 1
    degradation = {"denoise": GaussianNoise(sigma=50), "derain": MediumRain(), "sr": Downsampling(scale=2)}[task]
    net = nn.Sequential(local(), nn.Conv2d(3, 3 * scale**2, 1), nn.PixelShuffle(scale)).eval()
    options = {**QUICK, "degradation": degradation, "sampler": natural()}
    cem = CausalEffectMap(net, scale=scale)
    pruned, full = (cem.attribute(picture(), ROI, prune=p, **options) for p in (True, False))
    assert pruned.facts["patches_reached"] < full.facts["patches_reached"] == full.facts["patches"]
    assert pruned.facts["crop"][2] < full.facts["crop"][2]
    np.testing.assert_allclose(pruned.effect, full.effect, atol=1e-4)
    assert pruned.facts["saved_by_pruning_plain"] > 1
    assert "not probed" in full.facts["reach"]


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_map_does_not_depend_on_the_batch_size(batch_size):
    cem = CausalEffectMap(local())
    one, other = (cem.attribute(picture(), ROI, batch_size=b, **QUICK) for b in ("auto", batch_size))
    np.testing.assert_array_equal(one.effect, other.effect)
    np.testing.assert_array_equal(one.samples, other.samples)


def test_seed_decides():
    cem = CausalEffectMap(local())
    one, two, other = (cem.attribute(picture(), ROI, seed=s, **QUICK) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.effect, two.effect)
    assert (one.effect != other.effect).any()


@pytest.mark.parametrize("degradation", [GaussianNoise(sigma=25), MediumRain()])
def test_interventions_alone_differ_with_an_image_seed_of_its_own(degradation):
    def made(**seeds):
        options = {**QUICK, "degradation": degradation, **seeds}
        return CausalEffectMap(local()).attribute(picture(), ROI, **options)

    first, second, other = made(seed=0, image_seed=5), made(seed=1, image_seed=5), made(seed=0)
    np.testing.assert_array_equal(first.image, second.image)
    assert (first.image != other.image).any()
    assert (first.samples != second.samples).any()
    assert made(seed=5).base == first.base


def test_effects_of_a_patch_do_not_depend_on_the_others():
    cem = CausalEffectMap(local())
    few, many = (cem.attribute(picture(), ROI, strategy="plain", interventions=t, **NOISE) for t in (3, 6))
    np.testing.assert_array_equal(few.samples, many.samples[..., :3])


def test_partial_patches_at_the_border():
    cem = CausalEffectMap(lambda x: x + x.mean((2, 3), keepdim=True))
    made = cem.attribute(picture(37, 30), (8, 8, 8, 8), **QUICK)
    assert made.effect.shape == (5, 4)
    assert (made.count[~np.isnan(made.effect)] > 0).all()
    sr = CausalEffectMap(nn.Upsample(scale_factor=4), scale=4)
    made = sr.attribute(picture(47, 38), (8, 8, 8, 8), degradation=Downsampling(scale=4), sampler=natural(), fine=2)
    assert made.effect.shape == (6, 5)
    assert made.image.shape == (11, 9, 3)


@pytest.mark.parametrize("sampler", [SelfPatches(), Blur(), Constant(value=0), UniformNoise(), natural()])
def test_every_sampler_works(sampler):
    made = CausalEffectMap(local()).attribute(picture(), ROI, **{**QUICK, "sampler": sampler})
    assert np.nanmax(np.abs(made.effect)) > 0


def test_fine_stage_and_screening_draw_as_the_sampler_says():
    asked = []

    class Screened:
        def __init__(self, name):
            self.name = name

        def __call__(self, n, size, generator):
            asked.append(self.name)
            return torch.rand(n, 3, size, size, generator=generator)

    sampler = Screened("fine")
    sampler.screening = Screened("coarse")
    made = CausalEffectMap(local()).attribute(picture(), ROI, prune=False, **{**QUICK, "sampler": sampler})
    needed = made.facts["patches"] * 2, made.facts["patches_sensitive"] * 4
    # A few more are drawn to fingerprint the sampler.
    assert asked.count("coarse") >= needed[0] > asked.count("fine") - needed[1] >= 0


def test_forecast_knows_the_plan():
    cem = CausalEffectMap(local())
    forecast = cem.forecast(picture(), ROI, **QUICK)
    made = cem.attribute(picture(), ROI, **QUICK)
    assert forecast.reached == made.facts["patches_reached"]
    assert forecast.least == 2 * forecast.reached <= made.facts["inferences"] <= forecast.most == 6 * forecast.reached
    *_, width, height = made.facts["crop"]
    full, facts = 40 * 48, made.facts
    assert facts["pixels"] == facts["inferences"] * width * height + facts["inferences_checking"] * full
    assert facts["pixels_plain"] == facts["inferences_plain"] * full
    assert forecast.seconds_each > 0
    assert forecast.memory > 2**20


def test_progress_counts_up_to_the_end():
    calls = []
    made = CausalEffectMap(local()).attribute(picture(), ROI, progress=lambda *n: calls.append(n), **QUICK)
    assert calls[-1] == (made.facts["inferences"],) * 2
    assert all(done <= known for done, known in calls)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"roi": (40, 16, 16, 16)}, "outside"),
        ({"roi": (0, 0, 4, 4)}, "smaller than a patch"),
        ({"image": torch.rand(3, 4, 4)}, "smaller than a patch"),
        ({"image": torch.rand(2, 3, 32, 32)}, "expected floats \\(3, H, W\\)"),
        ({"image": torch.zeros(3, 32, 32, dtype=torch.uint8)}, "expected floats"),
        ({"degradation": Downsampling(scale=4)}, "same scale"),
        ({"seed": -1}, "seed"),
        ({"strategy": "adaptively"}, "strategy"),
    ],
)
def test_bad_input_is_one_clear_error(change, message):
    options = {"image": picture(), "roi": ROI, **QUICK, **change}
    with pytest.raises(InputError, match=message):
        CausalEffectMap(local()).attribute(options.pop("image"), options.pop("roi"), **options)


@pytest.mark.parametrize(
    ("net", "scale", "message"),
    [
        (lambda x: x * torch.nan, 1, "NaN"),
        (lambda x: x[..., ::2], 1, "another size"),
        (nn.Identity(), 0, "scale"),
    ],
)
def test_bad_networks_are_refused(net, scale, message):
    with pytest.raises(InputError, match=message):
        CausalEffectMap(net, scale=scale).attribute(picture(), ROI, **QUICK)


def test_network_that_breaks_on_an_intervention_is_reported():
    def fragile(x):
        return torch.where(x.max() > 0.99, torch.nan, x)

    quiet = torch.full((3, 32, 32), 0.5)
    with pytest.raises(InputError, match="NaN"):
        CausalEffectMap(fragile).attribute(
            quiet, (8, 8, 8, 8), degradation=Brighter(), sampler=Constant(value=1.0), prune=False
        )


def test_a_wrong_reach_is_found_out_by_real_interventions():
    # Silent to NaN and to both random contents of the probe, but not to a flat dark patch far away.
    def sly(x):
        dark = (torch.nan_to_num(x, nan=1.0) == 0).float().amax((1, 2, 3), keepdim=True)
        return x + 0.1 * dark

    made = CausalEffectMap(sly).attribute(
        flat() + 0.2, (8, 8, 8, 8), degradation=GaussianNoise(sigma=1), sampler=Constant(value=0), coarse=1, fine=1
    )
    assert "given up" in made.facts["reach"] or "random content" in made.facts["reach"]
    assert made.facts["patches_reached"] == 15


def test_map_survives_the_disk(tmp_path):
    made = CausalEffectMap(local()).attribute(picture(), ROI, **QUICK)
    folder = made.save(tmp_path / "out")
    assert {p.name for p in folder.iterdir()} == {"cem.npz", "summary.json", "cem.png", "pie.png"}
    again = EffectMap.load(folder)
    for name in ("effect", "count", "sem", "samples", "image"):
        np.testing.assert_array_equal(getattr(again, name), getattr(made, name))
    assert again.summary() == made.summary()
    with pytest.raises(InputError, match="no causal effect map"):
        EffectMap.load(tmp_path)


def test_error_is_that_of_the_mean():
    made = CausalEffectMap(local()).attribute(picture(), ROI, strategy="plain", interventions=9, **NOISE)
    at = np.unravel_index(np.nanargmax(np.abs(made.effect)), made.effect.shape)
    samples = made.samples[at]
    assert made.effect[at] == pytest.approx(samples.mean())
    assert made.sem[at] == pytest.approx(samples.std(ddof=1) / 3)
    assert made.count[at] == 9


def test_similarity_of_the_paper():
    a, b = np.array([1.0, -1.0, np.nan]), np.array([1.0, -3.0, np.nan])
    assert similarity(a, b) == pytest.approx(50)
    assert similarity(b, b) == 100


def test_jpeg_comes_from_outside():
    """A fourth task needs nothing but two methods."""
    import io

    from PIL import Image

    class Jpeg:
        scale = 1

        def degrade(self, img, seed):
            array = (img * 255).round().byte().permute(1, 2, 0).numpy()
            file = io.BytesIO()
            Image.fromarray(array).save(file, "jpeg", quality=20, subsampling=0)
            return torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1) / 255

        def patch_in_place(self, img, y, x, patch, *, seed, generator):
            made = []
            for one in patch:
                mixed = img.clone()
                mixed[:, y : y + one.shape[1], x : x + one.shape[2]] = one
                made.append(self.degrade(mixed, seed)[:, y : y + one.shape[1], x : x + one.shape[2]])
            return torch.stack(made)

    jpeg, img = Jpeg(), picture()
    same = jpeg.patch_in_place(img, 8, 8, img[None, :, 8:16, 8:16], seed=0, generator=generator_for(0))
    assert torch.equal(same[0], jpeg.degrade(img, 0)[:, 8:16, 8:16])
    made = CausalEffectMap(local()).attribute(img, ROI, **{**QUICK, "degradation": jpeg, "sampler": natural()})
    assert np.nanmax(np.abs(made.effect)) > 0


@pytest.mark.parametrize("name", ["tiny_edsr_x4", "tiny_rcan_x4"])
def test_local_and_global_networks_are_told_apart(name):
    torch.manual_seed(0)
    forecast = CausalEffectMap(network(name).eval(), scale=4).forecast(
        picture(256, 256), (96, 152, 32, 32), degradation=Downsampling(scale=4), sampler=Constant(value=0)
    )
    assert (forecast.reached == forecast.patches) == (name == "tiny_rcan_x4")
