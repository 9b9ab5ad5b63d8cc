"""Scores of what a mask or a region counts: nothing outside matters, and a mask of everything is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from causaliqa.api.errors import ImageError, InputError
from causaliqa.evaluation.preparation import Preparation
from causaliqa.evaluation.score import score

EXACT = ["psnr", "ssim", "gmsd", "causal_effnet_lite0"]
CROPPED = ["nlpd", "calibrated_effnet_lite0"]
SIZE = (96, 112)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A photograph, a noisy copy, the copy with another background, a mask of an ellipse and a full one."""
    from causaliqa.io.photographs import photograph

    rng = np.random.default_rng(0)
    ref = photograph("astronaut")[40 : 40 + SIZE[0], 160 : 160 + SIZE[1]].astype(float)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    inside = ((y - 50) / 30) ** 2 + ((x - 60) / 40) ** 2 < 1
    img = ref + rng.normal(0, 12, ref.shape)
    images = {
        "ref": ref,
        "img": img,
        "other": np.where(inside[..., None], img, rng.uniform(0, 255, ref.shape)),
        "mask": 255.0 * inside,
        "full": np.full(SIZE, 255.0),
    }
    for name, pixels in images.items():
        Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8)).save(tmp_path / f"{name}.png")
    return tmp_path


def _scored(place: Path, img: str, metrics: list[str], **preparation: object) -> list[float]:
    prepare = Preparation(**preparation)  # type: ignore[arg-type]
    made = score(metrics, place / f"{img}.png", place / "ref.png", device="cpu", prepare=prepare)
    return [float(made[name]) for name in metrics]


def _pixels(place: Path, name: str) -> np.ndarray:
    return np.asarray(Image.open(place / f"{name}.png")).astype(float)


def test_a_mask_of_everything_changes_no_bit_and_outside_nothing_matters(place: Path) -> None:
    metrics = EXACT + CROPPED
    whole = _scored(place, "img", metrics)
    assert _scored(place, "img", metrics, mask=place / "full.png") == whole
    assert _scored(place, "img", metrics, region="0,0,112,96") == whole
    part = _scored(place, "img", metrics, mask=place / "mask.png")
    assert all(one != other for one, other in zip(part, whole, strict=True))
    assert _scored(place, "other", metrics, mask=place / "mask.png") == part
    assert _scored(place, "other", metrics) != whole


def test_psnr_by_hand(place: Path) -> None:
    inside = _pixels(place, "mask") > 0
    error = ((_pixels(place, "img") - _pixels(place, "ref"))[inside] ** 2).mean()
    (got,) = _scored(place, "img", ["psnr"], mask=place / "mask.png")
    assert got == pytest.approx(10 * np.log10(255**2 / error), abs=1e-3)
    error = ((_pixels(place, "img") - _pixels(place, "ref"))[20:60, 30:80] ** 2).mean()
    (got,) = _scored(place, "img", ["psnr"], region="30,20,50,40")
    assert got == pytest.approx(10 * np.log10(255**2 / error), abs=1e-3)


def test_a_region_is_the_crop_for_metrics_that_take_no_mask(place: Path) -> None:
    for name in ("img", "ref"):
        Image.open(place / f"{name}.png").crop((30, 20, 94, 84)).save(place / f"{name}-cut.png")
    cut = score(CROPPED, place / "img-cut.png", place / "ref-cut.png", device="cpu")
    assert _scored(place, "img", CROPPED, region="30,20,64,64") == [float(cut[name]) for name in CROPPED]
    alone = score("entropy", place / "img.png", device="cpu", prepare=Preparation(region="30,20,64,64"))
    assert float(alone) == float(score("entropy", place / "img-cut.png", device="cpu"))


def test_outside_the_mask_a_crop_shows_the_reference(place: Path) -> None:
    inside = _pixels(place, "mask") > 0
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    filled = np.where(inside[..., None], _pixels(place, "img"), _pixels(place, "ref"))
    for name, pixels in (("img", filled), ("ref", _pixels(place, "ref"))):
        Image.fromarray(pixels[box].astype(np.uint8)).save(place / f"{name}-filled.png")
    cut = score(CROPPED, place / "img-filled.png", place / "ref-filled.png", device="cpu")
    assert _scored(place, "img", CROPPED, mask=place / "mask.png") == [float(cut[name]) for name in CROPPED]


