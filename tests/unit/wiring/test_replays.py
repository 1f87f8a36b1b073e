"""Replays: simulated and recorded transactions under ids that nobody has used, as a service would be sent them."""

from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import msgspec
import polars as pl
import pytest

from penstock import Detector, Entity, Label
from penstock.adapters import world as world_of
from penstock.adapters.world import LiveWorld
from penstock.clock import to_us
from penstock.config import Settings
from penstock.errors import ConfigurationError, DataError
from penstock.ingest import Reader
from penstock.wiring.detectors import load_detector
from penstock.wiring.traffic.events import profile_of
from penstock.wiring.traffic.replays import RecordedReplays

NOW_US = to_us(datetime(2026, 5, 1, 12, tzinfo=UTC))


@pytest.fixture(scope="module")
def banking():
    return load_detector("banking")


def replays(detectors, clock=lambda: NOW_US, **files):
    return RecordedReplays(detectors, Settings(replays={name: Path(file) for name, file in files.items()}), clock=clock)


def events(replay):
    return [msgspec.json.decode(body) for body in replay.bodies()]


@pytest.mark.parametrize("count", [1, 100, 700])
def test_simulated_transactions_bear_the_promised_ids_and_have_just_happened(banking, count):
    replay = replays({"banking": banking}).open("banking", "simulator", count)
    found = events(replay)
    assert [event["transaction_id"] for event in found] == list(replay.ids)
    assert len(set(replay.ids)) == count
    read = Reader(banking.schema, banking.plan.layout).read(list(replay.bodies()), NOW_US)
    assert read.refused == []
    assert abs(int(read.batch.time_us.max()) - NOW_US) < 86_400_000_000


def test_no_two_replays_share_an_id_or_a_world(banking):
    open_replay = replays({"banking": banking}).open
    one, other = open_replay("banking", "simulator", 50), open_replay("banking", "simulator", 50)
    assert not set(one.ids) & set(other.ids)
    assert [event["customer_id"] for event in events(one)] != [event["customer_id"] for event in events(other)]


def test_a_world_that_goes_on_anyway_is_gone_on_with(banking, monkeypatch):
    monkeypatch.setattr(world_of, "PEOPLE", 2000)
    world = LiveWorld(profile_of("banking"), tps=20, clock=lambda: NOW_US)
    going_on = RecordedReplays({"banking": banking}, Settings(), worlds={"banking": world.frames})
    known = set(world.history()["customer_id"])
    shown = events(going_on.open("banking", "simulator", 40))
    assert {event["timestamp"][:19] for event in shown} == {"2026-05-01T12:00:00"}, "they happen now"
    assert sum(event["customer_id"] in known for event in shown) > 20


def test_recorded_transactions_keep_what_they_say_but_for_their_ids_and_labels(banking, tmp_path):
    file = tmp_path / "paid.csv"
    file.write_text(
        "transaction_id,timestamp,customer_id,merchant_id,amount,is_fraud\n"
        "b,2026-01-02T00:00:00,C2,M,7.5,1\n"
        "a,2026-01-01T00:00:00,C1,M,5.0,0\n"
    )
    found = replays({"banking": banking}, paid=file)
    assert set(found.sources("banking")) == {"paid", "simulator"}
    replay = found.open("banking", "paid", 100)
    shown = events(replay)
    assert [event["transaction_id"] for event in shown] == list(replay.ids)
    assert [(event["customer_id"], event["amount"]) for event in shown] == [("C1", 5.0), ("C2", 7.5)]
    assert not any("is_fraud" in event for event in shown)
    assert len(found.open("banking", "paid", 1).ids) == 1
    assert not set(replay.ids) & set(found.open("banking", "paid", 100).ids)


def test_informing_events_of_a_file_are_left_out_and_ids_are_numbers_where_they_must_be(tmp_path):
    class Paid(msgspec.Struct):
        number: int
        at: datetime
        card: str
        bad: bool | None = None

    class Declined(msgspec.Struct):
        number: int
        at: datetime
        card: str

    card = Entity("card")
    detector = Detector(
        name="numbered",
        event=Paid,
        id="number",
        time="at",
        informs=[Declined],
        label=Label("bad", delay="1d"),
        features=[card.count("1h", of=Declined).named("declined")],
        naive_times="UTC",
    )
    file = tmp_path / "paid.ndjson"
    pl.DataFrame(
        {"number": [1, 2, 3], "at": ["2026-01-01T00:00:00"] * 3, "card": ["a"] * 3, "type": [None, "Declined", None]}
    ).write_ndjson(file)
    replay = replays({"x": detector}, paid=file).open("numbered", "paid", 10)
    assert len(replay.ids) == 2
    bodies = list(replay.bodies())
    assert [str(msgspec.json.decode(body)["number"]) for body in bodies] == list(replay.ids)
    assert Reader(detector.schema, detector.plan.layout).read(bodies, NOW_US).refused == []


def test_a_detector_without_a_profile_is_not_simulated_and_a_missing_file_is_an_error(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text((Path(__file__).parents[2] / "service" / "mine.py").read_text())
    found = replays({str(file): load_detector(str(file))}, gone=tmp_path / "gone.csv")
    assert set(found.sources("mine")) == {"gone"}
    with pytest.raises(DataError, match="there is no file"):
        found.open("mine", "gone", 1)


def test_a_file_cannot_be_called_as_the_simulator_is(banking):
    with pytest.raises(ConfigurationError, match="call the file something else"):
        replays({"banking": banking}, simulator="x.csv")


def test_a_long_replay_is_made_as_it_is_needed(banking):
    replay = replays({"banking": banking}).open("banking", "simulator", 100_000)
    assert len(list(islice(replay.bodies(), 10))) == 10
