"""Features in the console: found, told who reads them, and made while transactions are decided."""

import time
from itertools import count

import pytest
from tests.console.refusals import expect_refusals
from tests.console.waiting import Client, expect
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.browser]

PATIENCE_S = 240


@pytest.fixture(autouse=True)
def refusals_are_expected(page):
    """What is half written is refused, and one preview asked again while another runs."""
    expect_refusals(page)


@pytest.fixture
def ask(console):
    """A client of the demo's service."""
    with Client(base_url=console) as client:
        yield client


def test_a_feature_is_found_and_its_definition_and_readers_are_told(page, console, ask, shots, axe):
    known = {each["name"]: each for each in ask.get("/detectors/banking/definition").json()["features"]}
    page.goto(f"{console}/console/features")
    table = page.get_by_role("table", name="Features")
    expect(table.get_by_role("row")).to_have_count(len(known) + 1)
    page.get_by_label("Find", exact=True).fill("amount_ratio")
    table.get_by_role("cell", name="amount_ratio", exact=True).click()
    detail = page.get_by_role("region", name="amount_ratio")
    expect(detail).to_contain_text(known["amount_ratio"]["expression"])
    expect(detail.get_by_role("link", name="amount_spike")).to_be_visible()
    expect(page.get_by_label("State of the features")).to_contain_text("Newest event in state")
    axe(page)
    shots(page, "features")
    detail.get_by_role("link", name="amount_spike").click()
    expect(page.get_by_role("heading", name="amount_spike")).to_be_visible()


def test_filters_live_in_the_address(page, console):
    page.goto(f"{console}/console/features")
    page.get_by_label("Kind", exact=True).select_option("derived")
    page.get_by_label("Find", exact=True).fill("hour(timestamp)")
    table = page.get_by_role("table", name="Features")
    expect(table).to_contain_text("is_night")
    expect(table).not_to_contain_text("avg_amount_7d")
    address = page.url
    page.goto(f"{console}/console/rules")
    page.goto(address)
    expect(page.get_by_label("Find", exact=True)).to_have_value("hour(timestamp)")
    expect(page.get_by_label("Kind", exact=True)).to_have_value("derived")


def test_an_error_is_told_as_one_types(page, console):
    page.goto(f"{console}/console/features?edit=new")
    page.get_by_label("Name", exact=True).fill("broken")
    page.get_by_label("Where").fill("amuont < 5")
    expect(page.get_by_text("Did you mean amount?")).to_be_visible()
    expect(page.get_by_role("button", name="Save as draft")).to_be_disabled()
    page.get_by_text("An expression").click()
    page.get_by_label("Expression", exact=True).fill("amount / amuont")
    expect(page.locator(".cm-lintRange-error")).to_have_text("amuont")
    page.get_by_label("Expression", exact=True).fill("amount / 2")
    expect(page.get_by_text("It can be computed: a number, from amount.")).to_be_visible()


def test_a_feature_is_made_filled_and_computed_and_put_away(page, console, ask, shots, axe):
    page.goto(f"{console}/console/features")
    page.get_by_role("link", name="New feature").click()
    page.get_by_label("Name", exact=True).fill("night_count")
    page.get_by_label("Window").fill("7d")
    page.get_by_label("Where").fill("hour(timestamp) < 6")
    expect(page.get_by_text("It can be computed: a number")).to_be_visible()
    axe(page)
    shots(page, "feature-editor")
    page.get_by_role("button", name="Save and activate").click()
    made = page.get_by_role("region", name="Made by people").get_by_role("listitem").filter(has_text="night_count").first
    expect(made).to_contain_text("count by customer, 7d, where hour(timestamp) < 6")
    expect(made).to_contain_text("✓ active", timeout=1000 * PATIENCE_S)
    expect(made).to_contain_text("What history gave:")
    decision = ask.post("/predict", json=payment("made-1")).json()
    assert "night_count" in decision["features"]
    shots(page, "feature-made")

    made.get_by_role("button", name="Archive").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Note").fill("nobody reads it")
    dialog.get_by_role("button", name="Archive").click()
    expect(dialog).to_be_hidden()
    numbers = count()

    def computed():
        return ask.post("/predict", json=payment(f"made-{next(numbers)}")).json()["features"]

    wait_until(lambda: "night_count" not in computed(), every_s=0.5)
    page.get_by_label("with 1 archived one").check()
    expect(made).to_contain_text("archived")


def payment(transaction):
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {"transaction_id": transaction, "timestamp": at, "customer_id": "C100004", "merchant_id": "Crypto", "amount": 12.5}
