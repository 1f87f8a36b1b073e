"""A burst of one customer is one case: grouping against a naive oracle, verdicts one by one, and taking them back."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from penstock.audit import AuditLog
from penstock.cases.analysts import analysts
from penstock.cases.case import EntityKey, Known, NewCase, case_id
from penstock.cases.members import MOST_MEMBERS, members
from penstock.cases.policy import CasePolicy
from penstock.cases.queues import Filter, page, sweep
from penstock.cases.store import Cases
from penstock.cases.tables import SCHEMA
from penstock.database import SqliteDatabase, TableSchema
from penstock.errors import Conflict, DeclarationError, MalformedEvent, NotFound
from penstock.testing import SetClock

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
HOUR_US = 3_600_000_000


def new(number, subject="ana's card", at_us=0, loss=10.0, **more):
    fields = {
        "detector": "shop",
        "transaction_id": f"t{number}",
        "origin": "review",
        "propensity": 1.0,
        "decision": "REVIEW",
        "score": 0.5,
        "amount": 2 * loss,
        "expected_loss": loss,
        "reason": f"reason {number}",
        "event_us": at_us,
        "keys": (EntityKey("card", str(subject)), EntityKey("merchant", f"m{number}")),
        "subject": None if subject is None else EntityKey("card", subject),
    }
    return NewCase(**fields | more)


@pytest.fixture
def clock():
    return SetClock(START)


@pytest.fixture
def cases(clock):
    database = SqliteDatabase()
    yield Cases(database, clock=clock)
    database.close()


def grouped(cases):
    """By the number of the case's first transaction those of all its transactions, as sets."""
    found = page(cases, Filter(), limit=1000)[0]
    return {frozenset(each.transaction_id for each in members(cases.database, case.id)) for case in found}


# ---------------------------------------------------------------- grouping


def test_a_burst_of_thirty_payments_of_one_customer_is_one_case(cases):
    assert cases.follow("log", 1, [new(n, at_us=n, score=n / 100) for n in range(30)]) == 1
    [case] = page(cases, Filter())[0]
    assert (case.transactions, case.amount, case.expected_loss) == (30, 600.0, 300.0)
    assert (case.transaction_id, case.score, case.reason) == ("t0", 0.29, "reason 29")
    assert case.subject == EntityKey("card", "ana's card")
    assert [each.transaction_id for each in members(cases.database, case.id)] == [f"t{n}" for n in range(30)]
    assert page(cases, Filter(entity="merchant", key="m17"))[0] == [case], "a case is found by the keys of each transaction"
    assert cases.keys(case.id) == [EntityKey("card", "ana's card"), EntityKey("merchant", "m0")]
    assert cases.follow("log", 2, [new(n, at_us=n) for n in range(30)]) == 0, "following again changes nothing"
    assert page(cases, Filter())[0] == [case]


class Oracle:
    """Grouping as one would write it down: every open case, looked through one by one."""

    def __init__(self, within_us):
        self.within_us, self.open, self.decided = within_us, [], []

    def place(self, each):
        for case in reversed(self.open):
            first = case[0]
            same = (first.subject, first.currency) == (each.subject, each.currency)
            near = abs(first.event_us - each.event_us) <= self.within_us
            if each.subject is not None and same and near and len(case) < MOST_MEMBERS:
                case.append(each)
                return
        self.open.append([each])

    def decide(self, first):
        [case] = [case for case in self.open if case[0].transaction_id == first]
        self.open.remove(case)
        self.decided.append(case)


