"""The score store: nothing lost, nothing twice, nothing stale, and clear errors for files that are no store."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from causaliqa.api.data import ScoreKey, ScoreRow, canonical_options
from causaliqa.api.errors import InputError
from causaliqa.evaluation.store import ScoreStore
from causaliqa.evaluation.store_tables import LAYOUT


def key(number: int = 0, **changes) -> ScoreKey:
    facts = {"metric": "psnr", "version": "1", "dataset": "d", "protocol": "1", "seed": 0}
    return ScoreKey(**{**facts, "img_hash": f"i{number}", "ref_hash": f"r{number // 4}", **changes})


def row(number: int = 0, score: float | None = 1.5, error: str = "", **changes) -> ScoreRow:
    facts = {"dataset": "d", "metric": "psnr", "label": float(number), "type": "blur", "level": "2", "split": "train"}
    names = {"ref": f"ref/{number // 4}.png", "dist": f"dist/{number}.png", "seconds": 0.25}
    return ScoreRow(**{**facts, **names, "score": score, "error": error, **changes})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "scores.sqlite"


def test_a_row_comes_back_exactly(path: Path) -> None:
    score = 0.1 + 0.2
    with ScoreStore(path) as store:
        store.put(key(3), row(3, score))
    with ScoreStore(path, create=False) as store:
        found = store.get([key(3), key(4)])
        (line,) = store.rows()
    assert list(found) == [key(3)]
    assert (found[key(3)].score, found[key(3)].error, found[key(3)].seconds) == (score, "", 0.25)
    facts = {**vars(row(3, score)), **{k: v for k, v in vars(key(3)).items() if k != "metric"}, "metric_name": "psnr"}
    assert line == facts


SCORES = """metric TEXT, version TEXT, options TEXT, weights TEXT, dataset TEXT, img_hash TEXT, ref_hash TEXT,
seed INTEGER, protocol TEXT, name TEXT, lower_better INTEGER, score REAL NULL, error TEXT, seconds REAL, sum INTEGER"""
PAIRS = """dataset TEXT, ref TEXT, dist TEXT, type TEXT, level TEXT, split TEXT, label REAL, label_lower_better INTEGER,
label_std REAL NULL, label_low REAL NULL, label_high REAL NULL, img_hash TEXT, ref_hash TEXT, sum INTEGER"""


@pytest.mark.parametrize(("table", "expected"), [("scores", SCORES), ("pairs", PAIRS)])
def test_layout_3_does_not_change(path: Path, table: str, expected: str) -> None:
    """The columns derive from the dataclasses; stores in the field have these."""
    assert LAYOUT == 3
    ScoreStore(path).close()
    with closing(sqlite3.connect(path)) as db:
        found = [(name, kind, bool(full)) for _, name, kind, full, *_ in db.execute(f"PRAGMA table_info({table})")]
    declared = [item.split() for item in expected.replace("\n", " ").split(", ")]
    assert found == [(name, kind, not nullable) for name, kind, *nullable in declared]


@pytest.mark.parametrize(
    "change",
    [
        {"metric": "ssim"},
        {"version": "2"},
        {"options": canonical_options({"window": 8})},
        {"weights": "abc"},
        {"dataset": "e"},
        {"img_hash": "x"},
        {"ref_hash": "x"},
        {"seed": 1},
        {"protocol": "2"},
    ],
)
def test_any_difference_in_the_key_is_another_score(path: Path, change: dict) -> None:
    with ScoreStore(path) as store:
        store.put(key(), row(score=1.0))
        assert store.get([replace(key(), **change)]) == {}
        store.put(replace(key(), **change), row(score=2.0, dataset=change.get("dataset", "d")))
        assert store.get([key()])[key()].score == 1.0
        assert len(store) == 2


def test_a_score_is_never_written_twice(path: Path) -> None:
    with ScoreStore(path) as store:
        store.put(key(), row(score=1.0))
        store.put(key(), row(score=2.0))
        store.put(key(), row(score=None, error="late failure"))
        assert store.get([key()])[key()].score == 1.0
        assert len(store) == 1


def test_failures_are_rows_and_are_tried_again_unless_told_otherwise(path: Path) -> None:
    with ScoreStore(path) as store:
        store.put(key(), row(score=None, error="too small"))
        assert store.get([key()]) == {}
        stored = store.get([key()], failed=True)[key()]
        assert (stored.score, stored.error) == (None, "too small")
        assert next(store.rows())["error"] == "too small"
        store.put(key(), row(score=None, error="too small still"))
        assert store.get([key()], failed=True)[key()].error == "too small still"
        store.put(key(), row(score=3.0))
        assert store.get([key()])[key()].score == 3.0
        assert len(store) == 1


def test_labels_follow_the_data_set_and_changed_images_leave(path: Path) -> None:
    with ScoreStore(path) as store:
        store.put(key(), row(label=1.0))
        store.put(key(), row(label=2.0))
        assert [line["label"] for line in store.rows()] == [2.0]
        store.put(key(img_hash="new"), row(score=7.0))
        assert [line["score"] for line in store.rows()] == [7.0]
        assert store.get([key()])[key()].score == 1.5


def test_identical_images_share_a_score_and_keep_their_rows(path: Path) -> None:
    with ScoreStore(path) as store:
        store.put(key(), row(label=1.0, dist="a.png"))
        store.put(key(), row(label=2.0, dist="b.png"))
        assert len(store) == 1
        assert [(line["dist"], line["label"]) for line in store.rows()] == [("a.png", 1.0), ("b.png", 2.0)]


def test_order_of_rows_does_not_depend_on_order_of_writing(tmp_path: Path) -> None:
    rows = []
    for name, order in (("a", range(12)), ("b", reversed(range(12)))):
        with ScoreStore(tmp_path / name) as store:
            for number in order:
                for metric in ("ssim", "psnr"):
                    store.put(key(number, metric=metric), row(number, float(number), metric=metric))
            rows.append(list(store.rows()))
    assert rows[0] == rows[1]
    order = [(line["metric"], line["ref"], line["dist"]) for line in rows[0]]
    assert order == sorted(order)
    assert len(order) == 24


def test_shards_merge_into_what_one_process_writes(tmp_path: Path) -> None:
    with ScoreStore(tmp_path / "whole") as whole:
        for number in range(12):
            whole.put(key(number), row(number, float(number)))
        expected = list(whole.rows())
    for shard in range(3):
        with ScoreStore(tmp_path / f"shard{shard}") as store:
            for number in range(shard, 12, 3):
                store.put(key(number), row(number, float(number)))
    for order in ((0, 1, 2), (2, 0, 1)):
        with ScoreStore(tmp_path / f"merged{order}") as merged:
            assert [merged.merge(tmp_path / f"shard{shard}") for shard in order] == [4, 4, 4]
            assert merged.merge(tmp_path / "shard0") == 0
            assert list(merged.rows()) == expected


def test_merging_prefers_scores_to_failures(tmp_path: Path) -> None:
    with ScoreStore(tmp_path / "failed") as store:
        store.put(key(), row(score=None, error="out of memory"))
    with ScoreStore(tmp_path / "done") as store:
        store.put(key(), row(score=4.0))
        store.merge(tmp_path / "failed")
        assert store.get([key()])[key()].score == 4.0
    with ScoreStore(tmp_path / "failed") as store:
        store.merge(tmp_path / "done")
        assert store.get([key()])[key()].score == 4.0


_WRITER = """
    import sys
    from pathlib import Path
    from causaliqa.api.data import ScoreKey, ScoreRow
    from causaliqa.evaluation.store import ScoreStore

    with ScoreStore(Path(sys.argv[1])) as store:
        for number in range(100_000):
            key = ScoreKey(metric="m", version="1", dataset="d", img_hash=str(number), ref_hash="r", protocol="1")
            if store.get([key]):
                continue
            store.put(key, ScoreRow(dataset="d", metric="m", ref="r", dist=str(number), label=0.0, score=number / 7))
            print(number, flush=True)
