"""Delivery of webhooks to a real receiver: in order, again after failures, at least once, signed for the client's function."""

import contextlib
import threading
from datetime import UTC, datetime, timedelta

import pytest
from tests.receiver import receiving
from tests.waiting import wait_until

from penstock.adapters.webhook_post import WebhookPost
from penstock.audit import AuditLog
from penstock.database import SqliteDatabase
from penstock.errors import Conflict, MalformedEvent, NotFound
from penstock.testing import SetClock
from penstock.webhooks.delivery import Answer, DeliveryTiming, Webhooks
from penstock.webhooks.endpoints import MOST_ENDPOINTS, EndpointChanges
from penstock.webhooks.events import Event

START = datetime(2026, 1, 5, tzinfo=UTC)
QUICK = DeliveryTiming(first_wait_s=0.01, longest_wait_s=0.05, poll_s=0.01)


def event(number, kind="penstock.decision.made", **more):
    body = b'{"subject":"t%d","id":"evt_%d"}' % (number, number)
    fields = {"detector": "shop", "subject": f"t{number}", "at_us": 2**62} | more
    return Event(id=f"evt_{number}", type=kind, body=body, **fields)


class Office:
    """Webhooks over a database in memory; `add` is what readers of the ledger do."""

    def __init__(self, database=None, **options):
        self.database = database or SqliteDatabase()
        self.webhooks = Webhooks(
            self.database, options.pop("post", WebhookPost(private=True)), plain=True, timing=QUICK, **options
        )
        self.endpoints, self.outbox = self.webhooks.endpoints, self.webhooks.outbox

    def add(self, *events):
        with self.database.write() as transaction:
            return self.outbox.add(transaction, events)

    def subscribe(self, url, **given):
        return self.endpoints.add(url, EndpointChanges(**given), who="ana")

    def done(self, endpoint):
        return self.endpoints.get(endpoint.id).reached == self.outbox.head()


@pytest.fixture
def receiver():
    with receiving() as found:
        yield found


@pytest.fixture
def office():
    opened = Office()
    yield opened
    opened.webhooks.close()
    opened.database.close()


def test_every_event_arrives_in_order_signed_whatever_the_receiver_answers_meanwhile(office, receiver):
    """It fails at first, answers 500, 429, a redirect; each event is taken once, in the order of the outbox."""
    answers = {1: 500, 2: 503, 4: 429, 5: 302, 9: 404}
    receiver.answer = lambda number, _event: answers.get(number, 200)
    receiver.headers = {"Location": receiver.url}
    endpoint = office.subscribe(receiver.url)
    receiver.secret = endpoint.secret
    office.add(*(event(number) for number in range(20)))
    office.webhooks.start("here")
    wait_until(lambda: office.done(endpoint))
    assert receiver.subjects() == [f"t{number}" for number in range(20)]
    assert len(receiver.received) == 20 + len(answers)
    assert not receiver.forged
    assert {headers["Content-Type"] for headers in receiver.requests} == {"application/cloudevents+json; charset=utf-8"}
    attempts = office.outbox.attempts(endpoint.id, 100)[::-1]
    assert [each.status for each in attempts[:6]] == [500, 503, 200, 429, 302, 200]
    assert [each.attempt for each in attempts[:6]] == [1, 2, 3, 1, 2, 3]
    assert [each.n for each in attempts] == list(range(1, 26))
    assert office.endpoints.get(endpoint.id).state(office.webhooks.clock(), 1) == "delivering"


def test_a_slow_receiver_is_asked_again_and_gets_the_same_event_under_the_same_id(office, receiver):
    waiting = threading.Event()
    receiver.answer = lambda number, _event: waiting.wait(60) and 200 if number == 1 else 200
    endpoint = office.subscribe(receiver.url, timeout_s=0.2)
    office.add(event(1), event(2))
    office.webhooks.start("here")
    wait_until(lambda: office.done(endpoint))
    waiting.set()
    asked = [each["id"] for each in receiver.received]
    assert asked[:2] == ["evt_1", "evt_1"]
    assert asked == sorted(asked)  # evt_2 only after evt_1
    assert asked[-1] == "evt_2"
    failed = office.outbox.attempts(endpoint.id, 10, event="evt_1")[-1]
    assert (failed.outcome, failed.status, failed.detail) == ("failed", None, "127.0.0.1 does not answer within 0.2 s")


