"""What tables and pages say: the method that is done, the label's own name, and no folder of this machine."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from causaliqa.api.data import ROI
from causaliqa.effects.effect_map import EffectMap
from causaliqa.functional.best import tie_method
from causaliqa.functional.significance import interval_method
from causaliqa.report.combined import combined_page
from causaliqa.report.formats import FORMATS
from causaliqa.report.leaderboard import leaderboard
from causaliqa.report.map_table import gallery, statistics
from causaliqa.report.scatter_data import panels

DOCS = Path(__file__).parents[2] / "docs"


def labelled(folder, label="severity", n=24):
    """Write a manifest and scores of images that need not exist."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    values = rng.uniform(1, 5, n)
    lines = [f"ref,dist,{label},type"]
    lines += [f"r{k % 8}.png,d{k}.png,{v:.3f},{'ab'[k % 2]}" for k, v in enumerate(values)]
    (folder / "set.csv").write_text("\n".join(lines))
    scores = ["dist,one,two", *(f"d{k}.png,{v},{rng.normal()}" for k, v in enumerate(values))]
    (folder / "scores.csv").write_text("\n".join(scores))
    return folder / "set.csv", folder / "scores.csv"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("private") / "ann"
    manifest, scores = labelled(folder)
    declared = ("one:lower_better=true", "two:lower_better=false")
    return folder, leaderboard(manifest, declared, scores=scores, progress=False)


def squeezed(text):
    return " ".join(re.sub(r"&#39;", "'", text).split())


@pytest.mark.parametrize("form", ["html", "latex", "github", "json"])
def test_the_method_is_said_in_the_same_words_everywhere(made, form):
    text = squeezed(made[1].to_text(form))
    if form == "github":
        text = text.replace("\\", "")
    for sentence in (interval_method(1000), tie_method(1000)):
        assert sentence[1:] in text
    assert "paired bootstrap" not in text


def test_the_docs_say_it_in_these_words_too():
    text = squeezed((DOCS / "leaderboards.md").read_text("utf-8"))
    for sentence in (interval_method(1000), tie_method(1000)):
        assert sentence[1:] in text


@pytest.mark.parametrize("form", FORMATS)
def test_no_format_names_a_folder_of_this_machine(made, form):
    folder, board = made
    assert str(folder) not in board.to_text(form)
    assert str(Path.home()) + "/" not in board.to_text(form)


def test_what_is_published_identifies_the_files(made):
    settings = json.loads(made[1].to_text("json"))["settings"]
    assert re.fullmatch(r"set: set\.csv sha256:[0-9a-f]{64}", settings["data"][0])
    assert re.fullmatch(r"scores\.csv sha256:[0-9a-f]{64}", settings["scores"][0])


def test_pages_of_earlier_rows_name_files_and_not_folders(made, tmp_path):
    folder, board = made
    paths = [board.save_rows(folder / place / "rows.csv") for place in ("x", "y")]
    text, _ = combined_page(paths)
    assert str(folder) not in text
    assert "one [x/rows.csv]" in text.replace("<wbr>", "")
    assert "severity (lower is better)" in text
    assert "DMOS" not in text


@pytest.mark.parametrize(
    ("label", "words"),
    [("severity", "severity (lower is better)"), ("dmos", "DMOS (lower"), ("mos", "MOS (higher is better)")],
)
def test_a_label_is_called_what_it_is(tmp_path, label, words):
    manifest, scores = labelled(tmp_path, label)
    declared = (f"one:lower_better={'false' if label == 'mos' else 'true'}",)
    board = leaderboard(manifest, declared, scores=scores, progress=False)
    assert {panel.label for panel in panels(board.rows, board.overall)} >= {words} or words == "DMOS (lower"
    assert words in board.to_text("html")


def test_an_unknown_label_is_a_label(rows, table):
    assert {panel.label for panel in panels(rows, table)} == {"label (higher is better)"}


def effect_map(measure, restorer="net", scale=1.0):
    effect = scale * np.array([[0.5, 0.0], [-0.2, np.nan]])
    return EffectMap(
        effect=effect, count=np.ones((2, 2), int), sem=np.zeros((2, 2)), samples=effect[..., None],
        image=np.zeros((16, 16, 3), np.uint8), base=30.0 * scale, roi=ROI(8, 8, 8, 8), patch_size=8,
        tolerance=0.01 * scale, facts={"measure": measure, "restorer": restorer, "image": "i.png"},
    )  # fmt: skip


def test_tables_of_psnr_have_decibels():
    frame = statistics({"a": effect_map("psnr")})
    assert {"min dB", "max dB", "region dB"} <= set(frame)
    assert "measure" not in frame


def test_tables_of_other_measures_name_them_and_have_no_unit():
    maps = {"a": effect_map("ssim", scale=0.01), "b": effect_map("psnr"), "c": effect_map("ssim", scale=0.03)}
    frame = statistics(maps)
    assert not [c for c in frame if "dB" in c]
    assert frame["measure"].tolist() == ["ssim", "psnr", "ssim", "ssim"]
    # The mean is over maps of one measure.
    assert frame["max"].tolist() == pytest.approx([0.005, 0.5, 0.015, 0.01])
    assert gallery(maps, frame).bounds == "0.015 of ssim, 0.5 dB"