"""


def test_a_killed_process_loses_nothing_finished(path: Path) -> None:
    printed: list[int] = []
    for stop in (5, 40, 41):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(_WRITER), str(path)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        assert process.stdout is not None
        while not printed or printed[-1] < stop:
            printed.append(int(process.stdout.readline()))
        process.send_signal(signal.SIGKILL)
        printed += [int(line) for line in process.stdout.read().split()]
        process.wait()
    assert printed == sorted(set(printed))  # nothing finished was computed again
    with ScoreStore(path) as store:
        stored = {int(line["dist"]): line["score"] for line in store.rows()}
    assert set(printed) <= set(stored)
    assert len(stored) <= len(printed) + 3  # a row may be committed just before it could be printed
    assert all(score == number / 7 for number, score in stored.items())


def test_two_processes_may_open_a_new_store_at_once(path: Path) -> None:
    with ScoreStore(path) as one, ScoreStore(path) as two:
        one.put(key(0), row(0))
        two.put(key(1), row(1))
        assert len(one) == len(two) == 2


_RACER = """
    import sys, time
    from pathlib import Path
    from causaliqa.api.data import ScoreKey, ScoreRow
    from causaliqa.evaluation.store import ScoreStore

    while time.time() < float(sys.argv[2]):
        pass
    with ScoreStore(Path(sys.argv[1])) as store:
        for number in range(30):
            key = ScoreKey(metric="m", version="1", dataset="d", img_hash=str(number), ref_hash="r", protocol="1")
            if not store.get([key]):
                row = ScoreRow(dataset="d", metric="m", ref="r", dist=str(number), label=0.0, score=number / 7)
                store.put(key, row)
