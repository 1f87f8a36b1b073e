"""Operations: a refused event is put right and sent again; health, alerts, the audit log, reports, keys and users."""

import json

import pytest
from tests.console.waiting import expect, get, post
from tests.waiting import wait_until

import penstock

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def refuse(console, **fields):
    """Send an event that is refused, and wait until it is in quarantine; its id."""
    event = {"timestamp": "2026-01-05T10:00:00Z", "customer_id": "C1", "merchant_id": "Shop", "amount": 12.5, **fields}
    before = {each["id"] for each in refused(console)}
    answer = post(f"{console}/predict", json={name: value for name, value in event.items() if value is not None})
    assert answer.status_code == 422
    return wait_until(lambda: [each["id"] for each in refused(console) if each["id"] not in before])[0]


def refused(console):
    return get(f"{console}/quarantine", params={"limit": 200}).json()["events"]


def became(console, number):
    return get(f"{console}/quarantine/{number}").json()


def test_a_refused_event_is_put_right_beside_its_errors_and_sent_again(page, console, shots, axe):
    page.expected.append("422")
    number = refuse(console, transaction_id="wrong1", amount="ten", merchant_id=None)
    page.goto(f"{console}/console/operations")
    page.get_by_role("tab", name="Quarantine").click()
    page.get_by_role("list", name="Refused events").get_by_role("button").first.click()
    amount = page.get_by_label("amount", exact=False)
    amount.wait_for()
    expect(amount).to_have_value("ten")
    amount.fill("eleven")
    page.get_by_role("button", name="Resubmit").click()
    page.get_by_text('amount is "eleven"').first.wait_for()
    expect(amount).to_have_attribute("aria-invalid", "true")
    shots(page, "operations-quarantine")
    axe(page)
    amount.fill("11")
    page.get_by_label("merchant_id", exact=False).fill("Shop")
    page.get_by_role("button", name="Resubmit").click()
    page.get_by_text("Accepted").wait_for()
    found = became(console, number)
    assert (found["state"], found["transaction_id"]) == ("resubmitted", "wrong1")
    assert get(f"{console}/transactions/wrong1").json()["transaction_id"] == "wrong1"
    page.get_by_role("link", name="Look at the decision").click()
    page.wait_for_url("**/console/transactions/wrong1")


def test_a_refused_event_can_be_edited_as_json_and_dismissed_with_a_reason(page, console):
    number = refuse(console, transaction_id="wrong2", amount=-5)
    page.goto(f"{console}/console/operations?tab=quarantine&id={number}")
    page.get_by_text("JSON", exact=True).click()
    text = page.get_by_label("Event", exact=True)
    assert json.loads(text.input_value())["amount"] == -5
    page.get_by_role("button", name="Dismiss…").click()
    page.get_by_role("dialog").get_by_label("Reason", exact=True).fill("a test of the shop")
    page.get_by_role("dialog").get_by_role("button", name="Dismiss").click()
    page.get_by_text("local dismissed it").wait_for()
    assert became(console, number)["reason"] == "a test of the shop"
    page.get_by_text("Dismissed", exact=True).click()
    page.get_by_role("list", name="Refused events").get_by_text("-5").first.wait_for()


def test_all_events_of_a_cause_are_dismissed_with_their_count_and_a_reason(page, console, shots, axe):
    numbers = [refuse(console, transaction_id=f"bulk{n}", amount=-90 - n) for n in range(3)]
    page.goto(f"{console}/console/operations?tab=quarantine")
    cause = page.get_by_role("list", name="Causes").get_by_role("listitem").filter(has_text="amount").first
    cause.get_by_role("button", name="Dismiss all…").wait_for()
    shots(page, "operations-quarantine-causes")
    axe(page)
    cause.get_by_role("button", name="Dismiss all…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason", exact=True).fill("the shop mended its client")
    dialog.get_by_role("button", name="Dismiss 3 events").click()
    page.get_by_text("3 events dismissed").wait_for()
    assert {(became(console, number)["state"], became(console, number)["reason"]) for number in numbers} == {
        ("dismissed", "the shop mended its client")
    }