def test_an_error_of_the_program_itself_neither_loses_an_event_nor_ends_the_delivery(receiver):
    """The cursor moves after the delivery, never before."""
    raised, send = [], WebhookPost(private=True)

    def post(*request):
        if len(raised) < 2:
            raised.append(request)
            raise RuntimeError("not thought of")
        return send(*request)

    office = Office(post=post)
    endpoint = office.subscribe(receiver.url)
    office.add(event(1), event(2))
    office.webhooks.start("here")
    wait_until(lambda: office.done(endpoint))
    office.webhooks.close()
    assert receiver.subjects() == ["t1", "t2"]


def test_a_receiver_that_does_not_answer_holds_up_no_stop_and_loses_nothing(receiver):
    asked, answered, done = threading.Event(), threading.Event(), []

    def post(*_request):
        asked.set()
        answered.wait(120)
        done.append(1)
        return Answer(200, "200 OK")

    office = Office(post=post)
    endpoint = office.subscribe(receiver.url)
    office.add(event(1))
    office.webhooks.start("here")
    asked.wait(120)
    office.webhooks.close(within_s=0.05)
    assert not done  # it still waits for the answer
    assert not office.done(endpoint)
    answered.set()
    again = Office(office.database)
    again.webhooks.start("here")
    wait_until(lambda: again.done(endpoint))
    again.webhooks.close()


def test_a_failing_endpoint_does_not_hold_back_another(office, receiver):
    with receiving() as other:
        other.answer = lambda _number, _event: 500
        failing, good = office.subscribe(other.url), office.subscribe(receiver.url)
        office.add(*(event(number) for number in range(5)))
        office.webhooks.start("here")
        wait_until(lambda: office.done(good))
        assert receiver.subjects() == [f"t{number}" for number in range(5)]
        wait_until(lambda: len(other.received) >= 3)
        assert {each["subject"] for each in other.received} == {"t0"}
        found = office.endpoints.get(failing.id)
        assert (found.reached, found.error) == (0, "500 Internal Server Error")


def test_an_endpoint_gets_what_it_selects_from_when_it_was_added(office, receiver):
    office.add(event(0))
    endpoint = office.subscribe(
        receiver.url, types=["penstock.decision.*", "penstock.label.received"], detectors=["shop"], decisions=["BLOCK"]
    )
    office.add(
        event(1, decision="BLOCK"),
        event(2, decision="APPROVE"),
        event(3, decision="BLOCK", detector="other"),
        event(4, "penstock.label.received"),
        event(5, "penstock.case.opened"),
    )
    office.webhooks.start("here")
    wait_until(lambda: office.done(endpoint))
    assert receiver.subjects() == ["t1", "t4"]


def test_the_cursor_survives_a_restart_and_an_event_is_added_once(tmp_path, receiver):
    endpoint = None
    for first in (0, 3):
        with contextlib.closing(SqliteDatabase(tmp_path / "office.sqlite")) as database:
            office = Office(database)
            endpoint = endpoint or office.subscribe(receiver.url)
            assert office.add(*(event(number) for number in range(first + 3))) == 3  # those of before are known
            office.webhooks.start("here")
            wait_until(lambda office=office: office.done(endpoint))
            office.webhooks.close()
    assert receiver.subjects() == [f"t{number}" for number in range(6)]


def test_only_one_process_delivers_and_the_other_takes_over_when_its_claim_is_over(receiver):
    clock, database = SetClock(START), SqliteDatabase()
    first, second = (Office(database, clock=clock) for _ in range(2))
    endpoint = first.subscribe(receiver.url)
    until_us = clock() + 30_000_000
    assert first.outbox.claim(endpoint, "first", until_us)
    assert first.outbox.claim(endpoint, "first", until_us)
    assert not second.outbox.claim(endpoint, "second", until_us)
    clock.at(START + timedelta(seconds=31))
    assert second.outbox.claim(endpoint, "second", until_us)
    database.close()


def test_a_process_that_stops_gives_up_its_claim(office, receiver):
    endpoint = office.subscribe(receiver.url)
    office.add(event(1))
    office.webhooks.start("first")
    wait_until(lambda: office.done(endpoint))
    office.webhooks.close()
    assert office.outbox.claim(office.endpoints.get(endpoint.id), "second", 2**62)


