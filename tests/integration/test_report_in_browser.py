"""The report's page in a real browser: wide and narrow, light and dark, without asking anybody for anything."""

import shutil
from datetime import timedelta

import pytest

from penstock import Engine
from penstock.clock import to_us
from penstock.ledger.archive import Archive
from penstock.offline.daily import make_report
from penstock.offline.daily import page as daily_page
from penstock.offline.report import investigate, page
from tests.integration.paid import START, detector, events, trained

pytestmark = pytest.mark.browser

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="module")
def browser():
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("no Chromium is installed here; Debian's package is called chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium, args=FLAGS, timeout=120_000)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "paid.html"
    path.write_text(page(investigate(detector(), trained(), events())), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """The report of a day that models decided."""
    made = trained()
    with Engine(detector(), models=made.ensemble) as engine:
        engine.decide_many(events(n=3000).drop("is_fraud"))
        with Archive(engine.ledger) as archive:
            now_us = to_us(START + timedelta(days=30))
            report = make_report(engine.ledger, archive, "paid", now_us=now_us, by="event", amount="amount")
    assert sum(each.approved + each.stopped for each in report.scores) == report.day.decided.count
    path = tmp_path_factory.mktemp("report") / "day.html"
    path.write_text(daily_page(report), encoding="utf-8")
    return path


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_page_fits_its_window_and_is_alone(browser, written, width, scheme):
    check(browser, written, width, scheme, count=6)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_page_of_a_day_fits_its_window_and_is_alone(browser, day, width, scheme):
    check(browser, day, width, scheme, count=3)


def check(browser, written, width, scheme, *, count):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    opened = context.new_page()
    opened.set_default_timeout(60_000)
    asked, wrong = [], []
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda message: wrong.append(message.text))
    opened.goto(written.as_uri())
    assert asked == [written.as_uri()]
    assert wrong == []
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    pictures = opened.locator("figure svg")
    assert pictures.count() == count
    for at in range(count):
        box = pictures.nth(at).bounding_box()
        assert box["width"] > 0.7 * min(width, 500)
        assert box["x"] + box["width"] <= width
    ink, paper = opened.evaluate("(e => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor])(document.body)")
    lightness = [sum(map(int, colour[4:-1].split(","))) for colour in (ink, paper)]
    assert abs(lightness[0] - lightness[1]) > 500
    strokes = opened.evaluate("getComputedStyle(document.querySelector('figure svg text')).fill")
    assert strokes == ink
    context.close()
