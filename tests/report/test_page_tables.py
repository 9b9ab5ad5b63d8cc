"""Facts about metrics, asterisks, means and further tables on the page."""

import re

import numpy as np
import pandas as pd
import pytest

from causaliqa.evaluation.rank import rank
from causaliqa.evaluation.side_table import SideTable
from causaliqa.report.page import board, page
from causaliqa.report.page_tables import fact_columns, matrix, rank_rows, side_table, with_mean
from causaliqa.report.provenance import MetricFacts, Provenance


@pytest.fixture
def flat(rows):
    """Rows without anything to break down by, which takes time."""
    return rows.drop(columns=["type", "level", "split"])


def fact(name, **changes):
    return MetricFacts(name=name, lower_better=False, provider="p", **changes)


def section(text, name):
    start = text.index(f'<section data-dataset="{name}"')
    return text[start : text.index("</section>", start)]


def test_columns_about_metrics_appear_where_something_is_known():
    assert fact_columns([fact("a"), fact("b")]) == []
    known = [fact("a", trained_on=("kadid10k", "koniq10k"), year=2018), fact("b"), fact("c", trained_on=())]
    trained, year = fact_columns(known)
    assert trained["heading"] == "Trained on"
    assert trained["cells"] == {"a": "kadid10k, koniq10k", "b": "not known", "c": "none"}
    assert year["cells"] == {"a": "2018", "b": "", "c": ""}
    columns = fact_columns([fact("a", metric_mode="FR", licence="MIT")])
    assert [(c["heading"], c["cells"]["a"]) for c in columns] == [("FR / NR", "FR"), ("Licence", "MIT")]


@pytest.mark.parametrize(
    ("trained_on", "dataset", "expected"),
    [(("tid2013",), "TID-2013", True), (("tid2013",), "csiq", False), (None, "tid2013", False), ((), "", False)],
)
def test_a_data_set_is_recognised_by_its_name(trained_on, dataset, expected):
    assert fact("m", trained_on=trained_on).trained_here(dataset) is expected


def test_figures_on_training_data_have_an_asterisk_and_a_legend(flat, table):
    facts = (fact("good", trained_on=("First",)), fact("=weak"))
    text = page(board(flat, table), Provenance(metrics=facts))
    star = '<abbr class="seen"'
    first, second = (section(text, name) for name in ("first", "second"))
    line = first[first.index('<tr data-metric="good"') :]
    assert line[: line.index("</tr>")].count(star) == 4
    assert first[: first.index("</table>")].count(star) == 4
    assert star not in second
    assert "on a data set that the metric was trained on" in text
    assert "What 1 of 3 metrics were trained on is not known" in text.replace("\n", " ")
    overview = text[text.index('id="overview-srcc"') :]
    assert overview[: overview.index("</table>")].count(star) == 2
    assert star not in page(board(flat, table), Provenance(metrics=(fact("good"),)))


def test_places_follow_srcc_with_equal_values_sharing_one(table):
    part = table[table["dataset"] == "first"].copy()
    part["srcc"] = [0.9, 0.9, np.nan]
    assert [row["place"] for row in rank_rows(part)] == [1, 1, None]


def test_the_mean_over_data_sets_orders_the_overview():
    frame = pd.DataFrame(
        {"dataset": ["x", "y", "x", "y", "x"], "metric": list("aabbc"), "srcc": [0.9, 0.1, 0.6, 0.8, 0.99], "n": 9}
    )
    view = with_mean(matrix(frame, "dataset", "abc"))
    assert [name for name, _ in view["rows"]] == ["b", "a", "c"]
    assert [view["means"][name]["text"] for name in "abc"] == ["0.500", "0.700", "–"]
    assert [view["means"][name]["mark"] for name in "abc"] == ["second", "best", ""]


def test_a_further_table_is_shown_with_intervals_marks_and_warnings(flat, table, evil):
    frame = pd.DataFrame(
        {
            "dataset": ["first", "first"],
            "metric": ["good", evil],
            "within": [0.75, np.nan],
            "within_ci": [[0.7, 0.8], [np.nan, np.nan]],
            "within_best": [True, False],
            "images": [24, 24],
            "p": [0.00001, 0.5],
        }
    )
    made = SideTable(name="protocols", title="Protocols <i>", note=f"How {evil}.", frame=frame, warnings=("<b>No</b>",))
    shown = side_table(made, ["good", evil])
    assert [(c["heading"], c["text"]) for c in shown["columns"]] == [
        ("Data set", True),
        ("Metric", True),
        ("Within", False),
        ("Images", False),
        ("p", False),
    ]
    cells = [[cell["text"] for cell in row["cells"]] for row in shown["rows"]]
    assert cells == [["first", "good", "0.750", "24", "1.0e-05"], ["first", evil, "–", "24", "0.500"]]
    assert [row["cells"][2]["sort"] for row in shown["rows"]] == ["0.75", ""]
    text = page(board(flat, table, tables=[made]), Provenance())
    part = text[text.index('id="table-protocols"') :]
    assert "0.700 to 0.800</small>" in part
    assert part[: part.index("</section>")].count("†") == 1
    assert 'role="note">&lt;b&gt;No&lt;/b&gt;</p>' in part
    assert re.search(r'read with care: <a href="#table-protocols">Protocols &lt;i&gt;</a>', text)


def test_a_matrix_of_metrics_keeps_their_names_as_headings(evil):
    names = [*(f"net_{k}" for k in range(14)), evil]
    frame = pd.DataFrame(np.eye(15), columns=names).assign(metric=names)
    shown = side_table(SideTable(name="pairs", title="t", note="n", frame=frame), [])
    assert [c["heading"] for c in shown["columns"]] == [*names, "Metric"]
    assert shown["wide"]
    assert [cell["head"] for cell in shown["rows"][0]["cells"]] == [False] * 15 + [True]


def test_an_empty_table_is_no_error(flat, table):
    made = SideTable(name="none", title="None", note="n", frame=pd.DataFrame())
    assert 'id="table-none-cells"' in page(board(flat, table, tables=[made]), Provenance())


def test_a_page_of_one_data_set_has_no_overview(flat):
    part = flat[flat["dataset"] == "first"]
    assert 'id="overview"' not in page(board(part, rank(part, draws=0)), Provenance())


def test_tables_without_a_leaderboard():
    frame = pd.DataFrame({"output": ["ours", "theirs"], "psnr": [30.5, 29.0], "psnr_ci": [[30.0, 31.0], [28.5, 29.5]]})
    made = SideTable(name="means", title="Means", note="By content.", frame=frame, warnings=("Few contents.",))
    text = page(None, Provenance(), tables=[made], title="Outputs")
    assert 'id="table-means-cells"' in text
    assert "<title>Outputs</title>" in text
    assert 'href="#table-means"' in text
    assert 'id="filters"' not in text


def test_the_table_says_what_was_seen_where_it_knows_better(flat, table):
    text = page(board(flat, table.assign(seen=table["dataset"] == "second")), Provenance())
    assert '<abbr class="seen"' not in section(text, "first")
    assert section(text, "second").count('<abbr class="seen"') == 3 * 4