def test_a_mask_lies_on_the_reference_when_borders_are_cut_off(place: Path) -> None:
    """The image is moved by two rows and one column; the mask selects the same pixels of the reference."""
    from causaliqa.io.photographs import photograph

    photo = photograph("astronaut")[:130, :140]
    mask = np.zeros((128, 139), np.uint8)
    mask[2:90, 3:60] = 255
    rng = np.random.default_rng(1)
    noisy = photo + rng.normal(0, 5, photo.shape)
    for name, pixels in (("img", noisy[2:, 1:]), ("ref", photo[:-2, :-1]), ("mask", mask)):
        Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8)).save(place / f"{name}.png")
    # The image lacks the first two rows and the first column of the reference.
    img, ref = _pixels(place, "img")[:-2, :-1], _pixels(place, "ref")[2:, 1:]
    inside = (mask > 0)[2:, 1:][4:-4, 4:-4]
    error = ((img - ref)[4:-4, 4:-4][inside] ** 2).mean()
    (got,) = _scored(place, "img", ["psnr"], mask=place / "mask.png", align=3, crop=4)
    assert got == pytest.approx(10 * np.log10(255**2 / error), abs=1e-3)


def test_windows_of_the_causal_metric_by_hand(place: Path) -> None:
    """The mean cost of the windows of every level that lie inside, times their number; channels as without a mask."""
    import torch

    from causaliqa.catalog.create import create_metric
    from causaliqa.io.images import load_image

    metric = create_metric("causal_effnet_lite0", device="cpu")
    img, ref = load_image(place / "img.png"), load_image(place / "ref.png")
    mask = torch.zeros(SIZE, dtype=torch.bool)
    mask[:, :64] = True
    filled = torch.where(mask, img, ref)
    expected = []
    for level in metric.levels(filled, ref)[0]:
        rows, columns = level.grid
        side = -(-SIZE[1] // level.size[1]) * metric.window  # pixels that a window covers
        inside = [min((c + 1) * side, 64) - min(c * side, 64) >= side / 2 for c in range(columns)] * rows
        inside = inside if any(inside) else [c == 0 for c in range(columns)] * rows
        costs = ((level.ot + level.md) * level.keep[:, None]).sum(dim=0)[torch.tensor(inside)]
        expected.append(costs.mean().item() * rows * columns)
    assert metric(img, ref, mask=mask).item() == pytest.approx(np.mean(expected), rel=1e-4)


@pytest.mark.parametrize(
    ("preparation", "words"),
    [
        ({"region": "1,2,3"}, "region: got '1,2,3', expected four whole numbers"),
        ({"region": "1,2,0,3"}, "W and H of 1 or more"),
        ({"region": "-1,2,4,3"}, "X and Y of 0 or more"),
        ({"region": "1,2,3,4", "mask": "masks"}, "got a mask, too"),
    ],
)
def test_bad_regions(preparation: dict[str, str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Preparation(**preparation)  # type: ignore[arg-type]


def test_what_a_mask_cannot_be_used_with(place: Path) -> None:
    small = place / "small.png"
    Image.fromarray(np.full((4, 4), 255, np.uint8)).save(small)
    for preparation, words in (
        ({"region": "100,0,30,30"}, "expected one inside an image of 112 x 96"),
        ({"mask": small}, "got 4 x 4 pixels, expected 112 x 96"),
        ({"mask": place / "none.png"}, "does not exist"),
    ):
        with pytest.raises(ImageError, match=words):
            _scored(place, "img", ["psnr"], **preparation)
    with pytest.raises(InputError, match="looks at one image"):
        _scored(place, "img", ["psnr", "entropy"], mask=place / "mask.png")
    corner = np.zeros(SIZE, np.uint8)
    corner[:3] = 255
    Image.fromarray(corner).save(place / "corner.png")
    with pytest.raises(ImageError, match="nothing of it is left"):
        _scored(place, "img", ["psnr"], mask=place / "corner.png", crop=4)
