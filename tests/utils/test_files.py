"""Files are written whole or not at all."""

from __future__ import annotations

import os

import pytest

from causaliqa.api.errors import InputError, OutputError
from causaliqa.utils.files import atomic, check_file, check_folder, package_file


@pytest.mark.parametrize("stop", [ValueError, KeyboardInterrupt, SystemExit])
def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path, stop):
    file = tmp_path / "table.csv"
    file.write_text("old")
    with pytest.raises(stop), atomic(file) as part:
        part.write_text("half")
        raise stop
    assert [(f.name, f.read_text()) for f in tmp_path.iterdir()] == [("table.csv", "old")]


def test_the_old_file_is_there_until_the_new_one_is_whole(tmp_path):
    file = tmp_path / "deep" / "table.csv"
    with atomic(file) as part:
        part.write_text("new")
        assert not file.exists()
        assert part.suffix == ".csv"
    with atomic(file) as part:
        part.write_text("newer")
        assert file.read_text() == "new"
    assert file.read_text() == "newer"


def test_permissions_and_links_stay(tmp_path):
    file, link = tmp_path / "table.csv", tmp_path / "link.csv"
    file.write_text("old")
    file.chmod(0o640)
    link.symlink_to(file)
    with atomic(link) as part:
        part.write_text("new")
    assert link.is_symlink()
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("new", 0o640)
    before = os.umask(0o027)
    try:
        with atomic(tmp_path / "other.csv") as part:
            part.write_text("new")
    finally:
        os.umask(before)
    assert (tmp_path / "other.csv").stat().st_mode & 0o777 == 0o640


def test_devices_are_written_directly():
    assert check_file(os.devnull).exists()
    with atomic(os.devnull) as part:
        part.write_text("gone")


def test_errors_name_the_file_and_the_reason(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(OutputError, match=r"table.csv cannot be written: .* is a file"),
        atomic(tmp_path / "file" / "table.csv"),
    ):
        pass
    with pytest.raises(OutputError, match="it is a folder"), atomic(tmp_path):
        pass


@pytest.mark.parametrize(
    ("check", "path", "words"),
    [
        (check_file, "", "got a folder"),
        (check_file, "file/x.csv", "is a file, expected a folder"),
        (check_folder, "file", "is a file, expected a folder"),
        (check_folder, "file/deep", "is a file, expected a folder"),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_work(tmp_path, check, path, words):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=words):
        check(str(tmp_path / path))


@pytest.mark.parametrize(("check", "path"), [(check_file, "a/b/x.csv"), (check_folder, "a/b"), (check_file, "x")])
def test_checking_leaves_no_trace(tmp_path, check, path):
    assert check(str(tmp_path / path)) == tmp_path / path
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_a_package_is_found_without_importing_the_package(tmp_path, monkeypatch):
    package = tmp_path / "packed"
    (package / "deep").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "deep" / "file.bin").write_text("x")
    monkeypatch.syspath_prepend(tmp_path)
    assert package_file("packed:deep/file.bin") == package / "deep" / "file.bin"
    for other in (
        "packed:deep",
        "packed:other",
        "packed:../packed/deep/file.bin",
        "packed.deep:file.bin",
        "",
        "none:x",
    ):
        assert package_file(other) is None
