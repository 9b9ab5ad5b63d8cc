"""The page in a real browser, headless Chromium: sorting, filters, no error, no request."""

import json

import pytest

from causaliqa.report.page import board, page
from causaliqa.report.provenance import Provenance

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def text(rows, table):
    return page(board(rows, table), Provenance(settings={"a": "</script><script>throw 1</script>"}))


@pytest.fixture
def opened(watched, text):
    return watched(text)


def column(browser, name, section="first"):
    """Shown texts of a column of the ranks of a data set."""
    script = """
    const table = document.querySelector(`section[data-dataset="${arguments[0]}"] table.ranks`);
    const heading = [...table.tHead.rows[0].cells].find((c) => c.textContent.trim() === arguments[1]);
    const shown = [...table.tBodies[0].rows].filter((row) => row.offsetParent);
    return shown.map((row) => row.cells[heading.cellIndex].textContent.trim());
    """
    return browser.execute_script(script, section, name)


def click(browser, name):
    from selenium.webdriver.common.by import By

    path = f"//section[@data-dataset='first']//table[contains(@class, 'ranks')]//th[normalize-space()='{name}']"
    heading = browser.find_element(By.XPATH, path)
    heading.find_element(By.TAG_NAME, "button").click()
    return heading.get_attribute("aria-sort")


def test_columns_sort_as_numbers_and_as_text(opened, table):
    first = table[table["dataset"] == "first"]
    by_srcc = [float(v) for v in column(opened, "SRCC")]
    assert by_srcc == sorted(by_srcc, reverse=True)
    assert click(opened, "RMSE") == "descending"
    expected = [f"{v:#.4g}" for v in sorted(first["rmse"], reverse=True)]
    assert column(opened, "RMSE") == expected
    assert click(opened, "RMSE") == "ascending"
    assert column(opened, "RMSE") == expected[::-1]
    assert click(opened, "Metric") == "ascending"
    names = [name.removesuffix("†") for name in column(opened, "Metric")]
    assert sorted(names) == sorted(first["metric"])
    assert names.index("=weak") < names.index("good")
    # Only one heading is sorted by, and the other data set kept its order.
    sorted_by = opened.execute_script(
        "return [...document.querySelectorAll('section[data-dataset=first] table.ranks [aria-sort]')]"
        ".filter((h) => h.getAttribute('aria-sort') !== 'none').map((h) => h.textContent.trim())"
    )
    assert sorted_by == ["Metric"]
    other = [float(v) for v in column(opened, "SRCC", "second")]
    assert other == sorted(other, reverse=True)


def test_what_is_missing_stays_last(opened):
    opened.execute_script(
        "const cells = document.querySelectorAll('section[data-dataset=first] table.ranks tbody td:nth-of-type(4)');"
        "cells[0].dataset.sort = ''; cells[0].textContent = '–';"
    )
    for _ in range(2):
        click(opened, "PLCC")
        assert column(opened, "PLCC")[-1] == "–"


def test_filters(opened, evil):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import Select

    visible = (
        "return [...document.querySelectorAll('main section')].filter((s) => s.offsetParent)"
        ".map((s) => s.dataset.dataset ?? '')"
    )
    assert opened.execute_script(visible) == ["", "first", "second"]
    choice = Select(opened.find_element(By.ID, "filter-dataset"))
    choice.select_by_visible_text("second")
    assert opened.execute_script(visible) == ["", "second"]
    choice.select_by_visible_text("all")
    words = opened.find_element(By.ID, "filter-metrics")
    words.send_keys("goo, script")
    assert set(column(opened, "Metric")) == {"good†", evil} or set(column(opened, "Metric")) == {"good†", f"{evil}†"}
    assert opened.find_element(By.ID, "shown").text == "2 of 3 metrics"
    figures = "return [...document.querySelectorAll('figure')].filter((f) => f.offsetParent).length"
    assert opened.execute_script(figures) == 4
    words.clear()
    words.send_keys("x")
    words.send_keys("\b")
    assert len(column(opened, "Metric")) == 3


def test_keyboard_and_narrow_screens(opened):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    button = opened.find_element(By.CSS_SELECTOR, "section[data-dataset=first] table.ranks th:last-child button")
    button.send_keys(Keys.ENTER)
    assert button.find_element(By.XPATH, "..").get_attribute("aria-sort") == "descending"
    size = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    assert opened.execute_script("return document.documentElement.scrollWidth") <= 400
    opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_names_do_nothing(opened, evil):
    assert opened.execute_script("return document.images.length") == 0
    numbers = json.loads(opened.execute_script("return document.getElementById('numbers').textContent"))
    assert evil in {row["metric"] for row in numbers["rows"]}
    assert opened.execute_script("return document.scripts.length") == 3