"""


@pytest.mark.slow
def test_many_processes_that_make_one_store_at_the_same_moment(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    for attempt in range(8):
        path = tmp_path / str(attempt)
        line = [sys.executable, "-c", textwrap.dedent(_RACER), str(path), str(time.time() + 1)]
        racers = [subprocess.Popen(line, stderr=subprocess.PIPE, text=True, env=environment) for _ in range(6)]
        for racer in racers:
            _, error = racer.communicate(timeout=120)
            assert racer.returncode == 0, error
        with ScoreStore(path, create=False) as store:
            assert {row["dist"]: row["score"] for row in store.rows()} == {str(n): n / 7 for n in range(30)}
            assert len(store) == 30


@pytest.mark.parametrize("content", [b"ref,dist,mos\n" * 200, b"\x89PNG" + bytes(5000), b"x"])
def test_a_foreign_file_is_refused_and_kept(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(InputError, match="file of another kind"):
        ScoreStore(path)
    assert path.read_bytes() == content


def test_another_programs_database_is_refused(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE scores (a)")
    db.close()
    with pytest.raises(InputError, match="of another program"):
        ScoreStore(path)


@pytest.mark.parametrize(("layout", "words"), [(2, "store recover"), (99, "use the newer causaliqa")])
def test_another_layout_is_refused_and_kept(path: Path, layout: int, words: str) -> None:
    ScoreStore(path).close()
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {layout}")
    db.close()
    content = path.read_bytes()
    with pytest.raises(InputError, match=f"got layout {layout} .*expected 3; .*{words}|got layout {layout},.*{words}"):
        ScoreStore(path)
    assert path.read_bytes() == content


def test_bad_usage(path: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a folder"):
        ScoreStore(tmp_path)
    with pytest.raises(InputError, match="below none"):
        ScoreStore(tmp_path / "nowhere" / "scores.sqlite")
    with pytest.raises(InputError, match="no such file"):
        ScoreStore(path, create=False)
    with ScoreStore(path) as store:
        with pytest.raises(InputError, match="no such file"):
            store.merge(tmp_path / "other")
        with pytest.raises(InputError, match="expected one of them"):
            store.put(key(), row(score=None))
        with pytest.raises(InputError, match="expected one of them"):
            store.put(key(), row(score=1.0, error="but"))
        with pytest.raises(InputError, match="under the key of 'd'"):
            store.put(key(), row(dataset="e"))
        assert len(store) == 0


def test_options_are_canonical() -> None:
    assert canonical_options({"b": 1, "a": [1, 2]}) == canonical_options({"a": [1, 2], "b": 1}) == '{"a":[1,2],"b":1}'


def test_rows_hold_what_statistics_need(path: Path) -> None:
    facts = {"label_lower_better": True, "label_std": 0.3, "label_low": 0.0, "label_high": 9.0, "lower_better": True}
    with ScoreStore(path) as store:
        store.put(key(), row(**facts))
        (line,) = store.rows()
    assert {name: line[name] for name in facts} == facts
    assert line["lower_better"] is True


def test_rows_of_other_metrics_versions_options_and_seeds_do_not_mix(path: Path) -> None:
    changes = [
        {"metric": "ssim"},
        {"version": "2"},
        {"options": '{"a":1}'},
        {"weights": "abc"},
        {"seed": 1},
        {"protocol": "2"},
    ]
    with ScoreStore(path) as store:
        for number in (0, 5):
            store.put(key(number), row(number, score=1.0))
            for k, change in enumerate(changes):
                store.put(key(number, **change), row(number, score=2.0 + k))
        assert len(list(store.rows())) == 14
        assert [line["score"] for line in store.rows(like=key())] == [1.0, 1.0]
        for k, change in enumerate(changes):
            assert {line["score"] for line in store.rows(like=key(**change))} == {2.0 + k}
