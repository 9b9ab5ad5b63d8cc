"""``causaliqa video``: frames of folders and of files, pooled, drawn, stored and refused."""

import csv
import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from clips import frames, write_clip, write_folder

import causaliqa
from causaliqa.evaluation import image_files
from causaliqa.functional.pooling import pool

CPU = ("--device", "cpu")


@pytest.fixture
def clips(tmp_path):
    """Twelve frames and their reference as folders."""
    dist = write_folder(tmp_path / "dist", frames(12, 32, noise=12))
    return dist, write_folder(tmp_path / "ref", frames(12, 32))


def psnr(img, ref):
    return -10 * np.log10((((img.astype(float) - ref) / 255) ** 2).mean() + 1e-8)


def test_frames_are_paired_by_number_and_pooled(run, clips, tmp_path):
    out, figure = tmp_path / "frames.csv", tmp_path / "frames.pdf"
    code, said, _ = run("video", *clips, "--metric", "psnr", "--metric", "ssim", *CPU, "--out", out, "--figure", figure)
    assert (code, said) == (0, "")
    rows = list(csv.DictReader(out.open()))
    assert list(rows[0]) == ["frame", "psnr", "ssim"]
    expected = [psnr(a, b) for a, b in zip(frames(12, 32, noise=12), frames(12, 32), strict=True)]
    assert [float(row["psnr"]) for row in rows] == pytest.approx(expected, abs=1e-3)
    pooled = {row["metric"]: row for row in csv.DictReader((tmp_path / "frames.pooled.csv").open())}
    made = pool(expected, lower_better=False)
    for name in ("mean", "harmonic_mean", "worst_share", "worst"):
        assert float(pooled["psnr"][name]) == pytest.approx(getattr(made, name), abs=1e-3)
    assert int(pooled["psnr"]["worst_frame"]) == made.worst_frame
    assert figure.read_bytes().startswith(b"%PDF")
    assert json.loads((tmp_path / "frames.csv.json").read_text())["settings"]["frames"] == 12


def test_lower_is_better_has_its_worst_on_the_other_side(run, clips):
    code, out, _ = run("video", *clips, "--metric", "gmsd", *CPU, "--format", "json")
    document = json.loads(out)
    (line,) = document["tables"][0]["rows"]
    scores = [row["gmsd"] for row in document["rows"]]
    assert code == 0
    assert (line["better"], line["harmonic_mean"]) == ("lower", None)
    assert line["worst"] == max(scores)
    assert line["worst_share"] == pytest.approx(np.percentile(scores, 95))


def test_a_run_goes_on_from_its_store(run, clips, tmp_path, monkeypatch):
    store = tmp_path / "s.sqlite"
    line = ("video", *clips, "--metric", "psnr", "--store", store, *CPU, "--format", "json")
    real, calls = image_files.score_prepared, []

    def stopping(*arguments):
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(image_files, "score_prepared", stopping)
    code, _, err = run(*line)
    assert code == 130
    assert "5 scores are kept" in err and "run the same command again" in err
    calls[:] = [0] * 6
    code, out, err = run(*line)
    assert code == 0
    assert len(calls) == 6 + 7
    assert "5 scores were in" in err
    plain = json.loads(run(*line[:5], *CPU, "--format", "json")[1])
    assert json.loads(out)["rows"] == plain["rows"]
    # Other settings are other scores: nothing is taken from the store.
    code, out, err = run(*line, "--channel", "y")
    assert code == 0
    assert "were in" not in err
    assert json.loads(out)["rows"] != plain["rows"]
    with sqlite3.connect(store) as db:
        assert db.execute("SELECT count(*) FROM scores").fetchone() == (24,)


