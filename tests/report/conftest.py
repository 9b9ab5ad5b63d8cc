"""A real browser for the tests of the page: headless Chromium, where it is installed."""

import json
import shutil

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")


@pytest.fixture(scope="session")
def browser():
    if not (BROWSER and DRIVER):
        pytest.skip("needs chromium and chromedriver")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1200,900",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def watched(browser, tmp_path):
    """Open a text as a page in the browser; afterwards check that nothing complained and nothing was fetched."""
    path = tmp_path / "page.html"
    for kind in ("browser", "performance"):
        browser.get_log(kind)

    def show(text):
        path.write_text(text, "utf-8")
        browser.get(path.as_uri())
        return browser

    yield show
    # Whatever a test did: nothing complained, and nothing was asked for but the file itself.
    assert [entry["message"] for entry in browser.get_log("browser")] == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert path.as_uri() in sent
    assert [url for url in sent if not url.startswith(("data:", "blob:", path.as_uri()))] == []
