"""The live page in a real browser: it is alive, explains, can be used, and asks nobody else for anything."""

import itertools
import json
import shutil

import httpx
import pytest

from penstock.config import Settings
from penstock.office import SqliteDatabase
from penstock.office.people import People
from penstock.service import Desk, Traffic, create_app
from penstock.service.access import Access

pytestmark = pytest.mark.browser

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="module")
def browser():
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("no Chromium is installed here; Debian's package is called chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser):
    """A page that remembers what it asked for and what went wrong."""
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.set_default_timeout(10_000)
    opened.asked, opened.wrong = [], []
    opened.on("request", lambda request: opened.asked.append(request.url))
    opened.on("pageerror", lambda error: opened.wrong.append(str(error)))
    opened.on("console", lambda message: opened.wrong.append(message.text) if message.type == "error" else None)
    yield opened
    opened.close()


@pytest.fixture
def url(engine, payment, serve_in_thread):
    """A service with some traffic: every tenth payment is large and blocked."""
    engine.explanation = {
        "decision_reason": "amount_spike",
        "reasons": [
            {"code": "amount_spike", "text": "5000 is 200 times the usual 25", "feature": "ratio", "value": 200.0, "usual": 1.0}
        ],
        "rules": [{"name": "amount_spike", "action": "block"}],
        "contributions": [{"feature": "ratio", "value": 200.0, "contribution": 2.5}],
    }
    settings, started = Settings(), []
    bodies = (payment(n, amount=5000 if n % 10 == 9 else 25) for n in itertools.count())
    traffic = Traffic("fake", bodies, tps=40, attacks={"card_testing": lambda: started.append(1)})
    app = create_app({"fake": Desk.of(engine, settings)}, settings, traffic=traffic)
    app.attacks_started = started
    with serve_in_thread(app) as address:
        yield address
    assert started == [1] * len(started)


def until(page, expression):
    """Wait for a condition; asked from outside, since the page's own policy forbids to evaluate text."""
    for _ in range(100):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(100)
    raise AssertionError(expression)


def test_the_page_is_alive_and_shows_the_first_block_in_words(page, url):
    page.goto(url)
    page.wait_for_selector("#status[data-state=live]")
    until(page, "document.querySelectorAll('#rows tr:not(.empty)').length >= 10")
    until(page, "document.querySelector('#explained').innerText.includes('5000 is 200 times the usual 25')")
    explained = page.inner_text("#explained")
    assert "tx9" in explained
    assert "amount spike → block" in explained
    assert "+2.50" in explained
    assert int(page.inner_text("#approve").replace(",", "")) > 0
    until(page, "/[0-9]/.test(document.querySelector('#rate').innerText)")
    assert page.wrong == []
    assert [address for address in page.asked if not address.startswith(url)] == []


def test_the_stream_can_be_paused_and_a_decision_chosen(page, url):
    page.goto(url)
    page.wait_for_selector("#rows tr:not(.empty)")
    page.click("#pause")
    before = page.inner_text("#rows")
    page.wait_for_timeout(1200)
    assert page.inner_text("#rows") == before
    page.click("#rows tr:not(.empty) >> nth=0")
    assert page.inner_text("#explained-title") == "One decision, explained"
    page.click("#unpin")
    assert page.inner_text("#explained-title") == "The first block, explained"


def test_nothing_on_the_page_moves_while_decisions_come_in(page, url):
    page.goto(url)
    page.wait_for_selector("#status[data-state=live]")
    page.wait_for_timeout(700)
    before = page.evaluate(_PLACES)
    page.wait_for_timeout(1500)
    assert page.evaluate(_PLACES) == before


def test_an_event_can_be_tried_and_the_curl_beside_it_says_the_same(page, url):
    page.goto(url)
    until(page, "document.querySelector('#event').value.includes('transaction_id')")
    page.fill("#event", json.dumps({"transaction_id": "it's me", "amount": 5000}))
    assert "it'\\''s me" in page.inner_text("#curl")
    page.check("#dry")
    assert "dry_run=true" in page.inner_text("#curl")
    page.click("#form button.main")
    until(page, "document.querySelector('#answer').innerText.includes('BLOCK')")
    page.fill("#event", "nonsense")
    page.click("#form button.main")
    until(page, "document.querySelector('#answer').innerText.startsWith('400')")


def test_the_rate_is_by_the_clock_of_the_service_and_begins_again_with_another_service(page, url):
    page.route("**/live", lambda route: route.abort())
    page.goto(url)

    def rate(at_ms, approved):
        page.evaluate("message => showRate(message)", {"measured_ms": at_ms, "outcomes": {"fake": {"APPROVE": approved}}})
        return page.inner_text("#rate")

    assert rate(1000, 0) == "\u2013"
    assert rate(2000, 50) == "50.0"
    assert rate(3000, 100) == "50.0", "messages that arrive together were not measured together"
    assert rate(500, 100) == "50.0", "the clock of another service says nothing about this one"
    assert rate(1500, 130) == "30.0"
    assert rate(2500, 10) == "30.0", "another service has counted less"
    assert rate(3500, 30) == "20.0"


def test_an_attack_is_started_by_its_button(page, url):
    page.goto(url)
    page.click("#attack-buttons button")
    until(page, "document.querySelector('#attack-said').innerText.includes('card testing has begun')")


def test_text_from_outside_stays_text(page, url):
    httpx.post(url + "/predict", json={"transaction_id": "<img src=x onerror=alert(1)>", "amount": 5000})
    page.goto(url)
    page.wait_for_selector("#rows tr:not(.empty)")
    assert page.locator("#rows img, #explained img").count() == 0
    assert page.wrong == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(browser, url, scheme):
    page = browser.new_page(color_scheme=scheme, viewport={"width": 390, "height": 844})
    page.goto(url)
    page.wait_for_selector(".pill.BLOCK")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "nothing is wider than a phone"
    for selector in ("h2", ".tile dt", "#status", ".pill.APPROVE", ".pill.BLOCK", "td.when", "button.main"):
        assert page.evaluate(_CONTRAST, selector) >= 4.5, selector
    page.close()


def test_the_documentation_shows_every_route_and_asks_nobody_else(page, url):
    page.goto(url + "/docs")
    page.wait_for_selector("text=/predict")
    document = page.evaluate("fetch('/openapi.json').then(answer => answer.json())")
    assert page.locator(".opblock").count() == sum(len(methods) for methods in document["paths"].values()) > 20
    assert page.wrong == []
    assert [address for address in page.asked if not address.startswith(url)] == []


def test_a_page_of_the_service_can_watch_over_a_socket(page, url):
    page.goto(url)
    told = page.evaluate("""() => new Promise((resolve, reject) => {
      const socket = new WebSocket(new URL('ws/live', location.href).href.replace('http', 'ws'));
      socket.onerror = () => reject(new Error('the socket was refused'));
      socket.onmessage = (event) => {
        const message = JSON.parse(event.data);
        if (message.decisions.length) { socket.close(); resolve(message); }
      };
    })""")
    assert told["decisions"][0]["decision"] in {"APPROVE", "BLOCK"}
    assert told["stats"]["total"] > 0
    assert page.wrong == []


_PLACES = """() => JSON.stringify([...document.querySelectorAll('section, .head, #rows')].map(element => {
  const place = element.getBoundingClientRect();
  return [place.x, place.y, place.width, place.height];
}))"""

_CONTRAST = """selector => {
  const parse = text => text.match(/[0-9.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  const element = document.querySelector(selector);
  let ground = element, colour;
  do {
    colour = parse(getComputedStyle(ground).backgroundColor);
    ground = ground.parentElement;
  } while (colour[3] === 0 && ground);
  const [one, two] = [light(parse(getComputedStyle(element).color)), light(colour)].sort((a, b) => b - a);
  return (one + 0.05) / (two + 0.05);
}"""


@pytest.fixture
def closed(engine, serve_in_thread):
    """The address of a service that has a user, so that nobody sees anything without signing in."""
    office = SqliteDatabase()
    People(office).add("ana", "correct horse battery", ["viewer", "decider"], who="test")
    settings = Settings()
    access = Access(office, settings, exposed=False)
    with serve_in_thread(create_app({"fake": Desk.of(engine, settings)}, settings, access=access)) as address:
        yield address
    office.close()


def test_a_closed_service_asks_who_looks_and_shows_everything_to_whom_it_knows(page, closed):
    page.goto(closed)
    page.wait_for_selector("#sign-in:not([hidden])")
    assert not page.is_visible("#main")
    page.fill("#user", "ana")
    page.fill("#password", "not this one at all")
    page.click("#credentials button")
    until(page, "document.querySelector('#sign-in-said').innerText.includes('do not belong together')")
    page.fill("#password", "correct horse battery")
    page.click("#credentials button")
    page.wait_for_selector("#status[data-state=live]")
    assert page.inner_text("#name") == "ana"
    until(page, "document.querySelector('#event').value.includes('transaction_id')")
    assert "Authorization: Bearer $PENSTOCK_KEY" in page.inner_text("#curl")
    page.click("#form button.main")
    until(page, "document.querySelector('#answer').innerText.startsWith('200')")
    page.click("#sign-out")
    page.wait_for_selector("#sign-in:not([hidden])")
    assert httpx.get(closed + "/stats").status_code == 401


def test_an_open_service_asks_nobody_who_looks(page, url):
    page.goto(url)
    page.wait_for_selector("#status[data-state=live]")
    assert page.is_visible("#main")
    assert not page.is_visible("#sign-in")
    assert not page.is_visible("#who")
    assert "Authorization" not in page.inner_text("#curl")
