"""The tutorials, followed: what a newcomer in each role types works as printed, in order."""

import json

import pytest
from tests.pages import WITHIN_S
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


def test_a_checkout_is_integrated_and_hears_the_outcome_of_a_review(follow):
    page = follow("tutorials/integrate")
    assert page.output_of("python shop.py pay 20").strip().endswith(("paid", "held"))
    assert page.output_of("python shop.py pay 1200").strip().endswith("held")
    assert "has no decision: no answer within 5 s" in page.output_of(r"PENSTOCK_URL=\S+ python shop.py")
    assert "has no decision" not in page.output_of("python shop.py again")
    wait_until(lambda: page.shell.run("python shop.py orders").splitlines()[1].endswith("paid"), WITHIN_S)


def test_a_file_of_payments_becomes_a_detector_that_serves(follow):
    page = follow("tutorials/first-detector")
    assert "mine" in page.output_of(r"curl .*/detectors")
    assert (page.shell.folder / "mine-training.html").exists()


def test_an_analyst_works_through_a_day(follow):
    page = follow("tutorials/analyst")
    assert json.loads(page.output_of(r"curl .*cases/next"))["state"] == "taken"
    assert json.loads(page.output_of(r"curl .*/demo/attack"))["transactions"]


def test_a_rule_changes_by_steps_and_is_taken_back(follow):
    page = follow("tutorials/change-a-rule")
    assert json.loads(page.output_of("penstock backtest condition"))["read"] > 0
    assert "rollout" in page.output_of("penstock rules show")
    assert "paused" in page.output_of("penstock rules list")


def test_a_service_is_watched_closed_and_restored_from_a_copy(follow):
    page = follow("tutorials/operate")
    assert json.loads(page.output_of(r"curl .*/stats"))["total"] >= 2000
    assert "100" in page.output_of("penstock verify")
    parts = {part["name"]: part["text"] for part in json.loads(page.output_of(r"curl .*8001/operations/health"))["parts"]}
    assert "deliver is false" in parts["delivery"]
