"""The workload of analysts, against cases whose times are known."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.unit.cases.test_planning import ids, new

from penstock.cases.planning import Planned, plan
from penstock.cases.store import Cases
from penstock.cases.workload import QueueAges, queue_ages, workload
from penstock.database import SqliteDatabase
from penstock.testing import SetClock

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture
def clock():
    return SetClock(START)


@pytest.fixture
def cases(clock):
    opened = Cases(SqliteDatabase(), lock_minutes=15, clock=clock)
    opened.follow("log", 1, [new(number) for number in range(1, 9)])
    yield opened
    opened.database.close()


def test_each_analyst_has_what_they_hold_and_are_assigned_and_decided_each_case_once(cases, clock):
    one, two, three, four, five = ids(1, 2, 3, 4, 5)
    clock.at(START + timedelta(minutes=10))
    first = cases.decide(one, "ana", "good")
    clock.at(START + timedelta(minutes=30))
    cases.decide(one, "ana", "fraud", version=first.version)
    cases.decide(two, "bob", "fraud")
    clock.at(START + timedelta(days=1))
    cases.decide(three, "ana", "good")
    cases.undo(three, "ana")
    cases.decide(three, "ana", "unsure")
    plan(cases, four, "mia", Planned(assignee="carl", due_us=cases.clock() - 1))
    plan(cases, five, "mia", Planned(assignee="carl"))
    cases.take(five, "ana")
    ana, bob, carl = workload(cases, 2)
    assert (ana.analyst, ana.open, ana.overdue, ana.decided) == ("ana", 1, 0, [1, 1])
    assert ana.median_s == (30 * 60 + 86_400) / 2
    assert (bob.decided, bob.median_s, bob.compared) == ([1, 0], 30 * 60, 0)
    assert (carl.open, carl.overdue, carl.decided, carl.median_s) == (1, 1, [0, 0], None)
    assert [each.analyst for each in workload(cases, 1)] == ["ana", "carl"], "bob decided nothing today"


def test_queues_have_ages(cases, clock):
    for number, hours in ((11, 21), (12, 22), (13, 23.5)):
        clock.at(START + timedelta(hours=hours))
        cases.follow("log", number, [new(number)])
    clock.at(START + timedelta(hours=24, minutes=1))
    cases.take(ids(11)[0], "ana")
    cases.escalate(ids(13)[0], "ana", "experts")
    assert queue_ages(cases) == [QueueAges("experts", 1, 0, 0, 0, 0, 1), QueueAges("review", 0, 2, 0, 8, 0, 9)]
