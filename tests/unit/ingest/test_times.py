"""Every form of time is the instant it says, and what says none is refused with what to send instead."""

from datetime import UTC, date, datetime, timedelta, timezone

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.ingest import naive
from tests.unit.ingest.events import payment, reader

from penstock.clock import iso, to_us
from penstock.ingest.kernel import NAIVE, READ, UNREADABLE
from penstock.ingest.times import instants, to_utc

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/Sao_Paulo",
    "Africa/Casablanca",
]
ZONE_OF = {name: naive.zone_of(name) for name in ZONES}


def read(value, zone=None):
    instant_us, state = instants([value], zone)
    return (iso(instant_us[0]) if state[0] == READ else None), int(state[0])


@pytest.mark.parametrize(
    ("value", "instant"),
    [
        ("2026-02-06T10:00:00Z", "2026-02-06T10:00:00Z"),
        ("2026-02-06t10:00:00z", "2026-02-06T10:00:00Z"),
        ("2026-02-06 10:00:00+00:00", "2026-02-06T10:00:00Z"),
        ("2026-02-06 10:00:00 +01:00", "2026-02-06T09:00:00Z"),
        ("2026-02-06T10:00:00-0530", "2026-02-06T15:30:00Z"),
        ("2026-02-06T10:00:00+14", "2026-02-05T20:00:00Z"),
        ("2026-02-06T10:00Z", "2026-02-06T10:00:00Z"),
        ("2026-02-06T10:00:00.5Z", "2026-02-06T10:00:00.500000Z"),
        ("2026-02-06T10:00:00,123456Z", "2026-02-06T10:00:00.123456Z"),
        ("2026-02-06T10:00:00.123456999Z", "2026-02-06T10:00:00.123456Z"),
        ("2024-02-29T23:59:59Z", "2024-02-29T23:59:59Z"),
        (1770372000, "2026-02-06T10:00:00Z"),
        (1770372000.25, "2026-02-06T10:00:00.250000Z"),
        (1770372000123, "2026-02-06T10:00:00.123000Z"),
        (1770372000123456, "2026-02-06T10:00:00.123456Z"),
        (1770372000123456.0, "2026-02-06T10:00:00.123456Z"),
        (0, "1970-01-01T00:00:00Z"),
        (datetime(2026, 2, 6, 10, tzinfo=UTC), "2026-02-06T10:00:00Z"),
        (datetime(2026, 2, 6, 10, 0, 0, 7, tzinfo=timezone(timedelta(hours=1))), "2026-02-06T09:00:00.000007Z"),
        (np.int64(1770372000), "2026-02-06T10:00:00Z"),
        ("2026-2-6T9:05Z", "2026-02-06T09:05:00Z"),
        (" 2026-02-06 10:00 +0200\n", "2026-02-06T08:00:00Z"),
        ("1770372000", "2026-02-06T10:00:00Z"),
        ("1770372000.25", "2026-02-06T10:00:00.250000Z"),
        ("1.770372e9", "2026-02-06T10:00:00Z"),
        ("1770372000123", "2026-02-06T10:00:00.123000Z"),
        ("1770372000123456", "2026-02-06T10:00:00.123456Z"),
    ],
)
def test_a_time_with_a_zone_is_an_instant(value, instant):
    assert read(value) == (instant, READ)


@pytest.mark.parametrize(
    "value",
    [
        "2026-02-06T10:00:00",
        "2026-02-06 10:00:00",
        "2026-02-06 10:00:00.25",
        "2026-02-06 10:00",
        "2026-02-06",
        "2026-2-6",
        "2026-2-6 9:30",
        datetime(2026, 2, 6, 10),  # noqa: DTZ001  naive on purpose
        date(2026, 2, 6),
        np.datetime64("2026-02-06T10:00:00"),
    ],
)
def test_a_time_without_a_zone_means_nothing_until_one_is_declared(value):
    assert read(value) == (None, NAIVE)
    expected, state = read(value, "UTC")
    berlin, _ = read(value, "Europe/Berlin")
    assert state == READ
    assert expected.startswith("2026-02-06T")
    assert to_us(datetime.fromisoformat(expected)) - to_us(datetime.fromisoformat(berlin)) == 3_600_000_000


@pytest.mark.parametrize(
    "value",
    [
        "", " ", "yesterday", "2026-02-30T10:00:00Z", "2026-13-01", "2025-02-29", "2026-2-", "2026--6", "2026-02-006",
        "26-02-06", "2026-02-06T",
        "2026-02-06T10", "2026-02-06T24:00:00Z", "2026-02-06T10:60:00Z", "2026-02-06T10:00:60Z", "2026-02-06T10:00:00.Z",
        "2026-02-06T10:00:00ZZ", "2026-02-06T10:00:00+1", "2026-02-06T10:00:00+24:00", "2026-02-06T10:00:00+01:60",
        "2026-02-06T10:00:00+01-00", "2026-02-06_10:00:00", "1770372000 s",
        "1_770_372_000", "nan", "inf", "0x10", "+", "\uff12\uff10\uff12\uff16-02-06",
        "2026-02-06T10:00:0\x00Z", "0000-01-01", True, [], {}, object(),
    ],
)  # fmt: skip
def test_what_is_no_time_is_not_read_as_one(value):
    assert read(value, "UTC") == (None, UNREADABLE)