@pytest.mark.parametrize("seed", range(8))
def test_grouping_is_that_of_a_naive_oracle_on_random_streams(cases, clock, seed):
    draw = random.Random(seed)
    oracle = Oracle(2 * HOUR_US)
    policy = CasePolicy(within="2h")
    at_us = 0
    for number in range(400):
        clock.at(START + timedelta(seconds=number))
        at_us += draw.randrange(HOUR_US // 8)
        each = new(
            number,
            draw.choice(["a", "b", "c", None]),
            at_us - draw.choice([0, 0, 0, HOUR_US]),
            currency=draw.choice(["EUR", "EUR", "USD", None]),
            policy=policy,
        )
        cases.follow("log", number, [each])
        oracle.place(each)
        if draw.random() < 0.05:
            first = draw.choice(oracle.open)[0].transaction_id
            cases.decide(case_id("shop", first), "ana", draw.choice(["fraud", "good", "unsure"]))
            oracle.decide(first)
    expected = {frozenset(each.transaction_id for each in case) for case in oracle.open + oracle.decided}
    assert grouped(cases) == expected
    for case in page(cases, Filter(), limit=1000)[0]:
        found = members(cases.database, case.id)
        assert case.transactions == len(found)
        assert case.expected_loss == pytest.approx(sum(each.expected_loss for each in found))
        assert {each.currency for each in found} == {case.currency}


def test_a_decided_case_takes_in_nothing_more_and_the_next_payment_opens_another(cases):
    cases.follow("log", 1, [new(1), new(2)])
    cases.decide(case_id("shop", "t1"), "ana", "unsure")
    assert cases.follow("log", 2, [new(3)]) == 1
    assert grouped(cases) == {frozenset({"t1", "t2"}), frozenset({"t3"})}


def test_a_case_that_somebody_holds_goes_on_collecting_and_a_verdict_on_fewer_than_there_are_is_refused(cases):
    cases.follow("log", 1, [new(1)])
    held = cases.take(case_id("shop", "t1"), "ana")
    cases.follow("log", 2, [new(2)])
    with pytest.raises(Conflict, match="now has 2 transactions, not 1"):
        cases.decide(held.id, "ana", "fraud", seen=1)
    assert cases.decide(held.id, "ana", "fraud", seen=2).state == "decided"


def test_a_case_has_a_bounded_number_of_transactions(cases):
    assert cases.follow("log", 1, [new(n) for n in range(MOST_MEMBERS + 1)]) == 2


def test_the_priority_rises_with_the_expected_loss_unless_somebody_set_it(cases):
    policy = CasePolicy(high_loss=15, urgent_loss=35)
    seen = []
    for n in range(4):
        cases.follow("log", n, [new(n, policy=policy)])
        seen.append(cases.case(case_id("shop", "t0")).priority)
    assert seen == [1, 2, 2, 3]


@pytest.mark.parametrize(
    ("given", "named"),
    [({"within": "soon"}, "within"), ({"high_loss": 0}, "high_loss"), ({"high_loss": 9, "urgent_loss": 9}, "urgent_loss")],
)
def test_a_policy_that_cannot_be_meant_is_refused(given, named):
    with pytest.raises(DeclarationError, match=named):
        CasePolicy(**given)


# ---------------------------------------------------------------- verdicts


@pytest.fixture
def burst(cases):
    cases.follow("log", 1, [new(n) for n in range(3)])
    return case_id("shop", "t0")


def said(cases, case):
    return {each.transaction_id: (each.verdict, each.own) for each in members(cases.database, case)}


def labels(cases):
    return {each.transaction_id: each.fraud for each in cases.pending_verdicts("shop")}


def submitted(cases):
    cases.mark_submitted(cases.pending_verdicts("shop"))


def test_a_verdict_on_the_case_labels_every_transaction(cases, burst):
    assert cases.decide(burst, "ana", "fraud", reason="card_stolen").verdict == "fraud"
    assert labels(cases) == {"t0": True, "t1": True, "t2": True}
    [line] = [line for line in cases.history(burst) if line.action == "verdict"]
    assert line.details["transactions"] == ["t0", "t1", "t2"]


def test_a_verdict_on_one_transaction_stands_when_the_case_is_decided_otherwise(cases, burst):
    case = cases.decide(burst, "ana", "good", transactions=["t1"])
    assert (case.state, case.verdict, labels(cases)) == ("open", None, {"t1": False})
    cases.decide(burst, "bob", "fraud")
    assert said(cases, burst) == {"t0": ("fraud", False), "t1": ("good", True), "t2": ("fraud", False)}
    assert labels(cases) == {"t0": True, "t1": False, "t2": True}
    version = cases.case(burst).version
    cases.decide(burst, "bob", "unsure", version=version)
    assert said(cases, burst)["t1"] == ("good", True), "a correction of the case leaves the transaction's own verdict"


@pytest.mark.parametrize(
    ("verdicts", "of_case"), [("gfg", "fraud"), ("ggg", "good"), ("gug", "unsure"), ("ufg", "fraud")], ids=str
)
def test_a_case_is_decided_when_its_last_transaction_is(cases, burst, verdicts, of_case):
    names = {"g": "good", "f": "fraud", "u": "unsure"}
    for n, verdict in enumerate(verdicts):
        assert cases.case(burst).state == "open"
        cases.decide(burst, "ana", names[verdict], transactions=[f"t{n}"])
    assert (cases.case(burst).state, cases.case(burst).verdict) == ("decided", of_case)
    with pytest.raises(Conflict, match="a separate verdict"):
        cases.decide(burst, "ana", "good", version=cases.case(burst).version)
    again = cases.decide(burst, "ana", "good", version=cases.case(burst).version, transactions=["t0", "t1", "t2"])
    assert (again.verdict, labels(cases)) == ("good", {"t0": False, "t1": False, "t2": False})


def test_a_verdict_on_a_transaction_of_another_case_is_refused(cases, burst):
    with pytest.raises(NotFound, match=r"'t9' is not in case.*t\d"):
        cases.decide(burst, "ana", "good", transactions=["t9"])


def test_a_verdict_over_many_cases_labels_every_transaction_of_each(cases, burst):
    cases.follow("log", 2, [new(8, "b"), new(9, "b")])
    swept = sweep(cases, "ana", "good", chosen=Filter(), dry_run=False)
    assert (swept.count, len(labels(cases))) == (2, 5)


def test_one_known_fraud_makes_the_case_known_as_fraud(cases, burst):
    cases.follow("log", 2, [], [Known("shop", "t2", False, "bank", 5), Known("shop", "t1", True, "chargeback", 3)])
    case = cases.case(burst)
    assert (case.known_fraud, case.known_source, case.known_us) == (True, "chargeback", 3)
    assert [each.known_fraud for each in members(cases.database, burst)] == [None, True, False]


# ---------------------------------------------------------------- taking back


def test_a_verdict_is_taken_back_by_who_gave_it_within_ten_minutes(cases, clock, burst):
    cases.decide(burst, "ana", "fraud")
    with pytest.raises(Conflict, match="one of ana"):
        cases.undo(burst, "bob")
    clock.at(START + timedelta(minutes=10))
    case = cases.undo(burst, "ana")
    assert (case.state, case.verdict, labels(cases)) == ("open", None, {}), "what was not submitted never becomes a label"
    assert set(said(cases, burst).values()) == {(None, False)}
    assert analysts(cases) == [], "figures count verdicts that stand"
    with pytest.raises(Conflict, match="no verdict that could be undone"):
        cases.undo(burst, "ana")
    assert [line.action for line in cases.history(burst)] == ["open", "verdict", "undo"]
    assert AuditLog(cases.database).entries(subject=f"cases/{burst}")[0].action == "cases.undo"


def test_a_verdict_of_more_than_ten_minutes_ago_is_corrected_not_taken_back(cases, clock, burst):
    cases.decide(burst, "ana", "fraud")
    clock.at(START + timedelta(minutes=10, seconds=1))
    with pytest.raises(Conflict, match="older than 10 minutes"):
        cases.undo(burst, "ana")


def test_taking_back_a_correction_gives_the_labels_of_before_again(cases, burst):
    cases.decide(burst, "ana", "good", transactions=["t2"])
    first = cases.decide(burst, "ana", "fraud", reason="scam")
    submitted(cases)
    cases.decide(burst, "bob", "good", version=first.version)
    submitted(cases)
    case = cases.undo(burst, "bob")
    assert (case.verdict, case.reason_code, case.decided_by) == ("fraud", "scam", "ana")
    assert labels(cases) == {"t0": True, "t1": True}, "new labels supersede those of the correction"
    assert said(cases, burst)["t2"] == ("good", True)


# ---------------------------------------------------------------- cases of before


def test_cases_of_before_open_unchanged_and_their_verdicts_become_labels(tmp_path):
    database = SqliteDatabase(tmp_path / "office.sqlite")
    database.prepare(TableSchema("cases", SCHEMA.steps[:4]))
    with database.write() as transaction:
        for n, verdict in enumerate((None, "fraud", "good")):
            values = {"id": f"c{n}", "t": f"t{n}", "verdict": verdict, "untold": int(verdict == "fraud")}
            transaction.run(
                "INSERT INTO cases (id, detector, transaction_id, origin, propensity, queue, decision, expected_loss, "
                "event_us, opened_us, verdict, untold, version) "
                "VALUES (:id, 'shop', :t, 'review', 1, 'review', 'REVIEW', 5, 1, 2, "
                ":verdict, :untold, 4)",
                values,
            )
    cases = Cases(database)
    found = {case.id: case for case in page(cases, Filter())[0]}
    assert {id_: (case.state, case.version, case.transactions) for id_, case in found.items()} == {
        "c0": ("open", 4, 1),
        "c1": ("decided", 4, 1),
        "c2": ("decided", 4, 1),
    }
    assert labels(cases) == {"t1": True}
    assert cases.decide("c0", "ana", "good").state == "decided"
    assert said(cases, "c0") == {"t0": ("good", False)}
    assert cases.follow("log", 1, [new(1)]) == 0, "a transaction of before is not opened again"
    database.close()


def test_a_filter_that_is_none_is_refused(cases):
    with pytest.raises(MalformedEvent, match="high"):
        page(cases, Filter(priority="hihg"))
