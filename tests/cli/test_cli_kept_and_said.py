"""Nothing is overwritten, and nothing is silent: folders of maps, files written, columns, exit codes."""

import json
import pickle
import re

import numpy as np
import pytest
from PIL import Image

from causaliqa.effects.effect_map import EffectMap
from conftest import photo

QUICK = ("--task", "denoise", "--roi", "16,16,8,8", "--coarse", 1, "--fine", 2, "--sampler", "zero", "--device", "cpu")


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "truth.png"
    Image.fromarray(photo(40)).save(path)
    return path


@pytest.fixture
def net(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(
        "import torch\ndef smooth(size=3):\n    return torch.nn.AvgPool2d(size, stride=1, padding=size // 2)\n"
    )
    return path


def test_the_same_run_goes_on_and_another_is_refused(run, image, net, tmp_path):
    asked = ("cem", f"{net}:smooth", image, *QUICK, "--out", tmp_path / "map")
    assert run(*asked)[0] == 0
    kept = {path.name: path.read_bytes() for path in (tmp_path / "map").iterdir()}
    assert run(*asked)[0] == run(*asked, "--resume")[0] == 0
    for change in (("--seed", 5), ("--arch-options", "size=5"), ("--fine", 3), ("--roi", "8,8,8,8")):
        other = asked if change[0] != "--roi" else [x if x != "16,16,8,8" else "8,8,8,8" for x in asked]
        code, out, err = run(*other, *(change if change[0] != "--roi" else ()))
        assert (code, out) == (2, "")
        assert len([line for line in err.splitlines() if "error:" in line]) == 1
        assert "belongs to another run" in err
        assert "--overwrite" in err
    assert (tmp_path / "map" / "cem.npz").read_bytes() == kept["cem.npz"]
    assert run(*asked, "--seed", 5, "--overwrite")[0] == 0
    assert json.loads((tmp_path / "map" / "summary.json").read_text())["seed"] == 5


@pytest.mark.parametrize("there", ["cem.npz", "lam.npz", "summary.json"])
def test_a_finished_map_without_a_journal_is_refused(run, image, net, tmp_path, there):
    (tmp_path / "map").mkdir()
    (tmp_path / "map" / there).write_text("mine")
    asked = ("cem", f"{net}:smooth", image, *QUICK, "--out", tmp_path / "map")
    code, _, err = run(*asked)
    assert (code, "holds a finished map of another run" in err) == (2, True)
    assert (tmp_path / "map" / there).read_text() == "mine"
    assert run(*asked, "--overwrite")[0] == 0


def test_lam_spares_the_map_of_cem(run, image, tmp_path):
    (tmp_path / "map").mkdir()
    (tmp_path / "map" / "summary.json").write_text("{}")
    asked = ("lam", "tiny_dncnn_50", image, "--task", "denoise", "--roi", "16,16,8,8", "--device", "cpu", "--steps", 2)
    code, _, err = run(*asked, "--out", tmp_path / "map")
    assert (code, "holds a finished map of another run" in err) == (2, True)
    code, _, err = run(*asked, "--out", tmp_path / "map", "--overwrite", "--figures", "pdf")
    assert code == 0
    assert "lam.npz, summary.json, lam.pdf" in err
    assert (tmp_path / "map" / "lam.pdf").read_bytes().startswith(b"%PDF")


def test_cem_says_what_it_takes_and_what_it_wrote_unless_quiet(run, image, net, tmp_path):
    asked = ("cem", f"{net}:smooth", image, *QUICK, "--out")
    code, _, err = run(*asked, tmp_path / "a", "--figures", "pdf,svg")
    assert code == 0
    assert re.search(r"\d+ of 24 patches reach the region: \d+ to \d+ inferences on \d+ x \d+ input pixels, about", err)
    assert f"wrote {tmp_path / 'a'}/cem.npz, summary.json, cem.pdf, pie.pdf, cem.svg, pie.svg" in err
    assert not (tmp_path / "a" / "cem.png").exists()
    code, out, err = run("-q", *asked, tmp_path / "b")
    assert (code, err) == (0, "")
    assert out


def test_titles_and_summaries_have_no_folder(run, image, net, tmp_path):
    asked = ("cem", f"{net}:smooth", image, *QUICK, "--out", tmp_path / "map", "--figures", "svg")
    assert run(*asked)[0] == 0
    for name in ("summary.json", "cem.svg"):
        text = (tmp_path / "map" / name).read_text()
        assert str(tmp_path) not in text
        assert "net.py:smooth" in text
    assert EffectMap.load(tmp_path / "map").facts["restorer"] == "net.py:smooth"


@pytest.fixture
def scored(tmp_path):
    """A manifest and a file with five columns of scores."""
    rng = np.random.default_rng(0)
    lines, scores = ["ref,dist,dmos"], ["dist,a,b,c,d,e"]
    for k in range(20):
        lines.append(f"r{k % 4}.png,d{k}.png,{k}")
        scores.append(",".join([f"d{k}.png", *(f"{v:.4f}" for v in k + rng.normal(size=5))]))
    (tmp_path / "set.csv").write_text("\n".join(lines))
    (tmp_path / "scores.csv").write_text("\n".join(scores))
    return ("leaderboard", "--data", tmp_path / "set.csv", "--scores", tmp_path / "scores.csv")


def test_all_undeclared_columns_are_named_at_once(run, scored):
    code, _, err = run(*scored)
    assert code == 2
    for column in "abcde":
        assert f"--metric {column}:lower_better=true" in err


def test_columns_that_nobody_asked_for_are_left_out(run, scored):
    asked = ("--metric", "a:lower_better=true", "--metric", "c:lower_better=true", "--format", "json")
    code, out, err = run(*scored, *asked)
    assert code == 0
    assert {row["metric"] for row in json.loads(out)["rows"]} == {"a", "c"}
    assert "left out: b, d, e" in err


@pytest.mark.parametrize(
    ("name", "start"),
    [("b.html", "<!doctype"), ("b.tex", r"\begin{tabular}"), ("b.csv", "dataset,"), ("b.json", "{"), ("b.md", "|")],
)
def test_the_suffix_chooses_the_format(run, scored, tmp_path, name, start):
    code, out, err = run(*scored, "--metric", "a:lower_better=true", "--out", tmp_path / name)
    assert (code, out) == (0, "")
    assert (tmp_path / name).read_text().startswith(start)
    assert f"wrote {tmp_path / name}" in err
    other = "html" if name != "b.html" else "csv"
    code, _, err = run(*scored, "--metric", "a:lower_better=true", "--out", tmp_path / name, "--format", other)
    assert (code, "leave one of the two out" in err) == (2, True)


def test_everything_written_is_said(run, scored, tmp_path):
    files = ("--out", "t.txt", "--rows", "r.csv", "--figure", "f.pdf")
    asked = [tmp_path / x if "." in x else x for x in files]
    code, _, err = run(*scored, "--metric", "a:lower_better=true", *asked)
    assert code == 0
    for name in files[1::2]:
        assert f"wrote {tmp_path / name}" in err
    code, out, err = run("report", tmp_path / "r.csv", "--out", tmp_path / "p.html")
    assert (code, out) == (0, "")
    assert f"reading {tmp_path / 'r.csv'}" in err
    assert "computing statistics of 1 metrics" in err
    assert f"wrote {tmp_path / 'p.html'}" in err
    assert run("-q", "report", tmp_path / "r.csv", "--out", tmp_path / "p.html")[2] == ""
    assert run("report", tmp_path / "r.csv", "--out", tmp_path / "p.csv")[0] == 2


class _Bomb:
    def __reduce__(self):
        return exec, ("raise SystemExit(77)",)


def _files(folder):
    """Write files that are no weights: a pickle that would run code, an empty one, text."""
    (folder / "bomb.pth").write_bytes(pickle.dumps(_Bomb()))
    (folder / "empty.pth").write_bytes(b"")
    (folder / "text.safetensors").write_text("weights")
    return [folder / name for name in ("bomb.pth", "empty.pth", "text.safetensors")]


def test_files_of_the_user_that_are_refused_are_bad_input(run, image, pair_files, manifest, tmp_path):
    for file in _files(tmp_path):
        metric = f"causal_vgg:weights={file}"
        assert run("score", metric, *pair_files, "--device", "cpu")[0] == 2
        assert run("explain", metric, *pair_files, "--out", tmp_path / "why", "--device", "cpu")[0] == 2
        assert run("leaderboard", "--data", manifest, "--metric", metric, "--device", "cpu")[0] == 2
        asked = ("tiny_dncnn_50", image, *QUICK[:4], "--checkpoint", file, "--device", "cpu")
        assert run("cem", *asked, "--out", tmp_path / "map")[0] == 2
        assert run("lam", *asked, "--out", tmp_path / "lam")[0] == 2
        assert run("report", file, "--out", tmp_path / "page.html")[0] == 2
        assert run("cem-table", file)[0] == 2


def test_several_images_of_one_reference_side_by_side(run, pair_files, tmp_path):
    img, ref = pair_files
    other = tmp_path / "other.png"
    Image.fromarray(np.clip(photo() * 0.6, 0, 255).astype(np.uint8)).save(other)
    asked = ("explain", "causal_effnet_lite0", img, other, ref, "--device", "cpu", "--out", tmp_path / "why")
    code, out, _ = run(*asked, "--figures", "svg")
    assert code == 0
    assert [line.rpartition("/")[2] for line in out.split()] == ["channels.csv", "strips.svg", "cost_map.svg"]
    for name in ("strips.svg", "cost_map.svg"):
        text = (tmp_path / "why" / name).read_text()
        assert "img.png" in text
        assert "other.png" in text
        assert str(tmp_path) not in text
    # The mask of this metric drops nothing, so the strips show shares.
    assert "share of the score" in (tmp_path / "why" / "strips.svg").read_text()
    lines = (tmp_path / "why" / "channels.csv").read_text().splitlines()
    assert lines[0] == "img,level,channel,strength,share"
    for name in ("img.png", "other.png"):
        shares = [float(line.split(",")[-1]) for line in lines if line.startswith(f"{name},")]
        assert sum(shares) == pytest.approx(1, abs=1e-3)
