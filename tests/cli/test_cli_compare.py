"""``causaliqa compare`` and ``causaliqa rd``: what they print, write and refuse."""

from __future__ import annotations

import base64
import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

import causaliqa
from causaliqa.functional.rate_distortion import Curve, bd


@pytest.fixture
def outputs(tmp_path):
    """Six images with a little, and with much noise."""
    for name, sigma in (("truth", 0), ("good", 3), ("bad", 9)):
        (tmp_path / name).mkdir()
        for n in range(6):
            rng = np.random.default_rng(n)
            pixels = rng.uniform(60, 190, (40, 40, 3)) + sigma * rng.normal(size=(40, 40, 3))
            Image.fromarray(pixels.round().astype(np.uint8)).save(tmp_path / name / f"{n}.png")
    return [tmp_path / name for name in ("good", "bad", "truth")]


@pytest.fixture
def points(tmp_path):
    """Two encoders on three contents, scores given; the second needs 20 % less."""
    path = tmp_path / "points.csv"
    lines = ["encoder,content,rate,vmaf"]
    for encoder, ratio in (("old", 1.0), ("new", 0.8)):
        for n in range(3):
            lines += [f"{encoder},c{n},{rate * ratio},{v + n}" for rate, v in ((1, 60), (2, 75), (4, 85))]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_compare_prints_and_tells_what_it_can_find(run, outputs):
    good, bad, truth = outputs
    (bad / "5.png").unlink()
    code, out, err = run("compare", good, bad, "--ref", truth, "--metric", "psnr", "--device", "cpu")
    assert code == 0
    assert "5 images: a difference of" in err
    assert err.count("no partner for") == 2
    means = out.split("\n\n")[0].splitlines()
    assert [line.split()[2:5] for line in means[3:]] == [["1", "good", "5"], ["2", "bad", "5"]]


@pytest.mark.parametrize("suffix", ["json", "csv", "tex", "md", "html"])
def test_compare_writes_every_format(run, outputs, tmp_path, suffix):
    good, bad, truth = outputs
    file = tmp_path / f"made.{suffix}"
    code, out, _ = run(
        *("compare", f"ours={good}", f"theirs={bad}", "--ref", truth, "--metric", "psnr", "--metric", "ssim"),
        *("--channel", "y", "--crop", "4", "--device", "cpu", "--out", file),
    )
    assert (code, out) == (0, "")
    text = file.read_text()
    assert "ours" in text
    made = causaliqa.compare(
        {"ours": good, "theirs": bad}, truth, ["psnr", "ssim"], device="cpu", progress=False,
        prepare=causaliqa.Preparation(channel="y", crop=4),
    )  # fmt: skip
    if suffix == "json":
        document = json.loads(text)
        assert [table["name"] for table in document["tables"]] == ["means", "pairs", "agreement", "images"]
        assert document["tables"][0]["rows"][0]["mean"] == made.table("means")["mean"].iloc[0]
        assert document["settings"]["prepared"] == "4 border pixels cut off; luma (BT.601, 16 to 235)"
    if suffix == "csv":
        rows = list(csv.DictReader(text.splitlines()))
        assert [float(row["score"]) for row in rows] == made.rows["score"].tolist()
        assert (tmp_path / "made.pairs.csv").read_text().startswith("metric,unit,a,b,difference")
    assert str(tmp_path) not in text


def test_a_failure_costs_its_row_and_the_exit_code(run, outputs):
    good, bad, truth = outputs
    (bad / "0.png").write_bytes(b"no image")
    code, out, err = run("compare", good, bad, "--ref", truth, "--metric", "psnr", "--device", "cpu")
    assert code == 1
    assert "psnr failed" in err
    assert "Means over images" in out


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["{good}", "--ref", "{truth}", "--metric", "psnr"], "at least two"),
        (["{good}", "{bad}", "--metric", "psnr"], "compares with a reference"),
        (["a={good}", "a={bad}", "--ref", "{truth}", "--metric", "psnr"], "two outputs are called 'a'"),
        (["{good}", "{good}/none", "--ref", "{truth}", "--metric", "psnr"], "expected a folder"),
        (["{good}", "{bad}", "--ref", "{truth}", "--metric", "psnrr"], "Did you mean"),
        (["{good}", "{bad}", "--ref", "{truth}", "--metric", "psnr", "--crop", "-1"], "--crop: got -1"),
    ],
)
def test_compare_refuses(run, outputs, line, words):
    names = dict(zip(("good", "bad", "truth"), map(str, outputs), strict=True))
    code, out, err = run("compare", *(part.format(**names) for part in line))
    assert (code, out) == (2, "")
    assert words in err


