"""Cases follow from the ledger: each review once, a sample by id, whatever stops in between."""

from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest
from tests.waiting import wait_until

from penstock import Detector, Engine, Entity, Policy, Rule
from penstock.cases.queues import Filter, page
from penstock.cases.store import Cases
from penstock.codes import text_codes
from penstock.database import SqliteDatabase
from penstock.errors import LedgerError, SinkUnavailable
from penstock.ledger import MemoryLedger, RecentRecords
from penstock.stream.cases import CaseSink, sampled
from penstock.stream.sinks import Feeding
from penstock.testing import SetClock

START = datetime(2026, 1, 5, tzinfo=UTC)


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    amount: float
    device: int | None = None


customer, device = Entity("customer_id"), Entity("device")


def make():
    rule = Rule("large", "amount >= 100", then="review", reason="{amount:.0f} is large")
    return Detector(
        "shop",
        event=Payment,
        id="transaction_id",
        time="timestamp",
        features=[customer.count("1h"), device.count("1h")],
        rules=[rule, Rule("huge", "amount > 1000", then="block")],
        policy=Policy(on_failure="review"),
    )


class Shop:
    """An engine in memory, and cases beside it."""

    def __init__(self):
        self.clock = SetClock(START)
        self.ledger = MemoryLedger()
        self.engine = Engine(make(), ledger=self.ledger, clock=self.clock)
        self.cases = Cases(SqliteDatabase(), clock=self.clock)

    def decide(self, first, last):
        return self.engine.decide_many(
            [
                {
                    "transaction_id": f"t{n}",
                    "timestamp": START + timedelta(seconds=n),
                    "customer_id": f"c{n % 3}",
                    "amount": float(n % 7) * 20,
                    "device": n % 2 or None,
                }
                for n in range(first, last)
            ]
        )

    def sink(self, sample=0.0):
        return CaseSink(self.cases, "log", {"shop": self.engine}.get, sample=sample)

    def follow(self, sink):
        """Feed what the sink lacks; how many records that were."""
        records = list(self.ledger.read(sink.begin(0)))
        if records:
            sink.write(records)
        return len(records)

    def all(self, **chosen):
        return page(self.cases, Filter(**chosen), limit=1000)[0]


@pytest.fixture
def shop():
    opened = Shop()
    yield opened
    opened.engine.close()
    opened.cases.database.close()


def test_every_review_becomes_a_case_that_says_what_it_is_about(shop):
    decisions = [*shop.decide(0, 50)]
    shop.follow(shop.sink())
    reviews = [decision for decision in decisions if decision.decision == "REVIEW"]
    found = {case.transaction_id: case for case in shop.all(state="open", queue="review")}
    assert sorted(found) == sorted(decision.transaction_id for decision in reviews)
    case = found["t5"]
    assert (case.amount, case.expected_loss, case.score, case.reason) == (100.0, 100.0, None, "100 is large")
    assert (case.origin, case.propensity) == ("review", 1.0)
    assert [(key.entity, key.key) for key in shop.cases.keys(case.id)] == [("customer", "c2"), ("device", "1")]
    assert [key.entity for key in shop.cases.keys(found["t6"].id)] == ["customer"], "a key that is null is none"


def test_a_feeder_that_starts_again_makes_nothing_twice_and_leaves_nothing_out(shop):
    first = shop.sink(sample=0.2)
    shop.decide(0, 60)
    shop.follow(first)
    before = shop.all()
    shop.decide(60, 90)
    again = shop.sink(sample=0.2)
    again.write(list(shop.ledger.read(0)))  # as after a crash before the position was kept
    once = shop.all()
    again.write(list(shop.ledger.read(0)))
    assert shop.all() == once
    assert {case.id for case in before} < {case.id for case in once}
    assert shop.follow(shop.sink(sample=0.2)) == 0, "it goes on behind what it has followed"
    assert all(len(shop.cases.history(case.id)) == 1 for case in once)


def test_the_sample_is_of_the_others_by_their_ids_and_says_with_which_probability(shop):
    decisions = shop.decide(0, 400)
    shop.follow(shop.sink(sample=0.25))
    chosen = sampled(text_codes([decision.transaction_id for decision in decisions]), 0.25)
    wanted = [d.transaction_id for d, yes in zip(decisions, chosen, strict=True) if yes and d.decision != "REVIEW"]
    found = shop.all(queue="sample")
    assert sorted(case.transaction_id for case in found) == sorted(wanted)
    assert {(case.propensity, case.origin) for case in found} == {(0.25, "sample")}
    assert "APPROVE" in {case.decision for case in found}


def test_a_sample_has_about_its_share_and_a_smaller_one_lies_within_it():
    codes = text_codes([f"tx{n}" for n in range(50_000)])
    small, large = sampled(codes, 0.02), sampled(codes, 0.1)
    assert abs(large.mean() - 0.1) < 4 * np.sqrt(0.09 / len(codes))
    assert not np.any(small & ~large)


def test_what_others_come_to_know_reaches_the_case_and_what_analysts_say_does_not(shop):
    shop.decide(0, 7)
    sink = shop.sink()
    shop.follow(sink)
    shop.engine.label("t5", fraud=True, source="analyst")
    shop.engine.label("t6", fraud=True, at=START + timedelta(days=3), source="chargeback")
    shop.follow(sink)
    found = {case.transaction_id: case for case in shop.all()}
    assert found["t5"].known_fraud is None
    assert (found["t6"].known_fraud, found["t6"].known_source) == (True, "chargeback")


@pytest.mark.parametrize("sizes", [[1] * 60, [3, 0, 20, 1, 36], [60]])
def test_cases_are_the_same_however_their_transactions_were_batched(shop, sizes):
    first = 0
    for size in sizes:
        shop.decide(first, first + size)
        first += size
    shop.follow(shop.sink(sample=0.2))
    chosen = {case.transaction_id for case in shop.all()}
    codes = text_codes([f"t{n}" for n in range(60)])
    assert chosen == {f"t{n}" for n in range(60) if n % 7 in (5, 6) or sampled(codes[n : n + 1], 0.2)[0]}


def test_a_drawer_that_does_not_answer_is_asked_again(shop):
    failing = [LedgerError("no room"), SinkUnavailable("busy")]
    follow = shop.cases.follow

    def fails(*told):
        if failing:
            raise failing.pop()
        return follow(*told)

    shop.cases.follow = fails
    shop.decide(0, 7)
    feeding = Feeding(shop.sink(), shop.ledger, RecentRecords(), 0, pytest.fail)
    wait_until(lambda: not feeding.behind)
    feeding.close()
    assert (len(shop.all()), failing) == (2, [])
