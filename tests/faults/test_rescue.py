"""A finished score is never lost to a later failure."""

import re
import subprocess
import tempfile
from pathlib import Path

import pytest

from causaliqa.report import board, leaderboard, rescue
from causaliqa.report.merge import read_rows

pytest_plugins = ["processes"]


def _broken(*_, **__):
    raise RuntimeError("two\nlines")


_LATER = {
    "statistics": ("causaliqa.report.leaderboard.rank_groups", []),
    "table": ("causaliqa.report.board.render", []),
    "page": ("causaliqa.report.page.page", ["--format", "html"]),
    "file": ("causaliqa.report.board.write_text", ["--out", "board.txt"]),
    "figure": ("causaliqa.report.scatter.save", ["--figure", "figure.png"]),
    "provenance": ("causaliqa.report.run_provenance.versions", []),
}


@pytest.mark.parametrize("later", _LATER)
def test_rows_are_kept_if_what_follows_fails(run, manifest, later, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    what, options = _LATER[later]
    real = board.write_text

    def only_rows(text, path):
        return real(text, path) if "rows" in Path(path).name else _broken()

    monkeypatch.setattr(what, only_rows if later == "file" else _broken)
    code, _, err = run("-q", "leaderboard", "--data", manifest, "--metric", "psnr", *options)
    (line,) = err.splitlines()
    assert code == 1 and "RuntimeError: two lines" in line
    path = re.search(r"are kept in (\S+\.csv)", line)[1]
    assert len(read_rows(path).rows) == 8


def test_they_go_where_the_user_wants_rows(run, manifest, monkeypatch, tmp_path):
    monkeypatch.setattr(leaderboard, "rank_groups", _broken)
    path = tmp_path / "mine.csv"
    code, _, err = run("-q", "leaderboard", "--data", manifest, "--metric", "psnr", "--rows", path)
    assert code == 1 and f"are kept in {path}" in err
    assert len(read_rows(path).rows) == 8


def test_they_go_elsewhere_if_that_fails_and_the_current_folder_cannot_be_written(run, manifest, monkeypatch, tmp_path):
    real = board.write_text

    def full(text, path):
        if not Path(path).is_absolute() or Path(path).name == "mine.csv":
            raise OSError(28, "No space left on device")
        return real(text, path)

    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr(rescue, "write_text", full)
    monkeypatch.setattr(leaderboard, "rank_groups", _broken)
    code, _, err = run("-q", "leaderboard", "--data", manifest, "--metric", "psnr", "--rows", tmp_path / "mine.csv")
    assert code == 1
    (path,) = (tmp_path / "tmp").rglob("*.csv")
    assert str(path) in err and len(read_rows(path).rows) == 8


def test_a_store_has_them(run, manifest, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(leaderboard, "rank_groups", _broken)
    store = tmp_path / "s.sqlite"
    code, _, err = run("-q", "leaderboard", "--data", manifest, "--metric", "psnr", "--store", store)
    assert code == 1 and f"every score is kept in {store}" in err and len(err.splitlines()) == 1
    assert not list(tmp_path.glob("*.csv"))


def test_in_python_too(manifest, monkeypatch, tmp_path):
    import causaliqa

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(leaderboard, "rank_groups", _broken)
    with pytest.raises(causaliqa.CausaliqaError, match=r"are kept in causaliqa-rows-\S+\.csv"):
        causaliqa.leaderboard(manifest, "psnr", device="cpu", progress=False)


def test_a_full_disk_behind_stdout(command, manifest, tmp_path):
    with Path("/dev/full").open("w") as full:
        process = command.start(
            "leaderboard", "--data", manifest, "--metric", "slow", "--quiet", stdout=full, cwd=tmp_path
        )
        _, err = process.communicate(timeout=240)
    told = command.told(subprocess.CompletedProcess([], 0, "", err))
    assert process.returncode == 1 and len(told) == 1 and "No space left" in told[0]
    (path,) = tmp_path.glob("causaliqa-rows-*.csv")
    assert path.name in told[0] and len(read_rows(path).rows) == 8
