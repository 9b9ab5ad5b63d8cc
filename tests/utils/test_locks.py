"""File systems without locks are recognised, whatever they answer."""

import errno
import fcntl
import os

import pytest

from causaliqa.utils.locks import has_locks


@pytest.mark.parametrize("kind", ["fcntl", "flock"])
def test_an_ordinary_folder_has_locks(kind, tmp_path):
    assert has_locks(tmp_path, kind)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["fcntl", "flock"])
@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_folder_without(kind, code, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "lockf" if kind == "fcntl" else "flock", refuse)
    assert not has_locks(tmp_path, kind)


def test_where_it_cannot_be_tried(tmp_path):
    assert has_locks(tmp_path / "missing")
