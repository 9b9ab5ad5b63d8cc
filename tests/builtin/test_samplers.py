import os

import numpy as np
import pytest
import torch
from PIL import Image

from causaliqa.api.errors import InputError
from causaliqa.api.protocols import PlacedSampler
from causaliqa.builtin.hooks import causaliqa_samplers
from causaliqa.builtin.samplers.ablations import Blur, Constant, SelfPatches, UniformNoise
from causaliqa.builtin.samplers.natural import COUNT, Library, NaturalPatches, build
from causaliqa.functional.degrade import generator_for
from causaliqa.functional.patches import gradient_magnitude


@pytest.fixture(scope="module")
def natural():
    return build()


def draws(sampler, n=400, size=8):
    return torch.cat([sampler(1, size, generator_for(7, k)) for k in range(n)])


def test_records_build_samplers():
    assert {spec.name for spec in causaliqa_samplers()} == {"natural", "self", "zero", "constant", "blur", "noise"}
    for spec in causaliqa_samplers():
        made = spec.factory()
        assert callable(made) or isinstance(made, PlacedSampler)
    zero = next(spec for spec in causaliqa_samplers() if spec.name == "zero").factory()
    assert float(zero(2, 8, generator_for(0)).abs().max()) == 0


def test_default_library_is_large_and_at_any_size(natural):
    assert len(natural.library.patches(8)) == COUNT >= 20_000
    assert natural.library.patches(16).shape == (COUNT, 3, 16, 16)
    assert natural(3, 5, generator_for(0)).shape == (3, 3, 5, 5)


def test_library_is_cut_once(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = Library().patches(4)
    files = list((tmp_path / "causaliqa" / "libraries").iterdir())
    assert len(files) == 1
    monkeypatch.setattr("causaliqa.builtin.samplers.natural._cut", lambda *_: pytest.fail("cut again"))
    assert torch.equal(Library().patches(4), first)


def test_density_draws_follow_the_library(natural):
    library = gradient_magnitude(natural.library.patches(8).float() / 255)
    drawn = gradient_magnitude(draws(natural))
    for q in (0.25, 0.5, 0.75):
        # The share of the library below a quantile of the draws, within four standard errors.
        assert float((library <= drawn.quantile(q)).float().mean()) == pytest.approx(q, abs=4 * 0.5 / 20)


def test_uniform_draws_spread_over_the_range(natural):
    library = gradient_magnitude(natural.library.patches(8).float() / 255)
    drawn = gradient_magnitude(draws(natural.screening))
    low, high = float(library.min()), float(library.max())
    for q in (0.25, 0.5, 0.75):
        assert float(drawn.quantile(q)) == pytest.approx(low + q * (high - low), abs=0.1 * (high - low))


def test_draws_depend_on_the_generator_alone(natural):
    assert torch.equal(natural(4, 8, generator_for(1)), natural(4, 8, generator_for(1)))
    assert not torch.equal(natural(4, 8, generator_for(1)), natural(4, 8, generator_for(2)))


def test_library_of_a_folder(tmp_path):
    Image.fromarray(np.full((20, 30, 3), 77, np.uint8)).save(tmp_path / "gray.png")
    sampler = build(library=tmp_path)
    assert float(sampler(2, 8, generator_for(0)).mean()) == pytest.approx(77 / 255)
    with pytest.raises(InputError, match="no image is as large"):
        sampler(1, 32, generator_for(0))


def test_library_of_an_archive(tmp_path):
    patches = np.arange(5 * 8 * 8 * 3, dtype=np.uint8).reshape(5, 8, 8, 3)
    np.savez(tmp_path / "library.npz", patches=patches, names=np.array(["a"] * 5))
    library = Library(tmp_path / "library.npz")
    assert torch.equal(library.patches(8)[3], torch.from_numpy(patches[3]).permute(2, 0, 1))
    assert library.patches(4).shape == (5, 3, 4, 4)
    with pytest.raises(InputError, match="expected at least 16"):
        library.patches(16)


@pytest.mark.parametrize("kind", ["folder", "archive", "file", "missing"])
def test_empty_libraries_are_refused(tmp_path, kind):
    path = tmp_path / {"folder": "", "archive": "e.npz", "file": "a.txt", "missing": "no.npz"}[kind]
    if kind == "archive":
        np.savez(path, patches=np.zeros((0, 8, 8, 3), np.uint8))
    with pytest.raises(InputError, match="library"):
        build(library=path)(1, 8, generator_for(0))


def test_unknown_draws_are_refused():
    with pytest.raises(InputError, match="density or uniform"):
        NaturalPatches(Library(), draws="random")


def test_own_patches_come_from_the_image():
    img = torch.arange(64.0).view(1, 8, 8).expand(3, -1, -1) / 64
    patch = SelfPatches().in_place(img, 0, 0, 3, 4, generator=generator_for(2))
    top, left = divmod(round(float(patch[0, 0, 0]) * 64), 8)
    assert torch.equal(patch, img[:, top : top + 3, left : left + 4])


def test_blur_is_that_of_the_whole_image():
    img = torch.rand(3, 30, 30, generator=generator_for(0))
    whole = Blur(sigma=1.5).in_place(img, 0, 0, 30, 30, generator=generator_for(0))
    part = Blur(sigma=1.5).in_place(img, 8, 16, 8, 8, generator=generator_for(0))
    assert torch.allclose(part, whole[:, 8:16, 16:24], atol=1e-6)
    impulse = torch.zeros(3, 21, 21)
    impulse[:, 10, 10] = 1
    row = Blur(sigma=2).in_place(impulse, 0, 0, 21, 21, generator=generator_for(0))[0, 10]
    assert float(row[12] / row[10]) == pytest.approx(np.exp(-0.5), rel=1e-5)


def test_noise_and_constant():
    assert float(Constant(value=0.25)(1, 4, generator_for(0)).std()) == 0
    noise = UniformNoise()(1, 64, generator_for(0))
    assert float(noise.mean()) == pytest.approx(0.5, abs=0.02)
    with pytest.raises(InputError):
        Constant(value=2)


def test_an_image_that_changes_and_keeps_its_size_and_time_stamp(tmp_path):
    image = tmp_path / "a.bmp"
    made = []
    for value in (10, 200):
        Image.new("RGB", (32, 32), (value,) * 3).save(image)
        os.utime(image, (1_700_000_000, 1_700_000_000))
        made.append(int(Library(tmp_path).patches(8).max()))
    assert made == [10, 200]


def test_the_picture_of_a_library_shows_patches_in_their_ranges(tmp_path):
    ramps = np.arange(8)[None, None, :, None] * np.arange(0, 33, 2)[:, None, None, None]
    patches = np.broadcast_to(ramps.astype(np.uint8), (17, 8, 8, 3))
    np.savez(tmp_path / "library.npz", patches=patches)
    figure = build(library=tmp_path / "library.npz").library.plot()
    # A ramp of slope g has 56 horizontal differences of g.
    shown = sorted({int(axes.get_title()) for axes in figure.axes[1:]})
    assert set(shown) <= {56 * slope for slope in range(0, 33, 2)}
    labels = [axes.get_ylabel() for axes in figure.axes[1:] if axes.get_ylabel()]
    assert labels[0] == "0 to 128\n11.8 %"
