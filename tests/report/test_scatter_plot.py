"""Scatter panels as files."""

import numpy as np
import pytest
from PIL import Image

from causaliqa.api.errors import CausaliqaError, InputError
from causaliqa.evaluation.rank import rank
from causaliqa.report.scatter import scatter_panels


def test_panels_of_every_metric_and_data_set(rows, table, tmp_path):
    one = rows[rows["dataset"] == "first"], table[table["dataset"] == "first"]
    small, large = (
        np.asarray(Image.open(scatter_panels(frame, tmp_path / f"{k}.png", table=ranks)).convert("L"))
        for k, (frame, ranks) in enumerate([one, (rows, table)])
    )
    # A data set more is a row of panels more, of the same width.
    assert large.shape[1] == small.shape[1]
    assert large.shape[0] > 1.5 * small.shape[0]
    assert large.std() > 5


@pytest.mark.parametrize(("suffix", "start"), [("pdf", b"%PDF"), ("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_kinds_of_files(rows, table, tmp_path, suffix, start):
    path = scatter_panels(rows, tmp_path / f"deep/figure.{suffix}", table=table, title="$x$ _ %")
    assert path.read_bytes().startswith(start)


def test_other_kinds_are_refused(rows, table, tmp_path):
    with pytest.raises(InputError, match=r"expected one of \.png, \.pdf, \.svg"):
        scatter_panels(rows, tmp_path / "figure.xyz", table=table)


def test_a_metric_without_scores_has_no_panel(rows, tmp_path):
    frame = rows[rows["dataset"] == "first"].copy()
    frame.loc[frame["metric"] != "good", "score"] = np.nan
    width = Image.open(scatter_panels(frame, tmp_path / "one.png", table=rank(frame, draws=0))).width
    frame["score"] = np.nan
    assert width < 600
    with pytest.raises(CausaliqaError, match="no metric has a score"):
        scatter_panels(frame, tmp_path / "none.png", table=rank(frame, draws=0))
