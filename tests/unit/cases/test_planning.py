"""Assignment, due times, priorities, tags, mentions and second opinions."""

from datetime import UTC, datetime, timedelta

import pytest

from penstock.audit import AuditLog
from penstock.cases.analysts import analysts
from penstock.cases.case import NewCase, case_id
from penstock.cases.mentions import mentioned
from penstock.cases.planning import Planned, ask_opinion, plan, set_due_minutes, withdraw_opinion
from penstock.cases.queues import Filter, page, queues, sweep
from penstock.cases.store import Cases
from penstock.database import SqliteDatabase
from penstock.errors import Conflict, MalformedEvent
from penstock.testing import SetClock

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
MINUTE_US = 60_000_000


def new(number):
    return NewCase(
        detector="shop",
        transaction_id=f"t{number}",
        origin="review",
        propensity=1.0,
        decision="REVIEW",
        score=0.5,
        amount=10.0 * number,
        expected_loss=5.0 * number,
        reason=None,
        event_us=0,
    )


@pytest.fixture
def clock():
    return SetClock(START)


@pytest.fixture
def cases(clock):
    opened = Cases(SqliteDatabase(), lock_minutes=15, clock=clock)
    opened.follow("log", 1, [new(number) for number in (1, 2, 3)])
    yield opened
    opened.database.close()


def ids(*numbers):
    return [case_id("shop", f"t{number}") for number in numbers]


def listed(cases, order="expected_loss", **chosen):
    return [case.transaction_id for case in page(cases, Filter(**chosen), order=order)[0]]


# ---------------------------------------------------------------- assignment


def test_an_assigned_case_is_for_its_assignee_and_for_who_takes_it_on_purpose(cases):
    [three] = ids(3)
    assert plan(cases, three, "mia", Planned(assignee="bob")).assignee == "bob"
    assert listed(cases, assignee="bob") == ["t3"]
    assert cases.take_next("ana").transaction_id == "t2", "the next one for ana is none of bob's"
    assert cases.take_next("bob").transaction_id == "t3"
    plan(cases, three, "bob", Planned(assignee=None))
    assert cases.case(three).assignee is None
    assert cases.take(three, "bob").owner == "bob"


def test_a_case_that_is_assigned_to_another_returns_to_its_queue_and_one_that_a_colleague_holds_stays(cases):
    [one] = ids(1)
    cases.take(one, "ana")
    with pytest.raises(Conflict, match="held by ana"):
        plan(cases, one, "bob", Planned(assignee="bob"))
    assert plan(cases, one, "bob", Planned(assignee="ana")).owner == "ana", "ana works on it, and goes on"
    assert plan(cases, one, "ana", Planned(assignee="bob")).owner is None


def test_a_decided_case_is_tagged_and_not_planned(cases):
    [one] = ids(1)
    cases.decide(one, "ana", "good")
    assert plan(cases, one, "ana", Planned(tags=["vip"])).tags == ("vip",)
    for planned in (Planned(assignee="bob"), Planned(due_us=1), Planned(priority="high"), Planned(tags=[], priority="low")):
        with pytest.raises(Conflict, match="is decided"):
            plan(cases, one, "ana", planned)


# ---------------------------------------------------------------- due times, priorities and tags


def test_cases_are_due_by_the_time_of_their_queue_and_those_that_are_not_decided_until_then_are_overdue(cases, clock):
    set_due_minutes(cases, "review", "mia", 60)
    set_due_minutes(cases, "experts", "mia", 30)
    cases.follow("log", 2, [new(4)])
    [four] = ids(4)
    assert cases.case(four).due_us == cases.clock() + 60 * MINUTE_US
    assert cases.case(ids(1)[0]).due_us is None, "what came before keeps its due time"
    assert cases.escalate(four, "ana", "experts").due_us == cases.clock() + 30 * MINUTE_US
    assert listed(cases, order="due") == ["t4", *sorted(("t1", "t2", "t3"), key=lambda t: case_id("shop", t))]
    clock.at(START + timedelta(minutes=31))
    assert listed(cases, overdue=True) == ["t4"]
    assert sorted(listed(cases, overdue=False)) == ["t1", "t2", "t3"]
    experts, review = queues(cases)
    assert (experts.overdue, experts.due_minutes, review.overdue, review.due_minutes) == (1, 30, 0, 60)
    cases.decide(four, "ana", "good")
    assert listed(cases, overdue=True) == []
    assert AuditLog(cases.database).entries(subject="queues/experts")[0].details == {"due_minutes": 30}
    with pytest.raises(MalformedEvent, match="are no due time"):
        set_due_minutes(cases, "review", "mia", 0)


def test_what_is_urgent_comes_first_whatever_it_is_worth(cases):
    plan(cases, ids(1)[0], "mia", Planned(priority="urgent"))
    plan(cases, ids(3)[0], "mia", Planned(priority="low"))
    assert listed(cases, order="priority") == ["t1", "t2", "t3"]
    assert listed(cases, priority="urgent") == ["t1"]
    assert [cases.take_next("ana").transaction_id for _ in range(3)] == ["t1", "t2", "t3"]
    with pytest.raises(MalformedEvent, match="urgent"):
        plan(cases, ids(1)[0], "mia", Planned(priority="urgnt"))


