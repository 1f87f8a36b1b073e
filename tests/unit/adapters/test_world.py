"""The town of a demo: its history ends now, and its events are stamped with the machine's clock."""

from datetime import UTC, datetime, timedelta
from itertools import islice

import msgspec
import polars as pl
import pytest

from penstock.adapters import world
from penstock.adapters.simulated import Simulation
from penstock.adapters.world import LiveWorld
from penstock.clock import from_us, to_us
from penstock.offline.simulate import simulate
from penstock.wiring.traffic.events import profile_of

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
PROFILE = profile_of("banking")


class Ticking:
    """A clock that somebody moves."""

    def __init__(self) -> None:
        self.at_us = to_us(NOW)

    def __call__(self) -> int:
        return self.at_us

    def pass_time(self, **span: float) -> None:
        self.at_us += timedelta(**span) // timedelta(microseconds=1)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "PEOPLE", 2000)


def ignored(_label: bytes) -> None:
    """Labels that nobody reads."""


def times(bodies: list[bytes]) -> list[datetime]:
    return [datetime.fromisoformat(msgspec.json.decode(body)["timestamp"]) for body in bodies]


def test_the_history_of_a_town_ends_now():
    frame = LiveWorld(PROFILE, clock=Ticking()).history()
    assert NOW - frame["timestamp"].max() < timedelta(hours=1)
    assert frame["arrived_at"].max() <= NOW
    assert timedelta(days=2, hours=20) < NOW - frame["timestamp"].min() <= world.HISTORY
    assert frame["customer_id"].n_unique() > 1000


def test_the_history_begins_where_the_state_ends():
    since = NOW - timedelta(days=2)
    assert LiveWorld(PROFILE, clock=Ticking()).history(since)["timestamp"].min() >= since


def test_events_are_stamped_with_the_clock_of_the_machine():
    clock = Ticking()
    bodies = LiveWorld(PROFILE, tps=20, clock=clock).bodies(ignored, at_once=4)
    for _ in range(200):
        stamps = times(list(islice(bodies, 4)))
        assert max(abs(at - from_us(clock())) for at in stamps) < timedelta(milliseconds=200)
        clock.pass_time(milliseconds=200)


def test_the_people_who_pay_are_those_of_the_history():
    live = LiveWorld(PROFILE, clock=Ticking())
    known = set(live.history()["customer_id"])
    paying = [msgspec.json.decode(body)["customer_id"] for body in islice(live.bodies(ignored), 500)]
    assert sum(customer in known for customer in paying) > 400


@pytest.mark.parametrize("away", [{"days": 3}, {"days": -3}])
def test_a_clock_that_jumps_is_followed(away):
    clock = Ticking()
    bodies = LiveWorld(PROFILE, clock=clock).bodies(ignored, at_once=1)
    first = msgspec.json.decode(next(bodies))["transaction_id"]
    clock.pass_time(**away)
    [*_, stamp] = times(list(islice(bodies, 3)))
    assert abs(stamp - from_us(clock())) < timedelta(seconds=1)
    assert first not in {msgspec.json.decode(body)["transaction_id"] for body in islice(bodies, 100)}


def test_labels_follow_within_the_hour_and_never_before_they_are_known():
    clock, labels = Ticking(), list[bytes]()
    live = LiveWorld(PROFILE, tps=20, clock=clock)
    live.begin("card_testing")
    sent = {}
    for body in islice(live.bodies(labels.append, at_once=10), 9000):
        event, count = msgspec.json.decode(body), len(labels)
        sent[event["transaction_id"]] = datetime.fromisoformat(event["timestamp"])
        for label in map(msgspec.json.decode, labels[count:]):
            assert sent[label["transaction_id"]] < datetime.fromisoformat(label["known_at"]) <= from_us(clock())
        clock.pass_time(milliseconds=400)
    assert len(labels) > 10


def test_an_attack_that_is_begun_is_over_in_half_a_minute_of_the_town():
    for name in LiveWorld(PROFILE, clock=Ticking()).attacks():
        live = LiveWorld(PROFILE, tps=20, clock=Ticking())
        ids = set(live.begin(name))
        payments = [msgspec.json.decode(body)["transaction_id"] for body in islice(live.bodies(ignored), 3000)]
        assert ids <= set(payments), name


def test_traffic_at_a_pace_is_stamped_as_it_is_sent():
    clock = Ticking()
    lines = Simulation(PROFILE, events=None, tps=10, seed=3, clock=clock).lines()
    assert times(list(islice(lines, 3))) == [NOW + timedelta(milliseconds=100 * n) for n in range(3)]
    list(islice(lines, 47))
    clock.pass_time(minutes=1)
    assert times([next(lines)]) == [NOW + timedelta(minutes=1)]


def test_traffic_at_a_pace_keeps_the_delays_of_its_labels():
    frames = Simulation(PROFILE, events=2000, tps=10, seed=3, fraud_rate=0.1, clock=Ticking()).frames()
    delays = pl.concat(list(frames)).select(pl.col("label_known_at") - pl.col("timestamp")).to_series().drop_nulls()
    assert len(delays) > 20
    assert timedelta(days=2) < delays.median() < timedelta(days=9)


def test_what_has_a_beginning_and_a_seed_is_the_same_every_time():
    def lines(clock):
        return list(Simulation(PROFILE, events=120, tps=10, seed=3, start=NOW, clock=clock).lines())

    later = Ticking()
    later.pass_time(days=30)
    assert lines(Ticking()) == lines(later)
    assert simulate(PROFILE, events=100, seed=3).equals(simulate(PROFILE, events=100, seed=3))
