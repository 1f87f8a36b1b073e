"""Cases follow from the ledger: each review once, a sample by id, whatever stops in between."""

import json
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest
from tests.waiting import wait_until

from penstock import CasePolicy, Detector, Engine, Entity, Policy, Rule
from penstock.cases.case import EntityKey
from penstock.cases.members import members
from penstock.cases.queues import Filter, page
from penstock.cases.store import Cases
from penstock.codes import text_codes
from penstock.database import SqliteDatabase
from penstock.errors import DeclarationError, LedgerError, SinkUnavailable
from penstock.ledger import MemoryLedger, RecentRecords
from penstock.stream.cases import CaseSink, sampled
from penstock.stream.sinks import Feeding
from penstock.testing import SetClock
from penstock.webhooks.delivery import Answer, Webhooks
from penstock.webhooks.endpoints import EndpointChanges

START = datetime(2026, 1, 5, tzinfo=UTC)


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    amount: float
    device: int | None = None


customer, device = Entity("customer_id"), Entity("device")


def make(cases=CasePolicy(grouped=False)):
    rule = Rule("large", "amount >= 100", then="review", reason="{amount:.0f} is large")
    return Detector(
        "shop",
        event=Payment,
        id="transaction_id",
        time="timestamp",
        features=[customer.count("1h"), device.count("1h")],
        rules=[rule, Rule("huge", "amount > 1000", then="block")],
        policy=Policy(on_failure="review"),
        cases=cases,
    )


class Shop:
    """An engine in memory, and cases beside it."""

    def __init__(self, cases=CasePolicy(grouped=False)):
        self.clock = SetClock(START)
        self.ledger = MemoryLedger()
        self.engine = Engine(make(cases), ledger=self.ledger, clock=self.clock)
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


# ---------------------------------------------------------------- grouping


def grouped(**options):
    """A shop whose cases are grouped."""
    shop = Shop()
    shop.engine.close()
    shop.engine = Engine(make(CasePolicy(**options)), ledger=shop.ledger, clock=shop.clock)
    return shop


@pytest.mark.parametrize(("by", "entity"), [(None, "customer"), (device, "device")])
def test_reviews_of_one_subject_are_one_case_and_the_sample_is_judged_one_by_one(by, entity):
    shop = grouped(by=by)
    reviews = [each.transaction_id for each in shop.decide(0, 60) if each.decision == "REVIEW"]
    shop.follow(shop.sink(sample=1.0))
    found = shop.all(queue="review")
    by_case = {case.id: [each.transaction_id for each in members(shop.cases.database, case.id)] for case in found}
    assert sorted(each for case in by_case.values() for each in case) == sorted(reviews)
    for case in found:
        numbers = {int(each[1:]) for each in by_case[case.id]}
        if entity == "customer":
            assert case.subject == EntityKey("customer", f"c{numbers.pop() % 3}")
        elif case.subject is not None:
            assert {number % 2 for number in numbers} == {1}
    assert len(found) == (3 if entity == "customer" else 1 + sum(int(each[1:]) % 2 == 0 for each in reviews))
    samples = shop.all(queue="sample")
    assert {case.transactions for case in samples} == {1}
    assert len(samples) == 60 - len(reviews)
    shop.engine.close()


def test_cases_may_be_grouped_by_an_entity_of_the_features_alone():
    with pytest.raises(DeclarationError, match="grouped by 'devise'"):
        make(CasePolicy(by=Entity("device", name="devise")))


# ---------------------------------------------------------------- webhooks


@pytest.fixture
def announced(shop):
    """A sink that announces what it follows, and the outbox with an endpoint for everything."""
    webhooks = Webhooks(shop.cases.database, lambda *_: Answer(200, "200 OK"), clock=shop.clock)
    webhooks.endpoints.add("https://shop.example/", EndpointChanges(), who="ana")
    return CaseSink(shop.cases, "log", {"shop": shop.engine}.get, sample=0.0, webhooks=webhooks), webhooks.outbox


