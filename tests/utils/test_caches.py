"""Folders for what can be made again, for users with and without a home."""

import os
import pwd
import tempfile
from pathlib import Path

import pytest

from causaliqa.utils import caches


@pytest.fixture
def places(monkeypatch, tmp_path):
    """A home that is none, and a temporary folder."""
    (tmp_path / "file").touch()
    (tmp_path / "tmp").mkdir()
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "file" / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return tmp_path


def test_the_usual_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert caches.cache_root() == caches.writable_root() == tmp_path / "cache" / "causaliqa"


def test_the_temporary_folder_instead(places):
    assert caches.writable_root() == caches.temporary_root() == places / "tmp" / f"causaliqa-{os.getuid()}"
    assert caches.cache_roots() == [caches.cache_root(), caches.temporary_root()]


def test_a_temporary_folder_that_others_can_write_to_is_not_trusted(places):
    caches.temporary_root().mkdir(mode=0o777)
    caches.temporary_root().chmod(0o777)
    assert caches.writable_root() is None
    assert caches.temporary_root() not in caches.cache_roots()


def test_a_link_of_somebody_is_not_trusted(places, monkeypatch):
    (places / "elsewhere").mkdir()
    caches.temporary_root().symlink_to(places / "elsewhere")
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert caches.writable_root() is None


def test_no_entry_in_the_list_of_users(places, monkeypatch):
    monkeypatch.delenv("HOME")

    def unknown(_):
        raise KeyError("uid not found")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert caches.cache_root() == caches.temporary_root() == caches.writable_root()


def test_no_folder_at_all(places, monkeypatch):
    from causaliqa.api.errors import WeightsError
    from causaliqa.api.specs import WeightsEntry
    from causaliqa.io import weights

    monkeypatch.setattr(tempfile, "tempdir", str(places / "file"))
    monkeypatch.delenv("CAUSALIQA_OFFLINE")
    assert caches.writable_root() is None
    entry = WeightsEntry(file="w.pth", url="http://127.0.0.1:9/w.pth", licence="MIT")
    assert weights.find(entry) is None
    with pytest.raises(WeightsError, match="cannot be written to; set XDG_CACHE_HOME"):
        weights.fetch(entry)


def test_matplotlib_is_given_a_folder_where_its_own_cannot_be_written(places, monkeypatch):
    monkeypatch.delenv("MPLCONFIGDIR", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).startswith("/") or "tmp/causaliqa" in str(path))
    monkeypatch.setenv("MPLCONFIGDIR", "")
    monkeypatch.delenv("MPLCONFIGDIR")
    caches.give_matplotlib_a_folder()
    assert Path(os.environ["MPLCONFIGDIR"]) == caches.temporary_root() / "matplotlib"
