"""A feature that people make reaches a worker, and is what it would always have been."""

import itertools
import time

import pytest

from penstock import Engine
from penstock.config import Settings
from penstock.features.definitions import Added, read_described
from penstock.governance.rules import RuleBody
from penstock.ledger import FileLedger
from penstock.wiring.governance import open_features, open_rule_administration
from tests.integration import crash_worker
from tests.integration.behind import ApiProcess, Behind, WorkerProcess
from tests.service import mine
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

BODY = {"kind": "sum", "entity": "merchant", "field": "amount", "window": "2d"}


@pytest.fixture
def behind(redis_url):
    found = Behind(redis_url, "crash")
    yield found
    found.close()


def ruled_by_it(behind, count):
    """Whether the newest of so many decisions is one of the rule that was made meanwhile."""
    return behind.read("decisions")[count - 1]["decision"] == "BLOCK"


def test_a_worker_fills_a_feature_swaps_it_in_and_has_it_after_a_crash(behind, tmp_path):
    events = crash_worker.events(3_000)
    process = WorkerProcess(crash_worker.__file__, behind.url, tmp_path / "w")
    started = [process]
    try:
        wait_until(lambda: process.owns)
        behind.put("transactions", events[:1_000])
        wait_until(lambda: len(behind.bodies("decisions")) == 1_000)
        with open_features(crash_worker.detector, Settings(data=tmp_path / "w")) as book:
            book.add("taken", BODY, who="ann")
            book.activate("taken", who="ann")
            for start in range(1_000, 1_500, 50):  # it decides while it fills
                behind.put("transactions", events[start : start + 50])
                time.sleep(0.05)
            wait_until(lambda: book.known("taken")[0].state == "active")
        with open_rule_administration(crash_worker.detector, Settings(data=tmp_path / "w")) as admin:
            admin.rules.add("much", RuleBody(when="taken > 0", then="block"), who="ann")
            admin.rules.promote("much", 1, who="ann")
        ruled = 1_500
        while not ruled_by_it(behind, ruled):  # one after the other, until the worker has taken the rule
            assert ruled < 2_000
            behind.put("transactions", events[ruled : ruled + 1])
            ruled += 1
            wait_until(lambda count=ruled: len(behind.bodies("decisions")) == count)
            time.sleep(0.2)
        behind.put("transactions", events[ruled:2_000])
        wait_until(lambda: len(behind.bodies("decisions")) == 2_000)
        process.kill()
        again = WorkerProcess(crash_worker.__file__, behind.url, tmp_path / "w")
        started.append(again)
        wait_until(lambda: again.owns)
        behind.put("transactions", events[2_000:])
        wait_until(lambda: len(behind.bodies("decisions")) == 3_000)
    finally:
        for each in started:
            each.end()
    decisions = behind.read("decisions")
    assert len({decision["transaction_id"] for decision in decisions}) == 3_000
    whole = crash_worker.detector.with_features([Added("taken", read_described(BODY, "taken"))])
    with Engine(whole) as engine:
        expected = [decision.features for decision in engine.decide_many(events)]
    for decision, features in zip(decisions, expected, strict=True):
        shown = decision["features"]
        assert shown == {name: value for name, value in features.items() if name in shown}
    assert ["taken" in decision["features"] for decision in decisions[1_500:]] == [True] * 1_500
    assert {decision["decision"] for decision in decisions[ruled - 1 :]} == {"BLOCK"}
    with FileLedger(tmp_path / "w" / "ledger", read_only=True) as ledger:
        assert len([0 for each in ledger.tables.versions("crash") if each.declared.get("added")]) >= 1


def test_a_service_beside_a_worker_follows_and_shows_what_the_worker_made_active(redis_url, tmp_path):
    started = [WorkerProcess(mine.__file__, redis_url, tmp_path / "data")]
    api = ApiProcess(mine.__file__, redis_url, tmp_path / "data", log=tmp_path / "api.log", PENSTOCK_PREDICT_BUDGET_MS="60000")
    features, rules = "/detectors/mine/features", "/detectors/mine/rules"

    def pay(number, customer="c1"):
        at = "2026-01-05T10:00:00Z"
        body = {"transaction_id": f"t{number}", "timestamp": at, "customer_id": customer, "amount": 5.0}
        return api.ask("POST", "/predict", body)[1]

    try:
        wait_until(lambda: api.ready and started[0].owns)
        for number in range(3):
            pay(number)
        body = {"kind": "count", "entity": "customer", "window": "30d"}
        assert api.ask("POST", features, {"name": "month", "body": body})[0] == 201
        assert api.ask("POST", f"{features}/month/activate", {})[0] == 200
        wait_until(lambda: api.ask("GET", f"{features}/month")[1]["state"] == "active")
        wait_until(lambda: api.ask("GET", features)[1]["computed"] == ["month"])
        assert api.ask("POST", rules, {"name": "busy", "when": "month >= 4", "then": "block"})[0] == 201
        assert api.ask("POST", f"{rules}/busy/promote", {"version": 1})[0] == 200
        others = itertools.count(100)  # of somebody else, until the worker has taken the rule
        wait_until(lambda: pay(next(others), "c2")["decision"] == "BLOCK", every_s=0.2)
        assert pay(4)["decision"] == "BLOCK"
        assert api.ask("GET", "/transactions/t4")[1]["features"]["month"] == 4
        assert api.ask("GET", "/entities/customer/c1")[1]["features"]["month"] == 4
        assert "month" not in api.ask("GET", "/transactions/t1")[1]["features"]
    finally:
        for each in [*started, api]:
            each.end()
