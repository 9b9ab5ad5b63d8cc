"""What metrics get of images of many channels, of sixteen bits and of high dynamic range; hand-computed PSNR."""

import cv2
import numpy as np
import pytest

import causaliqa
from causaliqa.api.errors import ImageError, InputError
from causaliqa.evaluation.loading import load_pair
from causaliqa.evaluation.preparation import AS_THEY_ARE, Preparation
from causaliqa.evaluation.score import score


def psnr(a, b):
    return 10 * np.log10(1 / np.mean((a.astype(float) - b.astype(float)) ** 2))


def pair(*shape, seed=0):
    rng = np.random.default_rng(seed)
    ref = rng.random(shape, np.float32)
    # Channels of different quality, so that a mean over channels is not the score of all of them together.
    spread = np.linspace(0.02, 0.2, shape[2] if len(shape) > 2 else 1).astype(np.float32)
    noise = rng.standard_normal(shape, np.float32) * (spread if len(shape) > 2 else spread[0])
    return np.clip(ref + noise, 0, 1), ref


def saved(folder, *arrays):
    for name, array in zip(("img", "ref"), arrays, strict=True):
        np.save(folder / f"{name}.npy", array)
    return folder / "img.npy", folder / "ref.npy"


@pytest.mark.parametrize("channels", [2, 4, 5])
def test_the_score_of_many_channels_is_the_mean_of_their_scores(tmp_path, channels):
    img, ref = pair(40, 36, channels)
    made = score("psnr", *saved(tmp_path, img, ref), device="cpu")
    by_hand = np.mean([psnr(img[..., k], ref[..., k]) for k in range(channels)])
    assert float(made) == pytest.approx(by_hand, abs=1e-3)
    assert abs(float(made) - psnr(img, ref)) > 0.5
    assert made[0].note == f"mean over {channels} channels"


def test_the_channels_of_colour_are_scored_one_by_one_when_asked(tmp_path):
    img, ref = pair(40, 36, 3)
    files = saved(tmp_path, img, ref)
    assert float(score("psnr", *files, device="cpu")) == pytest.approx(psnr(img, ref), abs=1e-3)
    made = score("psnr", *files, device="cpu", prepare=Preparation(channel="each"))
    assert float(made) == pytest.approx(np.mean([psnr(img[..., k], ref[..., k]) for k in range(3)]), abs=1e-3)
    assert made.prepared == "mean over channels"


def test_gray_is_three_equal_channels(tmp_path):
    img, ref = pair(40, 36)
    files = saved(tmp_path, img, ref)
    loaded, _ = load_pair(*files, AS_THEY_ARE)
    assert loaded.shape == (1, 3, 40, 36)
    assert (loaded[:, 0] == loaded[:, 2]).all()
    assert float(score("psnr", *files, device="cpu")) == pytest.approx(psnr(img, ref), abs=1e-3)


def test_crop_and_resize_of_many_channels(tmp_path):
    img, ref = pair(40, 36, 5)
    files = saved(tmp_path, img, ref)
    made = score("psnr", *files, device="cpu", prepare=Preparation(crop=4))
    inner = (slice(4, -4), slice(4, -4))
    assert float(made) == pytest.approx(
        np.mean([psnr(img[inner][..., k], ref[inner][..., k]) for k in range(5)]), abs=1e-3
    )
    np.save(tmp_path / "large.npy", img.repeat(2, 0).repeat(2, 1))
    shrunk = score("psnr", tmp_path / "large.npy", files[1], device="cpu", prepare=Preparation(resize="bicubic"))
    assert 5 < float(shrunk) < 50


@pytest.mark.parametrize("metric", ["psnr", "ssim", "causal_effnet_lite0"])
def test_metrics_of_colour_score_many_channels(tmp_path, metric):
    img, ref = pair(64, 64, 4)
    made = score(metric, *saved(tmp_path, img, ref), device="cpu")
    alone = []
    for k in range(4):
        (tmp_path / str(k)).mkdir()
        alone.append(float(score(metric, *saved(tmp_path / str(k), img[..., k], ref[..., k]), device="cpu")))
    assert float(made) == pytest.approx(np.mean(alone), rel=1e-6)