def events_of(outbox):
    return [(each.event.type.removeprefix("penstock."), each.event.subject) for each in outbox.after(0, 1000)]


def test_every_decision_and_label_is_announced_before_the_case_that_follows_from_it(shop, announced):
    sink, outbox = announced
    shop.decide(0, 14)
    shop.engine.label("t3", fraud=True, at=START + timedelta(hours=1))
    shop.follow(sink)
    found = events_of(outbox)
    assert [subject for kind, subject in found if kind == "decision.made"] == [f"t{n}" for n in range(14)]
    assert [subject for kind, subject in found if kind == "label.received"] == ["t3"]
    opened = [subject for kind, subject in found if kind == "case.opened"]
    assert opened == [case.id for case in sorted(shop.all(), key=lambda case: int(case.transaction_id[1:]))]
    for case in shop.all():
        assert found.index(("decision.made", case.transaction_id)) < found.index(("case.opened", case.id))


def test_a_transaction_that_joins_a_case_is_announced_once_with_its_own_figures():
    shop = Shop(CasePolicy())
    webhooks = Webhooks(shop.cases.database, lambda *_: Answer(200, "200 OK"), clock=shop.clock)
    webhooks.endpoints.add("https://shop.example/", EndpointChanges(), who="ana")
    sink = CaseSink(shop.cases, "log", {"shop": shop.engine}.get, sample=0.0, webhooks=webhooks)
    shop.decide(0, 30)
    shop.follow(sink)
    shop.cases.follow_again("log", lambda *_: True)
    shop.follow(sink)
    joined = [json.loads(each.event.body) for each in webhooks.outbox.after(0, 1000) if "transaction_added" in each.event.type]
    expected = [
        (case.id, member.transaction_id, member.decision, member.expected_loss)
        for case in shop.all()
        for member in members(shop.cases.database, case.id)[1:]
    ]
    told = [
        (each["subject"], *(each["data"][name] for name in ("transaction_id", "decision", "expected_loss"))) for each in joined
    ]
    assert expected
    assert sorted(told) == sorted(expected)
    assert {(each["type"], each["data"]["action"]) for each in joined} == {("penstock.case.transaction_added", "add")}
    shop.engine.close()


def test_events_cases_and_the_position_are_stored_together_or_not_at_all(shop, announced, monkeypatch):
    sink, outbox = announced
    shop.decide(0, 14)
    add = outbox.add

    def broken(transaction, events):
        add(transaction, events)
        raise LedgerError("the power failed")

    monkeypatch.setattr(outbox, "add", broken)
    with pytest.raises(LedgerError):
        shop.follow(sink)
    assert (events_of(outbox), shop.all(), shop.cases.position("log")) == ([], [], None)
    monkeypatch.setattr(outbox, "add", add)
    shop.follow(sink)
    assert len(events_of(outbox)) == 14 + len(shop.all())


def test_a_ledger_that_is_followed_again_announces_nothing_twice(shop, announced):
    sink, outbox = announced
    shop.decide(0, 14)
    shop.follow(sink)
    before = events_of(outbox)
    shop.cases.follow_again("log", lambda *_: True)
    shop.decide(14, 15)
    shop.follow(sink)
    assert events_of(outbox) == [*before, ("decision.made", "t14")]


def test_decisions_from_before_an_endpoint_was_added_are_not_announced(shop):
    shop.decide(0, 3)
    later = SetClock(START + timedelta(days=1))
    cases = Cases(SqliteDatabase(), clock=later)
    webhooks = Webhooks(cases.database, lambda *_: Answer(200, "200 OK"), clock=later)
    webhooks.endpoints.add("https://shop.example/", EndpointChanges(types=["penstock.decision.made"]), who="ana")
    sink = CaseSink(cases, "log", {"shop": shop.engine}.get, sample=0.0, webhooks=webhooks)
    shop.follow(sink)
    assert events_of(webhooks.outbox) == []
    cases.database.close()
