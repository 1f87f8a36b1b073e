"""Transactions: found by filters in the address, opened, explained, computed again, and told what is true of them."""

import csv
import re

import pytest
from tests.console.waiting import expect, get, post

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture(scope="module")
def blocked(console):
    """A blocked transaction of an attack, as it was recorded."""
    begun = post(f"{console}/demo/attack/card_testing").json()["transactions"]
    found = []
    for identity in begun[3:]:
        decided = get(f"{console}/transaction/{identity}/status", params={"wait_seconds": 20}).json()
        if decided["status"] == "processed":
            found.append(get(f"{console}/transactions/{identity}").json())
            if found[-1]["decision"] == "BLOCK":
                return found[-1]
    raise AssertionError(found)


def opened(page, console, identity):
    page.goto(f"{console}/console/transactions/{identity}")
    page.locator(f"[data-transaction='{identity}']").wait_for()
    page.get_by_role("list", name="Timeline").wait_for()


def test_a_blocked_transaction_is_explained_in_full(page, console, blocked, shots, axe):
    identity, explained = blocked["transaction_id"], blocked["explanation"]
    opened(page, console, identity)
    banner = page.get_by_role("region", name="Decision", exact=True)
    expect(banner).to_contain_text("block")
    probability = blocked["fraud_probability"]
    said = f"{100 * probability:.{2 if probability < 0.1 else 1}f}"
    score = f"Score {said} %; review from 20.0 %, block from 80.0 %"
    expect(page.get_by_role("img", name=re.compile("^Score"))).to_have_attribute("aria-label", score)

    reasons = page.get_by_role("list", name="Reasons").inner_text()
    assert [each["text"] for each in explained["reasons"] if each["text"] not in reasons] == []
    assert "typically" in reasons
    page.get_by_role("button", name=re.compile("^All ")).click()
    bars = page.get_by_role("list", name="Contributions").locator("li")
    expect(bars).to_have_count(len(explained["contributions"]))
    first = explained["contributions"][0]
    assert f"{'+' if first['contribution'] >= 0 else '−'}{abs(first['contribution']):.2f}" in bars.first.inner_text()  # noqa: RUF001

    page.get_by_placeholder("Find a feature").fill("last 1h")
    rows = page.get_by_role("table", name="Features").locator("tbody tr")
    expect(rows).to_have_count(sum("last_1h" in name for name in blocked["features"]))
    page.get_by_placeholder("Find a feature").fill("")

    tiles = page.get_by_role("region", name="Who and what took part")
    context = get(f"{console}/context/{identity}").json()
    tiles.get_by_text("Combinations of these").click()
    for entity in context["entities"]:
        tiles.get_by_role("link", name=entity["shown"].replace("|", " · "), exact=True).first.wait_for()
    expect(page.get_by_role("list", name="Timeline").locator("[aria-current=true]")).to_have_count(1)
    expect(page.get_by_role("img", name=re.compile("^Map: this"))).to_have_count(1 if context["places"] else 0)
    axe(page)
    shots(page, "transaction")


def test_it_is_computed_again_and_found_identical(page, console, blocked):
    opened(page, console, blocked["transaction_id"])
    page.get_by_role("button", name="Verify").click()
    page.get_by_text("verified: identical").wait_for(timeout=180_000)


def test_who_may_says_what_is_true_and_sees_it_at_once(page, console, blocked):
    identity = blocked["transaction_id"]
    opened(page, console, identity)
    page.get_by_role("button", name="Mark as fraud").click()
    page.get_by_text(re.compile("reported by")).wait_for()
    assert get(f"{console}/context/{identity}").json()["labels"]["counts"]["fraud"] is True


def test_the_record_can_be_read_and_copied_as_json(page, console, blocked):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened(page, console, blocked["transaction_id"])
    panel = page.get_by_role("region", name="Decision as JSON")
    panel.get_by_role("button", name="Show").click()
    assert f'"transaction_id": "{blocked["transaction_id"]}"' in panel.locator("pre").inner_text()
    panel.get_by_role("button", name="Copy").click()
    page.get_by_text("Copied").wait_for()
    assert blocked["transaction_id"] in page.evaluate("navigator.clipboard.readText()")


def test_an_id_that_nobody_knows_is_said_so(page, console):
    page.expected.append("404")
    page.goto(f"{console}/console/transactions/nobody-knows-me")
    page.get_by_role("alert").get_by_text("there is no transaction 'nobody-knows-me'").wait_for()