def test_what_is_masked_stays_masked_and_is_not_sent_so(page, console):
    number = refuse(console, transaction_id="wrong3", amount="4111111111111111x")
    page.goto(f"{console}/console/operations?tab=quarantine&id={number}")
    amount = page.get_by_label("amount", exact=False)
    amount.wait_for()
    assert "4111" not in page.content()
    expect(page.get_by_role("button", name="Resubmit")).to_be_disabled()
    amount.fill("12")
    page.get_by_role("button", name="Resubmit").click()
    page.get_by_text("Accepted").wait_for()


def test_every_part_tells_how_it_fares(page, console, shots, axe):
    page.goto(f"{console}/console/operations")
    page.get_by_role("list", name="Parts of banking").get_by_text("ledger").wait_for()
    page.get_by_role("list", name="Parts of Service").get_by_text("cases", exact=True).wait_for()
    process = page.get_by_role("region", name="Process")
    expect(process).to_contain_text(f"Version{penstock.__version__}")
    expect(process).to_contain_text("Free disk")
    expect(process.get_by_role("img", name="Status: ")).to_be_visible()
    shots(page, "operations-health")
    axe(page)


def test_an_alert_is_shown_with_its_delivery_and_somebody_takes_care_of_it(page, console, shots, axe):
    post(f"{console}/demo/attack/card_testing")
    wait_until(lambda: get(f"{console}/alerts/deliveries").json()["alerts"], within_s=240)
    page.goto(f"{console}/console/operations?tab=alerts")
    alerts = page.get_by_role("list", name="Alerts")
    alerts.get_by_role("button", name="Acknowledge…").last.click()
    page.get_by_label("Comment").fill("calling the merchant")
    page.get_by_role("button", name="Acknowledge", exact=True).click()
    alerts.get_by_text("Acknowledged by local").wait_for()
    alerts.get_by_text("calling the merchant").wait_for()
    shots(page, "operations-alerts")
    axe(page)


def actions(changes):
    return set(changes.evaluate("list => [...list.children].map(each => each.querySelectorAll('a')[1].textContent)"))


def test_the_audit_log_is_verified_and_filtered_in_the_address(page, console, shots, axe):
    refuse(console, transaction_id="wrong4", amount="x")
    page.goto(f"{console}/console/operations?tab=audit")
    page.get_by_text("Chain intact").wait_for()
    changes = page.get_by_role("list", name="Changes")
    changes.get_by_role("listitem").first.wait_for()
    shots(page, "operations-audit")
    axe(page)
    page.get_by_label("Action", exact=True).fill("rule.add")
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url("**action=rule.add**")
    changes.get_by_role("link", name="rule.add").first.wait_for()
    wait_until(lambda: actions(changes) == {"rule.add"})
    page.get_by_role("button", name="Clear").click()
    wait_until(lambda: actions(changes) - {"rule.add"})


def test_a_daily_report_is_shown_without_scripts(page, console, shots, axe):
    page.goto(f"{console}/console/operations?tab=reports")
    page.get_by_text("As much as is known by now").wait_for(timeout=240_000)
    frame = page.locator("iframe")
    assert frame.get_attribute("sandbox") == ""
    page.frame_locator("iframe").locator("h1").wait_for()
    shots(page, "operations-reports")
    axe(page)


def test_an_open_service_says_so_and_its_first_key_needs_the_token_that_was_printed(page, console, shots, axe):
    page.expected += ["403"]
    page.goto(f"{console}/console/operations?tab=access")
    page.get_by_text("Authentication is off").wait_for()
    shots(page, "operations-access")
    axe(page)
    page.get_by_role("button", name="Create API key…").click()
    page.get_by_label("Name of the program").fill("checkout")
    page.get_by_label("Setup token").fill("guessed")
    page.get_by_role("button", name="Make it").click()
    page.get_by_role("dialog").get_by_role("alert").filter(has_text="setup token").wait_for()
    assert get(f"{console}/keys").json()["keys"] == []
