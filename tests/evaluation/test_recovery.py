"""Damaged stores: noticed wherever the damage is, left as they are, and every sound row comes out."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from test_store import key, row

from causaliqa.api.errors import CausaliqaError, InputError
from causaliqa.evaluation.recovery import recover
from causaliqa.evaluation.store import ScoreStore
from causaliqa.evaluation.store_tables import with_checksum

COUNT = 240


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A store of many pages: failures, long options that lie on several pages, integers among the reals."""
    path = tmp_path_factory.mktemp("whole") / "scores.sqlite"
    with ScoreStore(path) as store:
        for number in range(COUNT):
            told = {"options": '{"note":"' + "ä" * 3000 + '"}'} if number % 40 == 0 else {}
            score, error = (
                (None, "too small") if number % 50 == 7 else (number / 7 if number % 3 else float(number), "")
            )
            store.put(key(number, **told), row(number, score, error, label_std=None if number % 2 else 0.5))
    return path


@pytest.fixture
def store(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(whole, tmp_path / "scores.sqlite"))


def contents(path: Path) -> tuple[list, list]:
    with ScoreStore(path, create=False) as store:
        return sorted(store.lines("scores"), key=str), sorted(store.lines("pairs"), key=str)


def joined(path: Path) -> list[dict]:
    with ScoreStore(path, create=False) as store:
        return list(store.rows())


def test_everything_comes_out_of_a_sound_store(store: Path, tmp_path: Path) -> None:
    made = recover(store, tmp_path / "new")
    assert (made.scores, made.pairs, made.damaged) == (COUNT, COUNT, 0)
    assert contents(tmp_path / "new") == contents(store)


def test_pages_alone_hold_everything(store: Path, tmp_path: Path) -> None:
    """Without its head and its list of tables SQLite reads nothing; the pages still do."""
    content = bytearray(store.read_bytes())
    expected = contents(store)
    content[:4096] = os.urandom(4096)
    store.write_bytes(content)
    with pytest.raises(InputError):
        ScoreStore(store)
    made = recover(store, tmp_path / "new")
    assert (made.scores, made.pairs) == (COUNT, COUNT)
    assert contents(tmp_path / "new") == expected


