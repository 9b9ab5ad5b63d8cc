"""``causaliqa score``: several metrics, folders, one reference, no reference, formats and limits."""

from __future__ import annotations

import csv
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from causaliqa.evaluation.score import score


@pytest.fixture
def folders(tmp_path):
    """Noise of 2, 6 and 20 of 255 on three references; the reference of a fourth is missing."""
    rng = np.random.default_rng(0)
    for name in ("a", "r"):
        (tmp_path / name).mkdir()
    for n, sigma in enumerate((2, 6, 20)):
        ref = rng.integers(60, 190, (48, 48, 3), dtype=np.uint8)
        Image.fromarray(ref).save(tmp_path / "r" / f"{n}.png")
        Image.fromarray((ref + rng.normal(0, sigma, ref.shape)).round().astype(np.uint8)).save(
            tmp_path / "a" / f"{n}.png"
        )
    return tmp_path / "a", tmp_path / "r"


def _psnr(img, ref):
    pixels = [np.asarray(Image.open(path), dtype=float) / 255 for path in (img, ref)]
    return -10 * np.log10(((pixels[0] - pixels[1]) ** 2).mean())


def test_several_metrics_in_one_table(run, folders):
    code, out, _ = run("score", "psnr", *folders, "--metric", "ssim", "--device", "cpu")
    assert code == 0
    head, _, *rows = out.splitlines()
    assert re.split(r"\s{2,}", head) == ["image", "psnr (dB, higher is better)", "ssim (higher is better)"]
    values = [float(row.split()[-2]) for row in rows[:3]]
    assert values == pytest.approx(
        [_psnr(folders[0] / f"{n}.png", folders[1] / f"{n}.png") for n in range(3)], abs=1e-3
    )
    assert re.fullmatch(r"psnr: mean \S+ \(95 % \S+ to \S+, 3 images\), worst \S+ \(2\.png\)", rows[4])


@pytest.mark.parametrize("form", ["csv", "json"])
def test_formats(run, folders, form, tmp_path):
    out = tmp_path / f"scores.{form}"
    code, printed, _ = run("score", "psnr", *folders, "--metric", "ssim", "--device", "cpu", "--out", out)
    assert (code, printed) == (0, "")
    wanted = score(["psnr", "ssim"], *folders, device="cpu")
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(out.read_text())))
        assert [(row["metric"], float(row["score"]), row["unit"]) for row in rows] == [
            (name, pair.score, "dB" if name == "psnr" else "") for name, made in wanted.items() for pair in made
        ]
    else:
        document = json.loads(out.read_text())
        assert {m["metric"]: [line["score"] for line in m["scores"]] for m in document["metrics"]} == {
            name: [pair.score for pair in made] for name, made in wanted.items()
        }
        assert document["metrics"][0]["worst"].endswith("2.png")


def test_one_reference_for_all_images(run, folders):
    code, out, _ = run("score", "psnr", folders[0], folders[1] / "1.png", "--json", "--device", "cpu")
    assert code == 0
    for line in json.loads(out)["scores"]:
        assert line["score"] == pytest.approx(_psnr(line["img"], folders[1] / "1.png"), abs=1e-3)


def test_without_a_reference(run, folders):
    code, out, _ = run("score", "entropy", folders[0], "--json", "--device", "cpu")
    assert code == 0
    for line in json.loads(out)["scores"]:
        gray = np.asarray(Image.open(line["img"]), dtype=float) @ [0.299, 0.587, 0.114]
        share = np.bincount(gray.astype(int).ravel()) / gray.size
        assert line["ref"] is None
        assert line["score"] == pytest.approx(-(share[share > 0] * np.log2(share[share > 0])).sum(), abs=0.02)
    code, _, err = run("score", "entropy", folders[0], "--metric", "psnr", "--device", "cpu")
    assert code == 2
    assert "'psnr' compares with a reference: got none" in err


def test_limits(run, folders):
    line = ("score", "psnr", *folders, "--metric", "ssim", "--device", "cpu")
    assert run(*line, "--fail-below", "psnr=15", "--fail-below", "ssim=0.1")[0] == 0
    code, out, err = run(*line, "--fail-below", "psnr=30")
    assert code == 1
    assert out.startswith("image")
    assert [line for line in err.splitlines() if "is below 30" in line] == [
        line for line in err.splitlines() if "2.png" in line
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--fail-above", "psnr=30"], "of psnr higher is better; use --fail-below"),
        (["--fail-below", "ssim=1"], "got metric 'ssim', expected METRIC=VALUE of psnr"),
        (["--fail-below", "psnr=high"], "got 'high', expected a number"),
        (["--out", "s.json", "--format", "csv"], "expected a name that does not end in .json"),
    ],
)
def test_bad_usage(run, folders, options, words):
    code, out, err = run("score", "psnr", *folders, *options)
    assert (code, out) == (2, "")
    assert words in err


def test_partners_are_listed_once(run, folders):
    (folders[1] / "2.png").unlink()
    code, out, err = run("score", "psnr", *folders, "--metric", "ssim", "--device", "cpu")
    assert code == 1
    assert err.count("no partner for") == 1
    assert "2 images" in out
