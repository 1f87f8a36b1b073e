"""Cases: one holder at a time, one verdict, an order by what is at stake, and a history of everything."""

import random
import threading
from datetime import UTC, datetime, timedelta

import pytest

from penstock.audit import AuditLog
from penstock.cases.analysts import analysts
from penstock.cases.case import EntityKey, Known, NewCase, case_id, expected_loss
from penstock.cases.queues import Filter, page, queues, sweep
from penstock.cases.store import Cases
from penstock.database import SqliteDatabase
from penstock.errors import Conflict, MalformedEvent, NotFound
from penstock.testing import SetClock

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


def new(number, loss=None, origin="review", **more):
    amount = 10.0 * number if loss is None else loss
    fields = {
        "detector": "shop",
        "transaction_id": f"t{number}",
        "origin": origin,
        "propensity": 1.0,
        "decision": "REVIEW",
        "score": 0.5,
        "amount": amount,
        "expected_loss": amount,
        "reason": None,
        "event_us": 0,
        "keys": (EntityKey("customer", f"c{number % 2}"),),
    }
    return NewCase(**fields | more)


@pytest.fixture
def clock():
    return SetClock(START)


@pytest.fixture
def cases(tmp_path, clock):
    database = SqliteDatabase(tmp_path / "office.sqlite")
    yield Cases(database, lock_minutes=15, clock=clock)
    database.close()


def ids(*numbers):
    return [case_id("shop", f"t{number}") for number in numbers]


def test_the_case_with_the_highest_expected_loss_is_taken_first(cases):
    numbers = list(range(1, 9))
    random.Random(7).shuffle(numbers)
    cases.follow("log", 1, [new(number) for number in numbers])
    taken = [cases.take_next("ana").id for _ in numbers]
    assert taken == ids(8, 7, 6, 5, 4, 3, 2, 1)
    assert cases.take_next("ana") is None


def test_expected_loss_is_probability_times_amount_or_the_probability_where_there_is_no_amount():
    assert expected_loss(0.25, 200.0, has_amount=True) == 50.0
    assert expected_loss(0.25, None, has_amount=False) == 0.25
    assert expected_loss(0.25, None, has_amount=True) == 0.0, "an amount that is missing is no money"


def test_a_transaction_has_one_case_however_often_it_is_told_of_and_the_position_goes_with_it(cases):
    assert cases.position("log") is None
    assert cases.follow("log", 3, [new(1), new(2)]) == 2
    assert cases.follow("log", 5, [new(2), new(3)]) == 1
    assert cases.position("log") == 5
    assert [line.action for line in cases.history(ids(2)[0])] == ["open"]


def test_what_fails_leaves_neither_cases_nor_a_new_position(cases):
    cases.follow("log", 1, [])
    with pytest.raises(AttributeError):
        cases.follow("log", 2, [new(1), None])
    assert (cases.position("log"), page(cases, Filter())[0]) == (1, [])


def test_of_two_who_take_at_the_same_time_each_case_goes_to_one(tmp_path):
    databases = [SqliteDatabase(tmp_path / "office.sqlite") for _ in range(4)]
    drawers = [Cases(database) for database in databases]
    drawers[0].follow("log", 1, [new(number) for number in range(1, 21)])
    got, barrier = {n: [] for n in range(4)}, threading.Barrier(4)

    def work(n):
        barrier.wait()
        while (case := drawers[n].take_next(f"analyst{n}")) is not None:
            got[n].append(case.id)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = [id_ for each in got.values() for id_ in each]
    assert sorted(taken) == sorted(ids(*range(1, 21)))
    for database in databases:
        database.close()


def test_of_two_verdicts_at_the_same_time_one_wins_and_the_other_is_told(tmp_path):
    databases = [SqliteDatabase(tmp_path / "office.sqlite") for _ in range(2)]
    drawers = [Cases(database) for database in databases]
    drawers[0].follow("log", 1, [new(1)])
    outcomes, barrier = [], threading.Barrier(2)

    def work(n):
        barrier.wait()
        try:
            outcomes.append(drawers[n].decide(ids(1)[0], f"analyst{n}", ("fraud", "good")[n], version=1).decided_by)
        except Conflict:
            outcomes.append(None)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [winner] = [who for who in outcomes if who]
    assert drawers[0].case(ids(1)[0]).decided_by == winner
    assert [line.who for line in drawers[0].history(ids(1)[0])] == ["penstock", winner]
    for database in databases:
        database.close()


