"""Try it: an event is made up, decided as a dry run, then for real; what is wrong is said beside the field."""

import pytest
from tests.console.waiting import expect, get

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def test_a_dry_run_records_nothing_and_a_real_one_can_be_opened(page, still, shots, axe):
    page.goto(f"{still}/console/try")
    page.get_by_label("Example").wait_for()
    page.get_by_label("amount").fill("9400")
    expect(page.get_by_test_id("curl")).to_contain_text("dry_run=true")
    expect(page.get_by_test_id("curl")).to_contain_text('"amount":9400')
    sent = page.get_by_label("transaction id").input_value()
    page.get_by_role("button", name="Score (dry run)").click()
    page.get_by_text("dry run: nothing was recorded").wait_for()
    assert get(f"{still}/transactions/{sent}").status_code == 404
    axe(page)
    shots(page, "try")

    page.get_by_label("dry run: change and record nothing").uncheck()
    expect(page.get_by_test_id("curl")).not_to_contain_text("dry_run")
    page.get_by_role("button", name="Score and record").click()
    page.get_by_role("link", name=f"open {sent}").click()
    page.locator(f"[data-transaction='{sent}']").wait_for()
    assert get(f"{still}/transactions/{sent}").json()["transaction_id"] == sent


def test_what_cannot_be_decided_is_said_beside_the_field(page, still):
    page.expected.append("422")
    page.goto(f"{still}/console/try")
    page.get_by_label("amount").fill("a lot")
    page.get_by_role("button", name="Score (dry run)").click()
    page.get_by_label("amount").and_(page.locator("[aria-invalid=true]")).wait_for()


def test_an_event_may_be_written_as_json(page, still):
    page.goto(f"{still}/console/try")
    page.get_by_label("amount").fill("12.5")
    page.get_by_role("button", name="As JSON").click()
    text = page.get_by_label("Event as JSON")
    assert '"amount": 12.5' in text.input_value()
    text.fill(text.input_value().replace("12.5", "13.5"))
    expect(page.get_by_test_id("curl")).to_contain_text('"amount":13.5')
    page.get_by_role("button", name="Score (dry run)").click()
    page.get_by_text("dry run: nothing was recorded").wait_for()
