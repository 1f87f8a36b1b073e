"""The lab in a real Chromium, beside a real service with traffic: every page does its work, and nobody else is asked.

A screenshot of every page goes to build/screens/lab, at 1440 pixels, light and dark.
"""

import re
import shutil
import signal
import threading
from pathlib import Path

import httpx
import pytest

from penstock.offline.datasets import read
from penstock.wiring.detectors import load_detector
from penstock.wiring.traffic.events import recorded_items
from tests.lab.conftest import PATIENCE_S, running
from tests.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SCREENS = Path(__file__).parents[2] / "build" / "screens" / "lab"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]

ITS_OWN = re.compile(r"/_stcore/(health|host-config)$")
"""Streamlit's page looks for its server below its own address first, and finds nothing there."""


@pytest.fixture(scope="module")
def chromium():
    place = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if place is None:
        pytest.skip("no Chromium is installed here; Debian's package is called chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=place, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def traffic(service, history):
    """Recorded payments on their way to the service, until the tests are over."""
    stop = threading.Event()
    detector = load_detector("banking")
    items = [item for item in recorded_items("banking", read(history, detector), labels=True) if item.path == "/predict"]

    def send():
        with httpx.Client(base_url=service, timeout=PATIENCE_S) as client:
            for item in items:
                client.post(item.path, content=item.body, headers={"content-type": "application/json"})
                if stop.wait(0.2):  # so slowly that there are some left, however long the tests take
                    return

    thread = threading.Thread(target=send)
    thread.start()
    yield service
    stop.set()
    thread.join()


@pytest.fixture(scope="module")
def lab_url(models, traffic, tmp_path_factory):
    data = tmp_path_factory.mktemp("lab-data")
    with running("lab", "banking", "--port", 0, "--url", traffic, "--models", models, "--data", data) as process:
        yield process.url
        assert process.stop(signal.SIGTERM) == 0, process.said
        assert "Traceback" not in process.said


@pytest.fixture(params=["light", pytest.param("dark", marks=pytest.mark.repeats)])
def page(request, chromium, lab_url):
    """A page that remembers what it asked for and what went wrong. Far from UTC, so that a wrong zone would show."""
    opened = chromium.new_page(
        viewport={"width": 1440, "height": 1000}, color_scheme=request.param, timezone_id="America/New_York"
    )
    opened.set_default_timeout(PATIENCE_S * 1000)
    opened.options_of_lab, opened.wrong, opened.scheme = [], [], request.param
    opened.on("request", lambda each: opened.options_of_lab.append(each.url))
    opened.on("pageerror", lambda error: opened.wrong.append(str(error)))
    opened.on("response", lambda each: opened.wrong.append(each.url) if _wrong(each) else None)
    opened.goto(lab_url)
    yield opened
    outside = [each for each in opened.options_of_lab if not each.startswith((lab_url, "data:", "blob:"))]
    assert outside == []
    assert opened.wrong == []
    opened.close()


def _wrong(response):
    return response.status >= 400 and not ITS_OWN.search(response.url)


def go(page, title):
    page.get_by_test_id("stSidebarNavLink").filter(has_text=title).click()
    page.get_by_role("heading", name=title, exact=True).wait_for()


def settled(page, name):
    """Wait until the script has run and the charts are drawn, and keep a picture."""
    page.wait_for_function("!document.querySelector('[data-testid=stStatusWidget], [data-stale=true]')")
    page.wait_for_timeout(1500)
    assert page.get_by_test_id("stAlertContentError").count() == 0
    assert page.get_by_test_id("stException").count() == 0
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(SCREENS / f"{name}-{page.scheme}.png"))


def tile(page, label):
    metric = page.get_by_test_id("stMetric").filter(has_text=label).first
    return metric.get_by_test_id("stMetricValue").inner_text()


def number(text):
    return float(re.sub(r"[^0-9.]", "", text))


def test_a_data_person_goes_from_page_to_page(page, history):
    page.get_by_role("heading", name="Live", exact=True).wait_for()
    first = number(tile(page, "Transactions processed"))
    page.wait_for_function(
        "was => Number(document.querySelector('[data-testid=stMetricValue]').innerText.replace(/[^0-9]/g, '')) > was", arg=first
    )
    settled(page, "live")

    go(page, "Stream")
    page.get_by_role("button", name="Start").click()
    page.get_by_text("200 of 200 decided by banking, from simulator").wait_for()
    settled(page, "stream")

    go(page, "Data set")
    page.get_by_text("A recorded file").click()
    page.get_by_role("textbox", name="File", exact=True).fill(str(history))
    page.get_by_role("textbox", name="File", exact=True).press("Enter")
    page.get_by_text(f"{history}, from").wait_for()
    settled(page, "data")
    for name in ("Features", "Decisions", "Rows"):
        page.get_by_role("tab", name=name).click()
        settled(page, f"data-{name.lower()}")

    go(page, "Thresholds")
    page.get_by_text("which these models have not learned from").wait_for()
    before = tile(page, "Reviews a day")
    page.get_by_role("slider", name="Review from").press("End")
    page.wait_for_function(
        "was => [...document.querySelectorAll('[data-testid=stMetric]')].some("
        "each => each.innerText.includes('Reviews a day') && !each.innerText.includes(was))",
        arg=f"\n{before}",
    )
    page.get_by_role("button", name="Least cost").click()
    settled(page, "thresholds")

    go(page, "Compare models")
    page.get_by_text("events of known outcome").wait_for()
    settled(page, "compare")

    go(page, "Errors")
    page.get_by_text("Spoke for fraud").first.wait_for()
    settled(page, "errors")

    go(page, "Simulate")
    page.get_by_role("button", name="Simulate", exact=True).click()
    page.get_by_text("What became of each kind of attack").wait_for()
    assert tile(page, "Decided") == "20,000"
    settled(page, "simulate")

    go(page, "Data set")
    chosen = page.get_by_role("textbox", name="File", exact=True)
    wait_until(lambda: chosen.input_value() == str(history))  # what was chosen stays chosen; the page is drawn bit by bit