def test_what_somebody_holds_is_for_nobody_else_until_the_lock_has_run_out(cases, clock):
    cases.follow("log", 1, [new(1)])
    [held] = ids(1)
    assert cases.take(held, "ana").state == "taken"
    for attempt in (
        lambda: cases.take(held, "bob"),
        lambda: cases.decide(held, "bob", "fraud"),
        lambda: cases.escalate(held, "bob", "experts"),
        lambda: cases.release(held, "bob"),
    ):
        with pytest.raises(Conflict, match=r"held by (ana|bob)"):
            attempt()
    clock.at(START + timedelta(minutes=14))
    cases.take(held, "ana")  # held for longer
    clock.at(START + timedelta(minutes=28, seconds=59))
    with pytest.raises(Conflict):
        cases.take(held, "bob")
    clock.at(START + timedelta(minutes=29))
    assert (cases.case(held).state, cases.case(held).owner) == ("open", None)
    assert cases.take(held, "bob").owner == "bob"
    with pytest.raises(Conflict):
        cases.decide(held, "ana", "fraud")


def test_a_case_is_released_escalated_and_found_in_the_other_queue(cases):
    cases.follow("log", 1, [new(1)])
    [one] = ids(1)
    cases.take(one, "ana")
    assert cases.release(one, "ana").state == "open"
    cases.take(one, "ana")
    handed = cases.escalate(one, "ana", "experts", "too much for me")
    assert (handed.state, handed.queue, handed.owner) == ("escalated", "experts", None)
    assert cases.take_next("bob", "review") is None
    assert cases.take_next("bob", "experts").id == one
    assert cases.release(one, "bob").state == "escalated"
    with pytest.raises(MalformedEvent, match="is no name"):
        cases.escalate(one, "ana", "The Experts")


def test_a_verdict_is_corrected_only_by_who_has_seen_the_one_before(cases):
    cases.follow("log", 1, [new(1)])
    [one] = ids(1)
    decided = cases.decide(one, "ana", "good", reason="false_alarm")
    with pytest.raises(Conflict, match="decided by ana"):
        cases.decide(one, "bob", "fraud")
    with pytest.raises(Conflict, match="version"):
        cases.decide(one, "bob", "fraud", version=decided.version - 1)
    assert cases.decide(one, "bob", "fraud", version=decided.version).verdict == "fraud"
    assert [line.details.get("verdict") for line in cases.history(one)] == [None, "good", "fraud"]


def test_a_note_disturbs_nobody(cases):
    cases.follow("log", 1, [new(1)])
    [one] = ids(1)
    seen = cases.take(one, "ana")
    cases.note(one, "bob", "called the bank")
    assert cases.decide(one, "ana", "fraud", version=seen.version).state == "decided"
    assert [(line.who, line.action) for line in cases.history(one)] == [
        ("penstock", "open"),
        ("ana", "take"),
        ("bob", "note"),
        ("ana", "verdict"),
    ]


@pytest.mark.parametrize(
    ("verdict", "reason", "field"), [("frod", None, "verdict"), ("good", "card_stolen", "reason"), ("fraud", "x", "reason")]
)
def test_a_verdict_that_is_none_is_refused_and_names_the_field(cases, verdict, reason, field):
    cases.follow("log", 1, [new(1)])
    with pytest.raises(MalformedEvent) as refused:
        cases.decide(ids(1)[0], "ana", verdict, reason=reason)
    assert refused.value.field == field
    with pytest.raises(NotFound):
        cases.decide("nothing", "ana", "fraud")


def test_every_act_of_a_person_is_in_the_log_of_changes(cases):
    cases.follow("log", 1, [new(1), new(2)])
    one, two = ids(1, 2)
    cases.take(one, "ana")
    cases.note(one, "ana", "hm")
    cases.release(one, "ana")
    cases.escalate(one, "ana", "experts")
    cases.decide(one, "bob", "fraud")
    sweep(cases, "bob", "good", ids=[two], dry_run=False)
    log = AuditLog(cases.database)
    acts = ["take", "note", "release", "escalate", "verdict"]
    assert [entry.action for entry in reversed(log.entries(subject=f"cases/{one}"))] == [f"cases.{act}" for act in acts]
    assert [entry.who for entry in log.entries(subject=f"cases/{two}")] == ["bob"]
    assert log.verify() is None


def test_verdicts_wait_to_become_labels_until_they_are_and_a_correction_waits_again(cases):
    cases.follow("log", 1, [new(1), new(2), new(3)])
    one, two, three = ids(1, 2, 3)
    cases.decide(one, "ana", "fraud", reason="scam")
    cases.decide(two, "ana", "unsure")
    cases.decide(three, "ana", "good")
    waiting = cases.pending_verdicts("shop")
    assert {(each.transaction_id, each.fraud, each.kind) for each in waiting} == {("t1", True, "scam"), ("t3", False, "good")}
    cases.decide(one, "bob", "good", version=cases.case(one).version)
    cases.mark_submitted(waiting)
    assert [(each.transaction_id, each.fraud) for each in cases.pending_verdicts("shop")] == [("t1", False)]