def test_channels_that_do_not_fit(tmp_path):
    img, ref = pair(40, 36, 5)
    files = saved(tmp_path, img[..., :4], ref)
    with pytest.raises(ImageError, match=r"channels differ: .*img.npy has 4, .*ref.npy has 5"):
        score("psnr", *files, device="cpu")
    with pytest.raises(ImageError, match="channel y: got 5 channels, expected gray or RGB"):
        score("psnr", files[1], files[1], device="cpu", prepare=Preparation(channel="y"))


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("shape", [(40, 36), (40, 36, 3)], ids=["gray", "colour"])
def test_a_difference_below_eight_bits_counts(tmp_path, suffix, shape):
    ref = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint16) * 257
    img = np.where(ref > 40_000, ref - 100, ref + 100).astype(np.uint16)  # a step of 8 bits is 257
    for name, pixels in (("img", img), ("ref", ref)):
        cv2.imwrite(str(tmp_path / f"{name}.{suffix}"), pixels)
    made = score("psnr", tmp_path / f"img.{suffix}", tmp_path / f"ref.{suffix}", device="cpu")
    assert float(made) == pytest.approx(10 * np.log10(1 / ((100 / 65535) ** 2 + 1e-8)), abs=1e-3)  # 1e-8: pyiqa's


# High dynamic range


def light_pair(folder):
    """Return two files of linear light, made by a formula, and write them as PFM."""
    steps = np.arange(48 * 64)
    ref = np.geomspace(0.1, 4000, steps.size).reshape(48, 64, 1) * np.array([1.0, 0.8, 0.6])
    img = ref * (1 + 0.2 * np.sin(steps)).reshape(48, 64, 1)
    for name, light in (("img", img), ("ref", ref)):
        (folder / f"{name}.pfm").write_bytes(b"PF\n64 48\n-1.0\n" + light[::-1].astype("<f4").tobytes())
    return folder / "img.pfm", folder / "ref.pfm"


# 10 log10(256²/MSE) as matlab/pu21_metric.m of github.com/gfxdisp/pu21 says (PSNR and PSNRY), with the PU21 values of
# the authors' Python code (github.com/gfxdisp/ColorVideoVDP, class PU), computed once outside of this project.
@pytest.mark.parametrize(
    ("settings", "value"),
    [
        ({}, 30.514071),
        ({"channel": "y"}, 30.464752),
        ({"peak": 1000}, 31.905957),
        ({"peak": 1000, "channel": "y"}, 31.845259),
    ],
    ids=str,
)
def test_psnr_of_the_authors(tmp_path, settings, value):
    made = score("psnr", *light_pair(tmp_path), device="cpu", prepare=Preparation(hdr="pu21", **settings))
    assert float(made) == pytest.approx(value, abs=1e-3)


def test_what_was_done_is_recorded(tmp_path):
    prepare = Preparation(hdr="pu21", peak=1000, channel="y", crop=2)
    made = score("psnr", *light_pair(tmp_path), device="cpu", prepare=prepare)
    assert made.prepared == (
        "linear light (largest value at 1000 cd/m2) as PU21 / 256; 2 border pixels cut off; luminance (BT.709)"
    )
    assert str(Preparation(hdr="pu21")) == "linear light (values in cd/m2) as PU21 / 256"
    assert str(Preparation(hdr="pq", channel="y")) == "PQ light as PU21 / 256; luminance (BT.2020)"


def test_the_scale_is_that_of_the_reference(tmp_path):
    img, ref = light_pair(tmp_path)
    _, alone = load_pair(img, ref, Preparation(hdr="pu21", peak=1000))
    data = img.read_bytes()
    img.write_bytes(data[:-4] + np.float32(9000).tobytes())
    _, again = load_pair(img, ref, Preparation(hdr="pu21", peak=1000))
    assert (alone == again).all()
    assert float(alone.max()) == pytest.approx(420.096921 / 256)


def test_pq_is_the_light_that_it_stands_for(tmp_path):
    """The same light as PFM and as PQ of 16 bits scores alike; codes by the inverse of SMPTE ST 2084, by hand."""
    light = np.geomspace(0.1, 4000, 48 * 64).reshape(48, 64)
    pair = {"img": light * (1 + 0.1 * np.sin(np.arange(light.size)).reshape(light.shape)), "ref": light}
    for name, values in pair.items():
        power = (values / 10_000) ** (2610 / 16384)
        code = ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)
        cv2.imwrite(str(tmp_path / f"{name}.png"), (code * 65535).round().astype(np.uint16))
        (tmp_path / f"{name}.pfm").write_bytes(b"Pf\n64 48\n-1.0\n" + values[::-1].astype("<f4").tobytes())
    pq = score("psnr", tmp_path / "img.png", tmp_path / "ref.png", device="cpu", prepare=Preparation(hdr="pq"))
    linear = score("psnr", tmp_path / "img.pfm", tmp_path / "ref.pfm", device="cpu", prepare=Preparation(hdr="pu21"))
    assert float(pq) == pytest.approx(float(linear), abs=0.01)


