"""A worker behind a real broker decides what one process would, and shows it once, whatever happens to it."""

import json
import os
import random
import signal
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from penstock import Engine
from penstock.config import Settings
from penstock.governance.lists import NewEntry
from penstock.governance.rules import RuleBody
from penstock.wiring.governance import open_rule_administration
from tests.integration import crash_worker
from tests.integration.behind import Behind, WorkerProcess, assert_same, embedded
from tests.waiting import wait_until

ROUNDS = int(os.environ.get("PENSTOCK_CRASH_ROUNDS", "20"))
DETECTOR = crash_worker.__file__
BROKERS = ["kafka", pytest.param("redis", marks=pytest.mark.slow)]


@pytest.fixture(params=BROKERS)
def behind(request):
    """The topics of the crash detector, empty."""
    url = (
        f"{request.getfixturevalue('kafka').url}/{request.getfixturevalue('topic_prefix').rstrip('.')}"
        if request.param == "kafka"
        else request.getfixturevalue("redis_url")
    )
    found = Behind(url, "crash")
    yield found
    found.close()


@pytest.fixture
def server(request, behind):
    """The broker's server."""
    return request.getfixturevalue(behind.url.partition("://")[0])


@pytest.fixture
def worker(behind, tmp_path):
    """Starts workers; all of them have ended when the test ends."""
    started = []

    def start(name="w", *options):
        started.append(WorkerProcess(DETECTOR, behind.url, tmp_path / name, *options, name=name))
        return started[-1]

    yield start
    for process in started:
        process.end()


def ids(decisions):
    return [decision["transaction_id"] for decision in decisions]


def test_a_worker_decides_what_one_process_does_and_keeps_the_same_state(behind, worker, tmp_path):
    events = crash_worker.events(3_000)
    behind.put("transactions", events)
    process = worker()
    wait_until(lambda: len(behind.bodies("decisions")) == len(events))
    labels = [
        {
            "transaction_id": f"tx{k}",
            "fraud": True,
            "known_at": datetime.fromisoformat(events[k]["timestamp"]) + timedelta(hours=3),
        }
        for k in range(0, 3_000, 50)
    ]
    behind.put("labels", labels)
    behind.put("labels", [{"transaction_id": "nobody", "fraud": True}])
    wait_until(lambda: len(behind.bodies("quarantine")) == 1)
    assert "nobody" in behind.read("quarantine")[0]["cause"]
    process.stop()

    assert_same(behind.read("decisions"), embedded(crash_worker.detector, events))
    with Engine(crash_worker.detector) as one:
        crash_worker.feed(one, events, 0)
        crash_worker.label(one, events)
        expected = one.pipeline.state.digest()
    with Engine(crash_worker.detector, data=tmp_path / "w") as kept:
        assert kept.pipeline.state.digest() == expected
        assert kept.stats()["total"] == len(events)


def test_labels_that_are_read_before_their_transactions_wait_for_them(behind, worker):
    """A worker that starts behind has all labels at hand long before the last of so many megabytes of transactions."""
    events = crash_worker.events(6_000)
    behind.put("transactions", [{**event, "note": "x" * 4_000} for event in events])
    behind.put("labels", [{"transaction_id": event["transaction_id"], "fraud": True} for event in reversed(events)])
    process = worker()
    wait_until(lambda: (process.status() or {}).get("events") == 2 * len(events))
    assert behind.bodies("quarantine") == []


