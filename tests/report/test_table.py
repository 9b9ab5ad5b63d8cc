"""Leaderboards as text."""

import csv
import io
import json
import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from causaliqa.api.errors import InputError
from causaliqa.evaluation.rank import rank
from causaliqa.report.formats import TEXT_FORMATS
from causaliqa.report.provenance import MetricFacts, Provenance
from causaliqa.report.table import COLUMNS, marks, printed, render, rows_csv

FACTS = Provenance(
    versions={"torch": "9.8.7"},
    plugins={"some-plugin": "1.2"},
    metrics=(
        MetricFacts(name="good", lower_better=False, provider="causaliqa", licence="Apache-2.0", weights="sha256:ab"),
    ),
    settings={"data": ["x_y.csv"]},
    seed=3,
    draws=200,
    notes=("mind the licence",),
)


@pytest.mark.parametrize("how", TEXT_FORMATS)
def test_every_format_holds_every_metric_and_data_set(table, how):
    text = render(table, how, FACTS)
    assert all(name in text for name in ("good", "weak", "first", "second"))


@pytest.mark.parametrize("how", ["github", "latex", "json"])
def test_provenance_is_part_of_what_is_published(table, how):
    text = render(table, how, FACTS).replace("\\", "")
    assert all(told in text for told in ("9.8.7", "1.2", "Apache-2.0", "sha256:ab", "x_y.csv", "mind the licence"))
    assert re.search(r"seed\W+3", text)
    assert re.search(r"200 bootstrap draws|\"draws\": 200", text)


def test_plain_has_a_short_footer(table):
    below = render(table, "plain", FACTS).split("\n\n")[1].splitlines()
    assert below == ["torch 9.8.7, some-plugin 1.2; seed 3; 200 bootstrap draws", "mind the licence"]


def test_json_keeps_its_contract(table):
    table = table.copy()
    table.loc[0, "srcc"] = np.nan
    document = json.loads(render(table, "json", FACTS))
    assert (document["schema"], document["versions"]["torch"], document["settings"]) == (
        1,
        "9.8.7",
        {"data": ["x_y.csv"]},
    )
    assert {*COLUMNS, "plcc_raw", "plcc_ci", "fit", "direction_ok", "seconds"} <= set(document["rows"][0])
    assert document["rows"][0]["srcc"] is None
    assert len(document["rows"]) == 6


def test_csv_is_the_table_and_nothing_else(table, evil):
    lines = list(csv.DictReader(io.StringIO(render(table, "csv", FACTS))))
    assert len(lines) == len(table)
    assert {line["metric"] for line in lines} == {"good", evil, "'=weak"}
    assert [float(line["srcc"]) for line in lines] == table["srcc"].tolist()
    assert [float(line["srcc_ci_low"]) for line in lines] == [ci[0] for ci in table["srcc_ci"]]
    # What differs from run to run is left out: the same scores give the same bytes.
    assert "seconds" not in lines[0]
    assert render(table.assign(seconds=9.0), "csv", FACTS) == render(table, "csv", FACTS)


def test_rows_keep_their_numbers():
    frame = pd.DataFrame({"metric": ["=a"], "score": [-1.25], "level": ["-3"]})
    assert rows_csv(frame) == "metric,score,level\n'=a,-1.25,-3"


def test_github_is_a_table_whatever_the_names(table):
    lines = [line for line in render(table, "github", FACTS).splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(table)
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {len(COLUMNS) + 1}


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("srcc", [0.7, 0.9, 0.8], ["", "best", "second"]),
        ("srcc", [0.9001, 0.9004, 0.8], ["best", "best", "second"]),
        ("srcc", [np.nan, 0.5, -0.5], ["", "best", "second"]),
        ("srcc", [np.nan, np.nan, 0.5], ["", "", ""]),
        ("rmse", [3.0, 1.0, 2.0], ["", "best", "second"]),
        ("rmse", [0.00301, 0.00302, 0.1], ["best", "second", ""]),
    ],
)
def test_best_and_second(column, values, expected):
    assert marks(pd.DataFrame({"dataset": "d", column: values}), column) == expected


def test_every_data_set_and_type_has_a_best_one():
    table = pd.DataFrame(
        {"dataset": list("aabb"), "type": list("xyxx"), "srcc": [0.1, 0.2, 0.3, 0.4]}, index=[7, 3, 5, 1]
    )
    assert marks(table, "srcc") == ["", "", "second", "best"]


def test_printed():
    assert [printed("srcc", v) for v in (0.5, -0.12345, np.nan)] == ["0.500", "-0.123", ""]
    assert [printed("rmse", v) for v in (0.001234567, 123.456)] == ["0.001235", "123.5"]


def test_latex_for_papers(table):
    text = render(table, "latex", FACTS)
    body = text[text.index(r"\begin") : text.index(r"\end")]
    lines = [line for line in body.splitlines() if line.count(" & ")]
    # Every line has as many cells; the evil name is text.
    assert len({len(re.findall(r"(?<!\\)&", line)) for line in lines}) == 1
    assert r"a\textbar{}b\_c \& 5\% \$x\$ \#\{\textasciitilde{}\textasciicircum{}\textbackslash{}\}" in body
    assert r"\textless{}/script\textgreater{}" in body
    assert [body.count(rf"\{rule}") for rule in ("toprule", "midrule", "bottomrule")] == [1, 2, 1]
    # Best SRCC of each of two data sets: once each, and the second best, and the dagger with its note.
    assert body.count(rf"\textbf{{{table['srcc'].iloc[0]:.3f}}}") >= 1
    assert body.count(r"\underline{") == body.count(r"\textbf{") == 2 * 4
    assert body.count(r"$^\dagger$") == table["best_group"].sum() + 1
    assert "not significantly below it" in body
    # No failure, no column of failures; the data set is named once a block.
    assert "Failed" not in body
    assert body.count("first") == 1
    assert all(line.startswith("%") for line in text[text.index(r"\end") :].splitlines()[1:])


def test_latex_without_intervals_has_no_note(rows):
    text = render(rank(rows, draws=0), "latex", FACTS)
    assert "dagger" not in text
    assert "interval &" not in text


def test_latex_shows_failures_and_what_is_missing(table):
    table = table.copy()
    table.loc[0, "n_failed"] = 2
    table.loc[1, "srcc"] = np.nan
    table.at[1, "srcc_ci"] = [np.nan, np.nan]
    text = render(table, "latex", FACTS)
    assert "Failed" in text
    assert "& -- &" in text
    assert "nan" not in text


def test_breakdowns_are_shown(rows):
    text = render(rank(rows, by="type", draws=0), "plain", FACTS)
    assert "<b>noise</b>" in text
    assert len(text.split("\n\n")[0].splitlines()) == 2 + 2 * 3 * 3


def test_unknown_format(table):
    with pytest.raises(InputError, match=r"'xml', expected one of plain, github"):
        render(table, "xml", FACTS)


@pytest.mark.slow
@pytest.mark.parametrize("by", [None, "type"])
def test_latex_compiles(rows, tmp_path, by):
    pdflatex = shutil.which("pdflatex")
    if pdflatex is None:
        pytest.skip("needs pdflatex with booktabs")
    head = r"\documentclass{article}\usepackage[a3paper,landscape]{geometry}\usepackage{booktabs}\begin{document}"
    body = render(rank(rows, by=by, draws=100), "latex", FACTS)
    (tmp_path / "table.tex").write_text(f"{head}\n{body}\n\\end{{document}}\n", encoding="utf-8")
    line = [pdflatex, "-halt-on-error", "-interaction=nonstopmode", "table.tex"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "table.pdf").stat().st_size > 1000