def test_light_brighter_than_white_stays_brighter_when_it_is_resized_and_aligned(tmp_path):
    img, ref = light_pair(tmp_path)
    prepare = Preparation(hdr="pu21", align=2)
    loaded = load_pair(img, ref, prepare)
    ours, theirs, _ = prepare.apply(*loaded)
    assert float(ours.max()) > 1.8
    assert float(theirs.max()) <= float(loaded[1].max()) + 1e-6
    half = loaded[0][..., ::2, ::2].contiguous()
    grown, _, _ = Preparation(hdr="pu21", resize="lanczos").apply(half, loaded[1])
    assert 1.8 < float(grown.max()) <= float(half.max())


@pytest.mark.parametrize("metric", ["psnr", "ssim", "ms_ssim", "vsi", "fsim"])
def test_metrics_that_take_light_tell_bright_differences(tmp_path, metric):
    rng = np.random.default_rng(0)
    ref = np.exp(rng.standard_normal((200, 200, 3)) * 0.5) * 500
    for name, light in (
        ("ref", ref),
        ("good", ref * 1.02),
        ("bad", ref * np.exp(rng.standard_normal(ref.shape) * 0.3)),
    ):
        (tmp_path / f"{name}.pfm").write_bytes(b"PF\n200 200\n-1.0\n" + light[::-1].astype("<f4").tobytes())
    prepare = Preparation(hdr="pu21")
    good, bad = (
        float(score(metric, tmp_path / f"{name}.pfm", tmp_path / "ref.pfm", device="cpu", prepare=prepare))
        for name in ("good", "bad")
    )
    assert good > bad


@pytest.mark.parametrize("metric", ["causal_effnet_lite0", "gmsd", "brisque"])
def test_other_metrics_refuse_light(tmp_path, metric):
    with pytest.raises(InputError, match=r"takes no values above 1: got --hdr pu21, expected one of .*psnr, ssim"):
        score(metric, *light_pair(tmp_path), device="cpu", prepare=Preparation(hdr="pu21"))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"hdr": "hlg"}, "hdr: got 'hlg', expected pu21 or pq"),
        ({"peak": 1000}, "without linear light"),
        ({"hdr": "pq", "peak": 1000}, "PQ is absolute"),
        ({"hdr": "pu21", "peak": 0}, "expected from 1 to 10000"),
        ({"hdr": "pu21", "peak": float("nan")}, "expected from 1 to 10000"),
    ],
)
def test_bad_settings(settings, words):
    with pytest.raises(InputError, match=words):
        Preparation(**settings)


def test_files_of_the_wrong_kind(tmp_path):
    img, _ = light_pair(tmp_path)
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8), np.uint8))
    with pytest.raises(ImageError, match="holds linear light: score it with --hdr pu21"):
        score("psnr", img, img, device="cpu")
    with pytest.raises(ImageError, match=r"a.png holds no linear light, expected .exr, .hdr, .pfm"):
        score("psnr", tmp_path / "a.png", tmp_path / "a.png", device="cpu", prepare=Preparation(hdr="pu21"))
    with pytest.raises(ImageError, match="values of uint8, expected PQ of 16 bits"):
        score("psnr", tmp_path / "a.png", tmp_path / "a.png", device="cpu", prepare=Preparation(hdr="pq"))
    (tmp_path / "black.pfm").write_bytes(b"Pf\n8 8\n-1.0\n" + bytes(256))
    with pytest.raises(ImageError, match="is black"):
        black = tmp_path / "black.pfm"
        score("psnr", black, black, device="cpu", prepare=Preparation(hdr="pu21", peak=100))


def test_comparisons_and_curves_say_what_was_done(tmp_path):
    for name in ("a", "b", "ref"):
        (tmp_path / name).mkdir()
    for k in range(5):
        img, ref = pair(16, 16, 4, seed=k)
        for name, pixels in (("a", img), ("b", np.clip(img + 0.1, 0, 1)), ("ref", ref)):
            np.save(tmp_path / name / f"{k}.npy", pixels)
    made = causaliqa.compare(
        [tmp_path / "a", tmp_path / "b"], tmp_path / "ref", "psnr", device="cpu", progress=False,
        prepare=Preparation(channel="each"),
    )  # fmt: skip
    assert made.table("means")["output"].tolist() == ["a", "b"]
    assert "images: mean over channels" in made.notes
