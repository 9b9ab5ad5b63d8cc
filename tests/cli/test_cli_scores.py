"""``causaliqa leaderboard --scores``: what was computed elsewhere is ranked beside ours."""

import csv
import json
import re
import shutil
import subprocess
import sys

import pytest


@pytest.fixture
def given(manifest):
    """Scores of two metrics for the manifest: one rises with quality, one falls."""
    lines = ["dist,theirs,ssim"]
    lines += [f"d{n}_{level}.png,{10 * level + n},{1 - level / 10 - n / 100}" for n in (0, 1) for level in (1, 2, 3, 4)]
    path = manifest.parent / "given.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


DECLARED = ("--metric", "theirs:lower_better=true", "--metric", "ssim:lower_better=false")


def rows(out):
    return {row["metric"]: row for row in json.loads(out)["rows"]}


def test_given_and_computed_metrics_share_a_table(run, manifest, given):
    line = ("leaderboard", "--data", manifest, "--scores", given, "--metric", "psnr", *DECLARED, "--device", "cpu")
    code, out, err = run(*line, "--format", "json")
    assert (code, "unknown" in err) == (0, False)
    table = rows(out)
    assert set(table) == {"psnr", "theirs", "ssim"}
    assert all(row["srcc"] > 0.9 and row["n"] == 8 and row["clusters"] == "ref" for row in table.values())
    assert json.loads(out)["settings"]["given"] == {"theirs": True, "ssim": False}


def test_a_prefix_puts_ours_beside_theirs(run, manifest, given):
    code, out, _ = run(
        *("leaderboard", "--data", manifest, "--scores", f"published={given}", "--metric", "ssim", "--device", "cpu"),
        *("--metric", "published_ssim:lower_better=false", "--metric", "published_theirs:lower_better=true"),
        *("--format", "json"),
    )
    assert (code, set(rows(out))) == (0, {"ssim", "published_ssim", "published_theirs"})


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ([], "columns 'theirs', 'ssim' is not declared; add --metric theirs:lower_better=true --metric ssim:"),
        (["theirs:lower_better=yes,seed=1", "ssim:lower_better=true"], "metric 'theirs' is a column of"),
        (["theirs:lower_better=high", "ssim:lower_better=true"], "got 'high', expected true or false"),
        (["theirs:lower_better=true", "ssim"], "metric 'ssim' is a column of .* PREFIX=.* beside ours"),
        (["theirs:lower_better=true", "ssim:lower_better=true", "nope"], "unknown metric 'nope'"),
        (["psnr:lower_better=true", *DECLARED[1::2]], "no --scores file has a column 'psnr'; got theirs, ssim"),
        (["theirs", "ssim:lower_better=true"], "write --metric theirs:lower_better=true"),
    ],
)
def test_what_is_not_clear_is_an_error(run, manifest, given, metrics, words):
    asked = [part for metric in metrics for part in ("--metric", metric)]
    code, out, err = run("leaderboard", "--data", manifest, "--scores", given, *asked, "--device", "cpu")
    assert (code, out) == (2, "")
    assert re.search(words, err)
    assert len([line for line in err.splitlines() if "error" in line]) == 1


def test_a_wrong_declaration_is_a_contradiction(run, manifest, given):
    code, _, err = run("leaderboard", "--data", manifest, "--scores", given, *DECLARED[:3], "ssim:lower_better=true")
    assert code == 1
    assert "ssim on noisy: SRCC -" in err
    assert "contradicts the declared direction" in err


def test_missing_and_empty_scores_are_failures_with_a_reason(run, manifest, given):
    lines = given.read_text().splitlines()
    lines[2] = "d0_2.png,,0.8"
    given.write_text("\n".join([*lines[:7], "d9_9.png,1,1"]) + "\n")
    code, out, err = run("leaderboard", "--data", manifest, "--scores", given, *DECLARED, "--format", "json")
    assert code == 1
    assert {name: (row["n"], row["n_failed"]) for name, row in rows(out).items()} == {"theirs": (5, 3), "ssim": (6, 2)}
    assert "theirs failed on d0_2.png and 2 more: no score in given.csv" in err
    assert "1 image is in no data set and left out: d9_9.png" in err


