"""The command line as users and scripts see it: results, exit codes, one clear line."""

import contextlib
import csv
import json
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image


def test_score_of_two_files(run, pair_files):
    code, out, _ = run("score", "psnr", *pair_files, "--json", "--device", "cpu")
    document = json.loads(out)
    assert code == 0
    assert document["schema"] == 1
    assert (document["metric"], document["lower_better"], document["seed"]) == ("psnr", False, 0)
    assert document["device"] == "cpu"
    assert {"torch", "pyiqa", "causaliqa"} <= set(document["versions"])
    (line,) = document["scores"]
    img, ref = (np.asarray(Image.open(p), dtype=float) / 255 for p in pair_files)
    assert line["score"] == pytest.approx(-10 * np.log10(((img - ref) ** 2).mean()), abs=1e-3)
    code, out, _ = run("score", "psnr", *pair_files, "--device", "cpu")
    assert float(out) == pytest.approx(line["score"], rel=1e-5)


def test_score_of_two_folders(run, pair_files, tmp_path):
    for side, source in zip(("imgs", "refs"), pair_files, strict=True):
        (tmp_path / side).mkdir()
        for name in ("a.png", "b.bmp", f"only_{side}.png"):
            Image.open(source).save(tmp_path / side / name)
    (tmp_path / "refs" / "b.bmp").rename(tmp_path / "refs" / "b.png") or None
    code, out, err = run("score", "psnr", tmp_path / "imgs", tmp_path / "refs", "--json", "--device", "cpu")
    assert code == 1
    assert len(json.loads(out)["scores"]) == 2
    assert err.count("no partner for") == 2