@pytest.mark.parametrize("order", ["expected_loss", "newest", "oldest"])
def test_pages_hold_every_case_once_in_their_order(cases, clock, order):
    draw = random.Random(3)
    for position in range(5):
        clock.at(START + timedelta(minutes=position))
        numbers = range(position * 5, position * 5 + 5)
        cases.follow("log", position, [new(number, loss=draw.choice([0.1, 1 / 3, 2.0])) for number in numbers])
    seen, before = [], None
    while True:
        found, before = page(cases, Filter(), order=order, limit=4, before=before)
        seen += found
        if before is None:
            break
    sort = {
        "expected_loss": lambda case: (-case.expected_loss, case.id),
        "newest": lambda case: (-case.opened_us, case.id),
        "oldest": lambda case: (case.opened_us, case.id),
    }[order]
    assert [case.id for case in seen] == [case.id for case in sorted(seen, key=sort)]
    assert len({case.id for case in seen}) == 25
    with pytest.raises(MalformedEvent, match="next"):
        page(cases, Filter(), before="what")


def test_lists_are_narrowed_by_state_queue_owner_and_key(cases):
    cases.follow("log", 1, [new(number) for number in range(4)] + [new(9, origin="sample")])
    cases.take(ids(1)[0], "ana")
    cases.decide(ids(2)[0], "ana", "good")
    cases.escalate(ids(3)[0], "ana", "experts")

    def listed(**chosen):
        return sorted(case.transaction_id for case in page(cases, Filter(**chosen))[0])

    assert listed(state="taken") == listed(owner="ana") == ["t1"]
    assert (listed(state="decided"), listed(state="escalated"), listed(state="open")) == (["t2"], ["t3"], ["t0", "t9"])
    assert (listed(queue="experts"), listed(queue="sample")) == (["t3"], ["t9"])
    assert listed(entity="customer", key="c0") == ["t0", "t2"]
    with pytest.raises(MalformedEvent):
        listed(entity="customer")


def test_queues_say_what_waits_since_when_and_who_holds_what(cases, clock):
    cases.follow("log", 1, [new(1), new(2)])
    clock.at(START + timedelta(minutes=1))
    cases.follow("log", 2, [new(3), new(4, origin="sample")])
    cases.take(ids(2)[0], "ana")
    review, sample = queues(cases)
    assert (review.queue, review.waiting, review.taken, review.expected_loss) == ("review", 2, 1, 60.0)
    assert review.held_by == {"ana": 1}
    assert sample.oldest_us - review.oldest_us == 60_000_000


def test_a_verdict_over_many_says_first_what_it_will_touch_and_leaves_the_held_alone(cases):
    cases.follow("log", 1, [new(number) for number in range(1, 6)])
    cases.take(ids(5)[0], "bob")
    cases.decide(ids(4)[0], "bob", "good")
    asked = {"ids": [*ids(1, 4, 5), "nothing"]}
    first = sweep(cases, "ana", "fraud", **asked)
    assert (first.dry_run, first.count, first.cases, first.amount) == (True, 1, ids(1), 10.0)
    assert {each.why.split(" ")[0] for each in first.skipped} == {"there", "decided", "held"}
    assert cases.case(ids(1)[0]).state == "open", "a dry run touches nothing"
    with pytest.raises(Conflict, match="not 2"):
        sweep(cases, "ana", "fraud", **asked, dry_run=False, expect=2)
    assert sweep(cases, "ana", "fraud", **asked, dry_run=False, expect=1).count == 1
    over = sweep(cases, "ana", "good", chosen=Filter(entity="customer", key="c1"), dry_run=False)
    assert (sorted(over.cases), [each.id for each in over.skipped]) == (sorted(ids(3)), ids(5))
    assert cases.case(ids(3)[0]).decided_by == "ana"
    with pytest.raises(MalformedEvent, match="either ids or a filter"):
        sweep(cases, "ana", "good")


def test_analysts_are_compared_with_each_other_and_with_what_became_known(cases):
    cases.follow("log", 1, [new(number) for number in range(1, 5)])
    for number, verdict in ((1, "good"), (2, "good"), (3, "fraud"), (4, "unsure")):
        cases.decide(ids(number)[0], "ana", verdict)
    cases.decide(ids(1)[0], "bob", "fraud", version=2)
    cases.follow("log", 2, [], [Known("shop", "t2", True, "chargeback", 5), Known("shop", "t3", True, "chargeback", 5)])
    cases.follow("log", 3, [], [Known("shop", "t2", False, "chargeback", 4), Known("shop", "nobody", True, "chargeback", 4)])
    ana, bob = analysts(cases)
    assert (ana.handled, ana.fraud, ana.good, ana.unsure) == (4, 1, 2, 1)
    assert (ana.compared, ana.agreed, ana.agreement, ana.overturned) == (3, 1, 1 / 3, 2)
    assert (bob.handled, bob.compared, bob.agreed, bob.overturned) == (1, 1, 0, 0)
    assert cases.case(ids(2)[0]).known_source == "chargeback"
