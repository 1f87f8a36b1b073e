"""The figures of a recorded week on the pages of the console: those that counting by hand gives, and none of them is cut."""

import math
import re

import pytest
from tests.console.waiting import expect
from tests.known_week import by_hand, rate, recorded_week
from tests.service.serving import serving

from penstock.config import Settings
from penstock.service import MicroBatcher, create_app
from penstock.service.app import ServiceParts
from penstock.wiring.database import office_of
from penstock.wiring.governance import rule_administration
from penstock.wiring.health import ServiceHealth

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture(scope="module")
def week(tmp_path_factory):
    """The address of a service that decided the week, its rows as answered, and the truth by id."""
    settings = Settings(data=tmp_path_factory.mktemp("data"))
    with recorded_week(settings.data) as (engine, _, rows, truth), office_of(settings) as office:
        admin = {"week": rule_administration(office, engine.detector, settings)}
        parts = ServiceParts(administrations=admin, operating=ServiceHealth(settings, office))
        with serving(create_app({"week": MicroBatcher.of(engine, settings)}, settings, parts)) as url:
            yield url, rows, truth


def percent(share):
    return f"{100 * share:.{2 if 0 < share < 0.1 else 1}f} %"


def ends(of):
    return " to ".join(percent(of[end].expected) for end in ("low", "high"))


def with_ends(of):
    """A rate by hand as a page must show it; without one where too little is known."""
    return f"{percent(of['value'])} ({ends(of)})" if of["value"] is not None else f"{of['part']} of {of['of']} known"


def money(some):
    return f"{some['amount'].expected:,.2f}"


def shown(page, name):
    """A figure as its page shows it: the value, and each line below."""
    page.get_by_text(name, exact=True).locator("xpath=following-sibling::dd").first.filter(
        has_not_text="\N{EN DASH}"
    ).wait_for()
    return page.get_by_text(name, exact=True).locator("xpath=..").inner_text().split("\n")[1:]


CUT = """() => [...document.querySelectorAll('dl dt, dl dd, dl dd *')]
    .filter(each => each.scrollWidth > each.clientWidth + 1 && getComputedStyle(each).display !== 'inline')
    .map(each => each.innerText)"""


def assert_nothing_is_cut(page):
    for width in (1920, 1440, 1024, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(CUT) == [], width
    page.set_viewport_size({"width": 1440, "height": 900})


def test_the_live_page_shows_what_counting_by_hand_gives(page, week, shots, axe):
    url, rows, truth = week
    found = by_hand(rows, truth)
    page.goto(f"{url}/console/?range=30d&detector=week")
    rate = found["fraud_rate"]
    assert shown(page, "Fraud rate") == [percent(rate["value"]), f"{rate['part']} of {rate['of']} known outcomes", ends(rate)]
    value, known, precision, unknown, _, estimated = shown(page, "Fraud prevented")
    assert value == money(found["prevented"])
    assert known == f"{found['prevented']['count']} blocks known to be fraud, {found['blocked_good']['count']} legitimate"
    assert precision == f"precision {with_ends(found['precision_of_blocks'])}"
    assert unknown == f"{found['blocked_unknown']['count']} unknown: {money(found['blocked_unknown'])}"
    blocked = [row for row in rows if row["decision"] == "BLOCK"]
    half = 1.959963984540054 * math.sqrt(sum(row["p"] * (1 - row["p"]) * row["amount"] ** 2 for row in blocked))
    said = [float(part.replace(",", "")) for part in re.findall(r"[\d,.]+", estimated)]
    assert said == pytest.approx([found["estimated_amount"] + half * side for side in (0, -1, 1)], abs=0.02)
    for name, outcome in (("Approved", "APPROVE"), ("Held for review", "REVIEW"), ("Blocked", "BLOCK")):
        mine = [row for row in rows if row["decision"] == outcome]
        amount = f"{sum(row['amount'] for row in mine):,.2f}"
        assert shown(page, name) == [f"{len(mine):,}", f"{percent(len(mine) / len(rows))} · {amount}"]
    assert_nothing_is_cut(page)
    axe(page)
    shots(page, "figures-live")


@pytest.mark.parametrize("name", ["dear", "often"])
def test_what_a_rule_hit_is_shown_as_counting_by_hand_gives(page, week, shots, name):
    url, rows, truth = week
    hit = [row for row in rows if name in row["rules"]]
    known = [truth[row["transaction_id"]] for row in hit if row["transaction_id"] in truth]
    counted, maturity = rate(sum(known), len(known)), f"{len(known)} of {len(hit)} known"
    precision = with_ends(counted)
    page.goto(f"{url}/console/?range=30d&detector=week")
    page.get_by_text(f"precision {precision}, {maturity}", exact=True).wait_for()
    page.goto(f"{url}/console/rules?detector=week&range=30d")
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))
    expect(row).to_contain_text(precision)
    expect(row).to_contain_text(maturity)
    page.goto(f"{url}/console/rules/week/{name}?range=30d")
    value, about = shown(page, "Precision")
    said = [percent(counted["value"]), ends(counted), maturity] if counted["value"] is not None else [precision, maturity]
    assert [value, *about.split(" · ")][: len(said)] == said
    assert shown(page, "Known fraud")[0] == str(sum(known))
    assert shown(page, "Known legitimate")[0] == str(len(known) - sum(known))
    assert shown(page, "Not yet known")[0] == str(len(hit) - len(known))
    assert_nothing_is_cut(page)
    shots(page, f"figures-rule-{name}")