@pytest.mark.parametrize("seed", range(60))
def test_a_changed_byte_is_noticed_or_harmless_and_costs_at_most_a_page(store: Path, tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, pairs = contents(store)
    rows = joined(store)
    content = bytearray(store.read_bytes())
    content[place := int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
    store.write_bytes(content)
    try:
        assert contents(store) == (scores, pairs), f"byte {place} changed a row, and nobody noticed"
        assert joined(store) == rows, f"byte {place} changed what belongs together, and nobody noticed"
    except InputError as error:
        assert str(store) in str(error)
        assert store.read_bytes() == content
    made = recover(store, tmp_path / "new")
    found = contents(tmp_path / "new")
    for kept, were in zip(found, (scores, pairs), strict=True):
        assert set(kept) <= set(were)
        assert len(kept) >= COUNT - 60
    assert made.scores == len(found[0])


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_store_that_was_cut_off_gives_what_is_left(store: Path, tmp_path: Path, share: float) -> None:
    scores, pairs = contents(store)
    content = store.read_bytes()[: int(store.stat().st_size * share)]
    store.write_bytes(content)
    with pytest.raises(InputError, match=r"damaged .* `causaliqa store recover .* takes its sound rows over"):
        ScoreStore(store)
    assert store.read_bytes() == content
    recover(store, tmp_path / "new")
    kept = contents(tmp_path / "new")
    assert set(kept[0]) <= set(scores)
    assert set(kept[1]) <= set(pairs)
    assert len(kept[0]) + len(kept[1]) >= 2 * COUNT * (share - 0.1) * 0.8


def test_a_damaged_list_of_tables_that_is_no_text_is_told(store: Path, tmp_path: Path) -> None:
    """SQLite quotes it in its own message, which Python then cannot decode."""
    expected = contents(store)
    store.write_bytes(store.read_bytes().replace(b"CREATE TABLE scores", b"CREATE TABL\xf0 scores", 1))
    with pytest.raises(InputError, match="damaged"):
        ScoreStore(store)
    recover(store, tmp_path / "new")
    assert contents(tmp_path / "new") == expected


def test_rows_that_only_the_log_holds_come_out(tmp_path: Path) -> None:
    path, copy = tmp_path / "scores.sqlite", tmp_path / "copy.sqlite"
    with ScoreStore(path) as store:
        for number in range(50):
            store.put(key(number), row(number, float(number)))
        for end in ("", "-wal"):  # as a killed process leaves them
            shutil.copy(f"{path}{end}", f"{copy}{end}")
        expected = sorted(store.lines("scores"), key=str)
    copy.write_bytes(os.urandom(copy.stat().st_size))
    log = Path(f"{copy}-wal").read_bytes()
    assert recover(copy, tmp_path / "new").scores == 50
    assert contents(tmp_path / "new")[0] == expected
    assert Path(f"{copy}-wal").read_bytes() == log


def test_the_latest_label_wins_over_what_old_pages_say(tmp_path: Path) -> None:
    path = tmp_path / "scores.sqlite"
    with ScoreStore(path) as store:
        for label in range(5):
            for number in range(60):
                store.put(key(number), row(number, float(number), label=float(label)))
    recover(path, tmp_path / "new")
    with ScoreStore(tmp_path / "new", create=False) as store:
        assert {line["label"] for line in store.rows()} == {4.0}


def test_a_store_of_the_older_layout_is_taken_over(store: Path, tmp_path: Path) -> None:
    scores, pairs = contents(store)
    db = sqlite3.connect(store)
    for table in ("scores", "pairs"):
        db.execute(f"ALTER TABLE {table} DROP COLUMN sum")
    db.execute("PRAGMA user_version = 2")
    db.commit()
    db.close()
    with pytest.raises(InputError, match="store recover"):
        ScoreStore(store)
    recover(store, tmp_path / "new")
    assert contents(tmp_path / "new") == (scores, pairs)


def test_bad_usage(store: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        recover(tmp_path / "none", tmp_path / "new")
    with pytest.raises(InputError, match="there already"):
        recover(store, store)
    (tmp_path / "noise").write_bytes(os.urandom(20_000))
    with pytest.raises(CausaliqaError, match="not one sound row"):
        recover(tmp_path / "noise", tmp_path / "new")
    assert sorted(f.name for f in tmp_path.iterdir()) == ["noise", "scores.sqlite"]


@pytest.mark.parametrize("value", [-0.0, 0.0, 1e300, 5.0, 1 / 3, -7.25, 2.0**70])
def test_sums_are_those_of_what_comes_back(tmp_path: Path, value: float) -> None:
    with ScoreStore(tmp_path / "s") as store:
        store.put(key(), row(score=value, label=value, label_low=float("nan"), label_high=-value))
    for table, line in zip(("scores", "pairs"), contents(tmp_path / "s"), strict=True):
        assert with_checksum(table, line[0][:-1]) == line[0]


def test_commands(run, store: Path, tmp_path: Path) -> None:
    assert run("store", "check", store)[1].endswith(f"sound, {COUNT} scores and failures, {COUNT} pairs\n")
    store.write_bytes(store.read_bytes().replace(b"dist/100.png", b"dist/1o0.png"))
    code, out, err = run("store", "check", store)
    assert (code, out) == (2, "")
    assert "damaged" in err
    code, out, _ = run("store", "recover", store, "--out", tmp_path / "new")
    assert code == 0
    assert f"{COUNT} scores and failures and {COUNT - 1} pairs" in out
    assert "1 damaged rows are left behind" in out
    assert run("store", "recover", store)[0] == 2
    code, _, err = run("leaderboard", "--data", "x.csv", "--metric", "psnr", "--store", tmp_path)
    assert code == 2
