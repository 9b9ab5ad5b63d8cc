"""Outputs on full disks and in read-only folders: found early where they can be, never half written."""

from __future__ import annotations

import errno
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from causaliqa.api.data import ROI
from causaliqa.api.errors import OutputError, WeightsError
from causaliqa.api.specs import WeightsEntry
from causaliqa.builtin.samplers.natural import Library
from causaliqa.cli import main
from causaliqa.effects.effect_map import EffectMap
from causaliqa.io.weights import fetch
from conftest import photo

pytest_plugins = ["processes"]


@pytest.fixture
def scored(tmp_path):
    """A manifest whose scores come from a file: nothing to compute, and rows enough to fill a small disk."""
    scores, labels = ["dist,m"], ["dist,mos"]
    for k in range(3000):
        scores.append(f"image-{k:05d}.png,{k % 7 + k / 100}")
        labels.append(f"image-{k:05d}.png,{k % 11 + k / 90}")
    (tmp_path / "scores.csv").write_text("\n".join(scores))
    (tmp_path / "labels.csv").write_text("\n".join(labels))
    line = ["leaderboard", "--data", tmp_path / "labels.csv", "--scores", tmp_path / "scores.csv"]
    return [*line, "--metric", "m:lower_better=false"]


OUTPUTS = {
    "rows": ["--rows", "{}/x.csv"],
    "page": ["--format", "html", "--out", "{}/x.html"],
    "figure": ["--figure", "{}/x.png"],
    "vectors": ["--figure", "{}/x.pdf"],
}


@pytest.mark.slow
@pytest.mark.parametrize("options", OUTPUTS.values(), ids=OUTPUTS)
def test_a_full_disk_costs_the_output_and_leaves_the_old_one(command, small_disk, scored, options):
    folder = small_disk(1 << 20)
    old = folder / options[-1].format("")[1:]
    old.write_text("old")
    small_disk(8192)
    done = command(*scored, *(o.format(folder) for o in options))
    assert done.returncode == 1, done.stderr
    (line,) = [t for t in command.told(done) if "error" in t]
    assert f"{old} cannot be written: No space left on device" in line
    assert "Traceback" not in done.stderr
    assert sorted(f.name for f in folder.iterdir()) == ["filler", old.name]
    assert old.read_text() == "old"


@pytest.mark.slow
def test_a_limit_on_the_size_of_files_is_told_the_same_way(command, tmp_path, scored):
    limit = ["prlimit", "--fsize=20000", sys.executable, "-m", "causaliqa", *map(str, scored)]
    limit += ["--rows", str(tmp_path / "x.csv")]
    done = subprocess.run(limit, env=command.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "x.csv cannot be written: File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("*x.csv*"))


@pytest.mark.parametrize(
    "argv",
    [
        ["leaderboard", "--data", "x", "--metric", "psnr", "--out", "{}/x.csv"],
        ["leaderboard", "--data", "x", "--metric", "psnr", "--rows", "{}/deep/x.csv"],
        ["leaderboard", "--data", "x", "--metric", "psnr", "--figure", "{}/x.png"],
        ["leaderboard", "--data", "x", "--metric", "psnr", "--store", "{}/x.sqlite"],
        ["report", "x", "--out", "{}/x.html"],
        ["cem", "tiny_edsr_x4", "x.png", "--task", "sr", "--roi", "0,0,8,8", "--out", "{}/map"],
        ["lam", "tiny_edsr_x4", "x.png", "--task", "sr", "--roi", "0,0,8,8", "--out", "{}"],
        ["cem-table", "x", "--out", "{}/old"],
        ["cem-table", "x", "--html", "{}/x.html"],
        ["explain", "psnr", "a", "b", "--out", "{}/x"],
        ["demo", "--out", "{}/x"],
        ["new-plugin", "edge", "--out", "{}/x"],
    ],
)
def test_a_read_only_folder_is_found_before_anything_is_read(run, read_only, argv):
    code, out, err = run(*(a.format(read_only) for a in argv))
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert "cannot be written: Read-only file system, expected a folder that can be written to" in line
    assert [f.name for f in read_only.iterdir()] == ["old"]


@pytest.mark.parametrize("out", ["{}", "{}/old/x.csv"])
def test_a_folder_or_a_file_in_the_way_is_found_early(run, tmp_path, out):
    (tmp_path / "old").write_text("")
    code, _, err = run("leaderboard", "--data", "x", "--metric", "psnr", "--out", out.format(tmp_path))
    assert code == 2
    assert "cannot be written: " in err
    assert "expected" in err


def test_a_reader_who_leaves_is_no_error(command):
    done = subprocess.run(
        f"set -o pipefail; {sys.executable} -m causaliqa --no-plugins list metrics | head -1",
        **{"shell": True, "executable": "/bin/bash", "env": command.environment, "text": True},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "name" in done.stdout


@pytest.mark.parametrize("argv", ["--help", "list metrics"])
def test_output_that_finds_no_room_is_one_line(command, argv):
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = command(*argv.split(), stdout=full)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "the output cannot be written: No space left on device" in line


def test_an_error_that_is_ours_keeps_its_traceback(monkeypatch):
    def broken(args):
        raise OSError(errno.EINVAL, "a bug")

    monkeypatch.setattr("causaliqa.cli.list.run", broken)
    with pytest.raises(OSError, match="a bug"):
        main(["list", "metrics"])


def test_a_full_cache_does_not_stop_a_map(small_disk, monkeypatch, tmp_path):
    """Patches of the natural library are cut again where they cannot be kept, and where the kept ones are damaged."""
    images = tmp_path / "images"
    images.mkdir()
    Image.fromarray(photo(96)).save(images / "photo.png")
    full = small_disk(0)
    made = []
    for cache in (full, tmp_path / "cache", tmp_path / "cache"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
        made.append(Library(images).patches(8))
        for kept in (tmp_path / "cache").rglob("*.npy"):
            kept.write_bytes(kept.read_bytes()[:1000])
    assert made[0].equal(made[1])
    assert made[0].equal(made[2])
    assert not list(full.rglob("*.npy"))
    assert len(list((tmp_path / "cache").rglob("*.npy"))) == 1


def test_a_map_on_a_full_disk_leaves_the_earlier_one_whole(small_disk):
    """Neither array nor summary changes: a map never stands beside the summary of another one."""
    folder = small_disk(2 << 20) / "map"
    noise = np.random.default_rng(0).random((64, 64))
    facts = {"count": np.ones((64, 64), int), "sem": noise, "image": np.zeros((64, 64, 3), np.uint8), "base": 30.0}
    made = EffectMap(effect=noise, samples=noise[..., None], roi=ROI(8, 8, 8, 8), patch_size=1, **facts)
    made.save(folder, pictures=False)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert set(before) == {"cem.npz", "summary.json"}
    small_disk(8192)
    with pytest.raises(OutputError, match=r"cem.npz cannot be written: No space left on device"):
        replace(made, effect=noise[::-1]).save(folder, pictures=False)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_a_download_into_a_full_cache_leaves_nothing(small_disk, tmp_path, monkeypatch):
    monkeypatch.delenv("CAUSALIQA_OFFLINE")
    source = tmp_path / "net.pth"
    source.write_bytes(bytes(1 << 20))
    folder = small_disk(100_000)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    with pytest.raises(WeightsError, match="No space left on device"):
        fetch(WeightsEntry(file="net.pth", licence="MIT", url=source.as_uri()))
    # The lock is held by nobody, and has no content.
    assert sorted(file.name for file in folder.rglob("*") if file.is_file()) == ["filler", "net.pth.lock"]
