"""Events that say when they happened in steps from a declared start."""

from datetime import UTC, datetime, timedelta

import msgspec
import polars as pl
import pytest

from penstock import Detector
from penstock.errors import DeclarationError
from penstock.ingest import Reader, Schema, Steps
from penstock.messages import Layout

START = datetime(2020, 1, 1, tzinfo=UTC)
HOUR_US = 3_600_000_000
ARRIVED_US = 1_800_000_000_000_000


class Movement(msgspec.Struct, kw_only=True):
    id: str
    at: datetime | None = None
    step: int | None = None
    amount: float


def reader(**steps) -> Reader:
    schema = Schema(Movement, id="id", time="at", steps=Steps("step", **{"every": "1h", "start": START} | steps))
    layout = Layout()
    for name, type_ in schema.columns.items():
        layout.add(name, type_)
    return Reader(schema, layout)


def start_us() -> int:
    return int(START.timestamp()) * 1_000_000


def test_a_step_stands_in_for_a_missing_time_and_the_arrival_where_there_is_neither():
    bodies = [
        b'{"id": "a", "step": 7, "amount": 1}',
        b'{"id": "b", "step": 7, "at": "2021-01-01T00:00:00Z", "amount": 1}',
        b'{"id": "c", "amount": 1}',
    ]
    found = reader().read(bodies, ARRIVED_US).batch
    assert found.time_us.tolist() == [start_us() + 7 * HOUR_US, 1_609_459_200_000_000, ARRIVED_US]
    assert found.x[:, 0].tolist() == found.time_us.tolist()
    assert found.arrived_us.tolist() == [ARRIVED_US] * 3


def test_objects_and_frames_are_read_alike():
    events = [{"id": "a", "step": 7, "amount": 1.0}, {"id": "b", "at": START + timedelta(days=3), "amount": 1.0}]
    from_objects = reader().read_objects(events, ARRIVED_US).batch.time_us.tolist()
    frame = pl.DataFrame(
        events, schema={"id": pl.String, "at": pl.Datetime("us", "UTC"), "step": pl.Int64, "amount": pl.Float64}
    )
    found = reader().read_frame(frame)
    assert not found.refused
    assert found.batch.time_us.tolist() == from_objects


def test_a_recorded_row_with_neither_is_refused():
    frame = pl.DataFrame({"id": ["a", "b"], "step": [1, None], "amount": [1.0, 2.0]})
    found = reader().read_frame(frame)
    assert found.batch.ids == ["a"]
    assert "at is missing" in found.refused[0][1].detail


def test_steps_may_be_of_any_length():
    assert reader(every="1d").read([b'{"id": "a", "step": 2, "amount": 1}'], 0).batch.time_us[0] == start_us() + 48 * HOUR_US


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (Steps("stepp", "1h", START), "is not a field of the event. Did you mean step"),
        (Steps("id", "1h", START), "is not a field|is not a number"),
        (Steps("step", "1h", datetime(2020, 1, 1)), "has no zone"),  # noqa: DTZ001 -- that is the mistake
    ],
)
def test_a_mistake_in_the_declaration_is_named(steps, said):
    with pytest.raises(DeclarationError, match=said):
        Detector("moves", event=Movement, id="id", time="at", steps=steps)


def test_a_required_time_leaves_nothing_to_stand_in_for():
    class Timed(msgspec.Struct, kw_only=True):
        id: str
        at: datetime
        step: int | None = None

    with pytest.raises(DeclarationError, match="time is required"):
        Detector("moves", event=Timed, id="id", time="at", steps=Steps("step", "1h", START))
