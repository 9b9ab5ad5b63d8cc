"""``--unseen``, ``--part-of`` and what ``causaliqa list metrics`` says of training."""

import json
import re
import sys

import pytest

from causaliqa.catalog.training import training_text


@pytest.fixture
def scored(manifest):
    """Arguments for a metric that is computed and one whose scores stand in the manifest."""
    lines = manifest.read_text().splitlines()
    lines = [f"{lines[0]},theirs", *(f"{line},{k}" for k, line in enumerate(lines[1:]))]
    manifest.write_text("\n".join(lines) + "\n")
    return ("leaderboard", "--data", manifest, "--scores", manifest, "--metric", "psnr", "--device", "cpu")


def test_unseen_leaves_a_declared_metric_out_and_says_so(run, scored, tmp_path):
    declared = ("--metric", "theirs:lower_better=true,trained_on=tid2013", "--part-of", "noisy=tid2008")
    rows = tmp_path / "rows.csv"
    code, out, err = run(*scored, *declared, "--rows", rows)
    assert (code, out.count("theirs*")) == (0, 1)
    assert "1 result on a metric's own training data, marked with an asterisk" in out
    code, out, err = run(*scored, *declared, "--unseen", "--format", "json")
    made = json.loads(out)
    assert (code, [row["metric"] for row in made["rows"]]) == (0, ["psnr"])
    assert "1 result on a metric's own training data left out" in err
    assert any("left out: 1 result" in note for note in made["notes"])
    code, _, err = run("report", rows, "--unseen", "--part-of", "noisy=tid2013", "--out", tmp_path / "page.html")
    assert (code, "left out" in err) == (0, True)
    page = (tmp_path / "page.html").read_text()
    assert set(re.findall(r'<figure[^>]* data-metric="(\w+)"', page)) == {"psnr"}


def test_nothing_declared_is_unknown_and_counted(run, scored):
    code, out, _ = run(*scored, "--metric", "theirs:lower_better=true", "--unseen")
    assert (code, "*" in out) == (0, False)
    assert "nothing is known about the training data of 1 of 2 metrics (theirs)" in out


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--metric", "theirs:lower_better=true,trained_on=TID"), "trained_on: got 'TID', expected names of data sets"),
        (("--metric", "theirs:trained_on=tid2013"), "write --metric theirs:lower_better=true"),
        (("--metric", "theirs:lower_better=true", "--part-of", "noisy"), "--part-of: got 'noisy', expected NAME=SET"),
        (("--metric", "theirs:lower_better=true", "--part-of", "n=csiq"), "--part-of: no data set is called 'n'"),
    ],
)
def test_mistakes_are_told(run, scored, more, words):
    code, out, err = run(*scored, *more)
    assert (code, out) == (2, "")
    assert words in err


def test_a_table_that_would_be_empty_is_refused(run, scored, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # where the scores are rescued to
    command, *data = scored[:5]
    code, out, err = run(command, *data, "--metric", "theirs:lower_better=true,trained_on=noisy", "--unseen")
    assert (code, out) == (1, "")
    assert "--unseen: nothing is left, every metric was trained on every data set" in err
    assert len(list(tmp_path.glob("causaliqa-rows-*.csv"))) == 1


def test_list_tells_training_year_and_source(run):
    items = {row["name"]: row for row in json.loads(run("list", "metrics", "--json")[1])["items"]}
    assert items["topiq_fr"]["trained_on"] == ["kadid10k"]
    assert (items["psnr"]["trained_on"], items["msswd"]["trained_on"]) == ([], None)
    assert (items["lpips"]["year"], "arXiv:1801.03924" in items["lpips"]["reference"]) == (2018, True)
    lines = run("list", "metrics")[1].splitlines()
    assert lines[0].split()[:5] == ["name", "mode", "better", "trained_on", "year"]
    for name in ("topiq_fr", "psnr", "msswd", "liqe_mix"):
        (line,) = [line for line in lines if line.split()[0] == name]
        assert line.split()[3] == training_text(items[name]["trained_on"])


@pytest.mark.parametrize("width", [80, 100, 140])
def test_the_list_fits_the_terminal(run, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    lines = run("list", "metrics")[1].splitlines()
    assert max(map(len, lines)) <= width
    assert any(re.match(r"clipiqa\+_vitL14_512 ", line) for line in lines)
    assert {"name", "trained_on", "year", "licence", "summary"} <= set(lines[0].split())
