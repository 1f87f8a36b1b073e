"""One key: from a transaction to its merchant, what it is linked with, and on to a linked key."""

import pytest
from tests.console.waiting import get
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
