"""Models: a challenger scores in shadow, is promoted, and taken back; thresholds are dragged."""

import re
import shutil
import subprocess
import sys

import httpx
import pytest
from tests.console.waiting import expect, get
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture(scope="module")
def server(demo, tmp_path_factory):
    """A demo that has a second, smaller model to try."""
    with demo("--tps", "40") as started:
        history = tmp_path_factory.mktemp("history") / "history.parquet"
        penstock = [sys.executable, "-m", "penstock.cli"]
        simulate = ["simulate", "banking", "--events", "20000", "--days", "40", "--seed", "3", "--out", str(history)]
        train = ["train", "banking", "--data", str(history), "--save", "--models", str(started.folder / "models")]
        for command in (simulate, train):
            subprocess.run([*penstock, *command], check=True, capture_output=True, cwd=history.parent)
        shutil.rmtree(history.parent)
        ended = httpx.post(f"{started.url}/detectors/banking/models/rollback", json={"note": "room for another"}, timeout=60)
        assert ended.status_code == 200, ended.text  # the trial of the demo's history
        yield started


def champion(server):
    return get(f"{server.url}/detectors/banking/models").json()["champion"]


def test_a_challenger_is_tried_in_shadow_promoted_and_taken_back(page, server, shots, axe):
    before = champion(server)
    page.goto(f"{server.url}/console/models")
    versions = page.get_by_role("table", name="Versions of the models")
    known = get(f"{server.url}/detectors/banking/models").json()["versions"]
    newest = max(known, key=lambda each: each["created_at"])["version"]
    challenger = versions.get_by_role("row").filter(has_text=newest).filter(has=page.get_by_role("button"))

    challenger.get_by_role("button", name="Shadow").click()
    page.get_by_role("dialog").get_by_label("Why").fill("it was trained on newer days")
    page.get_by_role("dialog").get_by_role("button", name="Start shadow").click()
    versions.get_by_text("in shadow").wait_for()

    page.get_by_text("Trials", exact=True).click()
    trial = page.get_by_role("region", name=f"Model {newest}")
    trial.get_by_text("in shadow: decides nothing").wait_for()
    events = trial.locator("dt", has_text="Events judged by both").locator("xpath=following-sibling::dd")
    expect(events).to_have_text(re.compile(r"^[1-9][\d,]*$"))
    expect(trial.get_by_role("img", name=re.compile("^champion: .*; candidate: "))).to_be_visible()
    axe(page)
    shots(page, "models-trials")

    page.get_by_text("Versions", exact=True).first.click()
    challenger.get_by_role("button", name="Promote").click()
    page.get_by_role("dialog").get_by_role("button", name="Promote").click()
    page.get_by_role("dialog").wait_for(state="detached")
    wait_until(lambda: champion(server) != before)

    page.get_by_role("row").filter(has_text="Champion (live)").get_by_role("button", name="Roll back").click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    page.get_by_role("dialog").wait_for(state="detached")
    wait_until(lambda: champion(server) == before)
    page.get_by_role("table", name="Deployment history").get_by_text("it was trained on newer days").first.wait_for()
    axe(page)
    shots(page, "models")


def test_dragging_a_threshold_changes_what_it_would_have_meant_and_nothing_else(page, server, shots, axe):
    page.goto(f"{server.url}/console/models?tab=evaluation")
    page.get_by_role("heading", name="Thresholds").wait_for()
    reviews = page.locator("dt", has_text="Reviews a day").locator("xpath=following-sibling::dd[1]")
    said = reviews.inner_text()
    slider = page.get_by_label("Review from")
    slider.focus()
    for _ in range(12):
        page.keyboard.press("PageDown")
    expect(reviews).not_to_have_text(said)
    assert float(reviews.inner_text().replace(",", "")) > float(said.replace(",", ""))
    expect(reviews.locator("xpath=following-sibling::dd")).to_have_text(f"in force: {said}")
    page.get_by_role("button", name="Reset to current").click()
    expect(reviews).to_have_text(said)
    axe(page)
    shots(page, "models-evaluation")


def test_an_evaluation_links_the_card_of_a_version_that_has_one(page, server):
    known = get(f"{server.url}/detectors/banking/models").json()["versions"]
    newest = max(known, key=lambda each: each["created_at"])["version"]
    page.goto(f"{server.url}/console/models?tab=evaluation&version={newest}")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Model card").click()
    card = opened.value
    expect(card.get_by_role("heading", level=1)).to_have_text(f"Model card of banking, version {newest}")
    expect(card.get_by_role("heading", name="Limits")).to_be_visible()


