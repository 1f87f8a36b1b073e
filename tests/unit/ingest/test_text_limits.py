"""A text field has at most 8,192 bytes of UTF-8 unless it declares otherwise, on every road into a batch."""

from datetime import UTC, datetime
from typing import Annotated

import msgspec
import polars as pl
import pytest
from msgspec import Meta
from tests.unit.ingest.events import KEY, reader

LIMIT = 8192


class Note(msgspec.Struct, kw_only=True):
    tx: str
    at: datetime
    text: str | None = None
    long: Annotated[str, Meta(max_length=20_000)] | None = None
    short: Annotated[str, Meta(max_length=5)] | None = None
    code: Annotated[str, Meta(pattern="^[a-z]*$")] | None = None


class Login(msgspec.Struct, kw_only=True):
    at: datetime
    tx: str
    device: str


READER = reader(Note, informs=[Login], label=None)
PERSONAL = reader(Note, label=None, personal=["text"], key=KEY)
REMEDY = "send less of it, or declare a longer field, as Annotated[str, Meta(max_length=20_000)] (characters)"
AT = "2026-02-06T10:00:00Z"


def as_json(source, *events):
    return source.read([msgspec.json.encode(event) for event in events], 0)


def as_objects(source, *events):
    return source.read_objects(list(events), 0)


def as_structs(source, *events):
    return source.read_objects([msgspec.convert(event, Note) for event in events], 0)


def as_frame(source, *events):
    return source.read_frame(pl.DataFrame([event | {"at": datetime(2026, 2, 6, tzinfo=UTC)} for event in events]))


def as_frames(source, *events):
    [read] = source.read_frames(pl.DataFrame([event | {"at": datetime(2026, 2, 6, tzinfo=UTC)} for event in events]), 100)
    return read


ROADS = [as_json, as_objects, as_structs, as_frame, as_frames]


@pytest.mark.parametrize("source", [READER, PERSONAL], ids=["plain", "personal"])
@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("letter", ["a", "é", "字", "\U0001f600"])
def test_the_limit_counts_bytes_and_the_rest_of_the_batch_goes_on(road, source, letter):
    fits = "x" * (LIMIT % len(letter.encode())) + letter * (LIMIT // len(letter.encode()))
    events = [{"tx": "1", "at": AT, "text": fits}, {"tx": "2", "at": AT, "text": fits + "a"}, {"tx": "3", "at": AT}]
    read = road(source, *events)
    assert list(read.batch.ids) == ["1", "3"]
    [(row, refusal)] = read.refused
    assert (row, refusal.status) == (1, 422)
    [(field, message)] = refusal.errors
    assert field == "text"
    assert message.removeprefix("row 2: ") == f"text has 8,193 bytes of UTF-8 and at most 8,192 are accepted; {REMEDY}"


@pytest.mark.parametrize("road", [as_json, as_objects, as_frame, as_frames])
def test_a_field_may_declare_more_or_less_in_characters(road):
    events = [
        {"tx": "1", "at": AT, "long": "字" * 20_000, "short": "字" * 5},
        {"tx": "2", "at": AT, "long": "a" * 20_001, "short": None},
        {"tx": "3", "at": AT, "long": None, "short": "a" * 6},
    ]
    read = road(READER, *events)
    assert list(read.batch.ids) == ["1"]
    assert [[field for field, _ in refusal.errors] for _, refusal in read.refused] == [["long"], ["short"]]
    assert "expected text of at most 20000 characters" in read.refused[0][1].detail
    assert "expected text of at most 5 characters" in read.refused[1][1].detail


def test_a_key_that_is_sent_as_a_number_has_the_same_limit():
    read = READER.read([b'{"tx": "1", "at": "%s", "text": %s}' % (AT.encode(), b"9" * 4300)], 0)
    assert len(read.batch.texts["text"][0]) == 4300
    for digits in (5_000, 1_000_000):
        [(_, refusal)] = READER.read([b'{"tx": "1", "at": "%s", "text": %s}' % (AT.encode(), b"9" * digits)], 0).refused
        assert refusal.status == 422


def test_an_informing_event_has_the_same_limit():
    read = as_json(READER, {"type": "login", "tx": "1", "at": AT, "device": "d" * (LIMIT + 1)})
    assert [field for field, _ in read.refused[0][1].errors] == ["device"]
    assert "8,193 bytes" in read.refused[0][1].detail


@pytest.mark.parametrize("source", [READER, PERSONAL], ids=["plain", "personal"])
def test_a_long_text_that_is_no_unicode_is_refused(source):
    [(_, refusal)] = source.read_objects([{"tx": "1", "at": AT, "text": "\ud800" * (LIMIT + 1)}], 0).refused
    assert refusal.errors[0][0] == "text"


def test_the_message_of_a_personal_field_says_nothing_of_its_value():
    [(_, refusal)] = as_json(PERSONAL, {"tx": "1", "at": AT, "text": "Meier" * 5000}).refused
    assert "Meier" not in repr(refusal)
    assert "25,000 bytes" in refusal.detail


def test_a_pattern_is_asked_only_of_what_is_short_enough():
    class Coded(msgspec.Struct):
        tx: str
        at: datetime
        code: Annotated[str, Meta(pattern="a*a*a*b")]

    [(_, refusal)] = as_json(reader(Coded, label=None), {"tx": "1", "at": AT, "code": "a" * 100_000}).refused
    assert "100,000 bytes" in refusal.detail


def test_names_and_marks_of_any_length_are_refused_by_a_short_message():
    class Strict(msgspec.Struct, forbid_unknown_fields=True):
        tx: str
        at: datetime

    strict = reader(Strict, label=None)
    [(_, refusal)] = as_json(strict, {"tx": "1", "at": AT, "x" * 100_000: 1}).refused
    assert len(refusal.detail) < 1_000
    [(_, refusal)] = as_json(strict, {"tx": "1", "at": AT} | {f"x{k}": 1 for k in range(1000)}).refused
    assert refusal.detail.endswith("(and 999 more)")
    assert len(refusal.errors) == 20
    [(_, refusal)] = as_json(READER, {"type": "login" * 100_000, "tx": "1", "at": AT}).refused
    assert len(refusal.detail) < 1_000
