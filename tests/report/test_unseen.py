"""Results of metrics on their own training data: marked, counted, left out."""

import csv
import io
import json
import re

import pandas as pd
import pytest

from causaliqa.api.errors import InputError
from causaliqa.evaluation.rank import rank
from causaliqa.report.combined import combined_page
from causaliqa.report.leaderboard import leaderboard
from causaliqa.report.merge import read_rows
from causaliqa.report.provenance import MetricFacts, Provenance
from causaliqa.report.table import document, render, rows_csv, to_html_table
from causaliqa.report.training import training_notes, unseen_rows, with_seen, with_training

FACTS = (
    MetricFacts(name="good", lower_better=False, provider="p", trained_on=("first",), year=2020, metric_mode="FR"),
    MetricFacts(name="=weak", lower_better=False, provider="p", trained_on=()),
)
"""Of the third metric of the fixture ``rows`` nothing is known."""


@pytest.fixture
def marked(table):
    return with_training(table, FACTS)


def test_every_line_says_what_is_known(marked, evil):
    said = {(line.dataset, line.metric): (line.trained_on, line.seen) for line in marked.itertuples()}
    assert said["first", "good"] == ("first", True)
    assert said["second", "good"] == ("first", False)
    assert said["first", "=weak"] == ("none", False)
    assert said["first", evil] == ("unknown", None)


def test_an_origin_marks_another_data_set(table):
    facts = with_seen(FACTS, table["dataset"], {"second": "FIRST"})
    assert [fact.seen_on for fact in facts] == [("first", "second"), ()]
    marked = with_training(table, facts)
    assert marked.loc[marked["metric"] == "good", "seen"].tolist() == [True, True]


@pytest.mark.parametrize("form", ["plain", "github"])
def test_text_has_an_asterisk_and_a_legend(marked, table, form):
    text, bare = (render(made, form, Provenance()) for made in (marked, table))
    star = "\\*" if form == "github" else "*"
    assert text.count(f"good{star} ") == 1
    assert f"{star} the metric was trained or tuned on this data set" in text
    assert star not in bare.replace("**", "")


def test_latex_has_asterisks_and_a_legend(marked, table):
    text, bare = (render(made, "latex", Provenance(metrics=FACTS)) for made in (marked, table))
    assert text.count("$^*$") == 3 + 1
    assert "$^*$ the metric was trained or tuned on this data set" in text
    assert "$^*$" not in bare


def test_notebooks_show_the_asterisk(marked):
    assert to_html_table(marked).count("good*") == 1


def test_csv_and_json_have_columns(marked, evil):
    lines = list(csv.DictReader(io.StringIO(render(marked, "csv", Provenance()))))
    assert {(line["metric"], line["trained_on"], line["seen"]) for line in lines if line["dataset"] == "first"} == {
        ("good", "first", "True"),
        ("'=weak", "none", "False"),
        (evil, "unknown", ""),
    }
    made = json.loads(json.dumps(document(marked, Provenance(metrics=FACTS)), allow_nan=False))
    assert {row["seen"] for row in made["rows"]} == {True, False, None}
    assert [fact["trained_on"] for fact in made["metrics"]] == [["first"], []]
    assert (made["metrics"][0]["year"], made["metrics"][0]["metric_mode"]) == (2020, "FR")


def test_a_line_of_facts_tells_mode_year_and_training():
    first, second = (fact.line() for fact in FACTS)
    assert "full reference, published in 2020, trained on first" in first
    assert "trained on none" in second
    assert "published" not in second


def test_unseen_leaves_out_only_what_was_trained_on(rows):
    left = unseen_rows(rows, FACTS)
    gone = rows[(rows["dataset"] == "first") & (rows["metric"] == "good")]
    assert len(left) == len(rows) - len(gone)
    assert rank(left, draws=0)[["dataset", "metric"]].value_counts().max() == 1
    others = rows.drop(gone.index).reset_index(drop=True)
    pd.testing.assert_frame_equal(left, others)


