"""Rows that were written earlier."""

from pathlib import Path

import pandas as pd
import pytest

from causaliqa.api.data import ScoreKey, ScoreRow
from causaliqa.api.errors import InputError
from causaliqa.api.specs import MetricSpec
from causaliqa.catalog.host import Registration
from causaliqa.evaluation.rank import rank
from causaliqa.evaluation.store import ScoreStore
from causaliqa.report.merge import Source, is_store, join, read_rows, read_store
from causaliqa.report.table import rows_csv

PSNR = MetricSpec(name="psnr", factory=dict, summary="psnr", licence="MIT", lower_better=False)


def filled(path, *variants, images=4, dataset="d"):
    """A store with the scores of some versions, seeds, weights or options of one metric."""
    with ScoreStore(path) as store:
        for number, variant in enumerate(variants):
            for k in range(images):
                facts = {"metric": "psnr", "version": "1", "protocol": "1", "ref_hash": "r", "img_hash": f"i{k}"}
                row = ScoreRow(
                    dataset=dataset,
                    metric="psnr",
                    ref="r.png",
                    dist=f"{k}.png",
                    label=float(k),
                    score=k + 0.1 * number,
                    lower_better=False,
                    label_lower_better=False,
                )
                store.put(ScoreKey(**{**facts, "dataset": dataset, **variant}), row)
    return path


@pytest.mark.parametrize(
    ("variants", "names"),
    [
        ([{}], ["psnr"]),
        ([{}, {"version": "2"}], ["psnr [version 1]", "psnr [version 2]"]),
        ([{"seed": 0}, {"seed": 7}], ["psnr [seed 0]", "psnr [seed 7]"]),
        ([{}, {"weights": "ab" * 32}], ["psnr [weights ab" + "ab" * 3 + "]", "psnr [weights none]"]),
        ([{}, {"options": '{"a":1}', "seed": 1}], ['psnr [options {"a":1}, seed 1]', "psnr [options {}, seed 0]"]),
    ],
)
def test_versions_options_and_seeds_never_mix(tmp_path, variants, names):
    source = read_store(filled(tmp_path / "s.sqlite", *variants), {"psnr": Registration(spec=PSNR, provider="p 1.0")})
    assert sorted(set(source.rows["metric"])) == names
    assert sorted(fact.name for fact in source.metrics) == names
    assert {fact.licence for fact in source.metrics} == {"MIT"}
    table = rank(source.rows, draws=0)
    assert table["n"].tolist() == [4] * len(names)
    assert table["srcc"].tolist() == pytest.approx([1.0] * len(names))


def test_a_metric_that_is_gone_is_said_to_be(tmp_path):
    (fact,) = read_store(filled(tmp_path / "s.sqlite", {}), {}).metrics
    assert "not installed here" in fact.provider
    assert fact.licence == "not stated"


def test_rows_come_back_as_they_were(rows, tmp_path, evil):
    path = tmp_path / "rows.csv"
    path.write_text(rows_csv(rows.assign(ref="-r.png")))
    source = read_rows(path)
    again = source.rows
    assert set(again["metric"]) == {"good", evil, "=weak"}
    assert set(again["ref"]) == {"-r.png"}
    assert again["score"].tolist() == rows["score"].tolist()
    assert again["lower_better"].dtype == bool
    for column in ("type", "level", "dist"):
        assert again[column].tolist() == rows[column].tolist()
    assert len(source.metrics) == 3


def test_failures_come_back(rows, tmp_path):
    path = tmp_path / "rows.csv"
    frame = rows.copy()
    frame.loc[0, ["score", "error"]] = [None, "no image"]
    path.write_text(rows_csv(frame))
    table = rank(read_rows(path).rows, draws=0).set_index(["dataset", "metric"])
    assert table.loc[("first", "good"), "n_failed"] == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "column 'dataset' is missing"),
        ("", "cannot be read"),
        ("dataset,metric,label,score,label_lower_better,lower_better\n", "no rows"),
        ("dataset,metric,label,score,label_lower_better,lower_better\nd,m,1,x,True,True\n", "'score': got 'x'"),
        ("dataset,metric,label,score,label_lower_better,lower_better\nd,m,1,2,maybe,True\n", "got 'maybe'"),
    ],
)
def test_files_that_hold_no_rows(tmp_path, text, words):
    path = tmp_path / "rows.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        read_rows(path)


def test_stores_and_other_files(tmp_path):
    (tmp_path / "rows.csv").write_text("a")
    assert is_store(filled(tmp_path / "s.sqlite", {}))
    assert not is_store(tmp_path / "rows.csv")
    with ScoreStore(tmp_path / "empty.sqlite"):
        pass
    with pytest.raises(InputError, match="holds no scores"):
        read_store(tmp_path / "empty.sqlite", {})


def test_the_same_metric_of_two_files_stays_apart(rows):
    first = Source(path=Path("x/a.csv"), rows=rows, metrics=())
    second = Source(path=Path("x/b.csv"), rows=rows[rows["metric"] == "good"], metrics=())
    frame, _ = join([first, second])
    assert {"good [a.csv]", "good [b.csv]", "=weak"} <= set(frame["metric"])
    assert "good" not in set(frame["metric"])
    assert len(frame) == len(rows) + len(second.rows)
    # Files of one name are told apart by their folders.
    other = Source(path=Path("y/a.csv"), rows=rows, metrics=())
    assert {"good [x/a.csv]", "good [y/a.csv]"} <= set(join([first, other])[0]["metric"])
    # On different data sets it is one metric.
    halves = [Source(path=Path(n), rows=rows[rows["dataset"] == n], metrics=()) for n in ("first", "second")]
    assert set(join(halves)[0]["metric"]) == set(rows["metric"])


def test_labels_of_both_directions_are_refused(rows):
    other = Source(path=Path("x/b.csv"), rows=rows.assign(label_lower_better=True, metric="m"), metrics=())
    with pytest.raises(InputError, match="low-is-good in one file"):
        join([Source(path=Path("x/a.csv"), rows=rows, metrics=()), other])


def test_nothing_is_lost_by_joining_one(rows):
    pd.testing.assert_frame_equal(join([Source(path=Path("a"), rows=rows, metrics=())])[0], rows)


@pytest.mark.parametrize("column", ["score", "label"])
@pytest.mark.parametrize("cell", ["1_000", "１２", "0x10", "infinity", "1 0"])
def test_what_only_python_takes_for_a_number(rows, tmp_path, column, cell):
    path = tmp_path / "rows.csv"
    changed = rows.astype({column: object})
    changed.loc[3, column] = cell
    path.write_text(rows_csv(changed))
    with pytest.raises(InputError) as caught:
        read_rows(path)
    assert column in str(caught.value) and repr(cell) in str(caught.value)