def test_rd_prints_the_deltas_of_the_function(run, points, tmp_path):
    line = ("rd", points, "--metric", "vmaf:lower_better=false", "--hold", "vmaf=70")
    code, out, _ = run(*line, "--format", "json", "--figure", tmp_path / "curves.pdf")
    assert code == 0
    tables = {table["name"]: table["rows"] for table in json.loads(out)["tables"]}
    anchor = Curve.of([1, 2, 4], [60, 75, 85])
    expected = bd(anchor, Curve.of(anchor.rate * 0.8, anchor.quality))
    assert tables["bd"][0]["bd_rate"] == pytest.approx(expected.rate)
    assert tables["bd"][0]["bd_quality"] == pytest.approx(expected.quality)
    rates = {row["encoder"]: row["rate"] for row in tables["ladder"]}
    assert rates["new"] == pytest.approx(0.8 * rates["old"])
    assert (tmp_path / "curves.pdf").read_bytes().startswith(b"%PDF")


def test_rd_page_begins_with_the_curves(run, points, tmp_path):
    page, figure = tmp_path / "page.html", tmp_path / "curves.svg"
    line = ("rd", points, "--metric", "vmaf:lower_better=false", "--rate-label", "bits per pixel")
    assert run(*line, "--out", page, "--figure", figure)[:2] == (0, "")
    before, _, after = page.read_text().partition('class="drawing" src="data:image/png;base64,')
    assert 'href="#drawing"' in before and 'id="table-bd"' not in before
    with Image.open(io.BytesIO(base64.b64decode(after.partition('"')[0]))) as curves:
        assert curves.width > 500
    assert "bits per pixel" in figure.read_text()


def test_rd_computes_what_is_not_given(run, outputs, tmp_path):
    good, bad, truth = outputs
    lines = ["encoder,content,rate,dist,ref"]
    for n in range(3):
        lines += [f"one,c{n},{rate},{folder}/{n}.png,{truth}/{n}.png" for rate, folder in ((1, bad), (2, good))]
        lines += [f"two,c{n},{rate},{folder}/{n}.png,{truth}/{n}.png" for rate, folder in ((0.5, bad), (1, good))]
    (tmp_path / "images.csv").write_text("\n".join(lines))
    code, out, _ = run("rd", tmp_path / "images.csv", "--metric", "psnr", "--device", "cpu", "--format", "json")
    assert code == 0
    assert json.loads(out)["tables"][0]["rows"][0]["bd_rate"] == pytest.approx(-50)


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("", [], "column 'encoder' is missing; got nothing"),
        ("encoder,content,rate,vmaf\n", [], "is empty"),
        ("encoder,content,rate\na,b,1\n", [], "it is needed to compute vmaf"),
        ("encoder,content,rate,vmaf\na,b,0,1\n", [], "line 2: rate is 0, expected a number above 0"),
        ("encoder,content,rate,vmaf\na,b,1,high\n", [], "line 2: vmaf is 'high', expected a number"),
        ("encoder,content,rate,vmaf\na,b,1\n", [], "another number of fields"),
        ("encoder,content,rate,vmaf\na,b,1,2\n", ["--anchor", "c"], "anchor: got 'c', expected one of a"),
        ("encoder,content,rate,vmaf\na,b,1,2\n", ["--hold", "psnr=3"], "expected METRIC=VALUE of vmaf"),
    ],
)
def test_rd_refuses(run, tmp_path, text, options, words):
    (tmp_path / "p.csv").write_text(text)
    code, out, err = run("rd", tmp_path / "p.csv", "--metric", "vmaf:lower_better=false", *options)
    assert (code, out) == (2, "")
    assert words in err


def test_a_curve_that_falls_is_told(run, points):
    points.write_text(points.read_text().replace("old,c0,4.0,85", "old,c0,4.0,70"))
    code, _, err = run("rd", points, "--metric", "vmaf:lower_better=false")
    assert code == 0
    assert "left out: vmaf of old on c0: quality goes from 75 at rate 2 to 70 at 4" in err