def test_what_is_no_event_goes_to_quarantine_with_its_cause_and_nothing_stops(behind, worker):
    good = crash_worker.events(20)
    poison = [
        b"",
        b"not json",
        b'{"transaction_id": "a"',
        b"[1, 2]",
        b"\x00\x01\x02",
        msgspec.json.encode({**good[0], "transaction_id": "p1", "amount": "much"}),
        msgspec.json.encode({key: value for key, value in good[0].items() if key != "customer_id"}),
        msgspec.json.encode({**good[0], "transaction_id": "p2", "timestamp": "1812-01-01T00:00:00Z"}),
        json.dumps({**good[0], "transaction_id": "p3", "amount": float("nan")}).encode(),
        msgspec.json.encode({**good[0], "transaction_id": "p4", "merchant_id": "x" * 3_000_000}),
    ]
    for k, event in enumerate(good):
        behind.put("transactions", [event, *poison[k : k + 1]])
    worker()
    wait_until(lambda: len(behind.bodies("decisions")) == len(good))
    wait_until(lambda: len(behind.bodies("quarantine")) == len(poison))
    assert ids(behind.read("decisions")) == ids(good)
    assert all(kept["cause"] for kept in behind.read("quarantine"))
    assert any("3,000," in kept["cause"] for kept in behind.read("quarantine"))


@pytest.mark.slow
def test_an_id_that_comes_again_is_decided_once(behind, worker):
    events = crash_worker.events(50)
    behind.put("transactions", [*events, *events[:10]])
    worker()
    behind.put("transactions", [*events[5:15], {**events[0], "transaction_id": "last"}])
    wait_until(lambda: any(decision["transaction_id"] == "last" for decision in behind.read("decisions")))
    assert ids(behind.read("decisions")) == [*ids(events), "last"]


@pytest.mark.slow
def test_a_standby_takes_over_from_one_that_was_killed(behind, worker):
    events = crash_worker.events(4_000)
    first = worker("first")
    wait_until(lambda: first.owns)
    standby = worker("standby")
    wait_until(lambda: standby.follows)
    feeding = threading.Thread(target=_paced, args=(behind, events, 400))
    feeding.start()
    wait_until(lambda: len(behind.bodies("decisions")) > 500)
    first.kill()
    before = len(behind.bodies("decisions"))
    wait_until(lambda: len(behind.bodies("decisions")) > before)
    feeding.join()
    wait_until(lambda: len(behind.bodies("decisions")) >= len(events))
    wait_until(lambda: standby.owns)
    assert_same(behind.read("decisions"), embedded(crash_worker.detector, events))


@pytest.mark.slow
def test_a_frozen_worker_that_wakes_up_writes_nothing_and_stands_by(behind, worker):
    events = crash_worker.events(4_000)
    first = worker("first")
    wait_until(lambda: first.owns)
    standby = worker("standby")
    wait_until(lambda: standby.follows)
    feeding = threading.Thread(target=_paced, args=(behind, events, 400))
    feeding.start()
    wait_until(lambda: len(behind.bodies("decisions")) > 500)
    first.send(signal.SIGSTOP)
    wait_until(lambda: standby.owns)
    before = len(behind.bodies("decisions"))
    wait_until(lambda: len(behind.bodies("decisions")) > before)
    first.send(signal.SIGCONT)
    feeding.join()
    wait_until(lambda: len(behind.bodies("decisions")) >= len(events))
    wait_until(lambda: first.follows and not first.owns)
    assert standby.owns
    assert_same(behind.read("decisions"), embedded(crash_worker.detector, events))


@pytest.mark.slow
def test_a_new_version_takes_over_from_one_that_runs_which_then_ends(behind, worker):
    events = crash_worker.events(2_000)
    first = worker("first")
    wait_until(lambda: first.owns)
    feeding = threading.Thread(target=_paced, args=(behind, events, 400))
    feeding.start()
    wait_until(lambda: len(behind.bodies("decisions")) > 200)
    second = worker("second", "--takeover")
    wait_until(lambda: second.owns)
    assert first.process.wait(120) == 0
    feeding.join()
    wait_until(lambda: len(behind.bodies("decisions")) >= len(events))
    assert_same(behind.read("decisions"), embedded(crash_worker.detector, events))


