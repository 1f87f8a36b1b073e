"""A verdict is a label like any other: it changes label features from when it is known, and replays to the same bits."""

from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np

from penstock import CasePolicy, Detector, Engine, Entity, Label, Policy, Rule
from penstock.cases.queues import Filter, page
from penstock.cases.store import Cases
from penstock.clock import from_us
from penstock.config import Settings
from penstock.database import SqliteDatabase
from penstock.ledger import MemoryLedger
from penstock.service import MicroBatcher
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.investigate.verdicts import VerdictSubmission
from penstock.stream.cases import CaseSink
from penstock.testing import SetClock

START = datetime(2026, 1, 5, tzinfo=UTC)


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    amount: float
    is_fraud: bool | None = None


customer = Entity("customer_id")


def detector():
    return Detector(
        "shop",
        event=Payment,
        id="transaction_id",
        time="timestamp",
        label=Label("is_fraud", delay="7d"),
        features=[
            customer.label_count("30d").named("frauds"),
            customer.label_count("30d", by="known").named("frauds_known"),
            customer.label_rate("30d").named("fraud_rate"),
        ],
        rules=[Rule("large", "amount >= 50", then="review")],
        policy=Policy(on_failure="review"),
        cases=CasePolicy(grouped=False),
    )


def payment(number):
    at = START + timedelta(hours=number)
    return {"transaction_id": f"t{number}", "timestamp": at, "customer_id": f"c{number % 2}", "amount": 10.0 * (number % 9)}


class Shop:
    def __init__(self):
        self.clock, self.ledger = SetClock(START), MemoryLedger()
        self.engine = Engine(detector(), ledger=self.ledger, clock=self.clock)
        self.cases = Cases(SqliteDatabase(), clock=self.clock)
        self.verdicts = VerdictSubmission(self.cases, DetectorRouter({"shop": MicroBatcher.of(self.engine, Settings())}))
        self.sink = CaseSink(self.cases, "log", {"shop": self.engine}.get, sample=0.0)

    def decide(self, number):
        self.clock.at(START + timedelta(hours=number))
        features = self.engine.decide(payment(number)).features
        self.sink.write(list(self.ledger.read(self.sink.begin(0))))
        return features

    def case_of(self, number):
        return next(case for case in page(self.cases, Filter(), limit=1000)[0] if case.transaction_id == f"t{number}")


def matrices(ledger):
    return [record.columns["x"] for _, record in ledger.read(0, ("decisions",))]


def test_a_verdict_changes_label_features_exactly_when_it_is_known(run):
    shop = Shop()
    seen = [shop.decide(number) for number in range(9)]
    assert [each["frauds"] for each in seen] == [0] * 9
    case = shop.case_of(6)
    shop.cases.decide(case.id, "ana", "fraud", reason="scam")
    assert shop.decide(10)["frauds"] == 0, "a verdict that nobody has been told of changes nothing"
    run(shop.verdicts.submit())
    assert shop.decide(11)["frauds"] == 0, "another customer"
    after = shop.decide(12)
    assert (after["frauds"], after["frauds_known"]) == (1, 1)
    assert after["fraud_rate"] == 1 / 7
    shop.cases.decide(case.id, "bob", "good", version=shop.cases.case(case.id).version)
    run(shop.verdicts.submit())
    assert shop.decide(14)["frauds"] == 0, "what was taken back counts no more"
    run(shop.verdicts.submit())
    assert len(shop.ledger.tables.label_history("shop", "t6")) == 2, "each verdict is told once"
    shop.engine.close()


def test_a_replay_with_the_same_label_times_gives_the_same_bits(run):
    shop = Shop()
    for number in range(60):
        shop.decide(number)
        if number % 7 == 6:
            case = shop.cases.take_next("ana")
            shop.cases.decide(case.id, "ana", ("fraud", "good")[number % 2])
            run(shop.verdicts.submit())
    again = Shop()
    for _, record in shop.ledger.read():
        again.clock.at(from_us(int(record.arrived_us[0])))
        if record.kind == "labels":
            for row, transaction_id in enumerate(record.ids):
                again.engine.label(
                    transaction_id,
                    fraud=bool(record.columns["fraud"][row]),
                    at=from_us(int(record.time_us[row])),
                    source=record.columns["source"][row],
                )
        else:
            for transaction_id in record.ids:
                again.engine.decide(payment(int(transaction_id[1:])))
    found, replayed = matrices(shop.ledger), matrices(again.ledger)
    assert len(found) == len(replayed) == 60
    assert all(np.array_equal(a.view(np.int64), b.view(np.int64)) for a, b in zip(found, replayed, strict=True))
    frauds = shop.engine.queries.columns.index("frauds")
    assert max(matrix[0, frauds] for matrix in found) >= 2, "labels took part"
    for each in (shop, again):
        each.engine.close()
