import pytest
import torch

from causaliqa.api.errors import InputError
from causaliqa.builtin.degradations.paper import Downsampling, GaussianNoise, MediumRain
from causaliqa.builtin.hooks import causaliqa_degradations
from causaliqa.functional.degrade import generator_for


@pytest.fixture
def img():
    return torch.rand(3, 40, 48, generator=generator_for(0))


def test_records_build_what_they_say():
    found = {spec.name: spec.factory() for spec in causaliqa_degradations()}
    assert {name: made.scale for name, made in found.items()} == {"sr": 4, "denoise": 1, "derain": 1}


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


@pytest.mark.parametrize("wrong", [lambda: Downsampling(scale=1), lambda: GaussianNoise(sigma=0)])
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(InputError):
        wrong()