@pytest.mark.slow
def test_a_broker_that_stops_for_a_while_costs_nothing_but_time(behind, worker, server):
    events = crash_worker.events(4_000)
    process = worker()
    wait_until(lambda: process.owns)
    feeding = threading.Thread(target=_paced, args=(behind, events, 200))
    feeding.start()
    wait_until(lambda: len(behind.bodies("decisions")) > 300)
    server.stop()
    wait_until(lambda: (process.status() or {}).get("trouble"))
    time.sleep(12)
    server.start()
    feeding.join()
    wait_until(lambda: len(behind.bodies("decisions")) >= len(events))
    assert process.process.poll() is None
    assert_same(behind.read("decisions"), embedded(crash_worker.detector, events))


@pytest.mark.slow
def test_a_worker_killed_at_random_moments_loses_nothing_and_shows_nothing_twice(behind, worker, tmp_path):
    chance = random.Random(7)
    events = crash_worker.events(1_000 * ROUNDS)
    for first in range(0, len(events), 1_000):
        behind.put("transactions", events[first : first + 1_000])
        process = worker()
        wait_until(lambda: process.owns)
        time.sleep(chance.uniform(0, 0.3))
        process.kill()
    process = worker()
    wait_until(lambda: len(behind.bodies("decisions")) >= len(events))
    process.stop()
    assert_same(behind.read("decisions"), embedded(crash_worker.detector, events))
    with Engine(crash_worker.detector) as one:
        crash_worker.feed(one, events, 0)
        expected = one.pipeline.state.digest()
    with Engine(crash_worker.detector, data=Path(tmp_path / "w")) as kept:
        assert kept.pipeline.state.digest() == expected


def _paced(behind, events, per_second):
    """Send events at a pace, in small portions."""
    began = time.monotonic()
    for start in range(0, len(events), 20):
        time.sleep(max(0.0, began + start / per_second - time.monotonic()))
        behind.put("transactions", events[start : start + 20])


@pytest.mark.slow
def test_rules_and_lists_that_people_change_reach_a_worker_between_two_units(behind, worker, tmp_path):
    events = crash_worker.events(2_000)
    process = worker()
    wait_until(lambda: process.owns)
    behind.put("transactions", events[:1_000])
    wait_until(lambda: len(behind.bodies("decisions")) == 1_000)
    with open_rule_administration(crash_worker.detector, Settings(data=tmp_path / "w")) as admin:
        admin.create_list("known", "block", "", personal=False, protected=False, who="ann")
        admin.put("known", [NewEntry(customer) for customer in {event["customer_id"] for event in events}], who="ann")
        admin.rules.add("any", RuleBody(when="customer_id IN list('known')", then="block"), who="ann")
        admin.rules.promote("any", 1, who="ann")
    sent = 1_000
    while behind.read("decisions")[sent - 1]["decision"] != "BLOCK":  # one after the other, until the worker has taken the rule
        assert sent < 1_500
        behind.put("transactions", events[sent : sent + 1])
        sent += 1
        wait_until(lambda count=sent: len(behind.bodies("decisions")) == count)
        time.sleep(0.1)
    behind.put("transactions", events[sent:])
    wait_until(lambda: len(behind.bodies("decisions")) == 2_000)
    decisions = behind.read("decisions")
    before, after = decisions[:1_000], decisions[sent - 1 :]
    assert {decision["decision"] for decision in after} == {"BLOCK"}
    assert [len({decision["versions"]["rules"] for decision in some}) for some in (before, after, before + after)] == [1, 1, 2]
    assert {decision["versions"].get("lists", "")[:8] for decision in before} == {""}
    assert {decision["versions"].get("lists", "")[:8] for decision in after} == {"known 2-"}
    unchanged = embedded(crash_worker.detector, events)
    assert [decision["features"] for decision in decisions] == [decision["features"] for decision in unchanged]
    process.kill()
    again = worker()
    wait_until(lambda: again.owns)
    behind.put("transactions", [{**events[0], "transaction_id": "last"}])
    wait_until(lambda: len(behind.bodies("decisions")) == 2_001)
    assert behind.read("decisions")[-1]["decision"] == "BLOCK"