def test_seed_reaches_the_metric(run, pair_files):
    _, out, _ = run("score", "causal_effnet_lite0", *pair_files, "--seed", "7", "--json", "--device", "cpu")
    assert json.loads(out)["seed"] == 7


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["score", "psnr", "{img}", "{tmp}/none.png"], "none.png does not exist"),
        (["score", "psnr", "{img}", "{text}"], "no image"),
        (["score", "psnr", "{img}", "{small}"], "sizes differ"),
        (["score", "causal_effnet_lite0", "{small}", "{small}"], "too small"),
        (["score", "psnr", "{img}", "{tmp}"], "a file and a folder"),
        (["score", "causal_vg", "{img}", "{ref}"], "Did you mean 'causal_vgg'"),
        (["score", "causal_effnet_lite0:terms=x", "{img}", "{ref}"], "terms: got 'x'"),
        (["score", "causal_effnet_lite0:nope=1", "{img}", "{ref}"], "unknown option 'nope'"),
        (["score", "causal_vgg:weights=/none.pth", "{img}", "{ref}"], "no file"),
        (["score", "psnr", "{img}", "{ref}", "--device", "warp"], "warp"),
        (["leaderboard", "--data", "{tmp}/none.csv", "--metric", "psnr"], "cannot be read"),
        (["leaderboard", "--data", "{manifest}"], "no metric was asked for"),
        (["leaderboard", "--data", "{manifest}", "--metric", "nope"], "unknown metric 'nope'"),
        (["leaderboard", "--data", "{manifest}", "--preset", "nope"], "unknown preset 'nope'"),
        (["leaderboard", "--data", "{manifest}", "--metric", "psnr", "--by", "level"], "no manifest has a column"),
        (["leaderboard", "--data", "{manifest}", "--metric", "psnr", "--limit", "0"], "--limit"),
        (["leaderboard", "--data", "live=/none", "--metric", "psnr"], "/none: there is no such folder"),
        (["leaderboard", "--data", "lives=/none", "--metric", "psnr"], "unknown data set 'lives'"),
        (["leaderboard", "--data", "{manifest}", "--data", "{manifest}", "--metric", "psnr"], "two data sets"),
        (["explain", "psnr", "{img}", "{ref}", "--out", "{tmp}/x"], "cannot explain"),
        (["weights", "verify", "nope.pth"], "unknown weights"),
        (["--registry", "{text}", "list", "metrics"], "text.png"),
        (["list", "nonsense"], "invalid choice"),
        ([], "COMMAND"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(run, pair_files, manifest, tmp_path, argv, words):
    text, small = tmp_path / "text.png", tmp_path / "small.png"
    text.write_text("no image: [")
    Image.new("RGB", (16, 16)).save(small)
    places = {
        "img": pair_files[0],
        "ref": pair_files[1],
        "tmp": tmp_path,
        "text": text,
        "small": small,
        "manifest": manifest,
    }
    code, out, err = run(*(a.format(**places) for a in argv))
    assert code == 2
    assert not out
    assert words in err
    assert "Traceback" not in err
    assert len([line for line in err.splitlines() if "error" in line]) == 1


def test_missing_weights_are_exit_1(run, pair_files):
    code, out, err = run("score", "causal_vgg", *pair_files)
    assert (code, out) == (1, "")
    assert "vgg16-397923af.pth" in err
    assert "download.pytorch.org" in err


def test_leaderboard_on_a_manifest(run, manifest, tmp_path):
    rows = tmp_path / "rows.csv"
    code, out, _ = run(
        "leaderboard",
        "--data",
        manifest,
        "--metric",
        "psnr",
        "--metric",
        "causal_effnet_lite0",
        "--format",
        "json",
        "--rows",
        rows,
        "--device",
        "cpu",
    )
    assert code == 0
    document = json.loads(out)
    assert document["settings"]["metrics"] == {"psnr": "psnr", "causal_effnet_lite0": "causal_effnet_lite0"}
    assert {r["metric"] for r in document["rows"]} == {"psnr", "causal_effnet_lite0"}
    for row in document["rows"]:
        assert (row["dataset"], row["n"], row["n_failed"], row["direction_ok"]) == ("noisy", 8, 0, True)
        assert row["srcc"] > 0.9
    with rows.open() as file:
        assert len(list(csv.DictReader(file))) == 16


def test_tables_do_not_show_the_path_of_weights():
    from causaliqa.catalog.request import labels_of

    assert list(labels_of(["a:weights=/x/y.pth", "a:weights=/x.pth,terms=md", "psnr"])) == ["a", "a:terms=md", "psnr"]
    assert list(labels_of(["a:weights=/x.pth", "a:weights=/y.pth"])) == ["a:weights=/x.pth", "a:weights=/y.pth"]
    assert list(labels_of(["a:weights=/h/x.pth", "a:weights=/h/y.pth"])) == ["a:weights=x.pth", "a:weights=y.pth"]
    assert list(labels_of(["a:library=/home/ann/l.npz", "a"])) == ["a:library=l.npz", "a"]


def test_leaderboard_writes_files_and_breaks_down(run, manifest, tmp_path):
    out_file = tmp_path / "deep" / "table.md"
    code, out, _ = run(
        "leaderboard", "--data", manifest, "--metric", "psnr", "--by", "type", "--format", "github", "--out", out_file
    )
    assert (code, out) == (0, "")
    text = out_file.read_text()
    assert "noise0" in text
    assert "noise1" in text


def test_a_killed_run_goes_on(manifest, tmp_path):
    """kill -9 in the middle, run again: the table of an undisturbed run."""
    store, done = tmp_path / "s.sqlite", tmp_path / "rows.csv"
    line = [sys.executable, "-m", "causaliqa", "leaderboard", "--data", str(manifest), "--metric", "psnr"]
    line += ["--metric", "causal_effnet_lite0", "--device", "cpu", "--format", "csv"]
    first = subprocess.Popen([*line, "--store", str(store)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and first.poll() is None and not _rows_in(store) > 3:
        time.sleep(0.005)
    first.kill()
    first.wait()
    assert _rows_in(store) > 3
    table = [
        subprocess.run([*line, *more], capture_output=True, text=True, check=True).stdout
        for more in (["--store", str(store), "--rows", str(done)], [])
    ]
    assert [_without_seconds(t) for t in table[:1]] == [_without_seconds(t) for t in table[1:]]
    assert _rows_in(store) == 16


def _rows_in(store):
    try:
        with contextlib.closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as db:
            return db.execute("SELECT count(*) FROM scores").fetchone()[0]
    except sqlite3.Error:
        return 0


def _without_seconds(text):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(text.splitlines())]


def test_a_metric_that_fails_costs_its_row_and_exit_1(run, manifest):
    broken = manifest.parent / "d0_2.png"
    broken.write_text("no image")
    code, out, err = run("leaderboard", "--data", manifest, "--metric", "psnr", "--format", "json", "--device", "cpu")
    assert code == 1
    (row,) = json.loads(out)["rows"]
    assert (row["n"], row["n_failed"]) == (7, 1)
    assert "psnr failed on" in err
    code, _, err = run("leaderboard", "--data", manifest, "--metric", "psnr", "--strict", "--device", "cpu")
    assert code == 1
    assert "d0_2.png" in err


def test_a_wrong_direction_is_exit_1(run, manifest):
    manifest.write_text(manifest.read_text().replace("dmos", "mos"))
    code, out, err = run("leaderboard", "--data", manifest, "--metric", "psnr", "--device", "cpu")
    assert code == 1
    assert "contradicts the declared direction" in err
    assert "-0.9" in out or "-1.0" in out


def test_explain_writes_table_and_pictures(run, pair_files, tmp_path):
    code, out, _ = run("explain", "causal_effnet_lite0", *pair_files, "--out", tmp_path / "e", "--device", "cpu")
    assert code == 0
    assert [p.rsplit("/", 1)[-1] for p in out.split()] == ["channels.csv", "strips.png", "cost_map.png"]
    with (tmp_path / "e" / "channels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 + 16 + 24 + 40 + 112 + 320
    assert sum(float(r["share"]) for r in rows) == pytest.approx(1, abs=1e-3)
    for name in ("strips.png", "cost_map.png"):
        picture = np.asarray(Image.open(tmp_path / "e" / name).convert("L"))
        assert min(picture.shape) > 200
        assert picture.std() > 5


def test_explain_of_a_calibrated_metric(run, pair_files, tmp_path):
    img, ref = pair_files
    asked = ("explain", "calibrated_effnet_lite0", img, ref, ref, "--out", tmp_path / "e", "--figures", "png,pdf,svg")
    code, out, err = run(*asked, "--device", "cpu")
    assert code == 0, err
    names = [p.rsplit("/", 1)[-1] for p in out.split()]
    figures = [f"{stem}.{suffix}" for suffix in ("png", "pdf", "svg") for stem in ("channels", "cost_map")]
    assert names == ["channels.csv", *figures]
    with (tmp_path / "e" / "channels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:4] == ["img", "level", "channel", "share"]
    distorted, same = ([r for r in rows if r["img"] == name] for name in dict.fromkeys(r["img"] for r in rows))
    assert len(distorted) == len(same) == 3 + 16 + 24 + 40 + 112 + 320
    assert sum(float(r["share"]) for r in distorted) == pytest.approx(1, abs=1e-3)
    assert all(float(r["share"]) == 0 for r in same)
    assert any(float(r["do(noise)"]) > 1 for r in distorted)
    for name in figures:
        assert (tmp_path / "e" / name).stat().st_size > 5000


@pytest.mark.parametrize("kind", ["metrics", "backbones", "restorers", "samplers", "degradations", "datasets"])
def test_list_of_every_kind(run, kind):
    code, out, _ = run("list", kind, "--json")
    assert code == 0
    items = json.loads(out)["items"]
    assert all({"name", "provider", "licence", "summary"} <= set(item) for item in items)
    code, out, _ = run("list", kind)
    assert code == 0
    assert all(item["name"] in out for item in items)
    assert out.strip()


def test_list_takes_a_pattern(run):
    _, out, _ = run("list", "metrics", "causal_r*", "--json")
    assert [i["name"] for i in json.loads(out)["items"]] == ["causal_resnet"]


def test_weights_list_and_verify(run):
    code, out, _ = run("weights", "list")
    assert code == 0
    assert "vgg16-397923af.pth" in out
    assert run("weights", "verify", "efficientnet-lite0-57934424.pth")[0] == 0
    assert run("weights", "verify", "vgg16-397923af.pth")[0] == 1
    code, _, err = run("weights", "fetch", "vgg16-397923af.pth")
    assert code == 1
    assert "CAUSALIQA_OFFLINE is set" in err


def test_demo(run, tmp_path, monkeypatch):
    """The real command with a smaller set."""
    from causaliqa.builtin.datasets import graded

    small = graded.write_graded_set
    monkeypatch.setattr(graded, "write_graded_set", lambda folder: small(folder, images=1, side=192))
    code, out, _ = run("demo", "--out", tmp_path / "demo")
    assert code == 0
    assert "not human opinion" in out
    assert "causal_effnet_lite0" in out
    names = {p.relative_to(tmp_path / "demo").as_posix() for p in (tmp_path / "demo").rglob("*.*")}
    assert {
        "leaderboard.csv",
        "leaderboard.html",
        "scores.csv",
        "scatter.png",
        "explain/strips.png",
        "explain/cost_map.png",
    } <= names
    assert {"cem/cem.png", "cem/pie.png", "cem/cem.npz", "cem/summary.json"} <= names
    with (tmp_path / "demo" / "leaderboard.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 10
    assert all(float(r["srcc"]) > 0.3 for r in rows)
