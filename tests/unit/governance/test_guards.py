"""Guards know after a restart, and after a takeover, what they would have known without it."""

import itertools
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import msgspec
import pytest

from penstock import Detector, Engine, Entity, Policy, Rule
from penstock.clock import to_us
from penstock.config import Settings
from penstock.database import open_office
from penstock.decision import Guard
from penstock.governance.administration import newer_rules
from penstock.governance.guards import GuardMonitor
from penstock.governance.rules import RuleBody
from penstock.governance.stored_detector import list_store, rule_store
from penstock.offline.registry import FolderRegistry

START = datetime(2026, 1, 5, 10, tzinfo=UTC)
SLOW_MS = 400.0
"""More than a rule takes that the machine lets wait for a core."""


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    amount: float


customer = Entity("customer_id")
detector = Detector(
    "guarded",
    event=Payment,
    id="transaction_id",
    time="timestamp",
    features=[customer.count("1h")],
    rules=[Rule("large", "amount > 1000", then="block")],
    policy=Policy(
        guards=[
            Guard("block_rate", more=0.05, window="5m", least=500),
            Guard("error_rate", more=0.5, least=20),
            Guard("p99_ms", more=SLOW_MS, least=20),
        ]
    ),
)


class Clock:
    def __init__(self):
        self.now_us = to_us(START)

    def __call__(self):
        return self.now_us


class World:
    """An office in which a rule that blocks everything is rolled out, and engines that decide by it."""

    def __init__(self, office, folder):
        self.office, self.folder, self.clock, self.told, self._sent = office, folder, Clock(), [], 0
        self.decisions = []
        self._book = rule_store(office, detector)
        self._newer = newer_rules(office, [detector])["guarded"]
        self._book.add("everything", RuleBody(when="amount > 0", then="block"), who="ann")
        self.roll_out()

    def roll_out(self):
        self._book.rollout("everything", 1, percent=10, share_of="customer_id", who="ann")

    def shadow(self):
        self._book.pause("everything", who="ann")
        self._book.shadow("everything", 1, who="ann")

    def pause(self):
        self._book.pause("everything", who="ann")

    def open(self, data=None):
        engine = Engine(detector, data=data, clock=self.clock)
        self.follow(engine)
        return engine

    def follow(self, engine):
        found = self._newer(-1)
        engine.use_rules(found.rules, found.lists)

    def pay(self, engine, n):
        for _ in range(n):
            self.clock.now_us += 50_000
            self._sent += 1
            at = (START + timedelta(seconds=self._sent)).isoformat()
            name = f"t{self._sent}"
            event = {"transaction_id": name, "timestamp": at, "customer_id": f"c{self._sent % 97}", "amount": 5.0}
            self.decisions.append(engine.decide(event).decision)

    def looks(self, engine):
        """Whether a guard of a process that has just started rolls the rule back."""
        registry = FolderRegistry(self.folder / "models")
        guarding = GuardMonitor(self.office, detector, registry, Settings(data=self.folder), self.told.append)
        guarding.look(engine)
        guarding.close()
        return self._book.versions("everything")[0].state == "paused"


def spoiled(engine, run):
    """Let the candidate rule be evaluated by something else."""
    rules = engine.detector.plan.rules
    rules.tried_programs = [(rule, SimpleNamespace(run=run)) for rule, _ in rules.tried_programs]


@pytest.fixture
def world(tmp_path):
    with open_office(tmp_path) as office:
        list_store(office, detector)
        yield World(office, tmp_path)


def test_what_was_decided_before_a_restart_counts_for_guards_after_it(world, tmp_path):
    with world.open(tmp_path / "data") as engine:
        world.pay(engine, 400)
        assert not world.looks(engine)
    with world.open(tmp_path / "data") as engine:
        assert not world.looks(engine)
        world.pay(engine, 99)
        assert not world.looks(engine)
        world.pay(engine, 1)
        assert world.looks(engine)
    assert "on the same 500 events" in world.told[0].text


def test_what_the_owner_before_decided_counts_for_the_guards_of_a_replica_that_takes_over(world):
    with world.open() as owner, world.open() as replica:
        world.pay(owner, 400)
        for _, record in owner.ledger.read():
            replica.recovery.follow(record)
        replica.ledger.flush()
        world.pay(replica, 99)
        assert not world.looks(replica)
        world.pay(replica, 1)
        assert world.looks(replica)


def test_what_was_decided_before_a_pause_counts_no_more_after_a_restart_as_without_one(world, tmp_path):
    with world.open(tmp_path / "data") as engine:
        world.pay(engine, 499)
        world.pause()
        world.follow(engine)
        world.pay(engine, 1)
        world.roll_out()
        world.follow(engine)
        world.pay(engine, 1)
        assert not world.looks(engine)
    with world.open(tmp_path / "data") as engine:
        world.pay(engine, 1)
        assert not world.looks(engine)


def test_what_is_older_than_the_window_counts_no_more_after_a_restart(world, tmp_path):
    with world.open(tmp_path / "data") as engine:
        world.pay(engine, 490)
    world.clock.now_us += 301_000_000
    with world.open(tmp_path / "data") as engine:
        world.pay(engine, 20)
        assert not world.looks(engine)


def test_a_rule_that_cannot_be_evaluated_is_stopped_even_where_it_only_watches(world):
    def fails(_batch):
        raise RuntimeError("out of order")

    world.shadow()
    with world.open() as engine:
        spoiled(engine, fails)
        world.pay(engine, 30)
        assert world.looks(engine)
        assert world.decisions == ["APPROVE"] * 30
    assert "error_rate is 100.0 %" in world.told[0].text


def test_a_rule_that_takes_too_long_is_stopped_by_what_it_adds_itself(world):
    world.shadow()
    with world.open() as engine:
        world.pay(engine, 30)
        assert not world.looks(engine)
        evaluated = itertools.count()
        spoiled(engine, lambda _batch: time.sleep(2 * SLOW_MS / 1000 if next(evaluated) % 10 == 0 else 0.0))
        world.pay(engine, 30)
        assert world.looks(engine)
    assert world.told[0].text.startswith("rule everything_v1 was rolled back: p99_ms is")
