"""Further tables of a leaderboard in every format."""

import csv
import json

import numpy as np
import pandas as pd
import pytest

from causaliqa.evaluation.side_table import SideTable
from causaliqa.report.scatter_data import normalise, panels
from causaliqa.report.side_text import side_csv, side_document, side_text

FRAME = pd.DataFrame(
    {
        "metric": ["a_b", "=c"],
        "srcc": [0.9, np.nan],
        "srcc_ci": [[0.8, 0.95], [np.nan, np.nan]],
        "srcc_best": [True, False],
        "rank": [1.0, np.nan],
    }
)
TABLE = SideTable(name="t", title="Title_1", note="How.", frame=FRAME, warnings=("a_b and =c disagree",))


@pytest.mark.parametrize(
    ("form", "cells"),
    [
        ("plain", ["0.900+", "0.800 - 0.950", "note: a_b and =c disagree", "How. +: may be the best"]),
        ("github", ["### Title_1", "0.900+", "- a_b and =c disagree"]),
        (
            "latex",
            [r"a\_b & 0.900$^\dagger$ & [$0.800$, $0.950$] & 1 \\", "% a_b and =c disagree", r"=c & -- & -- & --"],
        ),
    ],
)
def test_text(form, cells):
    text = side_text([TABLE, TABLE], form)
    assert all(text.count(cell) == 2 for cell in cells)
    assert "srcc_best" not in text


def test_csv_and_json_lose_nothing():
    first, second = csv.DictReader(side_csv(TABLE).splitlines())
    assert (first["srcc"], first["srcc_ci_low"], first["srcc_best"]) == ("0.9", "0.8", "True")
    assert second["metric"] == "'=c"
    made = json.loads(json.dumps(side_document(TABLE), allow_nan=False))
    assert made["warnings"] == list(TABLE.warnings)
    assert made["rows"][1] == {
        "metric": "=c", "srcc": None, "srcc_ci": [None, None], "srcc_best": False, "rank": None,
    }  # fmt: skip


def test_normalised_axes(rows, table):
    for panel in panels(rows, table):
        made = normalise(panel)
        before, after = (
            [np.concatenate(part) for part in zip(*one.points.values(), strict=True)] for one in (panel, made)
        )
        for old, new, lower in zip(before, after, (panel.lower_better, panel.label_lower_better), strict=True):
            assert (new.min(), new.max()) == (0, 1)
            assert np.corrcoef(old, new)[0, 1] == pytest.approx(-1 if lower else 1)
        assert "[0, 1]" in made.label
        assert "[0, 1]" in made.direction


def test_p_values_are_never_zero():
    frame = pd.DataFrame({"metric": ["a", "b", "c"], "p": [1e-9, 0.0006, np.nan]})
    table = SideTable(name="t", title="T", note="", frame=frame)
    for form, small in (("plain", "< 0.001"), ("github", "&lt; 0.001"), ("latex", r"\textless{} 0.001")):
        text = side_text([table], form)
        assert small in text and "0.000" not in text
        assert text.count("0.001") == 2
