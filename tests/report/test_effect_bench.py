"""Table, figure and page of a grid."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import causaliqa
from causaliqa import InputError
from causaliqa.functional.resampled import resampled_interval
from causaliqa.report.bench_table import compact, render, statistics

EVIL = "<b>a_b & c</b>"


@pytest.fixture(scope="module")
def made():
    images = [torch.rand(3, 24, 24, generator=torch.Generator().manual_seed(k)) for k in range(4)]
    networks = [{"network": nn.AvgPool2d(3, 1, 1), "name": EVIL, "year": 2001}, {"network": nn.Identity()}]
    return causaliqa.effect_bench(
        networks, images, "8,8,8,8", task="denoise", coarse=1, fine=2, sampler="noise", device="cpu", lam=True,
        progress=False,
    )  # fmt: skip


def test_means_and_intervals_are_those_of_the_images(made):
    assert len(made.rows) == 8
    own = made.rows[made.rows["network"] == "Identity"]
    row = made.table.set_index("network").loc["Identity"]
    assert row["images"] == 4
    assert row["region dB"] == pytest.approx(own["region"].mean())
    assert (row["region dB low"], row["region dB high"]) == resampled_interval(own["region"])
    assert row["none %"] == 100  # nothing outside the region reaches it
    assert row["DI"] == pytest.approx(own["DI"].mean())


def test_regions_of_an_image_count_once(made):
    rows = made.rows.copy()
    rows["image"] = ["a", "a", "a", "b"] * 2
    rows["region"] = [1.0, 2.0, 3.0, 10.0] * 2
    table = statistics(rows)
    assert list(table["region dB"]) == [6.0, 6.0]
    assert np.isnan(table["region dB low"]).all()
    assert "[" not in render(table, "plain")


def test_the_table_in_every_format(made):
    assert "[" in compact(made.table)["region dB"][0]
    assert r"a\_b \& c" in made.to_text("latex")
    assert "region dB low" in made.to_text("csv").splitlines()[0]
    assert "2001" in made.to_text("plain")


def test_page_and_figure(made, tmp_path):
    text = made.page()
    assert "&lt;b&gt;a_b &amp; c" in text and EVIL not in text
    assert text.count("data:image/png") == 1 + 8 * 3
    assert "percentile bootstrap" in text
    shares, ranges = made.figure().axes
    assert shares.get_ylim() == (0, 100)
    assert [label.get_text() for label in ranges.get_xticklabels()] == [f"{EVIL}\n2001", "Identity"]
    names = {path.name for path in made.save(tmp_path, figures="png,pdf")}
    assert names == {"maps.csv", "table.csv", "table.tex", "page.html", "bench.png", "bench.pdf"}


def test_a_page_of_two_grids_shows_the_maps_of_both(made):
    # Both count their cells from 0.
    both = [(replace(cell, number=0), result) for cell, result in made.cells[::4]]
    assert len(both) == 2
    assert type(made).of(both).page().count("data:image/png") == 1 + 2 * 3


def test_nothing_made_is_said(tmp_path):
    (tmp_path / "a.png").write_text("no image")
    made = causaliqa.effect_bench(["tiny_dncnn_50"], tmp_path, "8,8,8,8", task="denoise", device="cpu", progress=False)
    assert (len(made.failures), made.cells) == (1, ())
    with pytest.raises(InputError, match="no map was made"):
        made.page()
    with pytest.raises(InputError, match="limit 1: the grid takes"):
        causaliqa.effect_bench(
            [nn.Identity()], torch.rand(3, 24, 24), "8,8,8,8", task="denoise", prune=False, limit="1"
        )
    with pytest.raises(InputError, match="Did you mean 'fine'"):
        causaliqa.effect_bench(["tiny_dncnn_50"], torch.rand(3, 8, 8), fien=3)
