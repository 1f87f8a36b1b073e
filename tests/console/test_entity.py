"""One key: from a transaction to its merchant, its ring, on to a linked key, and what one can do about a ring."""

from datetime import UTC, datetime

import pytest
from tests.console.waiting import expect, get, post
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture
def merchant(still):
    """The merchant of a recorded payment that somebody else paid at as well."""
    return wait_until(lambda: popular(still))


def popular(still):
    """A merchant that has several payments by now, or None."""
    for decision in get(f"{still}/transactions?limit=200").json()["transactions"]:
        context = get(f"{still}/context/{decision['transaction_id']}").json()
        for entity in context["entities"]:
            if entity["entity"] == "merchant" and entity["decisions"]["total"] > 3:
                return entity["key"]
    return None


def test_a_key_shows_its_decisions_features_and_links_and_leads_on(page, still, merchant, shots, axe):
    page.goto(f"{still}/console/entities/merchant/{merchant}")
    page.get_by_role("heading", level=1, name=f"merchant {merchant}").wait_for()
    total = page.locator("dl[aria-label=Decisions] a").first
    counted = int(total.inner_text().replace(",", ""))
    assert counted > 3
    features = page.get_by_role("region", name="Features now")
    row = features.get_by_role("row", name="payments to this merchant within an hour")
    expect(row.get_by_text("merchant_count_1h")).to_be_visible()
    linked = page.locator("svg a[data-node^='customer:']")
    linked.first.wait_for()
    axe(page)
    shots(page, "entity")
    page.get_by_role("table", name="Latest transactions").get_by_role("row").nth(1).wait_for()

    name = linked.first.get_attribute("data-node").replace(":", " ", 1)
    linked.first.focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", level=1, name=name).wait_for()
    page.locator("svg a[data-node^='merchant:']").first.wait_for()


def test_a_key_that_nobody_knows_is_said_to_be_unknown(page, still):
    page.expected.append("404")
    page.goto(f"{still}/console/entities/customer/nobody-at-all")
    page.get_by_text("nothing is known about 'nobody-at-all'").wait_for()


@pytest.fixture(scope="module")
def suspect(still):
    """A case of a customer who shares one merchant with two others and another one with a crowd; the ring of that customer."""
    paid = [("ring-crowded", f"ring-{k}") for k in range(25)]
    paid += [("ring-shop", name) for name in ("ring-a", "ring-b", "ring-leader")] + [("ring-crowded", "ring-leader")]
    now = datetime.now(UTC).isoformat()
    for k, (merchant, customer) in enumerate(paid):
        where = {"lat": 10.0 + k, "long": 20.0 + k}  # nobody is at the same place
        payment = {"transaction_id": f"ring-{k}", "timestamp": now, "customer_id": customer, "merchant_id": merchant, **where}
        post(f"{still}/predict", json=payment | {"amount": 20.0}).raise_for_status()
    of_leader = {"transaction_id": f"ring-{len(paid) - 1}", "note": "who are they?"}
    case = post(f"{still}/cases", json=of_leader).raise_for_status().json()
    ring = get(f"{still}/entities/customer/ring-leader/ring").raise_for_status().json()
    assert {node["key"] for node in ring["nodes"] if node["member"]} == {"ring-leader", "ring-a", "ring-b"}
    assert [node["key"] for node in ring["nodes"] if node["hub"]] == ["ring-crowded"]
    assert ring["undecided_cases"] == [case["id"]]
    return case, ring


def test_a_ring_is_a_picture_and_a_table_from_which_one_acts(page, still, suspect, shots, axe):
    _, ring = suspect
    page.goto(f"{still}/console/entities/customer/{ring['key']}")
    part = page.get_by_role("region", name="Ring", exact=True)
    rows = part.get_by_role("table", name="Keys of the ring").get_by_role("row")
    expect(rows).to_have_count(1 + len(ring["nodes"]))
    hub = next(node for node in ring["nodes"] if node["hub"])
    expect(part.locator(f"svg a[data-node='{hub['id']}'] title")).to_contain_text(hub["note"])
    expect(rows.filter(has_text=hub["shown"]).first).to_contain_text("hub, not followed")
    expect(part.locator(f"svg a[data-node='{hub['id']}'] circle")).to_have_class("fill-soft")
    axe(page)
    shots(page, "ring")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.set_viewport_size({"width": 1440, "height": 900})

    part.get_by_role("button", name="Verdict on").click()
    dialog = page.get_by_role("dialog")
    count = len(ring["undecided_cases"])
    dialog.get_by_role("button", name=f"Mark {count:,} as legitimate").wait_for()
    page.keyboard.press("Escape")

    part.get_by_role("button", name="Add keys to list").click()
    dialog.get_by_role("heading", name="Add to a list").wait_for()
    page.keyboard.press("Escape")

    part.get_by_role("link", name="Write a rule from the ring").click()
    page.get_by_text(f"'{ring['key']}'").first.wait_for()


def test_a_case_shows_the_ring_of_its_subject(page, still, suspect, axe):
    case, ring = suspect
    page.goto(f"{still}/console/queue?case={case['id']}")
    page.get_by_text(f"Ring of customer {ring['key']}").click()
    rows = page.get_by_role("article").get_by_role("table", name="Keys of the ring").get_by_role("row")
    expect(rows).to_have_count(1 + len(ring["nodes"]))
    axe(page)
