"""``--mask``, ``--region`` and other preparations in every command that scores images; ``--store`` of comparisons."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from PIL import Image

from causaliqa.evaluation.preparation import Preparation
from causaliqa.evaluation.score import score
from causaliqa.evaluation.store import ScoreStore


@pytest.fixture
def place(tmp_path):
    """Four references with masks and two outputs; a manifest and points of the same images."""
    points, lines = ["encoder,content,rate,dist,ref"], ["ref,dist,mos"]
    for name in ("ref", "good", "bad", "masks"):
        (tmp_path / name).mkdir()
    for n in range(4):
        rng = np.random.default_rng(n)
        base = rng.uniform(60, 190, (40, 44, 3))
        for k, (name, sigma) in enumerate((("ref", 0), ("good", 3), ("bad", 9))):
            pixels = (base + sigma * rng.normal(size=base.shape)).round().astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{n}.png")
            if sigma:
                points.append(f"old,{n},{9 - k},{name}/{n}.png,ref/{n}.png")
                points.append(f"new,{n},{8 - k},{name}/{n}.png,ref/{n}.png")
                lines.append(f"ref/{n}.png,{name}/{n}.png,{5 - k + n / 10}")
        mask = np.zeros((40, 44), np.uint8)
        mask[4 : 20 + n, 10:30] = 255
        Image.fromarray(mask).save(tmp_path / "masks" / f"{n}.png")
    (tmp_path / "points.csv").write_text("\n".join(points) + "\n")
    (tmp_path / "set.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def _line(place, command):
    """Return the line of a command that scores the outputs by psnr, as json."""
    return {
        "score": ("score", "psnr", place / "good", place / "ref", "--device", "cpu"),
        "compare": ("compare", place / "good", place / "bad", "--ref", place / "ref", "--metric", "psnr"),
        "rd": ("rd", place / "points.csv", "--metric", "psnr"),
        "leaderboard": ("leaderboard", "--data", place / "set.csv", "--metric", "psnr"),
    }[command] + ("--device", "cpu", "--format", "json")


def _expected(place, prepare):
    """Return the score of every distorted image by its name."""
    names = [f"{folder}/{n}.png" for folder in ("good", "bad") for n in range(4)]
    files = {name: (place / name, place / "ref" / name.partition("/")[2]) for name in names}
    return {name: float(score("psnr", *pair, device="cpu", prepare=prepare)) for name, pair in files.items()}


@pytest.mark.parametrize("asked", [("--mask", "masks"), ("--region", "4,2,20,18"), ("--channel", "y", "--crop", "3")])
def test_every_command_prepares_in_the_same_way(run, place, asked):
    options = {"--mask": {"mask": place / "masks"}, "--region": {"region": "4,2,20,18"}}
    prepare = Preparation(**options.get(asked[0], {"channel": "y", "crop": 3}))
    asked = ("--mask", place / "masks") if asked[0] == "--mask" else asked
    expected = _expected(place, prepare)
    code, out, _ = run(*_line(place, "score"), *asked)
    made = json.loads(out)
    assert code == 0
    assert str(prepare) in made["prepared"]
    assert [one["score"] for one in made["scores"]] == [expected[f"good/{n}.png"] for n in range(4)]
    code, out, _ = run(*_line(place, "compare"), *asked)
    made = json.loads(out)
    assert str(prepare) in made["settings"]["prepared"]
    assert {f"{row['output']}/{row['image']}.png": row["score"] for row in made["rows"]} == expected
    code, out, _ = run(*_line(place, "rd"), *asked)
    made = json.loads(out)
    assert str(prepare) in made["settings"]["prepared"]
    assert sorted({row["score"] for row in made["rows"]}) == sorted(expected.values())
    code, out, _ = run(*_line(place, "leaderboard"), *asked, "--rows", place / "rows.csv")
    assert code == 0
    assert str(prepare) in json.loads(out)["settings"]["prepared"]
    rows = list(csv.DictReader((place / "rows.csv").read_text().splitlines()))
    assert {row["dist"]: float(row["score"]) for row in rows} == expected
    assert all(str(prepare) in row["prepared"] for row in rows)


@pytest.mark.parametrize("command", ["score", "compare", "rd", "leaderboard"])
@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (("--region", "1,2,3"), "--region: got '1,2,3', expected four whole numbers X,Y,W,H"),
        (("--region", "1,2,3,4", "--mask", "masks"), "--region: got a mask, too"),
        (("--mask", "nowhere"), "mask nowhere does not exist"),
        (("--mask", "{place}/some"), "got none for "),
        (("--mask", "{place}/masks", "--metric", "entropy"), "--region X,Y,W,H"),
    ],
)
def test_masks_that_cannot_be_used_are_one_line_before_any_work(run, place, command, asked, words):
    (place / "some").mkdir()
    Image.new("L", (44, 40), 255).save(place / "some" / "0.png")
    code, out, err = run(*_line(place, command), *(part.format(place=place) for part in asked))
    assert (code, out) == (2, "")
    assert words in err
    assert err.strip().splitlines()[-1].startswith("causaliqa")
    assert "Traceback" not in err


def test_an_empty_mask_costs_its_image(run, place):
    Image.new("L", (44, 40)).save(place / "masks" / "1.png")
    code, out, err = run(*_line(place, "compare"), "--mask", place / "masks")
    assert code == 1
    assert "it is empty: no pixel is white" in err
    assert [row["image"] for row in json.loads(out)["rows"] if row["error"]] == ["1", "1"]


@pytest.mark.parametrize("command", ["compare", "rd"])
def test_scores_are_kept_in_a_store(run, place, command):
    store = place / "scores.sqlite"
    first = run(*_line(place, command), "--store", store)
    assert first[0] == 0
    with ScoreStore(store, create=False) as kept:
        assert len(kept) == 8
    again = run(*_line(place, command), "--store", store)
    assert json.loads(again[1])["rows"] == json.loads(first[1])["rows"]
    code, _, err = run(*_line(place, command), "--store", place)
    assert code == 2
    assert "--store" in err


def test_an_interrupted_comparison_says_what_is_kept(run, place, monkeypatch):
    from causaliqa.evaluation import image_files

    scored = image_files.score_prepared
    left = [3]

    def interrupted(*args, **options):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return scored(*args, **options)

    monkeypatch.setattr(image_files, "score_prepared", interrupted)
    code, _, err = run(*_line(place, "compare"), "--store", place / "scores.sqlite")
    assert code == 130
    assert "3 scores are kept in" in err
    assert "run the same command again" in err