@pytest.mark.parametrize("order", ["priority", "due"])
def test_pages_of_every_order_hold_each_case_once(cases, order):
    cases.follow("log", 2, [new(number) for number in range(4, 20)])
    for number in range(1, 20):
        priority = ("low", "normal", "high")[number % 3]
        plan(cases, ids(number)[0], "mia", Planned(priority=priority, due_us=number % 4 or None))
    whole, before = [], None
    while True:
        found, before = page(cases, Filter(), order=order, limit=3, before=before)
        whole += found
        if before is None:
            break
    key = {
        "priority": lambda case: (-case.priority, -case.expected_loss, case.id),
        "due": lambda case: (case.due_us or 2**63, case.id),
    }[order]
    assert len({case.id for case in whole}) == 19
    assert whole == sorted(whole, key=key)


def test_tags_are_words_each_once_and_find_their_cases(cases):
    one, two = ids(1, 2)
    assert plan(cases, one, "ana", Planned(tags=["vip", "mule-ring", "vip"])).tags == ("mule-ring", "vip")
    plan(cases, two, "ana", Planned(tags=["mule-ring-2"]))
    assert (listed(cases, tag="mule-ring"), listed(cases, tag="mule%"), listed(cases, tag='"')) == (["t1"], [], [])
    for tags in (["Two words"], ["a_b"], [""], [f"t{n}" for n in range(21)]):
        with pytest.raises(MalformedEvent):
            plan(cases, one, "ana", Planned(tags=tags))


# ---------------------------------------------------------------- mentions


def test_who_is_mentioned_finds_the_case(cases):
    one, two = ids(1, 2)
    cases.note(one, "ana", "@bob.smith, please look; so should @mia. Mail: x@example.org")
    plan(cases, two, "ana", Planned(assignee="bob.smith"), note="for @mia")
    assert (listed(cases, mentioned="bob.smith"), listed(cases, mentioned="mia")) == (["t1"], ["t2", "t1"])
    assert listed(cases, mentioned="example.org") == []
    cases.decide(one, "ana", "good")
    assert listed(cases, mentioned="mia", state="undecided") == ["t2"]


@pytest.mark.parametrize(
    ("text", "names"),
    [("(@ana)", ["ana"]), ("@@ana", []), ("@ana's", ["ana"]), ("nobody", []), ("@x @x", ["x"])],
)
def test_mentions_are_names_after_an_at_sign(text, names):
    assert mentioned(text) == names


# ---------------------------------------------------------------- second opinions


def test_a_case_waits_for_the_colleague_who_is_asked_and_both_verdicts_are_kept(cases):
    [one] = ids(1)
    case = ask_opinion(cases, one, "ana", "bob", verdict="fraud", reason="scam", note="sure?")
    assert (case.state, case.assignee, case.opinion_verdict) == ("open", "bob", "fraud")
    assert cases.pending_verdicts("shop") == [], "a first opinion is no label"
    for who in ("ana", "carl"):
        with pytest.raises(Conflict, match="ana asked bob"):
            cases.decide(one, who, "fraud")
    assert [each.why for each in sweep(cases, "carl", "good", ids=[one]).skipped] == ["waits for a second opinion"]
    with pytest.raises(Conflict, match="that ana asked for"):
        ask_opinion(cases, one, "carl", "dora")
    cases.decide(one, "bob", "good")
    line = cases.history(one)[-1]
    assert (line.details["verdict"], line.details["first"], line.details["first_by"]) == ("good", "fraud", "ana")
    ana, bob = analysts(cases)
    assert (ana.compared, ana.agreed, ana.overturned, bob.agreed) == (1, 0, 1, 0)


def test_an_opinion_of_a_role_is_that_of_anybody_who_has_it_but_the_one_who_asks(cases):
    [one] = ids(1)
    ask_opinion(cases, one, "ana", "role:administrator")
    for who, roles in (("carl", {"analyst"}), ("ana", {"administrator"})):
        with pytest.raises(Conflict, match="with the role administrator"):
            cases.decide(one, who, "good", roles=roles)
    assert one not in {cases.take_next("ana").id for _ in range(2)}, "it is not given to who asks"
    assert cases.decide(one, "mia", "good", roles={"administrator"}).decided_by == "mia"


def test_a_request_is_withdrawn_by_who_made_it(cases):
    [one] = ids(1)
    ask_opinion(cases, one, "ana", "bob")
    with pytest.raises(Conflict, match="carl asks for no second opinion"):
        withdraw_opinion(cases, one, "carl")
    case = withdraw_opinion(cases, one, "ana")
    assert (case.opinion_of, case.assignee) == (None, None)
    assert cases.decide(one, "ana", "good").verdict == "good"
    with pytest.raises(Conflict, match="another person"):
        ask_opinion(cases, ids(2)[0], "ana", "ana")
