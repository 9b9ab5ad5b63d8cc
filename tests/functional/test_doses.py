"""Known changes at known doses."""

import pytest
import torch

from causaliqa.functional.doses import DISTORTIONS, GROSS, HARMLESS, distort, gross, harmless, jpeg
from causaliqa.io.photographs import photograph


@pytest.fixture(scope="module")
def ref():
    return torch.from_numpy(photograph("coffee")[100:196, 200:296].copy()).permute(2, 0, 1)[None] / 255


def test_twelve_distortions_at_eight_doses():
    assert len(DISTORTIONS) == 12
    assert all(len(kind.doses) == 8 and list(kind.doses) == sorted(set(kind.doses)) for kind in DISTORTIONS.values())


@pytest.mark.parametrize("name", DISTORTIONS)
def test_more_is_more_and_looks_like_a_file(name, ref):
    made = [distort(ref, name, dose, seed=3) for dose in DISTORTIONS[name].doses]
    errors = [float((img - ref).square().mean()) for img in made]
    assert errors == sorted(errors) and errors[0] > 0
    for img in made:
        assert img.shape == ref.shape and img.dtype == ref.dtype
        assert float((img * 255 - (img * 255).round()).abs().max()) < 1e-4
        assert 0 <= float(img.min()) <= float(img.max()) <= 1


@pytest.mark.parametrize("name", DISTORTIONS)
def test_the_first_dose_is_small_and_the_last_is_not(name, ref):
    first, last = (float((distort(ref, name, DISTORTIONS[name].doses[k]) - ref).square().mean()) for k in (0, -1))
    assert first < 10**-2.7 < last or last > 8 * first  # 27 dB


@pytest.mark.parametrize("name", ["noise", "colour noise", "impulse noise", "warp"])
def test_chance_depends_on_the_seed_alone(name, ref):
    dose = DISTORTIONS[name].doses[4]
    assert torch.equal(distort(ref, name, dose, seed=1), distort(ref, name, dose, seed=1))
    assert not torch.equal(distort(ref, name, dose, seed=1), distort(ref, name, dose, seed=2))


@pytest.mark.parametrize("name", [n for n in DISTORTIONS if n not in ("noise", "colour noise", "impulse noise")])
def test_grey_stays_grey(name):
    grey = torch.full((1, 3, 32, 32), 128 / 255)
    assert float((distort(grey, name, DISTORTIONS[name].doses[0]) - grey).abs().max()) <= 4 / 255


def test_colour_noise_leaves_the_luma(ref):
    middle = 0.4 + 0.2 * ref  # nothing is clipped
    luma = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    moved = ((distort(middle, "colour noise", 12) - middle) * luma).sum(1)
    assert float(moved.abs().mean()) < 0.6 / 255 < 5 / 255 < float((distort(middle, "colour noise", 12) - middle).std())


def test_by_hand():
    row = torch.zeros(1, 3, 1, 9)
    row[..., 4] = 1
    spread = distort(row, "motion blur", 3)[0, 0, 0]
    assert spread.mul(255).round().tolist() == [0, 0, 0, 85, 85, 85, 0, 0, 0]
    assert distort(torch.full((1, 3, 4, 4), 0.2), "banding", 100)[0, 0, 0, 0] == quantised(100 / 255)
    red = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1).expand(1, 3, 8, 8)
    assert torch.allclose(distort(red, "saturation loss", 100), torch.tensor(76 / 255))


def quantised(value):
    return torch.tensor(round(value * 255) / 255)


def test_harmless_changes_are_harmless(ref):
    made = {name: harmless(ref, name) for name in HARMLESS}
    assert torch.equal(made["shift"][..., 1:, 1:], ref[..., :-1, :-1])
    assert float((made["jpeg95"] - ref).square().mean()) < float((jpeg(ref, 75) - ref).square().mean())


def test_gross_changes(ref):
    other = torch.rand_like(ref)
    made = {name: gross(ref, name, other) for name in GROSS}
    assert torch.allclose(made["negative"] + ref, torch.ones(()))
    assert torch.equal(made["mirrored"].flip(-1), ref) and made["other image"] is other
    assert float((made["half brightness"] - ref / 2).abs().max()) <= 0.51 / 255


@pytest.mark.parametrize(
    "call", [lambda x: distort(x, "fog", 1), lambda x: gross(x, "fog", x), lambda x: harmless(x, "fog")]
)
def test_unknown_names(call, ref):
    with pytest.raises(ValueError, match="'fog', expected one of"):
        call(ref)
