"""Compiled code works where it cannot be kept on disk."""

import os
import subprocess
import sys

import numpy as np
import pytest

_CALL = """
import numpy as np
from causaliqa.functional import _ranks, compiled
data = _ranks.Sorted(np.arange(5.0), np.arange(5.0), np.arange(5))
print(_ranks.srcc_of_draws(data, np.ones((1, 5), dtype=np.int64))[0][0].round(6))
print(compiled.cache_folder())
"""


def _called(**environment):
    env = {**{k: v for k, v in os.environ.items() if k not in ("XDG_CACHE_HOME", "HOME")}, **environment}
    done = subprocess.run(
        [sys.executable, "-c", _CALL], capture_output=True, text=True, env=env, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    number, *folder = done.stdout.split()
    assert number == "1.0"
    return "".join(folder)


def test_a_folder_that_was_named_is_used_and_damaged_files_in_it_are_no_fault(tmp_path):
    folder = _called(NUMBA_CACHE_DIR=str(tmp_path))
    assert folder.startswith(f"{tmp_path}{os.sep}kernels-")
    kept = [path for path in tmp_path.rglob("*") if path.suffix in (".nbi", ".nbc")]
    assert kept
    for path in kept:
        path.write_bytes(b"damaged")
    assert _called(NUMBA_CACHE_DIR=str(tmp_path)) == folder


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    assert _called(NUMBA_CACHE_DIR=str(tmp_path / "file")) == ""


@pytest.fixture
def names_of_folders(monkeypatch, tmp_path):
    """Return the folder for compiled code, with all sources as they are and with one changed."""
    from causaliqa.functional import compiled

    monkeypatch.setattr(compiled.config, "CACHE_DIR", str(tmp_path))
    compiled.cache_folder.cache_clear()
    yield compiled
    compiled.cache_folder.cache_clear()


def test_another_source_is_another_folder(names_of_folders, monkeypatch):
    from pathlib import Path

    first = names_of_folders.cache_folder()
    real = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: real(self) + b" " * (self.name == "_lanes.py"))
    names_of_folders.cache_folder.cache_clear()
    assert first and names_of_folders.cache_folder() not in ("", first)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), EOFError(), PermissionError(13, "denied")])
def test_a_cache_that_fails_while_it_is_used(error):
    from causaliqa.functional.compiled import compiled

    def double(x):
        return 2 * x

    made = compiled()(double)

    def fail(*_):
        raise error

    made._call = fail
    assert made(np.float64(2)) == 4