def test_a_frame_that_fails_costs_its_score_and_the_exit_code(run, clips, tmp_path):
    (clips[0] / "frame4.png").write_bytes(b"no image")
    code, out, err = run("video", *clips, "--metric", "psnr", *CPU, "--format", "json")
    assert code == 1
    assert "frame4.png" in err
    document = json.loads(out)
    assert document["rows"][4]["psnr"] is None
    assert document["tables"][0]["rows"][0]["frames"] == 11


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["{dist}", "{ref}/none", "--metric", "psnr"], "does not exist"),
        (["{dist}", "{short}", "--metric", "psnr"], "12 frames and"),
        (["{dist}", "--metric", "psnr"], "compares with a reference"),
        (["{dist}", "{ref}", "--metric", "psnrr"], "Did you mean"),
        (["{dist}", "{ref}", "--metric", "psnr", "--figure", "x.gif"], "--figure x.gif"),
        (["{dist}", "{ref}", "--metric", "psnr", "--crop", "-1"], "--crop: got -1"),
    ],
)
def test_refused_in_one_line(run, clips, tmp_path, change, words):
    short = write_folder(tmp_path / "short", frames(11, 32))
    places = {"dist": clips[0], "ref": clips[1], "short": short}
    code, out, err = run("video", *(part.format(**places) for part in change), *CPU)
    assert (code, out) == (2, "")
    assert words in err


def test_a_file_against_a_folder_and_rates_that_differ(run, clips, tmp_path):
    pytest.importorskip("av")
    file = write_clip(tmp_path / "dist.mkv", frames(12, 32, noise=12))
    code, out, _ = run("video", file, clips[1], "--metric", "psnr", *CPU, "--format", "json")
    document = json.loads(out)
    assert code == 0
    assert document["rows"][3]["time"] == pytest.approx(3 / 25)
    code, out, _ = run("video", *clips, "--metric", "psnr", *CPU, "--format", "json")
    plain = json.loads(out)["rows"]
    assert [row["psnr"] for row in document["rows"]] == [row["psnr"] for row in plain]
    other = write_clip(tmp_path / "ref.mkv", frames(12, 32), rate=30)
    code, out, err = run("video", file, other, "--metric", "psnr", *CPU)
    assert (code, out) == (2, "")
    assert "25 frames per second and" in err and "30" in err


@pytest.mark.slow
def test_a_clip_of_300_frames_from_end_to_end(run, tmp_path):
    """Encoded by H.264 or MPEG-4 and scored: noise makes the middle worst, and a stopped run goes on."""
    av = pytest.importorskip("av")
    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    dist = write_clip(tmp_path / "dist.mp4", frames(300, noise=20), codec, "yuv420p", rate=30)
    ref = write_clip(tmp_path / "ref.mkv", frames(300), rate=30)
    out, figure = tmp_path / "frames.csv", tmp_path / "frames.png"
    line = ("video", dist, ref, "--metric", "psnr", "--metric", "ssim", *CPU, "--store", tmp_path / "s.sqlite")
    code, _, _ = run(*line, "--out", out, "--figure", figure)
    assert code == 0
    rows = list(csv.DictReader(out.open()))
    assert len(rows) == 300
    assert float(rows[-1]["time"]) == pytest.approx(299 / 30)
    for metric in ("psnr", "ssim"):
        scores = np.array([float(row[metric]) for row in rows])
        assert scores[140:160].mean() < scores[:20].mean()
    made = causaliqa.video(
        ["psnr", "ssim"], dist, ref, device="cpu", store=tmp_path / "s.sqlite", progress=False
    )  # fmt: skip
    assert made.scores.stored == 600
    assert made.rows["psnr"].tolist() == [float(row["psnr"]) for row in rows]
    assert figure.stat().st_size > 10_000


def test_the_mask_is_known_by_its_content(run, clips, tmp_path):
    from PIL import Image

    mask = tmp_path / "mask.png"
    first = sorted(Path(clips[1]).iterdir())[0]
    Image.new("L", Image.open(first).size, 255).save(mask)
    code, out, err = run("-q", "video", *clips, "--metric", "psnr", "--mask", mask, *CPU, "--format", "json")
    assert code == 0, err
    assert "(sha256 " in json.loads(out)["settings"]["prepared"]
