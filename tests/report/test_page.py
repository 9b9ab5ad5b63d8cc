"""The page as a document; what a browser makes of it is in test_page_browser.py."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from causaliqa.api.data import ROI
from causaliqa.effects.effect_map import EffectMap
from causaliqa.evaluation.rank import rank
from causaliqa.report.map_table import gallery, statistics
from causaliqa.report.page import MOST_POINTS, board, page
from causaliqa.report.provenance import MetricFacts, Provenance

VOID = {"meta", "link", "input", "br", "img", "wbr"}


class Document(HTMLParser):
    """Checks that elements are balanced, and collects them."""

    def __init__(self, text):
        super().__init__()
        self.open, self.found, self.script = [], [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] == ["script"] and "numbers" in str(self.found[-1]):
            self.script += data

    def of(self, tag):
        return [attrs for name, attrs in self.found if name == tag]


@pytest.fixture(scope="module")
def text(rows, table, evil):
    facts = Provenance(
        versions={"torch": "9.8.7"},
        metrics=(MetricFacts(name=evil, lower_better=False, provider=evil, licence=evil, options=evil),),
        settings={"data": [evil]},
        notes=(evil,),
    )
    return page(board(rows, table), facts, title=evil)


def test_names_from_data_are_never_markup(text, evil):
    document = Document(text)
    assert document.open == []
    assert not document.of("img")
    assert len(document.of("script")) == 3
    assert len(document.of("b")) == len(re.findall("<b>", text))
    assert "<b>noise</b>" not in text
    assert not [attrs for _, attrs in document.found if any(name.startswith("on") for name in attrs)]
    assert {a.get("data-metric") for a in document.of("tr")} >= {"good", evil, "=weak"}


def test_the_numbers_come_with_the_page(text, table, evil):
    numbers = json.loads(Document(text).script)
    assert [row["srcc"] for row in numbers["rows"]] == table["srcc"].tolist()
    assert numbers["settings"] == {"data": [evil]}
    assert evil in {row["metric"] for row in numbers["rows"]}


def test_nothing_is_fetched(text):
    document = Document(text)
    addresses = [attrs[name] for _, attrs in document.found for name in ("src", "href") if name in attrs]
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert not re.search(r"url\(|@import|https?:", text)


def test_every_view_is_there(text):
    document = Document(text)
    summaries = re.findall(r"<summary>SRCC by (\w+) <small>(\d+)", text)
    assert summaries == [("type", "3"), ("level", "3")] * 2
    # The overview, and per data set: the ranks, two breakdowns; then the metrics of the provenance.
    assert len(document.of("table")) == 1 + 2 * 3 + 1
    assert len(document.of("svg")) == 6
    headings = re.findall(r"<button type=\"button\">(1|2|10)</button>", text)
    assert headings == ["1", "2", "10"] * 2


def test_best_second_and_tied_are_marked(text, table):
    section = text[text.index('<section data-dataset="first"') : text.index('<section data-dataset="second"')]
    assert section[: section.index("</table>")].count('class="best"') == 4
    assert section[: section.index("</table>")].count('class="top"') == table["best_group"][:3].sum()
    bars = re.findall(r"--low:([\d.]+)%;--high:([\d.]+)%;--at:([\d.]+)%", section)
    assert len(bars) == 3
    assert all(0 <= float(low) <= float(at) <= float(high) <= 100 for low, high, at in bars)


def test_sorting_has_exact_numbers(text, table):
    document = Document(text)
    values = {attrs["data-sort"] for attrs in document.of("td") if "data-sort" in attrs}
    assert {repr(float(v)) for v in table["srcc"]} <= values


def test_many_points_are_thinned_out_and_the_page_says_so(rows):
    n = 3 * MOST_POINTS
    part = rows[(rows["metric"] == "good") & (rows["dataset"] == "first")]
    many = part.iloc[np.arange(n) % len(part)].reset_index(drop=True)
    many["score"] += np.linspace(0, 1, n)
    made = board(many.drop(columns="dist"), rank(many.drop(columns="dist"), draws=0))
    (panel,) = made.panels
    assert (panel.drawn, panel.n) == (MOST_POINTS, n)
    text = page(made, Provenance())
    assert f"{MOST_POINTS} of {n} images drawn" in text
    assert len(re.findall(r"[\d.]h0", text)) == MOST_POINTS
    again = board(many.drop(columns="dist"), made.table).panels[0]
    assert all((panel.points[kind][0] == again.points[kind][0]).all() for kind in panel.points)


def test_the_curve_is_the_fit_of_the_statistics(rows, table):
    from causaliqa.functional.statistics import summarise

    panel = next(p for p in board(rows, table).panels if (p.dataset, p.metric) == ("first", "=weak"))
    part = rows[(rows["dataset"] == "first") & (rows["metric"] == "=weak")]
    fitted = summarise(part["score"], part["label"], lower_better=False, label_lower_better=False)
    assert panel.curve[1] == pytest.approx(fitted.predict(panel.curve[0]))
    assert (panel.curve[0].min(), panel.curve[0].max()) == (part["score"].min(), part["score"].max())


@pytest.mark.parametrize("draws", [0, 50])
def test_failures_and_missing_columns_are_shown(rows, draws):
    frame = rows[rows["dataset"] == "first"].drop(columns=["type", "level", "split", "seconds"]).copy()
    frame.loc[frame["metric"] == "=weak", "score"] = np.nan
    text = page(board(frame, rank(frame, draws=draws)), Provenance())
    assert ">Failed<" in text
    assert ">24</td>" in text
    assert (
        "nan" not in re.sub(r"<script>.*</script>", "", text, flags=re.S).replace("--", "").lower().split("<main>")[1]
    )
    assert ("95 % interval" in text) == bool(draws)
    assert "SRCC on every data set" not in text


def test_a_wrong_direction_is_marked(rows):
    frame = rows[rows["metric"] == "good"].assign(lower_better=True)
    assert page(board(frame, rank(frame, draws=0)), Provenance()).count("wrong direction") == 2


def test_maps_alone_and_beside_a_leaderboard(rows, table):
    effect = np.zeros((4, 4))
    effect[0, 0], effect[3, 3] = 0.5, -0.25
    made = EffectMap(
        effect=effect,
        count=np.ones((4, 4), int),
        sem=np.zeros((4, 4)),
        samples=effect[..., None],
        image=np.full((32, 32, 3), 90, np.uint8),
        base=25.0,
        roi=ROI(8, 8, 8, 8),
        patch_size=8,
        facts={"restorer": "<i>net</i>", "task": "sr", "image": "a.png"},
    )
    maps = {"one": made, "two": made}
    shown = gallery(maps, statistics(maps))
    alone = page(None, Provenance(), gallery=shown)
    document = Document(alone)
    assert document.open == []
    assert "<i>net</i>" not in alone
    assert len(document.of("img")) == 2
    assert all(image["src"].startswith("data:image/png;base64,") for image in document.of("img"))
    assert 'id="numbers"' not in alone
    assert "colours are full at 0.5 dB" in alone
    both = page(board(rows, table), Provenance(), gallery=shown)
    assert "Causal effect maps<a" in both
    assert 'id="numbers"' in both


def test_breakdowns_list_metrics_in_the_order_of_the_ranks(text, table):
    section = text[text.index('<section data-dataset="first"') : text.index('<section data-dataset="second"')]
    order = re.findall(r'<tr data-metric="([^"]*)"', section)
    assert len(order) == 3 * 3
    assert order[:3] == order[3:6] == order[6:]
    assert order[0] == table["metric"].iloc[0]


def test_types_are_told_apart_without_colour(rows, table):
    from causaliqa.report._svg import GLYPHS, KEYS

    text = page(board(rows, table), Provenance())
    marks = re.findall(r'class="dots c(\d) m\1[^"]*" d="M[\d.]+ [\d.]+([a-z][^M"]*)', text)
    assert {(int(number), path) for number, path in marks} == {(k, GLYPHS[k]) for k in range(3)}
    assert re.findall(r'<i class="c(\d)" aria-hidden="true">(.)</i>', text)[:3] == [(str(k), KEYS[k]) for k in range(3)]
    assert len(set(GLYPHS)) == len(set(KEYS)) == len(KEYS) == len(GLYPHS)
    assert "good, higher is better" in text.replace("<wbr>", "")