def test_images_and_references_may_be_missing(run, manifest, given):
    for path in manifest.parent.glob("*.png"):
        path.unlink()
    line = ("leaderboard", "--data", manifest, "--scores", given, *DECLARED, "--format", "json")
    code, out, _ = run(*line)
    assert code == 0
    clustered = rows(out)
    assert {row["clusters"] for row in clustered.values()} == {"ref"}
    lines = [line.split(",", 1)[1] for line in manifest.read_text().splitlines()]
    manifest.write_text("\n".join(lines) + "\n")
    code, out, err = run(*line)
    assert code == 0
    assert {row["clusters"] for row in rows(out).values()} == {"image"}
    assert "noisy: references are unknown" in err
    assert [row["srcc"] for row in rows(out).values()] == [row["srcc"] for row in clustered.values()]
    code, _, err = run(*line, "--metric", "psnr")
    assert code == 2
    assert "column 'ref' is missing" in err


def test_two_files_for_one_metric(run, manifest, given):
    text = given.read_text().splitlines()
    first, second = manifest.parent / "one.csv", manifest.parent / "two.csv"
    first.write_text("\n".join(text[:5]) + "\n")
    second.write_text("\n".join([text[0], *text[5:]]) + "\n")
    line = ("leaderboard", "--data", manifest, *DECLARED, "--format", "csv")
    whole = run(*line, "--scores", given)
    assert run(*line, "--scores", first, "--scores", second)[:2] == whole[:2]
    code, _, err = run(*line, "--scores", given, "--scores", second)
    assert code == 2
    assert "both have 'theirs' of 4 images of noisy" in err


def test_ranking_alone_loads_no_torch(manifest, given):
    code = f"""
import sys
from causaliqa.cli import main
argv = ["leaderboard", "--data", {str(manifest)!r}, "--scores", {str(given)!r}, *{DECLARED!r}]
print("LOADED", main(argv), *[m for m in ("torch", "pyiqa", "timm") if m in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED 0"


DEEPWSD = {
    "tid2013": (0.896, 0.874),
    "kadid10k": (0.888, 0.888),
    "csiq": (0.960, 0.965),
    "live": (0.968, 0.962),
    "ivc": (0.934, 0.923),
    "live_md": (0.930, 0.927),
}


@pytest.mark.data
def test_the_deepwsd_authors_scores(run, data):
    """Their own files, read as they are: labels and scores in one."""
    files = [data / "deepwsd_scores" / f"{name}.csv" for name in DEEPWSD]
    named = [part for file in files for part in ("--data", file, "--scores", file)]
    code, out, _ = run("leaderboard", *named, "--metric", "deepwsd:lower_better=true", "--format", "csv")
    assert code == 0
    table = {row["dataset"]: (float(row["plcc"]), float(row["srcc"])) for row in csv.DictReader(out.splitlines())}
    assert set(table) == set(DEEPWSD)
    for name, published in DEEPWSD.items():
        assert table[name] == pytest.approx(published, abs=0.002)


@pytest.mark.data
def test_scores_beside_the_authors_archive_without_images(run, data, tmp_path):
    """CSIQ from its own label file: the 750 images with a score are found by name, the others are failures."""
    lab = data / "labels" / "iqa_lab_scores" / "IQA" / "Full_Reference" / "train_free" / "datasets"
    shutil.copy(next((lab / "CSIQ").glob("*.xlsx")), tmp_path)
    line = ("leaderboard", "--data", f"csiq={tmp_path}", "--scores", data / "deepwsd_scores" / "csiq.csv")
    code, out, err = run(*line, "--metric", "deepwsd:lower_better=true", "--format", "json")
    assert code == 1
    (row,) = json.loads(out)["rows"]
    assert (row["n"], row["n_failed"], row["clusters"]) == (750, 116, "ref")
    assert row["srcc"] == pytest.approx(DEEPWSD["csiq"][1], abs=0.002)
    assert 0 < row["or"] < 1
    assert "and 115 more: no score in csiq.csv" in err


@pytest.mark.data
def test_published_metrics_of_tid2013(run, data):
    published = {"psnr": 0.687, "psnr_ha": 0.819, "psnr_hma": 0.812, "psnr_hvs": 0.654, "psnr_hvsm": 0.625}
    file = data / "labels" / "tid2013_mos_and_published_metrics.csv"
    declared = [part for name in published for part in ("--metric", f"{name}:lower_better=false")]
    code, out, _ = run("leaderboard", "--data", file, "--scores", file, *declared, "--format", "json")
    assert code == 0
    table = rows(out)
    assert {name: table[name]["srcc"] for name in published} == pytest.approx(published, abs=0.0006)
