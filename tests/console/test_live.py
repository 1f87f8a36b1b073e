"""Live: an attack is begun, its first block opened and read; the stream stands still while somebody looks; it comes back."""

import re
import time

import pytest
from tests.console.waiting import PATIENCE_S, expect, get
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.browser]

STREAM = "ol[aria-label='Newest decisions']"
WATCHED_MS = 120_000
"""How long a page watches for an attack that was begun on it."""


def opened(page, console, address="/console/"):
    page.goto(f"{console}{address}")
    page.locator("[data-link=live]").wait_for()
    page.locator(f"{STREAM} button").first.wait_for()


def newest(page):
    return page.locator(f"{STREAM} button").first.get_attribute("title")


def held(page, still=True):
    """Wait until the stream stands still, or does not any more."""
    expect(page.locator(STREAM)).to_have_attribute("data-held", "true" if still else "false")


def moved(page, was):
    """Wait until another decision than this is the newest."""
    page.wait_for_function("([of, was]) => document.querySelector(`${of} button`).title !== was", arg=[STREAM, was])


def shown(page):
    return [each.get_attribute("title") for each in page.locator(f"{STREAM} button").all()]


def test_an_attack_is_seen_and_its_first_block_is_opened_and_read(page, console, shots, axe):
    opened(page, console)
    page.get_by_role("button", name="card testing").click()
    detected = page.locator("[data-detected-ms]")
    detected.wait_for(timeout=WATCHED_MS)
    assert 0 < int(detected.get_attribute("data-detected-ms")) < WATCHED_MS
    pinned = page.locator("[data-pinned]")
    identity = pinned.get_attribute("data-pinned")
    reasons = pinned.locator("li").all_inner_texts()
    assert reasons
    recorded = wait_until(lambda: recorded_as(console, identity))
    assert recorded["decision"] != "APPROVE"
    assert reasons == [reason["text"] for reason in recorded["explanation"]["reasons"]][: len(reasons)]
    page.wait_for_timeout(3_000)
    axe(page)
    shots(page, "live")
    assert pinned.get_attribute("data-pinned") == identity

    pinned.get_by_role("link").click()
    page.locator(f"[data-transaction='{identity}']").wait_for()
    for reason in recorded["explanation"]["reasons"]:
        expect(page.get_by_role("list", name="Reasons")).to_contain_text(reason["text"])


def recorded_as(console, identity):
    answer = get(f"{console}/transactions/{identity}")
    return answer.json() if answer.status_code == 200 else None


def test_an_alert_leads_to_why_in_one_click(page, console):
    opened(page, console)
    page.get_by_role("button", name="velocity burst").click()
    alert = page.locator("[data-alert]").filter(has=page.get_by_role("link", name="Why?")).first
    alert.wait_for(timeout=240_000)
    alert.get_by_role("link", name="Why?").click()
    page.get_by_role("region", name="Decision", exact=True).wait_for()


def test_alerts_of_a_rule_about_a_subject_are_acknowledged_together_by_a_person(page, console, shots, axe):
    opened(page, console)
    page.get_by_role("button", name="velocity burst").click()
    alert = page.locator("[data-alert]").filter(has=page.get_by_role("button", name="Acknowledge")).first
    alert.wait_for(timeout=240_000)
    alert.get_by_role("button", name="Acknowledge").click()
    page.locator("[data-alert]").filter(has_text="Acknowledged by local").first.wait_for()
    kept = [each["acknowledged"] for each in get(f"{console}/alerts/deliveries?limit=200").json()["alerts"]]
    assert {each["by"] for each in kept if each} == {"local"}
    axe(page)
    shots(page, "live-alerts")


def test_the_stream_moves_until_it_is_paused_and_shows_then_what_waited(page, console):
    opened(page, console)
    first = newest(page)
    moved(page, first)
    page.get_by_role("button", name="Pause").click()
    held(page)
    before = shown(page)
    page.wait_for_timeout(2_000)
    expect(page.locator("[data-stream-about]")).to_contain_text(re.compile(r"Paused; \d[\d,]+ newer"))
    assert shown(page) == before
    page.keyboard.press("p")
    held(page, False)
    moved(page, before[0])
    assert newest(page) not in before


