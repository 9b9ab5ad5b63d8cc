"""``causaliqa lam`` from argv to files."""

import json

import numpy as np
import pytest
from PIL import Image

ROI = ("--roi", "16,24,16,16")


@pytest.fixture
def image(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = tmp_path / "photo.png"
    Image.fromarray(noise).save(path)
    return path


def test_map_and_picture_beside_a_causal_effect_map(run, image, tmp_path):
    common = ("tiny_edsr_x4", image, "--task", "sr", *ROI, "--device", "cpu")
    assert run("cem", *common, "--out", tmp_path / "cem", "--coarse", 1, "--fine", 1)[0] == 0
    code, out, _ = run("lam", *common, "--out", tmp_path / "lam", "--cem", tmp_path / "cem", "--steps", 4)
    assert code == 0
    assert "diffusion index" in out
    summary = json.loads((tmp_path / "lam" / "summary.json").read_text())
    assert (summary["schema"], summary["restorer"], summary["steps"]) == (1, "tiny_edsr_x4", 4)
    assert 0 < summary["diffusion_index"] < 100
    with np.load(tmp_path / "lam" / "lam.npz") as arrays:
        assert arrays["attribution"].shape == (3, 16, 16)
    assert Image.open(tmp_path / "lam" / "lam.png").width > 1000


def test_a_region_is_proposed_and_it_is_the_same_for_cem(run, tmp_path):
    pixels = np.full((64, 64, 3), 128, np.uint8)
    pixels[26:38, 34:46] = np.random.default_rng(0).integers(0, 256, (12, 12, 3))
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    common = ("tiny_dncnn_50", tmp_path / "photo.png", "--task", "denoise", "--roi", "auto:size=16", "--device", "cpu")
    code, out, _ = run("lam", *common, "--steps", 2, "--out", tmp_path / "lam")
    assert (code, out.split("\t")[0]) == (0, "32,24,16,16")
    code, out, _ = run("cem", *common, "--coarse", 1, "--fine", 1, "--sampler", "zero", "--out", tmp_path / "cem")
    assert (code, out.split("\t")[0]) == (0, "32,24,16,16")
    code, _, err = run("lam", *common, "--roi", "auto:count=2,size=16", "--out", tmp_path / "two")
    assert code == 2 and "expected one" in err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--steps", 0), "steps: got 0"),
        (("--cem", "nowhere"), "no causal effect map"),
        (("--degradation", "nothing"), "unknown degradation"),
        (("--scale", 2, "--task", "denoise"), "keeps the size"),
    ],
)
def test_bad_input_exits_2_with_one_line(run, image, tmp_path, more, message):
    code, out, err = run("lam", "tiny_edsr_x4", image, "--task", "sr", *ROI, "--out", tmp_path / "lam", *more)
    assert (code, out) == (2, "")
    assert message in err
    assert not (tmp_path / "lam").exists()