def test_nothing_left_is_an_error(rows):
    alone = rows[(rows["dataset"] == "first") & (rows["metric"] == "good")]
    with pytest.raises(InputError, match="nothing is left"):
        unseen_rows(alone, FACTS)


def test_notes_count(rows, evil):
    marked, unknown = training_notes(rows, FACTS)
    assert marked == "1 result on a metric's own training data, marked with an asterisk"
    assert unknown == f"nothing is known about the training data of 1 of 3 metrics ({evil})"
    left, _ = training_notes(rows, with_seen(FACTS, ["first", "second"], {"second": "first"}), unseen=True)
    assert left == "left out: 2 results on a metric's own training data (good on first, good on second)"
    assert training_notes(rows[rows["metric"] == "=weak"], FACTS) == ()
    assert training_notes(rows[rows["metric"] == "=weak"], FACTS, unseen=True)[0].startswith("left out: nothing")


@pytest.fixture
def scored(manifest):
    """A manifest with the scores of a metric in it, and the metrics to ask for."""
    lines = manifest.read_text().splitlines()
    lines = [f"{lines[0]},theirs", *(f"{line},{k}" for k, line in enumerate(lines[1:]))]
    manifest.write_text("\n".join(lines) + "\n")
    declared = "theirs:lower_better=true,trained_on=kadid10k+tid2013"
    return {"data": manifest, "metrics": ["psnr", declared], "scores": manifest, "device": "cpu", "progress": False}


def test_a_leaderboard_knows_computed_objects_and_given(scored):
    class Mine:
        lower_better = True
        metric_mode = "FR"
        name = "mine"

        def __call__(self, img, ref):
            return (img - ref).abs().mean((1, 2, 3))

    made = leaderboard(**{**scored, "metrics": [*scored["metrics"], Mine()]}, part_of={"noisy": "tid2008"})
    said = {line.metric: (line.trained_on, line.seen) for line in made.table.itertuples()}
    assert said == {
        "psnr": ("none", False),
        "theirs": ("kadid10k+tid2013", True),
        "mine": ("unknown", None),
    }
    facts = {fact.name: (fact.metric_mode, fact.trained_on) for fact in made.provenance.metrics}
    assert facts == {"psnr": ("FR", ()), "theirs": ("", ("kadid10k", "tid2013")), "mine": ("", None)}
    assert any("1 of 3 metrics (mine)" in note for note in made.provenance.notes)
    assert made.provenance.settings["part_of"] == {"noisy": "tid2008"}


def test_unseen_drops_it_from_table_page_and_breakdowns(scored):
    made = leaderboard(**scored, unseen=True, part_of={"noisy": "tid2013"}, by="type")
    assert set(made.table["metric"]) == set(made.overall["metric"]) == {"psnr"}
    assert "theirs" not in made.to_html().partition("<footer")[0].partition("left out")[0]
    assert any("left out: 1 result" in note and "theirs on noisy" in note for note in made.provenance.notes)


def test_an_unknown_data_set_has_no_origin(scored):
    with pytest.raises(InputError, match="part-of: no data set is called 'nosy'; got noisy"):
        leaderboard(**scored, part_of={"nosy": "tid2013"})


def test_rows_carry_what_is_known_to_a_page(scored, tmp_path):
    made = leaderboard(**scored)
    file = made.save_rows(tmp_path / "rows.csv")
    assert {fact.name: fact.trained_on for fact in read_rows(file).metrics} == {
        "psnr": (),
        "theirs": ("kadid10k", "tid2013"),
    }
    page, _ = combined_page([file], unseen=True, part_of={"noisy": "kadid10k"})
    assert "left out: 1 result on a metric&#39;s own training data (theirs on noisy)" in page
    assert set(re.findall(r'<figure[^>]* data-metric="(\w+)"', page)) == {"psnr"}


def test_rows_of_older_versions_are_unknown(rows, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(rows_csv(rows))
    assert {fact.trained_on for fact in read_rows(path).metrics} == {None}
    path.write_text(rows_csv(rows.assign(trained_on="A B")))
    with pytest.raises(InputError, match=r"rows\.csv: column 'trained_on': got 'A B'"):
        read_rows(path)
