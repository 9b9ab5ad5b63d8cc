"""A file system without locks: what needs them says so at once, what does not works on."""

import errno
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from causaliqa.api.data import ScoreKey, ScoreRow
from causaliqa.evaluation.store import ScoreStore

CODES = [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP]


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A library that makes every lock fail in processes that preload it."""
    if shutil.which("gcc") is None or sys.platform != "linux":
        pytest.skip("needs gcc and Linux")
    made = tmp_path_factory.mktemp("nolock") / "nolock.so"
    source = Path(__file__).with_name("nolock.c")
    done = subprocess.run(["gcc", "-shared", "-fPIC", "-o", made, source, "-ldl"], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("gcc cannot build the library")
    return made


@pytest.fixture
def without_locks(library, tmp_path):
    def call(code, *line):
        environment = {**os.environ, "LD_PRELOAD": str(library), "NOLOCK": str(code)}
        start = time.monotonic()
        options = {"capture_output": True, "text": True, "timeout": 240}
        line = [sys.executable, *map(str, line)]
        done = subprocess.run(line, env=environment, cwd=tmp_path, check=False, **options)
        done.seconds = time.monotonic() - start
        return done

    return call


@pytest.mark.parametrize("code", CODES)
def test_a_store_is_refused_before_anything_is_scored(code, without_locks, manifest, tmp_path):
    done = without_locks(
        code, "-m", "causaliqa", "leaderboard", "--data", manifest, "--metric", "psnr", "--store", "s.sqlite"
    )
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (2, "")
    assert "s.sqlite: its file system has no locks, which SQLite needs" in line
    assert "a local folder, one store a shard, and join them with --merge" in line
    assert not (tmp_path / "s.sqlite").exists()


_READ = """
import sys
from causaliqa.evaluation.store import ScoreStore
with ScoreStore(sys.argv[1], create=False) as store:
    print(len(store), next(iter(store.rows()))["score"])
"""
_KEEP = """
import sys
import numpy as np
from causaliqa.effects.journal import Journal
with Journal(sys.argv[1], {"seed": 0}) as journal:
    journal.add("fine", 3, np.array([0.5]))
with Journal(sys.argv[1], {"seed": 0}) as journal:
    print(journal.seen)
"""
_DOWNLOAD = """
import sys
from pathlib import Path
from causaliqa.api.specs import WeightsEntry
from causaliqa.io.weights import fetch
print(Path(fetch(WeightsEntry(file="w.pth", url=Path(sys.argv[1]).as_uri(), licence="MIT"))).read_text())
"""


@pytest.mark.parametrize("code", CODES)
def test_a_copied_store_can_be_read(code, without_locks, tmp_path):
    facts = {"metric": "psnr", "version": "1", "protocol": "1", "ref_hash": "r", "img_hash": "i", "dataset": "d"}
    row = ScoreRow(dataset="d", metric="psnr", ref="r.png", dist="i.png", label=1.0, score=30.5)
    with ScoreStore(tmp_path / "shard.sqlite") as store:
        store.put(ScoreKey(**facts), row)
    done = without_locks(code, "-c", _READ, tmp_path / "shard.sqlite")
    assert done.stdout.split() == ["1", "30.5"], done.stderr
    assert done.seconds < 50


@pytest.mark.parametrize("code", CODES)
def test_a_journal_works_without_its_lock(code, without_locks, tmp_path):
    done = without_locks(code, "-c", _KEEP, tmp_path / "cem.journal")
    assert "('fine', 3): array([0.5])" in done.stdout, done.stderr


@pytest.mark.parametrize("code", CODES)
def test_a_download_does_not_wait_for_a_lock_that_never_comes(code, without_locks, tmp_path, monkeypatch):
    monkeypatch.delenv("CAUSALIQA_OFFLINE")
    (tmp_path / "there.pth").write_text("weights")
    done = without_locks(code, "-c", _DOWNLOAD, tmp_path / "there.pth")
    assert done.stdout.split() == ["weights"], done.stderr


def test_errors_of_sqlite_are_explained_by_the_file_system(tmp_path, monkeypatch):
    import sqlite3

    from causaliqa.api.errors import InputError
    from causaliqa.evaluation import store_file as module

    with ScoreStore(tmp_path / "s.sqlite") as store:
        monkeypatch.setattr(module, "has_locks", lambda folder: False)
        for text in ("disk I/O error", "database is locked", "locking protocol"):
            with pytest.raises(InputError, match="no locks"), store._errors():
                raise sqlite3.OperationalError(text)
