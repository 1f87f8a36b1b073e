"""Features that are made, filled and swapped under load behind Kafka, where a detector has several owners."""

import json
import threading

import pytest

from penstock import Engine
from penstock.config import Settings
from penstock.features.definitions import Added, read_described
from penstock.governance.rules import RuleBody
from penstock.wiring.governance import open_features, open_rule_administration
from tests.integration import sharded
from tests.integration.behind import Behind, WorkerProcess
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

SHARDS = 2
SPENT = {"kind": "sum", "entity": "customer", "field": "amount", "window": "2d"}
OTHER = {"kind": "sum", "entity": "customer", "field": "amount", "window": "3h", "current": False}
LOGINS = {"kind": "count", "entity": "customer", "window": "1d", "of": ["Login"]}
SPREAD = {"kind": "count", "entity": "merchant", "keys": ["merchant_id"], "window": "1d"}


class Load:
    """Sends events, each to the shard of its customer, until it is left; says how far it has come.

    The fewer are left, the slower: they last, however long this machine takes over what is done meanwhile.
    """

    def __init__(self, behind, events):
        self._outlet, self._events = behind.broker.outlet(), events
        self.sent, self._ending = 0, threading.Event()

    def _run(self):
        while not self._ending.is_set() and self.sent < len(self._events):
            self.send(2)
            self._ending.wait(0.02 * len(self._events) / max(1, len(self._events) - self.sent))

    def send(self, n):
        following = self._events[self.sent : self.sent + n]
        self.sent += n  # first: what is not counted by now is sent later than now
        for event in following:
            self._outlet.put("transactions", event["customer_id"], json.dumps(event).encode())
        assert self._outlet.flush(60) == 0

    def __enter__(self):
        self._ending.clear()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ending.set()
        self._thread.join()

    def close(self):
        self._outlet.close()


@pytest.fixture
def behind(kafka, topic_prefix):
    found = Behind(f"{kafka.url}/{topic_prefix.rstrip('.')}", "sharded", SHARDS)
    yield found
    found.close()


@pytest.fixture
def started(behind, tmp_path, monkeypatch):
    """Starts workers over the same folder; those that still run are ended."""
    monkeypatch.setenv("PENSTOCK_SHARD_KEY", sharded.KEY)
    running = []

    def start():
        running.append(WorkerProcess(sharded.__file__, behind.url, tmp_path / "w"))
        wait_until(lambda: running[-1].owners == SHARDS)
        return running[-1]

    yield start
    for each in running:
        each.end()


def expected(events, **added):
    """What a process decides that had these features from the start, by transaction."""
    whole = sharded.detector.with_features([Added(name, read_described(body, name)) for name, body in added.items()])
    with Engine(whole) as engine:
        for event in events:
            engine.inform(event) if "type" in event else engine.decide(event)
        rows = [engine.ledger.find("sharded", event["transaction_id"]) for event in events if "type" not in event]
        return {record.ids[row]: json.loads(engine.queries.render(record, [row])[0])["features"] for record, row in rows}


def blocked(behind, events, homes):
    """The shards whose owner has blocked something. homes: of customers that are known to be there."""
    customers = {event["transaction_id"]: event["customer_id"] for event in events}
    found = {customers[each["transaction_id"]] for each in behind.read("decisions") if each["decision"] == "BLOCK"}
    return {homes[customer] for customer in found & homes.keys()}


def payments(events):
    return sum("type" not in event for event in events)


def test_a_feature_is_added_filled_and_swapped_under_load_with_the_numbers_of_one_that_was_always_there(
    behind, started, tmp_path
):
    events, settings = sharded.events(6_000), Settings(data=tmp_path / "w", shard_key=sharded.KEY)
    worker, load = started(), Load(behind, events)
    load.send(1_500)
    wait_until(lambda: len(behind.bodies("decisions")) == payments(events[:1_500]))
    wait_until(lambda: sum(len(behind.bodies("transactions", shard)) for shard in range(SHARDS)) == 1_500)
    homes = {event["customer_id"]: shard for shard in range(SHARDS) for event in behind.read("transactions", shard)}
    with (
        open_features(sharded.detector, settings) as book,
        open_rule_administration(sharded.detector, settings) as admin,
    ):
        with load:
            for name, body in (("spent", SPENT), ("logins", LOGINS), ("spread", SPREAD)):
                book.add(name, body, who="ann")
                book.activate(name, who="ann")
                wait_until(lambda name=name: book.known(name)[-1].state != "filling")
            swapped = load.sent
            assert [book.known(name)[-1].state for name in ("spent", "logins", "spread")] == ["active", "active", "draft"]
            assert "spread over 2 owners" in book.known("spread")[-1].trouble
            admin.rules.add("any", RuleBody(when="spent + logins >= 0", then="block"), who="ann")
            admin.rules.promote("any", 1, who="ann")
            wait_until(lambda: blocked(behind, events, homes) == set(range(SHARDS)))  # by now each owner has it
            ruled = load.sent
            wait_until(lambda: load.sent > ruled + 20)
        worker.kill()
        worker = started()
        with load:
            book.add("spent", OTHER, who="ann")
            book.activate("spent", who="ann")
            wait_until(lambda: [each.state for each in book.known("spent")] == ["archived", "active"])
            changed = load.sent
    load.send(len(events) - load.sent)
    wait_until(lambda: len(behind.bodies("decisions")) == payments(events))
    load.close()
    found = {decision["transaction_id"]: decision for decision in behind.read("decisions")}
    first, second = expected(events, spent=SPENT, logins=LOGINS), expected(events, spent=OTHER, logins=LOGINS)
    for place, event in enumerate(events):
        name = event["transaction_id"]
        if "type" in event:
            continue
        shown, before, after = found[name]["features"], first[name], second[name]
        assert shown in ({each: before[each] for each in shown}, {each: after[each] for each in shown}), place
        assert place < swapped or {"spent", "logins"} <= shown.keys(), place
        assert place < ruled or found[name]["decision"] == "BLOCK", place
        assert place < changed or shown == after, place
    assert swapped < ruled < changed < len(events)
