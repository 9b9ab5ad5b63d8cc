"""How leaderboards are published: formats, provenance, figures, and pages of what was made earlier."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from causaliqa.api.data import ROI
from causaliqa.effects.effect_map import EffectMap


@pytest.fixture
def scored(run, manifest, tmp_path):
    """A leaderboard of two cheap metrics with its store and rows."""
    store, rows = tmp_path / "s.sqlite", tmp_path / "rows.csv"

    def call(*more):
        line = ["leaderboard", "--data", manifest, "--metric", "psnr", "--metric", "ssim", "--device", "cpu"]
        return run(*line, "--store", store, "--rows", rows, *more)

    return call, store, rows


def test_json_says_where_it_comes_from(scored):
    code, out, _ = scored[0]("--format", "json")
    document = json.loads(out)
    assert code == 0
    assert (document["schema"], document["seed"], document["draws"], document["plugins"]) == (1, 0, 1000, {})
    facts = {fact["name"]: fact for fact in document["metrics"]}
    assert set(facts) == {"psnr", "ssim"}
    assert facts["psnr"]["provider"] == "pyiqa"
    assert facts["psnr"]["licence"]
    assert any("PolyForm Noncommercial" in note for note in document["notes"])


def test_csv_has_its_provenance_beside_it(scored, tmp_path):
    table = tmp_path / "table.csv"
    code, out, _ = scored[0]("--format", "csv", "--out", table)
    assert (code, out) == (0, "")
    with table.open() as file:
        assert {line["metric"] for line in csv.DictReader(file)} == {"psnr", "ssim"}
    beside = json.loads((tmp_path / "table.csv.json").read_text())
    assert {"versions", "settings", "metrics", "notes"} <= set(beside)
    assert "rows" not in beside


def test_plain_is_the_table_and_a_short_footer(scored):
    _, out, _ = scored[0]()
    head, footer = out.strip().split("\n\n")
    assert len(head.splitlines()) == 4
    assert "seed 0; 1000 bootstrap draws" in footer
    assert "PolyForm" in footer


def test_page_figure_and_report(run, scored, tmp_path):
    call, store, rows = scored
    page, figure = tmp_path / "page.html", tmp_path / "figure.png"
    code, out, _ = call("--format", "html", "--out", page, "--figure", figure)
    assert (code, out) == (0, "")
    assert 'data-metric="psnr"' in page.read_text()
    assert "SRCC by type" in page.read_text()
    drawn = np.asarray(Image.open(figure).convert("L"))
    assert drawn.std() > 5
    again = tmp_path / "again.html"
    assert run("report", store, "--out", again, "--title", "A & B")[0] == 0
    text = again.read_text()
    assert "<h1>A &amp; B</h1>" in text
    numbers = [json.loads(t.split('id="numbers">')[1].split("</script>")[0])["rows"] for t in (page.read_text(), text)]
    # Statistics are recomputed from rows: the same to the last digit, whatever the order of metrics.
    ranked = [sorted((r["metric"], r["srcc"], r["rmse"], r["srcc_ci"]) for r in n) for n in numbers]
    assert ranked[0] == ranked[1]
    assert run("report", store, rows, "--out", again)[0] == 0
    assert "psnr [rows.csv]" in again.read_text()
    assert "psnr [s.sqlite]" in again.read_text()


def test_report_of_maps(run, tmp_path):
    effect = np.zeros((4, 4))
    effect[0, 0] = 0.5
    EffectMap(
        effect=effect,
        count=np.ones((4, 4), int),
        sem=np.zeros((4, 4)),
        samples=effect[..., None],
        image=np.full((32, 32, 3), 90, np.uint8),
        base=25.0,
        roi=ROI(8, 8, 8, 8),
        patch_size=8,
        facts={"restorer": "net", "task": "sr", "image": "a.png"},
    ).save(tmp_path / "map", pictures=False)
    code, out, _ = run("report", tmp_path / "map", "--out", tmp_path / "maps.html")
    assert (code, out) == (0, "")
    assert (tmp_path / "maps.html").read_text().count("<img ") == 2


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["report", "{tmp}/none", "--out", "{tmp}/x.html"], "none does not exist"),
        (["report", "{tmp}", "--out", "{tmp}/x.html"], "holds no causal effect map"),
        (["report", "{tmp}/text.csv", "--out", "{tmp}/x.html"], "column 'dataset' is missing"),
        (["report", "{tmp}/text.csv", "{tmp}/text.csv", "--out", "{tmp}/x.html"], "given twice"),
        (["report", "{tmp}/text.csv"], "--out"),
        (["leaderboard", "--data", "{manifest}", "--metric", "psnr", "--figure", "{tmp}/f.xyz"], "ends in one of .png"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(run, manifest, tmp_path, argv, words):
    (tmp_path / "text.csv").write_text("a,b\n1,2\n")
    code, out, err = run(*(a.format(tmp=tmp_path, manifest=manifest) for a in argv))
    assert (code, out) == (2, "")
    assert words in err
    assert "Traceback" not in err


def test_report_says_when_a_direction_is_wrong(run, scored, tmp_path):
    call, _, rows = scored
    assert call()[0] == 0
    rows.write_text(rows.read_text().replace("True", "False"))
    code, _, err = run("report", rows, "--out", tmp_path / "x.html")
    assert code == 1
    assert "contradicts the declared direction" in err
    assert "wrong direction" in (tmp_path / "x.html").read_text()


def test_scores_from_elsewhere_and_unknown_references_are_told(run, tmp_path):
    (tmp_path / "set.csv").write_text("dist,mos\n" + "".join(f"{k}.png,{k}\n" for k in range(12)))
    (tmp_path / "scores.csv").write_text("dist,theirs\n" + "".join(f"{k}.png,{k * k}\n" for k in range(12)))
    line = ["leaderboard", "--data", tmp_path / "set.csv", "--scores", tmp_path / "scores.csv"]
    line += ["--metric", "theirs:lower_better=false"]
    code, out, _ = run(*line, "--format", "json")
    document = json.loads(out)
    assert code == 0
    (fact,) = document["metrics"]
    assert (fact["name"], fact["provider"], fact["lower_better"]) == ("theirs", "scores from elsewhere", False)
    for how in ("plain", "github", "latex", "html"):
        assert "clustered by image" in run(*line, "--format", how)[1]


def test_pages_show_the_images_that_are_disagreed_on(scored, run, manifest, tmp_path):
    call, store, _ = scored
    page = tmp_path / "page.html"
    code, _, _ = call("--out", page, "--thumbnails", 4)
    text = page.read_text()
    assert (code, text.count('alt="image d'), text.count('<figure class="pair"')) == (0, 4, 4)
    assert str(tmp_path) not in text
    again = tmp_path / "again.html"
    code, _, _ = run("report", store, "--out", again, "--thumbnails", 4, "--images", manifest.parent)
    assert (code, again.read_text().count('alt="image d')) == (0, 4)
    code, _, err = run("report", store, "--out", again, "--thumbnails", 4, "--images", tmp_path / "none")
    assert (code, "is no folder" in err) == (2, True)
    for more, words in (
        (["--thumbnails", 3, "--format", "csv"], "only a page shows images"),
        (["--thumbnails", -1, "--format", "html"], "expected a whole number, 0 or more"),
    ):
        code, _, err = call(*more)
        assert (code, words in err) == (2, True)
