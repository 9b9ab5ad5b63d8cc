"""Data sets as sequences, and the columns of rows that everything else derives from."""

from dataclasses import fields
from pathlib import Path

import pytest

from causaliqa.api.data import (
    PAIR_COLUMNS,
    RANKED_COLUMNS,
    ROI,
    SCORE_COLUMNS,
    Pair,
    PairDataset,
    ScoreKey,
    ScoreRow,
    canonical_options,
    columns,
)
from causaliqa.api.errors import InputError


@pytest.fixture
def dataset() -> PairDataset:
    pairs = tuple(Pair(ref=Path(f"r{k % 3}.png"), dist=Path(f"<{k}>.png"), label=k, type="blur") for k in range(25))
    return PairDataset(name="d", pairs=pairs, label="dmos", label_lower_better=True)


def test_a_data_set_is_a_sequence_of_pairs(dataset: PairDataset) -> None:
    assert len(dataset) == 25
    assert list(dataset) == list(dataset.pairs)
    assert dataset[-1] is dataset.pairs[-1]
    assert dataset[2:4] == dataset.pairs[2:4]
    with pytest.raises(IndexError):
        dataset[25]


def test_a_data_set_shows_itself(dataset: PairDataset) -> None:
    assert repr(dataset) == "PairDataset('d', 25 pairs, 3 references, label dmos (lower is better))"
    html = dataset._repr_html_()
    assert "&lt;0&gt;.png" in html
    assert "<0>" not in html
    assert "and 15 more" in html
    assert html.count("<tr>") == 11
    assert "<th>type</th>" in html
    assert "<th>level</th>" not in html


def test_every_column_belongs_to_the_pair_or_to_the_metric() -> None:
    names = [field.name for field in fields(ScoreRow)]
    assert sorted((*PAIR_COLUMNS, *SCORE_COLUMNS)) == sorted(names)
    assert set(RANKED_COLUMNS) <= set(names)
    assert list(columns(ScoreRow)) == names
    assert {column.kind for column in columns(ScoreRow).values()} == {str, bool, float}
    assert {name for name, column in columns(ScoreRow).items() if column.optional} == {
        *("label_std", "label_low", "label_high", "score")
    }
    assert {name for name, column in columns(ScoreKey).items() if column.kind is int} == {"seed"}


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1.5,0,8,8"])
def test_a_region_that_is_not_four_whole_numbers_is_refused(text):
    with pytest.raises(InputError, match="expected four whole numbers"):
        ROI.parse(text)


def test_a_region_is_read_as_it_is_written():
    assert str(ROI.parse(" 1,2, 3,4")) == "1,2,3,4"


def test_options_are_the_same_in_any_order():
    assert (
        canonical_options({"a": 1, "b": Path("x")}) == canonical_options({"b": Path("x"), "a": 1}) == '{"a":1,"b":"x"}'
    )
