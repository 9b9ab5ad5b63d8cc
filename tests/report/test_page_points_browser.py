"""Dots, pairs, links and downloads of the page in a real browser."""

import csv
import io
import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from causaliqa.evaluation.side_table import SideTable
from causaliqa.report.merge import read_rows
from causaliqa.report.page import board, page
from causaliqa.report.provenance import MetricFacts, Provenance
from causaliqa.report.thumbnails import files_below
from causaliqa.utils.text import csv_text, latex

pytestmark = pytest.mark.slow

KEPT = """
window.kept = [];
const make = URL.createObjectURL;
URL.createObjectURL = (blob) => (kept.push(blob), make(blob));
HTMLAnchorElement.prototype.click = function () { kept.name = this.download; };
"""
"""Keeps what is saved instead of writing it into a folder."""


@pytest.fixture(scope="module")
def text(rows, table, evil, tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for name in {*rows["ref"], *rows["dist"]}:
        Image.fromarray(rng.integers(0, 255, (40, 60, 3), dtype=np.uint8)).save(folder / name)
    frame = pd.DataFrame({"metric": ["good", evil], "a_b": [0.5, -0.25], "a_b_ci": [[0.4, 0.6], [-0.5, 0.0]]})
    wide = pd.DataFrame({"metric": ["good"], **{f"column {k}": [k / 10] for k in range(40)}})
    tables = (
        SideTable(name="protocols", title="Protocols", note="A note.", frame=frame, warnings=("Mind this.",)),
        SideTable(name="wide", title="Wide", note="Many columns.", frame=wide),
    )
    facts = tuple(
        MetricFacts(name=name, lower_better=False, provider="p", trained_on=("FIRST",) if name == evil else None)
        for name in dict.fromkeys(rows["metric"])
    )
    made = board(rows, table, tables=tables, files=files_below([str(folder)]), count=6)
    return page(made, Provenance(metrics=facts, notes=(f"a note with {evil}",)))


@pytest.fixture
def opened(watched, text):
    return watched(text)


def find(browser, selector):
    from selenium.webdriver.common.by import By

    return browser.find_element(By.CSS_SELECTOR, selector)


def order(browser, table="set1-ranks"):
    script = "return [...document.getElementById(arguments[0]).tBodies[0].rows].map((row) => row.dataset.metric)"
    return browser.execute_script(script, table)


def dot(browser, metric, number):
    """Place of the n-th dot of a plot of the first data set in the window, and its facts."""
    script = """
    const plot = plots.find((p) => p.set.dataset === "first" && p.metric.name === arguments[0]);
    plot.svg.scrollIntoView({ block: "center" });
    const box = plot.svg.getBoundingClientRect();
    const scale = box.width / plot.svg.viewBox.baseVal.width;
    const k = arguments[1];
    return [box.left + plot.x[k] * scale, box.top + plot.y[k] * scale, plot.metric.scores[k], plot.set.labels[k]];
    """
    return browser.execute_script(script, metric, number)


def move(browser, x, y, click=False):
    from selenium.webdriver.common.actions.action_builder import ActionBuilder

    action = ActionBuilder(browser)
    action.pointer_action.move_to_location(round(x), round(y))
    if click:
        action.pointer_action.click()
    action.perform()


def test_hovering_a_dot_names_image_score_and_label(opened, rows):
    own = rows[(rows["dataset"] == "first") & (rows["metric"] == "=weak")].reset_index(drop=True)
    for number in (0, 7, 23):
        x, y, score, label = dot(opened, "=weak", number)
        assert (score, label) == (own["score"][number], own["label"][number])
        move(opened, x, y)
        lines = find(opened, "#tip").text.splitlines()
        assert lines[0] == f"i{number}.png"
        assert lines[1] == f"=weak {float(f'{score:.5g}'):g}, label {float(f'{label:.5g}'):g}"
        assert lines[2] == own["type"][number]
        rings = opened.execute_script("return plots.map((p) => [p.set.dataset, p.ring.getAttribute('visibility')])")
        assert rings == [["first", "visible"]] * 3 + [["second", "hidden"]] * 3
    move(opened, 5, 5)
    assert not find(opened, "#tip").is_displayed()


def test_dots_lie_where_the_drawing_has_them(opened):
    script = """
    return plots.map((p) => {
      const paths = [...p.svg.querySelectorAll("path.dots")];
      const drawn = paths.flatMap((path) => path.getAttribute("d").match(/M[\\d.]+ [\\d.]+/g));
      const own = p.order.map((k) => [p.x[k], p.y[k]]);
      return [drawn.map((d) => d.slice(1).split(" ").map(Number)), own];
    });
    """
    for drawn, own in opened.execute_script(script):
        assert np.allclose(sorted(drawn), sorted(own), atol=0.06)


def test_a_click_shows_the_pair_side_by_side(opened):
    script = """
    const plot = plots.find((p) => p.set.dataset === "first");
    const k = plot.order.find((one) => pairFigure(plot.set, one));
    return [plot.metric.name, k, plot.set.imageOf(k), plot.set.refOf(k)];
    """
    metric, number, image, ref = opened.execute_script(script)
    x, y, _, _ = dot(opened, metric, number)
    move(opened, x, y, click=True)
    dialog = find(opened, "dialog")
    assert dialog.get_attribute("open") is not None
    assert opened.execute_script("return [...document.querySelectorAll('dialog img')].map((i) => i.alt)") == [
        f"reference {ref}",
        f"image {image}",
    ]
    assert opened.execute_script(
        "return [...document.querySelectorAll('dialog img')].every((i) => i.naturalWidth === 60)"
    )
    find(opened, "dialog > button").click()
    assert dialog.get_attribute("open") is None


def test_the_keyboard_goes_from_dot_to_dot(opened):
    from selenium.webdriver.common.keys import Keys

    svg = find(opened, "figure.panel svg")
    svg.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    expected = opened.execute_script("return plots[0].set.imageOf(plots[0].order[2])")
    assert find(opened, "#tip").text.splitlines()[0] == expected
    svg.send_keys(Keys.ESCAPE)
    assert not find(opened, "#tip").is_displayed()
    script = "return plots[0].order.findIndex((k) => pairFigure(plots[0].set, k))"
    svg.send_keys(*[Keys.ARROW_RIGHT] * (opened.execute_script(script) + 1), Keys.ENTER)
    assert find(opened, "dialog").get_attribute("open") is not None
    svg = opened.switch_to.active_element
    svg.send_keys(Keys.ESCAPE)
    assert find(opened, "dialog").get_attribute("open") is None


def test_a_link_keeps_order_and_filters_and_back_restores_them(opened):
    written = order(opened)
    find(opened, "#set1-ranks th:nth-child(3) button").click()
    ascending = order(opened)
    assert ascending == written[::-1]
    find(opened, "#filter-metrics").send_keys("goo, =w")
    words = "return document.getElementById('filter-metrics').value"
    shown = "return [...document.querySelectorAll('#set1-ranks tbody tr')].filter((row) => !row.hidden).length"
    assert opened.execute_script(shown) == 2
    address = opened.current_url
    assert "sort=set1-ranks" in address
    assert "find=goo" in address
    opened.get("about:blank")
    opened.get(f"{address}#set1-by-type")
    assert order(opened) == ascending
    assert opened.execute_script(words) == "goo, =w"
    assert opened.execute_script(shown) == 2
    unfolded = "return document.getElementById('set1-by-type').closest('details').open"
    assert opened.execute_script(unfolded)
    opened.get(address)
    find(opened, "#set1-ranks th:nth-child(1) button").click()
    assert order(opened) == written
    opened.back()
    assert order(opened) == ascending
    assert opened.execute_script(words) == "goo, =w"


def test_back_goes_to_the_order_of_the_file(opened):
    written = order(opened)
    find(opened, "#set1-ranks th:nth-child(3) button").click()
    assert order(opened) != written
    opened.back()
    assert order(opened) == written
    sorted_by = "return document.querySelector('#set1-ranks [aria-sort=descending]').textContent.trim()"
    assert opened.execute_script(sorted_by) == "SRCC"


def test_every_link_leads_somewhere(opened):
    links = "[...document.querySelectorAll('a')].map((a) => a.hash.slice(1))"
    assert opened.execute_script(f"return {links}.filter((id) => !document.getElementById(id))") == []
    assert opened.execute_script("return [...document.querySelectorAll('table')].filter((t) => !t.id).length") == 0
    ids = opened.execute_script("return [...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))


def saved(browser, selector):
    """Press a button; what it saves, and under what name."""
    browser.execute_script(KEPT)
    browser.execute_script("document.querySelector(arguments[0]).click()", selector)
    script = "const done = arguments[0]; kept.at(-1).text().then((text) => done([kept.name, text]))"
    return browser.execute_async_script(script)


EXPORTS = "div:has(> #{}) + .exports .export:nth-child({})"


def test_tables_as_csv(opened, table):
    name, text = saved(opened, EXPORTS.format("set1-ranks", 1))
    assert name == "first-ranks.csv"
    lines = list(csv.DictReader(io.StringIO(text)))
    own = table[table["dataset"] == "first"]
    assert [csv_text(line["Metric"]) for line in lines] == own["metric"].tolist()
    for column in ("srcc", "plcc", "krcc", "rmse"):
        assert [float(line[column.upper()]) for line in lines] == own[column].tolist()
    ends = [[float(line[f"95 % interval {end}"]) for end in ("low", "high")] for line in lines]
    assert ends == own["srcc_ci"].tolist()


def test_a_further_table_as_csv_has_its_intervals_as_numbers(opened, evil):
    _, text = saved(opened, EXPORTS.format("table-protocols-cells", 1))
    assert list(csv.reader(io.StringIO(text))) == [
        ["Metric", "A b", "A b low", "A b high"],
        ["good", "0.5", "0.4", "0.6"],
        [evil, "-0.25", "-0.5", "0.0"],
    ]


def test_tables_as_latex(opened, evil):
    name, text = saved(opened, EXPORTS.format("set1-ranks", 2))
    assert name == "first-ranks.tex"
    body, comments = text[: text.index("%\x20") - 1], text[text.index("\\end{tabular}") + 14 :]
    assert f"{latex(evil)}" in text
    line = next(line for line in text.splitlines() if line.startswith("1 & "))
    assert re.fullmatch(r"1 & good\$\^\\dagger\$ & \\textbf\{0\.\d{3}\} & \[0\.\d{3}, 0\.\d{3}\] & .*\\\\", line)
    starred = next(line for line in text.splitlines() if latex(evil) in line and "&" in line)
    assert starred.count("$^*$") == 4
    assert all(line.startswith("%") for line in comments.splitlines())
    assert body
    columns = re.search(r"\\begin\{tabular\}\{(\w+)\}", text)[1]
    rows = [line for line in text.splitlines() if line.endswith("\\\\")]
    assert {len(re.findall(r"(?<!\\)&", line)) + 1 for line in rows} == {len(columns)}
    _, negative = saved(opened, EXPORTS.format("table-protocols-cells", 2))
    assert r"$-$0.250 {\footnotesize [$-$0.500, 0]}" in negative


def test_what_is_filtered_is_not_saved(opened):
    find(opened, "#filter-metrics").send_keys("good")
    _, text = saved(opened, EXPORTS.format("set1-ranks", 1))
    assert [line["Metric"] for line in csv.DictReader(io.StringIO(text))] == ["good"]


def test_plots_as_svg(opened):
    name, text = saved(opened, "figure.panel .export")
    assert name == "first-good.svg"
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    words = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert any(word and word.startswith("good SRCC 0.9") for word in words)
    assert "good, higher is better" in words
    assert "label (higher is better)" in words
    assert {"blur", "jpeg", "<b>noise</b>"} <= {word.split(maxsplit=1)[-1] for word in words if word}
    paths = [node for node in root.iter("{http://www.w3.org/2000/svg}path") if node.get("d", "").count("h0") == 8]
    assert len(paths) == 3
    assert all(path.get("stroke", "none").startswith("rgb") for path in paths)


def test_scores_as_csv_can_be_read_again(opened, rows, tmp_path):
    _, text = saved(opened, "#filters .tools .export")
    path = tmp_path / "scores.csv"
    path.write_text(text, "utf-8")
    read = read_rows(path).rows
    keys = ["dataset", "metric", "dist", "ref", "label", "type", "lower_better", "label_lower_better"]
    both = read.merge(rows, on=keys, suffixes=("", "_given"), how="outer", indicator=True)
    assert len(read) == len(rows) == len(both)
    assert set(both["_merge"]) == {"both"}
    assert (both["score"] == both["score_given"]).all()


def test_a_phone_scrolls_wide_tables_in_their_own_box(opened):
    size = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        assert opened.execute_script("return document.documentElement.scrollWidth") <= 390
        box = "const box = document.getElementById('table-wide-cells').parentElement;"
        shown, whole = opened.execute_script(f"{box} return [box.clientWidth, box.scrollWidth]")
        assert shown < 390 < whole
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
