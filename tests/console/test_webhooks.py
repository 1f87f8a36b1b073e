"""Webhooks: an endpoint is added, tested, gets events, is paused, replayed, given a new secret and removed, from its page."""

import pytest
from tests.console.waiting import expect, post
from tests.receiver import receiving
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture(scope="module")
def private(demo):
    """A demo that may post to addresses of this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PENSTOCK_WEBHOOK_PRIVATE", "true")
        with demo("--tps", "0") as server:
            yield server.url


def decide(url, name):
    event = {"transaction_id": name, "timestamp": "2026-01-05T10:00:00Z", "customer_id": "C1", "merchant_id": "Shop"}
    assert post(f"{url}/predict", json={**event, "amount": 12.5, "lat": 1.0, "long": 1.0}).status_code == 200


def subjects(receiver):
    return [event["subject"] for event in receiver.taken if event["type"] == "penstock.decision.made"]


def test_an_endpoint_lives_its_life_on_the_page(page, private, shots, axe):
    with receiving() as receiver:
        page.goto(f"{private}/console/operations?tab=webhooks")
        page.get_by_text("No endpoint yet").wait_for()
        page.get_by_role("button", name="Add an endpoint…").click()
        page.get_by_label("Address").fill(receiver.url)
        page.get_by_label("Description").fill("the shop")
        page.get_by_label("Decisions", exact=True).check()
        axe(page)
        page.get_by_role("button", name="Add", exact=True).click()
        receiver.secret = page.locator("code").filter(has_text="whsec_").inner_text()
        page.get_by_role("button", name="I have it").click()
        assert receiver.secret not in page.content()

        row = page.get_by_role("table", name="Webhooks").get_by_role("row").filter(has_text=receiver.url)
        row.get_by_role("button", name="Test").click()
        page.get_by_text("The test event was delivered").wait_for()
        decide(private, "sent-1")
        wait_until(lambda: subjects(receiver) == ["sent-1"])

        row.get_by_role("button", name="Deliveries").click()
        log = page.get_by_role("table", name="Deliveries").get_by_role("row").filter(has_text="sent-1")
        log.first.get_by_text("delivered", exact=True).wait_for()
        axe(page)
        shots(page, "operations-webhooks")
        row.get_by_role("button", name="Pause").click()
        row.get_by_text("paused", exact=True).wait_for()
        decide(private, "sent-2")
        row.get_by_role("button", name="Resume").click()
        wait_until(lambda: subjects(receiver) == ["sent-1", "sent-2"])
        log.first.get_by_role("button", name="Deliver again from here").click()
        page.get_by_text("will be delivered again").wait_for()
        wait_until(lambda: subjects(receiver) == ["sent-1", "sent-2", "sent-1", "sent-2"])

        row.get_by_role("button", name="New secret…").click()
        page.get_by_role("button", name="Make a new secret").click()
        newer = page.locator("code").filter(has_text="whsec_").inner_text()
        assert newer != receiver.secret
        receiver.secret = newer
        page.get_by_role("button", name="I have it").click()
        taken = len(receiver.taken)
        row.get_by_role("button", name="Test").click()
        wait_until(lambda: len(receiver.taken) > taken)
        assert receiver.forged == []
        row.get_by_role("button", name="Remove…").click()
        page.get_by_role("button", name="Remove", exact=True).click()
        page.get_by_text("No endpoint yet").wait_for()


def test_an_address_that_may_not_be_is_refused_beside_the_button(page, private):
    page.expected.append("422")
    page.goto(f"{private}/console/operations?tab=webhooks")
    page.get_by_role("button", name="Add an endpoint…").click()
    page.get_by_label("Address").fill("ftp://shop.example/penstock")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("http")