def test_rows_are_not_built_anew_under_the_pointer_and_enter_opens_them(page, console):
    opened(page, console)
    row = page.locator(f"{STREAM} button").nth(3)
    row.hover()
    held(page)
    page.evaluate("of => document.querySelectorAll(`${of} button`)[3].marked = true", STREAM)
    before = shown(page)
    page.wait_for_timeout(2_000)
    assert shown(page) == before
    assert page.evaluate("of => document.querySelectorAll(`${of} button`)[3].marked", STREAM)
    page.mouse.move(5, 5)
    moved(page, before[0])
    row.focus()
    held(page)
    focused = "document.activeElement.title"  # the row may have moved on while it was focused
    identity = page.evaluate(focused).split(":")[0]
    assert identity in {each.split(":")[0] for each in shown(page)}
    page.wait_for_timeout(1_500)
    assert page.evaluate(focused).startswith(identity)
    page.keyboard.press("Enter")
    page.locator(f"[data-transaction='{identity}']").wait_for()


MEASURE_SHIFTS = """() => {
    const alerts = document.querySelector('[aria-label="Newest alerts"]').closest('section');
    const within = node => !node || alerts.contains(node);  // a new alert moves those before it down, inside their panel
    window.shifts = 0;
    new PerformanceObserver(list => {
        for (const each of list.getEntries())
            if (!each.sources.every(source => within(source.node))) window.shifts += each.value;
    }).observe({type: 'layout-shift'});
}"""


def test_the_range_stands_in_the_address_and_nothing_moves_while_it_is_live(page, console):
    opened(page, console, "/console/?range=24h")
    expect(page.get_by_role("radio", name="24 h")).to_be_checked()
    answered = set()
    page.on("response", lambda answer: answered.add(re.sub(r".*/insights/(\w+)\?.*range=(\w+).*", r"\1 of \2", answer.url)))
    page.get_by_text("1 h", exact=True).click()
    page.wait_for_url(re.compile("range=1h"))
    page.get_by_text("5 min", exact=True).click()
    page.wait_for_url(re.compile("range=5m"))
    expect(page.get_by_role("main").get_by_role("status", name="Loading")).to_have_count(0)
    end = time.monotonic() + PATIENCE_S
    while not answered >= {f"{name} of 5m" for name in ("summary", "series", "distributions", "rules")}:
        assert time.monotonic() < end, answered
        page.wait_for_timeout(100)
    page.wait_for_timeout(3_000)
    page.evaluate(MEASURE_SHIFTS)
    page.wait_for_timeout(5_000)
    assert page.evaluate("window.shifts") < 0.01


def test_figures_are_those_of_the_service(page, console):
    opened(page, console, "/console/?range=30d")
    figure = page.get_by_role("link", name=re.compile(r"^[\d,]+$")).first

    def told():
        return int(figure.inner_text().replace(",", ""))

    def counted():
        return get(f"{console}/insights/summary", params={"range": "30d"}).json()["processed"]

    before = counted()
    # it is asked for every two seconds, as long as the machine has time
    found = wait_until(lambda: told() >= before and told())
    assert before <= found <= counted()


def test_the_page_comes_back_after_the_service_was_restarted(page, demo):
    page.expected += ["WebSocket", "Failed to load resource", "ERR_CONNECTION"]
    with demo("--tps", "40") as server:
        opened(page, server.url)
        seen = newest(page)
        server.stop()
        page.locator("[data-link=lost]").wait_for()
        server.start()
        page.locator("[data-link=live]").wait_for(timeout=240_000)
        moved(page, seen)
        page.get_by_role("button", name="velocity burst").click()
        page.locator("[data-alert]").first.wait_for(timeout=240_000)
        page.goto("about:blank")