def test_thresholds_that_the_policy_declares_are_not_offered_to_be_applied(page, server):
    page.goto(f"{server.url}/console/models?tab=evaluation")
    page.get_by_text("The detector's policy declares those in force").wait_for()
    expect(page.get_by_role("button", name="Apply…")).to_have_count(0)


def test_dragged_thresholds_are_applied_with_a_reason(page, server, shots, axe):
    """As where the policy declares none; the service's side of it is shown by tests/service/test_thresholds.py."""
    sent = []

    def evaluation(route):
        found = route.fetch().json()
        route.fulfill(json=found | {"thresholds": found["in_force"]})

    def applied(route):
        sent.append(route.request.post_data_json)
        route.fulfill(json={"action": "thresholds", "version": "other", "champion": "other"})

    page.route("**/evaluation", evaluation)
    page.route("**/thresholds", applied)
    page.goto(f"{server.url}/console/models?tab=evaluation&version={champion(server)}")
    expect(page.get_by_role("button", name="Apply…")).to_be_disabled()
    page.get_by_label("Review from").focus()
    page.keyboard.press("PageDown")
    page.get_by_role("button", name="Apply…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("row")).to_have_count(7)
    dialog.get_by_label("Reason").fill("the team grew")
    axe(page)
    shots(page, "models-thresholds")
    dialog.get_by_role("button", name="Apply thresholds").click()
    dialog.wait_for(state="detached")
    [body] = sent
    assert (body["note"], body["block_at"]) == ("the team grew", 0.8)
    assert body["review_at"] < 0.2


def test_the_page_of_drift_says_what_there_is(page, server, shots, axe):
    page.expected += ["503", "409"]
    page.goto(f"{server.url}/console/models?tab=drift")
    page.get_by_text("There is no drift report yet").or_(page.get_by_role("table", name="Drift by column")).first.wait_for()
    axe(page)
    shots(page, "models-drift")


def test_a_column_of_drift_opens_its_distribution_and_those_without_data_are_hidden(page, server, shots, axe):
    def column(name, state, bins=(), days=()):
        figures = dict.fromkeys(("psi", "js", "limit", "lasting", "recent_limit", "unseen"), 0.25)
        lists = {"models": [], "rules": [], "bins": list(bins), "days": list(days), "missing": [0, 0.1]}
        more = {"ks": None, "recent": None, "ageing": False, "importance": {}, "rows": 900, "kind": "number"}
        return {"name": name, "state": state, **figures, **lists, **more}

    bins = [{"label": "up to 10", "training": 0.75, "live": 0.25}, {"label": "above 10", "training": 0.25, "live": 0.75}]
    whole = column("amount", "drifted", bins, [{"day": "2026-01-05", "rows": 900, "psi": 0.5}])
    report = {
        "detector": "banking",
        "model_version": "1",
        "made_at": "2026-01-06T00:00:00Z",
        "rows": 900,
        "judged": True,
        "reference": "training of version 1",
        "reference_days": ["2025-12-01", "2025-12-31"],
        "since": None,
        "until": None,
        "findings": [],
        "estimate": {},
        "truth": [],
        "notes": [],
        "columns": [column("amount", "drifted"), column("hour", "few")],
    }
    page.route("**/detectors/*/drift?detail=false", lambda route: route.fulfill(json=report))
    page.route("**/detectors/*/drift/amount", lambda route: route.fulfill(json=whole))
    page.goto(f"{server.url}/console/models?tab=drift")
    table = page.get_by_role("table", name="Drift by column")
    expect(table.get_by_role("row")).to_have_count(2)
    page.get_by_role("button", name="Show 1 column without enough data").click()
    expect(table.get_by_role("row")).to_have_count(3)
    table.get_by_role("row", name="drifted").get_by_text("drifted").click()
    distribution = table.get_by_role("region", name="Distribution of amount")  # below its row, not below all of them
    expect(distribution.get_by_role("row", name="up to 10 75.0 % 25.0 %")).to_be_visible()
    by_day = distribution.get_by_role("img", name="PSI by day: 0.500")
    for axis in ("PSI", "day, UTC", "5 Jan"):
        expect(by_day.get_by_text(axis).first).to_be_visible()
    axe(page)
    shots(page, "models-drift-column")