@settings(max_examples=200, deadline=None)
@given(st.datetimes(datetime(1970, 1, 3), datetime(2100, 12, 30)), st.sampled_from(ZONES))  # noqa: DTZ001  local times
def test_local_times_are_instants_by_the_rules_of_their_zone(local, zone):
    expected = to_us(local.replace(tzinfo=ZONE_OF[zone], fold=0).astimezone(UTC))
    counted = (local - datetime(1970, 1, 1)) // timedelta(microseconds=1)  # noqa: DTZ001  as above
    assert to_utc(np.array([counted]), zone).tolist() == [expected]
    assert instants([local.isoformat(), local.isoformat(" ")], zone)[0].tolist() == [expected, expected]


@settings(max_examples=200, deadline=None)
@given(st.text("0123456789-:.,+TtZz ", max_size=30), st.sampled_from([None, "UTC"]))
def test_texts_that_look_like_times_are_read_as_a_naive_parser_reads_them(text, zone):
    expected = naive.time(text, zone)
    found, _ = read(text, zone)
    assert found == (None if expected is None else iso(to_us(expected)))


@pytest.mark.parametrize(
    ("local", "instant"),
    [
        ("2026-03-29 01:59:59", "2026-03-29T00:59:59Z"),
        ("2026-03-29 02:30:00", "2026-03-29T01:30:00Z"),  # does not exist: the offset before the jump holds
        ("2026-03-29 03:00:00", "2026-03-29T01:00:00Z"),
        ("2026-10-25 01:59:59", "2026-10-24T23:59:59Z"),
        ("2026-10-25 02:30:00", "2026-10-25T00:30:00Z"),  # happens twice: the first is meant
        ("2026-10-25 03:00:00", "2026-10-25T02:00:00Z"),
    ],
)
def test_around_a_change_of_the_clock_the_first_meaning_holds(local, instant):
    assert read(local, "Europe/Berlin") == (instant, READ)
    frame = pl.DataFrame({"at": [local], "card": ["c"], "amount": [1.0]})
    source = reader(naive_times="Europe/Berlin")
    texts = source.read_frame(frame).batch.time_us
    stamps = source.read_frame(frame.with_columns(pl.col("at").str.to_datetime())).batch.time_us
    assert texts.tolist() == stamps.tolist() == [to_us(datetime.fromisoformat(instant))]


@pytest.mark.parametrize("value", ["1969-12-31T23:59:59.999999Z", "2101-01-01T00:00:00Z", -1, 4_133_980_800, 10**18, 1e300])
def test_event_times_lie_between_1970_and_2100(value):
    ((_, refusal),) = reader().read([payment(at=value)], 0).refused
    assert refusal.status == 422
    assert "outside the years 1970 to 2100" in refusal.errors[0][1]


@pytest.mark.parametrize("value", ["1970-01-01T00:00:00Z", "2100-12-31T23:59:59.999999Z", 0])
def test_the_ends_of_1970_and_2100_are_accepted(value):
    assert len(reader().read([payment(at=value)], 0).batch) == 1


def test_other_times_may_lie_as_far_back_as_1900():
    born = reader().read([payment(born="1938-01-02T00:00:00Z"), payment(born="1899-12-31T23:59:59Z")], 0)
    assert born.rows.tolist() == [0]
    assert "outside the years 1900 to 2100" in born.refused[0][1].detail


def test_texts_and_numbers_may_stand_side_by_side_in_a_batch():
    values = ["2026-02-06T10:00:00Z", 1770372000, 1770372000000, "2026-02-06 10:00:00+00:00"]
    batch = reader().read([payment(at=value) for value in values], 0).batch
    assert set(batch.time_us.tolist()) == {1_770_372_000_000_000}


def test_an_event_whose_time_may_be_missing_happened_when_it_arrived():
    event = msgspec.defstruct("Ping", [("tx", str), ("at", datetime | None, None)])
    source = reader(event, label=None)
    batch = source.read([b'{"tx": "1"}', b'{"tx": "2", "at": null}', b'{"tx": "3", "at": 7}'], 5_000_000).batch
    assert batch.time_us.tolist() == [5_000_000, 5_000_000, 7_000_000]
    assert batch.x[:, source.layout["at"].index].tolist() == [5e6, 5e6, 7e6]


def test_an_event_in_which_everything_is_missing_is_one_that_arrived():
    event = msgspec.defstruct("Ping", [("tx", str | None, None), ("at", datetime | None, None)])
    batch = reader(event, label=None).read([b"{}"], 5_000_000).batch
    assert batch.time_us.tolist() == [5_000_000]
