"""Live: an attack is begun, its first block opened and read; the stream stands still while somebody looks; it comes back."""

import re

import httpx
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.browser]

STREAM = "ol[aria-label='Newest decisions']"


def opened(page, console, address="/#/"):
    page.goto(f"{console}{address}")
    page.locator("[data-link=live]").wait_for()
    page.locator(f"{STREAM} button").first.wait_for()


def newest(page):
    return page.locator(f"{STREAM} button").first.get_attribute("title")


def shown(page):
    return [each.get_attribute("title") for each in page.locator(f"{STREAM} button").all()]


def test_an_attack_is_seen_and_its_first_block_is_opened_and_read(page, console, shots, axe):
    opened(page, console)
    page.get_by_role("button", name="card testing").click()
    detected = page.locator("[data-detected-ms]")
    detected.wait_for(timeout=60_000)
    assert 0 < int(detected.get_attribute("data-detected-ms")) < 60_000
    pinned = page.locator("[data-pinned]")
    identity = pinned.get_attribute("data-pinned")
    reasons = pinned.locator("li").all_inner_texts()
    assert reasons
    recorded = httpx.get(f"{console}/transactions/{identity}").json()
    assert recorded["decision"] != "APPROVE"
    assert reasons == [reason["text"] for reason in recorded["explanation"]["reasons"]][: len(reasons)]
    page.wait_for_timeout(3_000)
    axe(page)
    shots(page, "live")
    assert pinned.get_attribute("data-pinned") == identity

    pinned.get_by_role("link").click()
    page.get_by_role("heading", level=1).filter(has_text=identity).wait_for()
    why = page.get_by_role("list", name="Reasons")
    assert [reason["text"] in why.inner_text() for reason in recorded["explanation"]["reasons"]]


def test_an_alert_leads_to_why_in_one_click(page, console):
    opened(page, console)
    page.get_by_role("button", name="velocity burst").click()
    alert = page.locator("[data-alert]").filter(has=page.get_by_role("link", name="Why?")).first
    alert.wait_for(timeout=60_000)
    alert.get_by_role("link", name="Why?").click()
    page.get_by_role("region", name="Decision", exact=True).wait_for()


def test_the_stream_moves_until_it_is_paused_and_shows_then_what_waited(page, console):
    opened(page, console)
    first = newest(page)
    page.wait_for_function("([of, was]) => document.querySelector(`${of} button`).title !== was", arg=[STREAM, first])
    page.get_by_role("button", name="Pause").click()
    held = shown(page)
    page.wait_for_timeout(2_000)
    assert shown(page) == held
    about = page.locator("[data-stream-about]").inner_text()
    assert int(re.search(r"Paused; ([\d,]+) newer", about)[1].replace(",", "")) > 10
    page.keyboard.press("p")
    assert newest(page) not in held


def test_rows_are_not_built_anew_under_the_pointer_and_enter_opens_them(page, console):
    opened(page, console)
    row = page.locator(f"{STREAM} button").nth(3)
    row.hover()
    page.evaluate("of => document.querySelectorAll(`${of} button`)[3].marked = true", STREAM)
    before = shown(page)
    page.wait_for_timeout(2_000)
    assert shown(page) == before
    assert page.evaluate("of => document.querySelectorAll(`${of} button`)[3].marked", STREAM)
    page.mouse.move(5, 5)
    page.wait_for_function("([of, was]) => document.querySelector(`${of} button`).title !== was", arg=[STREAM, before[0]])
    row.focus()
    identity = row.get_attribute("title").split(":")[0]
    page.wait_for_timeout(1_500)
    assert row.get_attribute("title").startswith(identity)
    page.keyboard.press("Enter")
    page.get_by_role("heading", level=1).filter(has_text=identity).wait_for()


def test_the_range_stands_in_the_address_and_nothing_moves_while_it_is_live(page, console):
    opened(page, console, "/#/?range=24h")
    assert page.get_by_role("radio", name="24 h").is_checked()
    page.get_by_text("1 h", exact=True).click()
    page.wait_for_url(re.compile("range=1h"))
    page.get_by_text("5 min", exact=True).click()
    page.wait_for_url(re.compile("range=5m"))
    page.wait_for_timeout(3_000)
    page.evaluate(
        """() => { window.shifts = 0; new PerformanceObserver(list => {
             for (const each of list.getEntries()) window.shifts += each.value; }).observe({type: 'layout-shift'}); }"""
    )
    page.wait_for_timeout(5_000)
    assert page.evaluate("window.shifts") < 0.01


def test_figures_are_those_of_the_service(page, console):
    opened(page, console, "/#/?range=30d")
    figure = page.get_by_role("link", name=re.compile(r"^[\d,]+$")).first
    page.wait_for_timeout(2_500)
    told = int(figure.inner_text().replace(",", ""))
    counted = httpx.get(f"{console}/insights/summary", params={"range": "30d"}).json()["processed"]
    assert 0 <= counted - told < 40 * 10


def test_the_page_comes_back_after_the_service_was_restarted(page, demo):
    with demo("--tps", "40") as server:
        opened(page, server.url)
        seen = newest(page)
        server.stop()
        page.locator("[data-link=lost]").wait_for()
        server.start()
        page.locator("[data-link=live]").wait_for(timeout=60_000)
        page.wait_for_function("([of, was]) => document.querySelector(`${of} button`).title !== was", arg=[STREAM, seen])
        page.get_by_role("button", name="velocity burst").click()
        page.locator("[data-alert]").first.wait_for(timeout=60_000)
        page.goto("about:blank")
    page.wrong[:] = [each for each in page.wrong if not re.search("WebSocket|Failed to load resource|ERR_CONNECTION", each)]
