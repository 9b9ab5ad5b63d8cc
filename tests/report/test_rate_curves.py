"""Curves of quality over rate: what is drawn is what the tables say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from causaliqa.evaluation.compare import ComparedMetric
from causaliqa.evaluation.encoder_tables import encoder_tables
from causaliqa.evaluation.encoders import Hold, hulls_of
from causaliqa.io.rate_points import RatePoint
from causaliqa.report.rate_curves import draw_curves

PSNR = ComparedMetric(name="psnr", lower_better=False)
ERROR = ComparedMetric(name="error", lower_better=True)


def _points(contents: int) -> list[RatePoint]:
    """Two encoders that cross: ``new`` is cheaper at low rates."""
    qualities = {"old": (30, 33, 36, 39), "new": (32, 34, 35.5, 37)}
    return [
        RatePoint(
            encoder=encoder, content=f"c{n}", rate=rate * (1 + 0.1 * n),
            scores={"psnr": quality + n, "error": 50 - quality - n},
        )
        for encoder, own in qualities.items()
        for n in range(contents)
        for rate, quality in zip((1, 2, 4, 8), own, strict=True)
    ]  # fmt: skip


@pytest.mark.parametrize("contents", [1, 3])
@pytest.mark.parametrize("metric", [PSNR, ERROR])
def test_hulls_are_those_of_the_table(metric, contents):
    points = _points(contents)
    (axes,) = draw_curves(points, [metric]).axes
    bands = [(list(b.get_xdata()), list(b.get_ydata())) for b in axes.lines if b.get_color() == "#777777"][:-1]
    expected = hulls_of(points, metric)
    assert bands == [([p.rate for p in kept], [p.scores[metric.name] for p in kept]) for kept in expected.values()]
    assert {p.encoder for kept in expected.values() for p in kept} == {"old", "new"}


def test_every_encoder_is_in_the_legend_even_without_a_common_rate():
    points = _points(2)
    far = [replace(p, rate=p.rate * 1000) if p.content == "c1" and p.encoder == "new" else p for p in points]
    (axes,) = draw_curves(far, [PSNR]).axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["old", "new", "convex hull"]
    assert len(next(line for line in axes.lines if line.get_label() == "new").get_xdata()) == 0


@pytest.mark.parametrize("contents", [1, 4])
def test_the_ladder_stands_where_its_table_says(contents):
    hold, points = [Hold(metric="psnr", value=36.5)], _points(contents)
    (axes,) = draw_curves(points, [PSNR], hold=hold).axes
    ladder = encoder_tables(points, [PSNR], anchor="old", hold=hold)[-1].frame
    stars = [line for line in axes.lines if line.get_marker() == "*"]
    assert [float(np.ravel(s.get_xdata())[0]) for s in stars] == pytest.approx(ladder["rate"].tolist())
    assert {float(np.ravel(s.get_ydata())[0]) for s in stars} == {36.5}
    assert [text.get_text() for text in axes.texts] == [f"{rate:.3g}" for rate in ladder["rate"]]


def test_a_quality_that_some_contents_miss_is_hollow_and_one_that_all_miss_is_left_out():
    points = _points(4)
    (axes,) = draw_curves(points, [PSNR], hold=[Hold(metric="psnr", value=39.5)]).axes
    stars = {s.get_color(): s.get_markerfacecolor() for s in axes.lines if s.get_marker() == "*"}
    assert list(stars.values()) == ["white", "white"]
    (axes,) = draw_curves(points, [PSNR], hold=[Hold(metric="psnr", value=60)]).axes
    assert not [s for s in axes.lines if s.get_marker() == "*"]
