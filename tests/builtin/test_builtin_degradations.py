import pytest
import torch

from causaliqa.api.errors import InputError
from causaliqa.builtin.degradations.paper import Downsampling, GaussianNoise, MediumRain
from causaliqa.builtin.degradations.scenes import Haze, Jpeg, LowLight, MotionBlur
from causaliqa.builtin.hooks import causaliqa_degradations
from causaliqa.functional.degrade import generator_for


@pytest.fixture
def img():
    return torch.rand(3, 40, 48, generator=generator_for(0))


def test_records_build_what_they_say():
    found = {spec.name: spec.factory() for spec in causaliqa_degradations()}
    tasks = ("denoise", "derain", "deblur", "jpeg", "dehaze", "lowlight")
    assert {name: made.scale for name, made in found.items()} == {"sr": 4, **dict.fromkeys(tasks, 1)}


@pytest.mark.parametrize("made", [MotionBlur(), MotionBlur(length=31), Jpeg(), Jpeg(quality=60), Haze()])
@pytest.mark.parametrize(("y", "x"), [(0, 0), (16, 24), (32, 40), (8, 0)])
def test_a_patch_is_degraded_as_the_image_around_it(img, made, y, x):
    patch = torch.rand(2, 3, 8, 8, generator=generator_for(9))
    found = made.patch_in_place(img, y, x, patch, seed=5, generator=generator_for(1))
    for one, own in zip(found, patch, strict=True):
        mixed = img.clone()
        mixed[:, y : y + 8, x : x + 8] = own
        torch.testing.assert_close(one, made.degrade(mixed, seed=5)[:, y : y + 8, x : x + 8], atol=1.01 / 255, rtol=0)
        assert float((one - made.degrade(mixed, seed=5)[:, y : y + 8, x : x + 8]).abs().mean()) < 1e-4
    assert made.degrade(img, seed=5).shape == img.shape
    assert torch.equal((found * 255).round() / 255, found)


def test_images_differ_by_their_seed_and_darkness_is_that_of_the_image(img):
    for made in (MotionBlur(), Haze(), LowLight()):
        assert torch.equal(made.degrade(img, seed=5), made.degrade(img, seed=5))
        assert not torch.equal(made.degrade(img, seed=5), made.degrade(img, seed=6))
    dark, flat = LowLight(sigma=0), torch.full((3, 16, 16), 0.6)
    again = dark.patch_in_place(flat, 0, 0, flat[None, :, :8, :8], seed=5, generator=generator_for(1))
    assert torch.equal(again[0], dark.degrade(flat, seed=5)[:, :8, :8])
    noisy = LowLight(sigma=5).patch_in_place(flat, 0, 0, flat[None, :, :8, :8], seed=5, generator=generator_for(1))
    assert not torch.equal(noisy, again)


def test_motion_blur_keeps_the_mean_and_removes_detail(img):
    flat = torch.full((3, 40, 40), 0.4)
    torch.testing.assert_close(MotionBlur().degrade(flat, seed=0), flat)
    assert MotionBlur().degrade(img, seed=0).std() < 0.5 * img.std()


def test_patch_that_was_there_stays_under_rain(img):
    rain = MediumRain()
    place = img[None, :, 8:16, 24:32]
    again = rain.patch_in_place(img, 8, 24, place, seed=5, generator=generator_for(1))
    assert torch.equal(again[0], rain.degrade(img, seed=5)[:, 8:16, 24:32])
    assert not torch.equal(rain.degrade(img, seed=5), rain.degrade(img, seed=6))


def test_noise_of_a_patch_is_fresh(img):
    noise, place = GaussianNoise(sigma=50), img[None, :, :8, :8]
    one, two = (noise.patch_in_place(img, 0, 0, place, seed=0, generator=generator_for(k)) for k in (1, 2))
    assert not torch.equal(one, two)
    assert not torch.equal(one[0], noise.degrade(img, seed=0)[:, :8, :8])


def test_a_patch_is_shrunk_as_the_image_is():
    sr = Downsampling(scale=4)
    img = torch.rand(3, 64, 64, generator=generator_for(4))
    alone = sr.patch_in_place(img, 16, 16, img[None, :, 16:48, 16:48], seed=0, generator=generator_for(0))[0]
    there = sr.degrade(img, seed=0)[:, 4:12, 4:12]
    # The kernel is 16 pixels wide: at the patch's border it is cut, inside both agree.
    assert torch.equal(alone[:, 2:6, 2:6], there[:, 2:6, 2:6])
    assert not torch.equal(alone, there)
    flat = torch.full((1, 3, 8, 8), 0.2)
    made = sr.patch_in_place(img, 0, 0, flat, seed=0, generator=generator_for(0))
    assert made.unique().tolist() == [pytest.approx(51 / 255)]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Downsampling(scale=1),
        lambda: GaussianNoise(sigma=0),
        lambda: MotionBlur(length=0),
        lambda: Jpeg(quality=0),
        lambda: LowLight(sigma=-1),
    ],
)
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(InputError):
        wrong()
