"""Runs that are killed, stopped, out of room or doubled: nothing finished is lost or made again."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import sqlite3
import time

import numpy as np
import pytest
from PIL import Image

from causaliqa.effects.effect_map import EffectMap
from causaliqa.evaluation.store import ScoreStore
from conftest import photo

pytest_plugins = ["processes"]

PAIRS = 24
NET = """
import os, time
from pathlib import Path
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        with Path(os.environ["CALLS"]).open("a") as file:
            file.write("call\\n" * len(x))
        time.sleep(float(os.environ["PAUSE"]))
        return self.layer(x)

def build():
    return Net().eval()
"""

STOPS = [
    (signal.SIGKILL, -signal.SIGKILL, ""),
    (signal.SIGTERM, 143, "stopped by SIGTERM"),
    (signal.SIGINT, 130, "stopped by SIGINT"),
]


@pytest.fixture
def pairs(tmp_path):
    """A manifest of pairs of tiny images, all different."""
    folder = tmp_path / "pairs"
    folder.mkdir()
    rng = np.random.default_rng(0)
    lines = ["ref,dist,dmos"]
    for k in range(PAIRS):
        ref = rng.integers(0, 255, (16, 16, 3))
        Image.fromarray(ref.astype(np.uint8)).save(folder / f"r{k}.png")
        dist = np.clip(ref + rng.normal(0, 2 * k + 1, ref.shape), 0, 255)
        Image.fromarray(dist.astype(np.uint8)).save(folder / f"d{k}.png")
        lines.append(f"r{k}.png,d{k}.png,{k}")
    path = folder / "pairs.csv"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def board(pairs):
    return ["leaderboard", "--data", pairs, "--metric", "slow", "--device", "cpu", "--format", "csv"]


def table(text: str) -> list[dict[str, str]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(text.splitlines())]


_FRESH: list[list[dict[str, str]]] = []


def fresh(command, board) -> list[dict[str, str]]:
    """Return the table of an undisturbed run; it is the same for every test, so it is made once."""
    if not _FRESH:
        _FRESH.append(table(command(*board).stdout))
    return _FRESH[0]


def stored(path) -> dict[str, float]:
    with ScoreStore(path, create=False) as store:
        rows = list(store.rows())
    assert len(rows) == len({row["dist"] for row in rows})
    return {row["dist"]: row["score"] for row in rows}


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code", "words"), STOPS, ids=["kill", "term", "int"])
def test_a_stopped_leaderboard_goes_on(command, board, tmp_path, number, code, words):
    store = tmp_path / "s.sqlite"
    process = command.start(*board, "--store", store, pause=0.1)
    command.until(process, 8)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, "")
    kept = len(stored(store))
    assert kept >= 7
    assert command.calls - kept in (0, 1)  # the pair that it was at
    if words:
        told = [line for line in err.splitlines() if words in line]
        assert len(told) == 1, err
        assert f"{kept} scores are kept in {store}; run the same command again to go on" in told[0]
        assert "Traceback" not in err
    before = command.calls
    again = command(*board, "--store", store)
    assert again.returncode == 0, again.stderr
    assert command.calls - before == PAIRS - kept
    assert table(again.stdout) == fresh(command, board)


@pytest.mark.slow
def test_a_run_without_a_store_says_that_nothing_is_kept(command, board):
    process = command.start(*board, pause=0.1)
    command.until(process, 2)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "nothing is kept; with --store FILE every score is kept as it comes" in err


@pytest.mark.slow
def test_a_full_disk_stops_the_store_and_room_lets_it_go_on(command, board, small_disk):
    folder = small_disk(140_000)
    store = folder / "s.sqlite"
    first = command(*board, "--store", store)
    assert first.returncode == 1, first.stderr
    assert first.stdout == ""
    assert "cannot be written: database or disk is full; make room. " in first.stderr
    assert "Traceback" not in first.stderr
    small_disk(2 << 20)
    kept, before = len(stored(store)), command.calls
    assert f"{kept} scores are kept" in first.stderr
    assert 0 < kept < PAIRS
    again = command(*board, "--store", store)
    assert again.returncode == 0, again.stderr
    assert command.calls - before == PAIRS - kept
    assert table(again.stdout) == fresh(command, board)


@pytest.mark.slow
def test_two_runs_on_one_store_at_once(command, board, tmp_path):
    store = tmp_path / "s.sqlite"
    both = [command.start(*board, "--store", store, pause=0.05) for _ in range(2)]
    ends = [(*process.communicate(timeout=120), process.returncode) for process in both]
    assert [end[2] for end in ends] == [0, 0], ends
    alone = command(*board, "--store", tmp_path / "t.sqlite").stdout
    assert table(ends[0][0]) == table(ends[1][0]) == table(alone)
    assert stored(store) == stored(tmp_path / "t.sqlite")


@pytest.mark.slow
def test_a_damaged_store_is_refused_and_recovered(command, board, tmp_path):
    store, new = tmp_path / "s.sqlite", tmp_path / "new.sqlite"
    alone = command(*board, "--store", store).stdout
    content = bytearray(store.read_bytes())
    place = content.index(b"d5.png", 4096 * 2)
    content[place : place + 2] = b"xx"
    store.write_bytes(content)
    done = command(*board, "--store", store)
    assert done.returncode == 2
    assert f"`causaliqa store recover {store} --out NEW` takes its sound rows over" in done.stderr
    assert store.read_bytes() == content
    assert command("store", "recover", store, "--out", new).returncode == 0
    before = command.calls
    assert table(command(*board, "--store", new).stdout) == table(alone)
    assert command.calls - before <= 1


@pytest.fixture
def cem(tmp_path):
    (tmp_path / "net.py").write_text(NET)
    Image.fromarray(photo(48)).save(tmp_path / "photo.png")
    line = ["cem", f"{tmp_path / 'net.py'}:build", tmp_path / "photo.png", "--task", "denoise", "--roi", "16,16,16,16"]
    line += ["--sampler", "noise", "--strategy", "plain", "--interventions", "4", "--device", "cpu", "--no-prune"]
    return line


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code", "words"), STOPS[:2], ids=["kill", "term"])
def test_a_stopped_map_goes_on(command, cem, tmp_path, number, code, words):
    whole = command(*cem, "--out", tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    calls = command.calls
    process = command.start(*cem, "--out", tmp_path / "map", pause=0.02)
    command.until(process, calls + 50)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    journal = tmp_path / "map" / "cem.journal"
    kept = journal.read_bytes().count(b"\n") - 1
    assert kept > 5
    assert words in err
    if words:
        assert f"{kept} finished patches are kept in {journal}; run the same command again to go on" in err
    assert not list((tmp_path / "map").glob("*.npz"))
    before = command.calls
    again = command(*cem, "--out", tmp_path / "map")
    assert again.returncode == 0, again.stderr
    assert command.calls - before == calls - 4 * kept
    made, expected = EffectMap.load(tmp_path / "map"), EffectMap.load(tmp_path / "whole")
    np.testing.assert_array_equal(made.samples, expected.samples)
    assert made.summary()["max"] == expected.summary()["max"]


@pytest.mark.slow
def test_a_map_on_a_full_disk_keeps_its_patches(command, cem, small_disk, tmp_path):
    assert command(*cem, "--out", tmp_path / "whole").returncode == 0
    calls = command.calls
    folder = small_disk(4096)
    first = command(*cem, "--out", folder / "map")
    assert first.returncode == 1, first.stderr
    assert "cem.journal cannot be written: No space left on device" in first.stderr
    assert "finished patches are kept in" in first.stderr
    kept = (folder / "map" / "cem.journal").read_bytes().count(b"\n") - 1
    assert kept > 1
    small_disk(2 << 20)
    before = command.calls
    again = command(*cem, "--out", folder / "map")
    assert again.returncode == 0, again.stderr
    assert command.calls - before == calls - 4 * kept
    np.testing.assert_array_equal(EffectMap.load(folder / "map").samples, EffectMap.load(tmp_path / "whole").samples)


def test_results_do_not_follow_the_clock(run, pairs, tmp_path, monkeypatch):
    """A clock that goes backwards changes the seconds, and nothing else."""
    board = ["leaderboard", "--data", pairs, "--metric", "psnr", "--device", "cpu", "--format", "json", "--store"]
    code, out, _ = run(*board, tmp_path / "a.sqlite")
    assert code == 0
    hours = iter(range(10**9, 0, -3600))
    for clock in ("time", "monotonic", "perf_counter"):
        monkeypatch.setattr(time, clock, lambda: float(next(hours)))
    code, back, _ = run(*board, tmp_path / "b.sqlite")
    assert code == 0
    rows = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in json.loads(text)["rows"]] for text in (out, back)
    ]
    assert rows[0] == rows[1]
    assert stored(tmp_path / "a.sqlite") == stored(tmp_path / "b.sqlite")


def test_a_store_in_a_read_only_folder_can_be_read(read_only, pairs, run, tmp_path):
    store = tmp_path / "s.sqlite"
    board = ["leaderboard", "--data", pairs, "--metric", "psnr", "--device", "cpu", "--format", "csv"]
    _, out, _ = run(*board, "--store", store)
    with sqlite3.connect(store) as db:
        assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    db.close()
    import subprocess

    subprocess.run(["mount", "-o", "remount,rw,bind", str(read_only)], check=True)
    shutil.copy(store, read_only / "s.sqlite")
    subprocess.run(["mount", "-o", "remount,ro,bind", str(read_only)], check=True)
    assert run("store", "check", read_only / "s.sqlite")[0] == 0
    code, merged, err = run(*board, "--store", tmp_path / "t.sqlite", "--merge", read_only / "s.sqlite")
    assert code == 0
    assert f"{PAIRS} scores taken over" in err
    assert table(merged) == table(out)