def test_a_receiver_that_is_away_for_a_day_gets_the_day_afterwards_and_again_by_replay(receiver):
    clock = SetClock(START)
    office = Office(clock=clock)
    receiver.answer = lambda *_: 503
    endpoint = office.subscribe(receiver.url)
    office.webhooks.start("here")
    for hour in range(24):
        clock.at(START + timedelta(hours=hour))
        office.add(event(hour, at_us=clock()))
    wait_until(lambda: receiver.received)
    receiver.answer = lambda *_: 200
    clock.at(START + timedelta(days=1))
    wait_until(lambda: office.done(endpoint))
    day = [f"t{hour}" for hour in range(24)]
    assert receiver.subjects() == day
    clock.at(START + timedelta(days=2))
    office.endpoints.replay(endpoint.id, who="ana", from_us=clock() - 2 * 86_400_000_000)
    wait_until(lambda: office.done(endpoint))
    assert receiver.subjects() == [*day, *day]
    assert len({each["id"] for each in receiver.taken}) == 24
    office.webhooks.close()


def test_an_event_is_given_up_after_the_retention_and_later_ones_are_delivered(receiver):
    clock = SetClock(START)
    office = Office(clock=clock)
    endpoint = office.subscribe(receiver.url, retention_days=1.0)
    office.add(event(1))
    clock.at(START + timedelta(days=1, seconds=1))
    office.add(event(2))
    office.webhooks.start("here")
    wait_until(lambda: office.done(endpoint))
    office.webhooks.close()
    assert receiver.subjects() == ["t2"]
    outcomes = [(each.event, each.outcome) for each in office.outbox.attempts(endpoint.id, 10)]
    assert outcomes == [("evt_2", "delivered"), ("evt_1", "expired")]
    clock.at(START + timedelta(days=2))
    office.outbox.prune()
    assert [stored.event.id for stored in office.outbox.after(0, 10)] == ["evt_2"]


def test_a_failing_endpoint_is_reported_once_until_it_works_again(receiver):
    clock, told = SetClock(START), []
    office = Office(clock=clock, on_failing=lambda endpoint: told.append(endpoint.id))
    receiver.answer = lambda _number, _event: 500
    endpoint = office.subscribe(receiver.url)
    office.add(event(1))
    office.webhooks.start("here")
    wait_until(lambda: office.endpoints.get(endpoint.id).failures == 1)  # the clock stands: the next attempt never comes
    assert not told
    clock.at(START + timedelta(days=3, seconds=1))
    wait_until(lambda: told == [endpoint.id])
    failing_us = office.webhooks.timing.failing_us
    assert office.endpoints.get(endpoint.id).state(clock(), failing_us) == "failing"
    receiver.answer = lambda _number, _event: 200
    clock.at(START + timedelta(days=3, minutes=1))
    wait_until(lambda: office.done(endpoint))
    assert office.endpoints.get(endpoint.id).state(clock(), failing_us) == "delivering"
    assert not office.endpoints.get(endpoint.id).alerted
    assert told == [endpoint.id]
    office.webhooks.close()


def test_a_replay_delivers_again_from_an_event_or_an_instant_under_the_same_ids(office, receiver):
    endpoint = office.subscribe(receiver.url)
    office.add(*(event(number, at_us=number * 1_000_000) for number in range(10)))
    office.webhooks.start("here")
    wait_until(lambda: office.done(endpoint))
    assert office.endpoints.replay(endpoint.id, who="ana", event="evt_7") == 3
    wait_until(lambda: office.done(endpoint))
    assert office.endpoints.replay(endpoint.id, who="ana", from_us=4_500_000) == 5
    wait_until(lambda: office.done(endpoint))
    again = ["t7", "t8", "t9", "t5", "t6", "t7", "t8", "t9"]
    assert receiver.subjects() == [f"t{number}" for number in range(10)] + again
    assert office.endpoints.replay(endpoint.id, who="ana", from_us=2**60) == 0
    with pytest.raises(NotFound):
        office.endpoints.replay(endpoint.id, who="ana", event="evt_99")


