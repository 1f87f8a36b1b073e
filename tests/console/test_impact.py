"""Impact: what was prevented and lost, as the service counts it, by week and by rule, and as a file."""

import re

import pytest
from tests.console.waiting import expect, get, post
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def test_impact_shows_what_labels_say_and_exports_it(page, still, axe, shots):
    [blocked] = get(f"{still}/summaries?decision=block&limit=1").json()["transactions"]
    label = {"transaction_id": blocked["transaction_id"], "fraud": True}
    assert post(f"{still}/labels", json=label).status_code == 200

    def impact():
        return get(f"{still}/insights/impact").json()

    wait_until(lambda: impact()["labels_complete"] and impact()["whole"]["prevented"]["count"] > 0)
    page.goto(f"{still}/console/impact")
    expect(page.locator("h1")).to_have_text("Impact")
    figures = page.get_by_role("definition").filter(has_text=re.compile(r"^\$"))
    wait_until(lambda: figures.first.inner_text() == f"${impact()['whole']['prevented']['amount']:,.2f}")
    expect(page.get_by_role("table", name="Impact by week").locator("tbody tr")).to_have_count(4)
    chart = page.get_by_role("region", name="Money by week").get_by_role("img")
    expect(chart).to_have_attribute("aria-label", re.compile(r": prevented \$[\d,.]+, loss \$"))
    for axis in ("USD", "week from, UTC"):
        expect(chart.get_by_text(axis)).to_be_visible()
    rules = page.get_by_role("table", name="Impact by rule")
    expect(rules.get_by_role("link", name="amount_spike")).to_be_visible()
    axe(page)
    shots(page, "impact")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export CSV").click()
    lines = download.value.path().read_text().splitlines()
    assert lines[0].startswith("kind,name,from,to")
    assert sum(line.startswith("week,") for line in lines) == 4


def test_weeks_are_cards_with_named_figures_on_a_phone(page, still):
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{still}/console/impact")
    newest = page.get_by_role("table", name="Impact by week").locator("tbody tr").first
    expect(newest.locator("td")).to_have_count(8)
    shown = newest.locator("td").evaluate_all("all => all.map(td => getComputedStyle(td, '::before').content)")
    named = newest.locator("td").evaluate_all("all => all.map(td => td.dataset.column)")
    assert named[1:] == [
        "Decisions",
        "Prevented",
        "Loss",
        "False positives",
        "Review rate",
        "Review hours",
        "Chargeback rate",
    ]
    assert shown[0] == "none"
    assert "none" not in shown[1:]
    assert newest.evaluate("row => row.getBoundingClientRect().right <= window.innerWidth")


def test_a_rule_in_shadow_has_prevented_nothing_and_leads_to_its_page(page, still):
    page.goto(f"{still}/console/impact")
    link = page.get_by_role("link", name="fast_spender_v1")
    row = page.get_by_role("table", name="Impact by rule").get_by_role("row").filter(has=link)
    expect(row).to_contain_text("review, in shadow")
    expect(row.get_by_role("cell").nth(3)).to_have_text("\u2013")
    link.click()
    expect(page.locator("h1")).to_have_text("fast_spender")
    expect(page).to_have_url(re.compile(r"/rules/banking/fast_spender$"))