def test_the_list_is_filtered_by_the_address_and_shows_older_ones(page, console, blocked, shots, axe):
    page.goto(f"{console}/console/transactions")
    rows = page.get_by_role("table", name="Transactions").locator("tbody tr")
    rows.first.wait_for()
    shown = rows.count()
    page.get_by_role("button", name="Older").click()
    page.wait_for_function("n => document.querySelectorAll('tbody tr').length > n", arg=shown)
    with page.expect_download() as saved:
        page.get_by_role("button", name="as CSV (Transactions)").click()
    exported = list(csv.DictReader(saved.value.path().read_text().splitlines()))
    assert saved.value.suggested_filename == "transactions.csv"
    assert len(exported) > shown, "every loaded row, not the first page"
    assert exported[0]["transaction_id"]
    assert exported[0]["customer_id"]
    assert float(exported[0]["amount"]) > 0
    page.get_by_label("Decision", exact=True).select_option("block")
    page.wait_for_url(re.compile("decision=block"))
    page.wait_for_function("() => [...document.querySelectorAll('tbody tr')].every(row => row.innerText.includes('block'))")
    axe(page)
    shots(page, "transactions")

    page.get_by_label("Rule that fired").select_option("amount_spike")
    page.wait_for_url(re.compile("rule=amount_spike"))
    page.wait_for_function("() => [...document.querySelectorAll('tbody tr')].every(row => / times the /.test(row.innerText))")
    page.get_by_label("Rule that fired").select_option("any or none")

    context = get(f"{console}/context/{blocked['transaction_id']}").json()
    customer = next(each for each in context["entities"] if each["entity"] == "customer")
    page.get_by_label("Of", exact=True).select_option("customer")
    page.get_by_label("Key", exact=True).fill(customer["key"])
    page.get_by_role("button", name="Show").click()
    page.wait_for_url(re.compile(f"key={customer['key']}"))
    page.get_by_role("link", name=blocked["transaction_id"]).wait_for()
    page.reload()
    page.get_by_role("link", name=blocked["transaction_id"]).wait_for()
    row = rows.filter(has_text=blocked["transaction_id"])
    row.focus()
    page.keyboard.press("Enter")
    page.locator(f"[data-transaction='{blocked['transaction_id']}']").wait_for()


def test_a_time_that_held_nothing_says_so(page, console):
    page.goto(f"{console}/console/transactions?from=1999-01-01T00:00:00.000Z&to=1999-01-02T00:00:00.000Z")
    page.get_by_text("No recorded decision is like this").wait_for()
    page.get_by_role("button", name="All transactions").click()
    page.get_by_role("table", name="Transactions").locator("tbody tr").first.wait_for()
    assert "from" not in page.url


def test_the_page_opens_with_who_paid_whom_and_how_much(page, console, blocked):
    context = get(f"{console}/context/{blocked['transaction_id']}").json()
    payer, payee = (each["value"] for each in context["named"])
    opened(page, console, blocked["transaction_id"])
    expect(page.locator("h1")).to_have_text(f"{payer} paid ${context['amount']:,.2f} to {payee}")


def test_from_a_transaction_one_comments_writes_a_rule_and_puts_the_customer_on_a_list(page, console, blocked, axe, shots):
    identity = blocked["transaction_id"]
    made = post(f"{console}/detectors/banking/lists", json={"name": "stolen", "kind": "block", "about": "stolen accounts"})
    assert made.status_code == 201, made.text
    context = get(f"{console}/context/{identity}").json()
    customer = next(each["key"] for each in context["entities"] if each["entity"] == "customer")

    opened(page, console, identity)
    page.get_by_role("button", name="Add to list…").click()
    axe(page)
    shots(page, "transaction-add-to-list")
    page.get_by_role("dialog").get_by_label("List", exact=True).select_option("stolen")
    page.get_by_role("dialog").get_by_role("button", name="Add", exact=True).click()
    page.get_by_text("stolen: 1 added.").wait_for()
    entries = get(f"{console}/detectors/banking/lists/stolen/entries").json()["entries"]
    assert [(each["value"], each["reason"]) for each in entries] == [(customer, f"transaction {identity}")]

    page.get_by_role("button", name="Comment…").click()
    page.get_by_role("textbox", name="Comment").fill("asked the customer")
    page.get_by_role("button", name="Add comment").click()
    page.get_by_role("link", name="Go to case").wait_for()
    opened_case = get(f"{console}/context/{identity}").json()["case"]
    assert opened_case["origin"] in {"manual", "sample", "review"}
    history = get(f"{console}/cases/{opened_case['id']}").json()["history"]
    assert [line["details"]["text"] for line in history if line["action"] == "note"] == ["asked the customer"]

    page.get_by_role("link", name="Write a rule…").click()
    expect(page.locator("h1")).to_have_text("New rule")
    page.get_by_text("Valid.").or_(page.get_by_text("Valid.")).wait_for()
    expect(page.get_by_label("Condition", exact=True)).to_contain_text(blocked["explanation"]["contributions"][0]["feature"])