def test_what_is_on_its_way_during_a_replay_does_not_move_the_cursor_back_over_it(receiver):
    """A settlement of before is void: the replay counts."""
    office = Office(post=lambda *_: Answer(200, "200 OK"))
    endpoint = office.subscribe(receiver.url)
    office.add(event(1), event(2))
    now = office.webhooks.clock()
    assert office.outbox.claim(endpoint, "here", now + 10**8)
    office.endpoints.replay(endpoint.id, who="ana", event="evt_2")
    from penstock.webhooks.outbox import Progress

    assert not office.outbox.settle(endpoint, "here", now + 10**8, Progress(0, 0, None, None, None), [])
    assert office.endpoints.get(endpoint.id).reached == 1


def test_a_secret_is_rotated_with_an_overlap_and_never_in_the_audit_log(office, receiver):
    endpoint = office.subscribe(receiver.url)
    rotated = office.endpoints.change(endpoint.id, EndpointChanges(rotate=True), who="ana")
    assert rotated.secret != endpoint.secret
    for secret in (endpoint.secret, rotated.secret):
        receiver.secret = secret
        assert office.webhooks.test(endpoint.id).outcome == "delivered"
    assert not receiver.forged
    assert office.endpoints.get(endpoint.id).secrets(office.webhooks.clock() + 86_400_000_001) == [rotated.secret]
    entries = AuditLog(office.database).entries()
    assert [entry.action for entry in entries] == ["webhooks.change", "webhooks.add"]
    assert not any(
        secret.removeprefix("whsec_") in str(entry) for entry in entries for secret in (endpoint.secret, rotated.secret)
    )


def test_a_paused_endpoint_gets_what_waited_when_it_is_enabled(office, receiver):
    endpoint = office.subscribe(receiver.url, enabled=False)
    office.add(event(1))
    office.webhooks.start("here")
    assert office.webhooks.test(endpoint.id).outcome == "delivered"  # a test passes what waits
    assert [each["type"] for each in receiver.taken] == ["penstock.webhook.test"]
    office.endpoints.change(endpoint.id, EndpointChanges(enabled=True), who="ana")
    wait_until(lambda: office.done(endpoint))
    assert receiver.taken[1:] == [{"subject": "t1", "id": "evt_1"}]
    office.endpoints.remove(endpoint.id, who="ana")
    with pytest.raises(NotFound):
        office.endpoints.get(endpoint.id)


def test_an_office_that_is_held_keeps_events_for_the_process_that_delivers(receiver):
    held = Office(held=True)
    endpoint = held.subscribe(receiver.url)
    held.webhooks.start("copy")
    held.add(event(1))
    wait_until(lambda: held.webhooks.backlog.get(endpoint.id, (0, 0))[0] == 1)
    with pytest.raises(Conflict, match="deliver is false"):
        held.webhooks.test(endpoint.id)
    held.webhooks.close()
    assert (receiver.taken, held.webhooks.state(endpoint)) == ([], "paused")
    assert (held.endpoints.get(endpoint.id).reached, held.endpoints.get(endpoint.id).owner) == (endpoint.reached, None)
    office = Office(held.database)
    office.webhooks.start("original")
    wait_until(lambda: office.done(endpoint))
    assert receiver.taken == [{"subject": "t1", "id": "evt_1"}]
    office.webhooks.close()
    held.database.close()


@pytest.mark.parametrize(
    ("url", "given", "field"),
    [
        ("ftp://shop.example/", {}, "url"),
        ("https://", {}, "url"),
        ("https://ana:pass@shop.example/", {}, "url"),
        ("https://shop.example/\r\nX: y", {}, "url"),
        ("https://shop.example:99999/", {}, "url"),
        ("https://shop.example/", {"types": ["penstock.decision.mad"]}, "types"),
        ("https://shop.example/", {"decisions": ["block"]}, "decisions"),
    ],
)
def test_invalid_endpoints_are_refused(office, url, given, field):
    with pytest.raises(MalformedEvent) as caught:
        office.subscribe(url, **given)
    assert caught.value.field == field


def test_without_the_setting_an_endpoint_has_to_be_https():
    with pytest.raises(MalformedEvent, match="webhook_private"):
        Webhooks(SqliteDatabase(), WebhookPost()).endpoints.add("http://shop.example/", EndpointChanges(), who="ana")


def test_the_number_of_endpoints_is_bounded(office):
    for number in range(MOST_ENDPOINTS):
        office.subscribe(f"https://shop.example/{number}")
    with pytest.raises(Conflict):
        office.subscribe("https://shop.example/more")
