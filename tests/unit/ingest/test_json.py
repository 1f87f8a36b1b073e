"""JSON in, columns out: compared with a naive reader, on events that fit and events that do not."""

import json
from datetime import datetime

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.ingest import naive
from tests.unit.ingest.events import ARRIVED_US, payment, reader, same, value

from penstock.codes import text_code, text_codes
from penstock.messages import Type

READER = reader()
ZONED = reader(naive_times="Europe/Berlin")

texts = st.one_of(st.text(max_size=12), st.sampled_from(["c1", "", "é", "日本", "a\x00b", "web", "shop", "EUR", "eur", "12.5"]))
numbers = st.one_of(
    st.integers(-5, 5),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, 1, 1e6, 1e6 + 1, 2**53, 2**53 - 1, -0.0, 0.1, 3.0, 2**60, 10**30, 1770372000, 1770372000123.0]),
)
times = st.one_of(
    st.datetimes().map(str),
    st.datetimes(timezones=st.timezones()).map(lambda moment: moment.replace(microsecond=0).isoformat()),
    st.sampled_from(
        ["2026-02-06T10:00:00Z", "2026-02-06 10:00", "2026-02-30", "1969-12-31T23:59:59Z", "2100-12-31T23:59:59.9999999Z"]
    ),
    st.integers(-(10**10), 10**18),
)
anything = st.one_of(texts, numbers, times, st.none(), st.booleans(), st.just([]), st.just({}))
usual = {
    "tx": texts,
    "at": times,
    "card": texts,
    "shop": texts,
    "amount": st.floats(0, 1e6),
    "items": st.integers(1, 99),
    "present": st.booleans(),
    "channel": st.sampled_from(["web", "shop"]),
    "currency": st.sampled_from(["EUR", "USD", "EU"]),
    "born": times,
    "unknown": anything,
    "fraud": st.booleans(),
}
events = st.tuples(
    st.fixed_dictionaries({}, optional=usual),
    st.dictionaries(st.sampled_from(sorted(usual)), anything, max_size=2),
    st.just({"at": "2026-02-06T10:00:00Z", "card": "c", "amount": 1}),
).map(lambda parts: parts[2] | parts[0] | parts[1])


def wanted(body, zone=None):
    try:
        return naive.payment(body, zone)
    except naive.Unfit as unfit:
        return str(unfit)


def check(source, read, row, columns):
    """One accepted event against the oracle's columns."""
    batch = read.batch
    assert batch.time_us[row] == columns["at"]
    assert batch.arrived_us[row] == ARRIVED_US
    assert batch.kinds[row] == 0
    if columns["tx"] is not None:
        assert batch.ids[row] == columns["tx"]
    for name, kind in source.schema.columns.items():
        assert value(source, batch, name, row) == columns[name], name
        if kind is Type.TEXT:
            code = 0 if columns[name] is None else text_code(columns[name])
            assert batch.codes[row, source.layout[name].index] == code, name


@settings(max_examples=150, deadline=None)
@given(st.lists(events, max_size=5), st.booleans())
def test_columns_are_what_a_naive_reader_finds_and_the_rest_is_refused(found, zoned):
    source, zone = (ZONED, "Europe/Berlin") if zoned else (READER, None)
    bodies = [json.dumps(event).encode() for event in found]
    expected = [wanted(body, zone) for body in bodies]
    read = source.read(bodies, ARRIVED_US)
    assert read.id_codes.tolist() == text_codes(read.batch.ids).tolist()
    assert read.rows.tolist() == [i for i, columns in enumerate(expected) if isinstance(columns, dict)]
    for row, i in enumerate(read.rows.tolist()):
        check(source, read, row, expected[i])
    assert [i for i, _ in read.refused] == [i for i, columns in enumerate(expected) if isinstance(columns, str)]
    for i, refusal in read.refused:
        assert refusal.status == 422
        assert expected[i] in [name for name, _ in refusal.errors]
        assert all(name in message for name, message in refusal.errors)


@settings(max_examples=60, deadline=None)
@given(st.lists(events, min_size=1, max_size=6))
def test_a_batch_is_its_events_one_by_one(found):
    bodies = [json.dumps(event | {"tx": f"t{i}"}).encode() for i, event in enumerate(found)]
    whole = READER.read(bodies, ARRIVED_US)
    singles = [READER.read([body], ARRIVED_US) for body in bodies]
    assert [refusal for _, refusal in whole.refused] == [refusal for one in singles for _, refusal in one.refused]
    accepted = [one.batch for one in singles if len(one.batch)]
    assert whole.batch.ids == [batch.ids[0] for batch in accepted]
    assert whole.batch.x.tobytes() == b"".join(batch.x.tobytes() for batch in accepted)
    assert whole.batch.codes.tobytes() == b"".join(batch.codes.tobytes() for batch in accepted)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=40), anything.map(lambda v: json.dumps(v).encode())), max_size=4))
