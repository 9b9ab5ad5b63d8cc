"""Names of files and folders that are no UTF-8 are shown escaped, in every output, and cost nothing."""

import json
import os
import shutil
import sqlite3
from contextlib import closing

import pytest

from causaliqa.catalog.request import labels_of, parse_request

NAME = os.fsdecode(b"b\xb2\xe2")
SHOWN = "b\\udcb2\\udce2"


@pytest.fixture
def foreign(manifest, tmp_path):
    """The manifest in a folder whose name is no UTF-8."""
    folder = tmp_path / NAME
    try:
        shutil.copytree(manifest.parent, folder)
    except OSError:
        pytest.skip("this file system holds UTF-8 names only")
    (folder / manifest.name).rename(folder / "manifest.csv")
    return folder / "manifest.csv"


@pytest.mark.parametrize("form", ["plain", "github", "csv", "json", "latex", "html"])
@pytest.mark.parametrize("where", ["stdout", "out"])
def test_every_format(run, foreign, form, where, tmp_path):
    options = ["--out", foreign.parent / "table"] if where == "out" else []
    code, out, err = run("-q", "leaderboard", "--data", foreign, "--metric", "psnr", "--format", form, *options)
    text = (foreign.parent / "table").read_text() if where == "out" else out
    assert code == 0, err
    shown = {"latex": "b\\textbackslash{}udcb2", "github": "b\\\\udcb2", "json": "udcb2"}.get(form, SHOWN)
    assert shown in text
    text.encode()


def test_stores_rows_figures_and_reports(run, foreign):
    folder = foreign.parent
    options = ["--store", folder / "s.sqlite", "--rows", folder / "rows.csv", "--figure", folder / "figure.svg"]
    code, _, err = run("-q", "leaderboard", "--data", foreign, "--metric", "psnr", "--by", "type", *options)
    assert code == 0, err
    with closing(sqlite3.connect(folder / "s.sqlite")) as db:
        assert set(db.execute("SELECT DISTINCT dataset FROM pairs")) == {(SHOWN,)}
    assert SHOWN in (folder / "rows.csv").read_text()
    # Every score comes from the store again.
    assert run("-q", "leaderboard", "--data", foreign, "--metric", "psnr", *options[:2])[0] == 0
    for source in ("s.sqlite", "rows.csv"):
        code, _, err = run("report", folder / source, "--out", folder / "page.html", "--title", NAME)
        assert code == 0, err
        assert SHOWN in (folder / "page.html").read_text()


def test_failures_that_name_files(run, foreign):
    images = sorted(foreign.parent.glob("d*.png"))
    images[0].write_bytes(b"no image")
    options = ["--store", foreign.parent / "s.sqlite", "--rows", foreign.parent / "rows.csv"]
    code, _, err = run("-q", "leaderboard", "--data", foreign, "--metric", "psnr", *options)
    assert code == 1 and "Traceback" not in err and SHOWN in err
    assert SHOWN in (foreign.parent / "rows.csv").read_text()


def test_images_of_such_a_name(run, foreign):
    folder = foreign.parent
    images = sorted(folder.glob("d*.png"))
    images[0].rename(folder / f"{NAME}.png")
    code, out, err = run("score", "psnr", folder / f"{NAME}.png", folder / "ref0.png", "--json")
    assert code == 0, err
    assert json.loads(out)["scores"][0]["img"].endswith(".png")
    why = folder / "why"
    code, out, err = run("explain", "causal_effnet_lite0", folder / f"{NAME}.png", folder / "ref0.png", "--out", why)
    assert code == 0, err
    assert len(list(why.iterdir())) == 3


@pytest.fixture
def outputs(foreign):
    """Two folders of outputs beside their references; a folder and an image have such a name, one is broken."""
    folder = foreign.parent
    refs = sorted(folder.glob("ref*.png"))[:2]
    for place in ("truth", "a", NAME):
        (folder / place).mkdir()
        for ref, stem in zip(refs, ("plain", NAME), strict=True):
            shutil.copy(ref, folder / place / f"{stem}.png")
    (folder / "a" / f"{NAME}.png").write_bytes(b"no image")
    return folder


@pytest.mark.parametrize("form", ["plain", "csv", "json"])
def test_scores_of_a_folder(run, outputs, form):
    for place, code in ((NAME, 0), ("a", 1)):
        done, _, err = run(
            "score", "psnr", outputs / place, outputs / "truth", "--format", form, "--out", outputs / "s"
        )
        assert done == code and "Traceback" not in err, err
        text = (outputs / "s").read_text(encoding="utf-8")
        assert {"json": "udcb2"}.get(form, SHOWN) in text


@pytest.mark.parametrize("form", ["plain", "github", "csv", "json", "latex", "html"])
def test_comparisons(run, outputs, form):
    folders = [outputs / "a", outputs / NAME, "--ref", outputs / "truth"]
    done, _, err = run("-q", "compare", *folders, "--metric", "psnr", "--format", form, "--out", outputs / "table")
    assert done in (0, 1) and "Traceback" not in err, err
    shown = {"latex": "b\\textbackslash{}udcb2", "github": "b\\\\udcb2", "json": "udcb2"}.get(form, SHOWN)
    assert shown in (outputs / "table").read_text(encoding="utf-8")


def test_a_figure_with_such_a_title(rows, table, tmp_path):
    from causaliqa.report.scatter import scatter_panels

    for kind in (".png", ".pdf", ".svg"):
        assert scatter_panels(rows, tmp_path / f"a{kind}", table=table, title=f"{NAME} $x$").stat().st_size


def test_weights_of_such_a_name():
    request = f"causal_vgg:weights={NAME}/w.pth,seed=3"
    assert parse_request(request) == ("causal_vgg", {"weights": f"{NAME}/w.pth", "seed": 3})
    labels = labels_of([request, f"causal_vgg:weights={NAME}/v.pth,seed=3"])
    for label in labels:
        label.encode()


def test_maps_of_such_names(run, foreign, tmp_path):
    code = foreign.parent / f"{NAME}.py"
    code.write_text("import torch\ndef net():\n    return torch.nn.Conv2d(3, 3, 3, padding=1)\n")
    image = foreign.parent / f"{NAME}.png"
    (foreign.parent / "ref0.png").rename(image)
    out = foreign.parent / "map"
    options = ["--task", "denoise", "--roi", "16,16,16,16", "--patch-size", "16", "--out", out]
    options += ["--strategy", "plain", "--interventions", "2"]
    done, _, err = run("-q", "cem", f"{code}:net", image, *options)
    assert done == 0, err
    assert (out / "cem.png").is_file()
    (out / "summary.json").read_text(encoding="utf-8")
    done, _, err = run("cem-table", out, "--html", foreign.parent / "maps.html", "--out", foreign.parent / "table")
    assert done == 0, err
    page = (foreign.parent / "maps.html").read_text(encoding="utf-8")
    assert SHOWN in page
