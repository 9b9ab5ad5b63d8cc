import numpy as np
import pytest
import torch
from PIL import Image

from causaliqa.functional.degrade import add_noise, bicubic_down, generator_for, modcrop, quantise, rain_layer, streak
from causaliqa.functional.fidelity import psnr
from causaliqa.functional.patches import cut_patches, gradient_magnitude
from causaliqa.io.photographs import photograph


def test_bicubic_is_that_of_pil():
    array = photograph("coffee")
    ours = quantise(bicubic_down(torch.from_numpy(array).permute(2, 0, 1)[None] / 255, 4))[0] * 255
    pil = Image.fromarray(array).resize((array.shape[1] // 4, array.shape[0] // 4), Image.Resampling.BICUBIC)
    difference = np.abs(ours.permute(1, 2, 0).numpy() - np.asarray(pil, dtype=float))
    # PIL rounds between its two passes.
    assert difference.mean() < 0.2
    assert (difference > 1).mean() < 1e-3


def test_plain_bicubic_would_differ():
    img = torch.from_numpy(photograph("brick")).permute(2, 0, 1)[None] / 255
    aliased = torch.nn.functional.interpolate(img, scale_factor=0.25, mode="bicubic", align_corners=False)
    assert (aliased - bicubic_down(img, 4)).abs().mean() > 0.01


def test_keys_of_other_lengths_are_other_streams():
    keys = [(0,), (0, 0), (0, 0, 0), (0, 1), (1, 0), (1,)]
    draws = {float(torch.rand((), generator=generator_for(*key))) for key in keys}
    assert len(draws) == len(keys)


def test_noise_has_its_strength_and_comes_out_in_8_bits():
    noisy = add_noise(torch.full((3, 200, 200), 0.5), 25, generator_for(3))
    assert float(noisy.std() * 255) == pytest.approx(25, rel=0.02)
    assert torch.equal((noisy * 255).round() / 255, noisy)
    assert torch.equal(noisy, add_noise(torch.full((3, 200, 200), 0.5), 25, generator_for(3)))


def test_streak_lies_along_its_angle():
    upright, leaning = streak(40, 0, 3), streak(40, 30, 3)
    middle = len(upright) // 2
    assert float(upright[middle - 19, middle]) == pytest.approx(1)
    assert float(leaning[middle - 19, middle]) < 1e-6
    rows, cols = torch.nonzero(leaning > 0.5, as_tuple=True)
    slope = np.polyfit(rows.numpy() - middle, cols.numpy() - middle, 1)[0]
    assert slope == pytest.approx(np.tan(np.deg2rad(30)), abs=0.03)
    assert int((leaning > 0.5).any(1).sum()) == pytest.approx(40 * np.cos(np.deg2rad(30)), abs=3)


@pytest.mark.parametrize("seed", range(4))
def test_rain_is_within_its_limits(seed):
    layer = rain_layer(96, 128, generator_for(seed))
    assert layer.shape == (96, 128)
    assert float(layer.min()) >= 0
    assert 0.6 <= float(layer.max()) <= 1
    assert torch.equal(layer, rain_layer(96, 128, generator_for(seed)))
    clean = torch.full((1, 3, 96, 128), 0.3)
    assert 8 < float(psnr(quantise(clean + layer), clean)) < 25


def test_psnr_by_hand():
    ref = torch.zeros(2, 1, 2, 2)
    img = ref.clone()
    img[0, 0, 0, 0] = 1.0
    assert psnr(img, ref).tolist() == [pytest.approx(10 * np.log10(4)), 100.0]


def test_modcrop_keeps_the_upper_left():
    img = torch.arange(3 * 7 * 5.0).view(3, 7, 5)
    assert torch.equal(modcrop(img, 4), img[:, :4, :4])


def test_gradient_magnitude_by_hand():
    patch = torch.zeros(1, 3, 2, 3)
    patch[0, :, 0] = torch.tensor([0.0, 1.0, 0.0])
    # Across: |1| + |-1| in the first row; down: |-1| in the middle; times 255, by root of squares.
    assert float(gradient_magnitude(patch)) == pytest.approx(255 * np.hypot(2, 1), rel=1e-5)


def test_patches_are_cut_from_the_image():
    img = torch.arange(100.0).view(1, 10, 10).expand(3, -1, -1)
    for patch in cut_patches(img, 4, 20, generator_for(0)):
        top, left = divmod(int(patch[0, 0, 0]), 10)
        assert torch.equal(patch, img[:, top : top + 4, left : left + 4])