def test_random_bytes_are_refused_and_never_raise(bodies):
    read = READER.read(bodies, ARRIVED_US)
    assert len(read.batch) == 0
    assert [i for i, _ in read.refused] == list(range(len(bodies)))
    assert all(refusal.status in (400, 422) and refusal.detail for _, refusal in read.refused)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 400), st.binary(min_size=1, max_size=3))
def test_a_damaged_event_never_raises_and_never_harms_its_neighbours(at, damage):
    good = payment(shop="s", items=3)
    bad = good[: at % len(good)] + damage + good[at % len(good) :]
    read = READER.read([good, bad, good], ARRIVED_US)
    assert 0 in read.rows
    assert 2 in read.rows
    alone = READER.read([good], ARRIVED_US).batch
    assert read.batch.x[0].tobytes() == read.batch.x[-1].tobytes() == alone.x[0].tobytes()


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 400, "not JSON"),
        (b"{", 400, "not JSON"),
        (b'{"tx": 1} {}', 400, "trailing"),
        (b"nan", 400, "not JSON"),
        (b'{"card": "\xff"}', 400, "UTF-8"),
        (b"[" * 100_000, 400, "nested"),
        (b'{"card": ' * 5_000, 400, "nested"),
        (b'{"amount": 1e999}', 422, "too large"),
        (b'{"amount": ' + b"9" * 5_000 + b"}", 422, "too large"),
        (b"[]", 422, "array"),
        (b"null", 422, "null"),
        (b'"text"', 422, "text"),
        (b"12", 422, "a number"),
        (b"true", 422, "true or false"),
        (b"{}", 422, "at is missing"),
    ],
)
def test_what_is_not_json_is_400_and_what_is_no_event_is_422(body, status, said):
    ((row, refusal),) = READER.read([body], ARRIVED_US).refused
    assert (row, refusal.status) == (0, status)
    assert said in refusal.detail


def test_columns_that_others_fill_are_null_at_first():
    batch = READER.read([payment()], ARRIVED_US).batch
    assert batch.x.shape == (1, READER.layout.width)
    assert batch.codes.shape == (1, READER.layout.text_width)
    assert np.isnan(batch.x[0, [READER.layout["before"].index, READER.layout["after"].index]]).all()
    assert batch.codes[0, READER.layout["after_text"].index] == 0


def test_no_bodies_are_an_empty_batch_with_every_text():
    batch = READER.read([], ARRIVED_US).batch
    assert len(batch) == 0
    assert batch.x.shape == (0, READER.layout.width)
    assert batch.texts == {"card": [], "shop": [], "channel": [], "currency": []}


def test_a_live_event_that_carries_its_label_is_read_without_it():
    read = READER.read([payment(fraud=True), payment(fraud="surely")], ARRIVED_US)
    assert len(read.batch) == 2
    assert read.labels == (None, None)


def test_a_key_sent_as_a_number_is_the_same_key():
    numbers, words = READER.read([payment(card=17, tx=5)], 0).batch, READER.read([payment(card="17", tx="5")], 0).batch
    assert same(numbers, words)


def test_fields_that_are_not_declared_are_dropped_or_kept_as_declared():
    body = payment(note="x", depth={"a": [1, None]})
    assert READER.read([body], 0).extras == []
    keeping = reader(keep_unknown=True)
    read = keeping.read([body, b"{}", payment()], 0)
    assert read.extras == [b'{"note":"x","depth":{"a":[1,null]}}', None]
    found = keeping.read_objects([json.loads(body)], 0)
    assert found.extras == read.extras[:1]


def test_a_strict_struct_refuses_fields_it_does_not_know():
    fields = [("tx", str), ("at", datetime), ("fraud", bool | None, None)]
    strict = msgspec.defstruct("Strict", fields, forbid_unknown_fields=True)
    source = reader(strict)
    read = source.read([b'{"tx": "1", "at": 5, "fraud": true}', b'{"tx": "1", "at": 5, "frod": true}'], 0)
    assert read.rows.tolist() == [0]
    assert read.refused[0][1].errors == (("frod", "frod is not a field of Strict. Did you mean fraud?"),)
