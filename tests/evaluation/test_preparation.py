"""What is done to images before they are scored: MATLAB's luma by hand, borders, shifts, sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from causaliqa.api.errors import ImageError, InputError
from causaliqa.evaluation.preparation import AS_THEY_ARE, Preparation
from causaliqa.evaluation.score import score
from causaliqa.functional.image import studio_luma


def _random(*size: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(seed))


# MATLAB documents rgb2ycbcr as 16 + 65.481 R + 128.553 G + 24.966 B with R, G, B in [0, 1]; computed by hand, rounded.
@pytest.mark.parametrize(
    ("rgb", "luma"),
    [
        ((0, 0, 0), 16),
        ((255, 255, 255), 235),
        ((255, 0, 0), 81),
        ((0, 255, 0), 145),
        ((0, 0, 255), 41),
        ((128, 128, 128), 126),
        ((12, 200, 77), 127),
    ],
)
def test_luma_of_matlab(rgb: tuple[int, int, int], luma: int) -> None:
    pixel = torch.tensor(rgb).reshape(1, 3, 1, 1) / 255
    assert (studio_luma(pixel) * 255).round().item() == luma


def test_nothing_is_done_by_default() -> None:
    img, ref = _random(9, 7), _random(9, 7, seed=1)
    ours, theirs, note = AS_THEY_ARE.apply(img, ref)
    assert ours is img
    assert theirs is ref
    assert note == ""


def test_luma_psnr_with_a_border_by_hand(tmp_path) -> None:
    """PSNR on Y without the border: the figure of super-resolution tables."""
    rng = np.random.default_rng(0)
    pixels = {name: rng.integers(0, 256, (40, 36, 3), dtype=np.uint8) for name in ("img", "ref")}
    for name, values in pixels.items():
        Image.fromarray(values).save(tmp_path / f"{name}.png")
    y = [(values / 255.0) @ np.array([65.481, 128.553, 24.966]) + 16 for values in pixels.values()]
    error = ((y[0] - y[1])[4:-4, 4:-4] ** 2).mean()
    prepare = Preparation(channel="y", crop=4)
    made = score("psnr", tmp_path / "img.png", tmp_path / "ref.png", device="cpu", prepare=prepare)
    assert float(made) == pytest.approx(10 * np.log10(255**2 / error), abs=1e-3)
    assert made.prepared == "4 border pixels cut off; luma (BT.601, 16 to 235)"


def test_a_shift_is_undone_and_said(tmp_path) -> None:
    from causaliqa.io.photographs import photograph

    photo = photograph("astronaut")[:130, :140]
    Image.fromarray(photo[2:, 1:]).save(tmp_path / "img.png")
    Image.fromarray(photo[:-2, :-1]).save(tmp_path / "ref.png")
    files = tmp_path / "img.png", tmp_path / "ref.png"
    assert float(score("psnr", *files, device="cpu")) < 30
    made = score("psnr", *files, device="cpu", prepare=Preparation(align=3))
    assert float(made) > 75
    assert made[0].note == "shift -2.00 rows, -1.00 columns undone"


@pytest.mark.parametrize("name", ["bicubic", "lanczos"])
def test_another_size_is_resized_only_when_asked(name: str) -> None:
    img, ref = _random(20, 30), _random(10, 15, seed=1)
    with pytest.raises(ImageError, match="sizes differ: 30 x 20 and 15 x 10"):
        AS_THEY_ARE.apply(img, ref)
    ours, theirs, _ = Preparation(resize=name).apply(img, ref)
    assert ours.shape == ref.shape
    assert theirs is ref
    kind = {"bicubic": Image.Resampling.BICUBIC, "lanczos": Image.Resampling.LANCZOS}[name]
    bytes_ = Image.fromarray((img[0].permute(1, 2, 0) * 255).byte().numpy()).resize((15, 10), kind)
    assert np.abs(np.asarray(bytes_) / 255 - ours[0].permute(1, 2, 0).numpy()).max() < 0.02  # bytes are cut off


def test_the_given_tensors_are_not_changed() -> None:
    img, ref = _random(40, 40), _random(40, 40, seed=1)
    before = img.clone(), ref.clone()
    Preparation(channel="y", crop=2, align=2).apply(img, ref)
    assert torch.equal(img, before[0])
    assert torch.equal(ref, before[1])


def test_without_a_reference() -> None:
    ours, theirs, _ = Preparation(channel="y", crop=2).apply(_random(9, 9), None)
    assert ours.shape == (1, 3, 5, 5)
    assert theirs is None
    with pytest.raises(InputError, match="no reference"):
        Preparation(align=1).apply(_random(30, 30), None)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"channel": "u"}, "rgb or y"),
        ({"crop": -1}, "crop: got -1"),
        ({"align": -2}, "align: got -2"),
        ({"resize": "nearest"}, "bicubic or lanczos"),
    ],
)
def test_bad_settings(settings, words) -> None:
    with pytest.raises(InputError, match=words):
        Preparation(**settings)


def test_nothing_is_left() -> None:
    with pytest.raises(ImageError, match="more than twice the border"):
        Preparation(crop=5).apply(_random(10, 30), _random(10, 30))
