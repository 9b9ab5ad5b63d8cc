"""What a first-time user gets wrong: one line that says what failed, what was got and expected, and what to do."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest_plugins = ["processes"]

MISTAKES = {
    "an option misspelt": ("leaderboard --data {m} --metrc psnr", "unknown option or argument '--metrc'", "--metric?"),
    "a metric misspelt": ("score causl_vgg {i} {i}", "unknown metric 'causl_vgg'", "Did you mean 'causal_vgg'"),
    "a backbone misspelt": ("score causal:backbone=vg {i} {i}", "unknown backbone 'vg'", "Did you mean 'vgg'"),
    "a task misspelt": ("cem x {i} --task superres --roi 0,0,8,8 --out o", "unknown restorer 'x'", "causaliqa list"),
    "a sampler misspelt": (
        "cem tiny_edsr_x4 {i} --task sr --roi 0,0,8,8 --out o --sampler nose",
        "unknown sampler 'nose'",
        "Did you mean 'noise'",
    ),
    "a degradation that is none": (
        "cem tiny_edsr_x4 {i} --task xyz --roi 0,0,8,8 --out o",
        "unknown degradation 'xyz'",
        "Expected one of deblur, dehaze, denoise, derain, jpeg, lowlight, sr.",
    ),
    "a folder for a manifest": (
        "leaderboard --data {d} --metric psnr",
        "it is a folder",
        "expected a csv file, or NAME=",
    ),
    "the wrong folder": ("leaderboard --data tid2013={d} --metric psnr", "{d}", "expected"),
    "an image for a manifest": ("leaderboard --data {i} --metric psnr", "is no UTF-8 text", "expected a CSV file"),
    "a path from elsewhere": ("leaderboard --data set/m.csv --metric psnr", "there is no such file", "there is m.csv"),
    "an image from elsewhere": ("score psnr set/i.png {i}", "set/i.png does not exist", "there is i.png"),
    "a store that is a table": ("leaderboard --data {m} --metric psnr --store {m}", "no score store", "another name"),
    "a region outside": (
        "cem tiny_edsr_x4 {i} --task sr --roi 60,0,32,32 --out o",
        "60,0,32,32 (X,Y,W,H) reaches outside the output of 64 x 64 pixels",
        "choose one inside",
    ),
    "columns that hold each other": ("leaderboard --data {x} --metric psnr", "line 2: dmos is 'r.png'", "a number"),
    "no command at all": ("", "required: COMMAND", "--help"),
}


@pytest.fixture
def scratch(tmp_path, monkeypatch, pair_files):
    folder = tmp_path / "scratch"
    folder.mkdir()
    (folder / "i.png").write_bytes(pair_files[0].read_bytes())
    (folder / "m.csv").write_text("ref,dist,dmos\ni.png,i.png,1\n")
    (folder / "x.csv").write_text("dmos,dist,ref\nr.png,i.png,1\n")
    monkeypatch.chdir(folder)
    return {"i": folder / "i.png", "m": folder / "m.csv", "x": folder / "x.csv", "d": folder}


@pytest.mark.parametrize(("line", "got", "remedy"), MISTAKES.values(), ids=MISTAKES)
def test_one_line_says_what_to_do(run, scratch, line, got, remedy):
    code, out, err = run(*line.format(**scratch).split())
    assert (code, out) == (2, "")
    (told,) = [text for text in err.splitlines() if text.startswith("causaliqa: error: ")]
    assert got.format(**scratch) in told
    assert remedy in told
    assert "Traceback" not in err


def test_an_option_that_only_the_metric_can_refuse(run, pair_files):
    code, out, err = run("score", "psnr:dat_range=1", *pair_files, "--device", "cpu")
    assert (code, out) == (1, "")
    assert "psnr:dat_range=1 failed on" in err
    assert "unexpected keyword argument 'dat_range'; -v shows where" in err


@pytest.mark.slow
def test_no_network_names_the_file_and_where_to_put_it(command, pair_files):
    """A process without any network: no socket reaches anything."""

    command.environment.pop("CAUSALIQA_OFFLINE", None)
    line = ["unshare", "-rn", sys.executable, "-m", "causaliqa", "score"]
    if subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False).returncode:
        pytest.skip("network namespaces are not allowed here")
    for metric, words in (
        ("causal_vgg", "Put it into"),
        ("lpips", "`causaliqa doctor score lpips IMG REF` names the files"),
    ):
        full = [*line, metric, *map(str, pair_files)]
        done = subprocess.run(full, env=command.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert words in done.stderr
        assert "Traceback" not in done.stderr


def test_the_traceback_on_demand_keeps_line_and_exit_code(run):
    code, _, err = run("-v", "score", "nonsense", "a", "b")
    assert code == 2
    assert "Traceback" in err
    assert err.splitlines()[-1].startswith("causaliqa: error: image a does not exist")
