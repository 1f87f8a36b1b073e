"""A refusal names the field, the value, what was expected and what to do; every field at fault, not the first alone."""

from datetime import datetime

import msgspec
import numpy as np
import pytest
from tests.unit.ingest.events import payment, reader

from penstock.ingest.field import TIME_FORMS

READER = reader()
WHOLE = f"too large to be exact: a whole number has at most {2**53 - 1}; declare a key as str"


def errors(body, source=READER):
    ((_, refusal),) = source.read([body], 0).refused
    assert refusal.status == 422
    return dict(refusal.errors)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("amount", ..., "amount is missing; expected a number at least 0 and at most 1000000"),
        ("amount", None, "amount is null; expected a number at least 0 and at most 1000000"),
        ("amount", "12.50", 'amount is "12.50"; expected a number at least 0 and at most 1000000: send it without quotes'),
        ("amount", "much", 'amount is "much"; expected a number at least 0 and at most 1000000'),
        ("amount", True, "amount is true; expected a number at least 0 and at most 1000000: send 1 or 0"),
        ("amount", -1, "amount is -1; expected a number at least 0 and at most 1000000"),
        ("amount", [1], "amount is an array; expected a number at least 0 and at most 1000000"),
        ("items", 2.5, "items is 2.5; expected a whole number at least 1"),
        ("items", 0, "items is 0; expected a whole number at least 1"),
        ("items", 2**53, f"items is {2**53}, {WHOLE}"),
        ("present", 1, "present is 1; expected true or false as JSON has them, without quotes"),
        ("present", "true", 'present is "true"; expected true or false as JSON has them, without quotes'),
        ("present", None, "present is null; expected true or false"),
        ("card", 1.5, "card is 1.5; expected text: send it in quotes"),
        ("card", {"number": 1}, "card is an object; expected text"),
        ("channel", "phone", 'channel is "phone"; expected one of web, shop'),
        ("currency", "euro", 'currency is "euro"; expected text of the form ^[A-Z]{3}$'),
        ("at", "soon", f'at is "soon"; expected {TIME_FORMS}'),
        ("tx", 1.5, "tx is 1.5; expected an id: text, or a whole number"),
        ("tx", "", "tx is empty; an id is text of 1 to 200 characters without control characters"),
        ("tx", "t" * 201, "tx has 201 characters; an id is text of 1 to 200 characters without control characters"),
        ("tx", "a\nb", "tx holds a control character; an id is text of 1 to 200 characters without control characters"),
    ],
)  # fmt: skip
def test_each_fault_is_said_in_full(field, value, message):
    assert errors(payment(**{field: value})) == {field: message}


def test_a_naive_time_is_refused_with_both_remedies():
    message = errors(payment(at="2026-02-06 10:00:00"))["at"]
    assert 'at is "2026-02-06 10:00:00", which has no zone' in message
    assert "+01:00" in message
    assert "naive_times='UTC'" in message


def test_a_number_beyond_the_range_of_sums_names_its_limit_and_a_coarser_scale():
    event = msgspec.defstruct("Event", [("tx", str), ("at", datetime), ("amount", float)])
    source = reader(event, label=None)
    largest = 2**60 / 1e6
    read = source.read([b'{"tx":"1","at":0,"amount":%.3f}' % value for value in (largest, -largest, largest + 1)], 0)
    assert read.rows.tolist() == [0, 1]
    assert "at a resolution of 1e-06 a number has at most 1.15292e+12" in read.refused[0][1].detail
    assert "'scale': 1" in read.refused[0][1].detail
    assert np.abs(read.batch.x[:, source.layout["amount"].index] * 1e6).max() < 2**62


def test_all_faults_are_named_and_the_detail_counts_them():
    ((_, refusal),) = READER.read([payment(amount="1", card=None, present="no")], 0).refused
    assert [name for name, _ in refusal.errors] == ["card", "amount", "present"]
    assert refusal.detail == "card is null; expected text (and 2 more)"


def test_a_long_value_is_shortened():
    message = errors(payment(amount="9" * 500))["amount"]
    assert len(message) < 160
    assert '..."' in message


@pytest.mark.parametrize("value", ["4111 1111 1111 1111", 4111111111111111, 4111111111111111.0, "x" * 50 + " 4111111111111111"])
def test_a_card_number_in_the_wrong_field_is_not_shown(value):
    message = errors(payment(amount=value))["amount"]
    assert "4111" not in message
    assert message.startswith("amount is ")


def test_the_value_of_a_personal_field_is_never_shown():
    source = reader(personal=["card", "currency"], key=b"0123456789abcdef")
    found = errors(payment(card=4111111111111111.5, currency="secret"), source)
    assert "4111" not in found["card"]
    assert found["card"] == "card is a value that is not shown; expected text: send it in quotes"
    assert "secret" not in found["currency"]


@pytest.mark.parametrize("event", [{"card": "\ud800"}, {"tx": "\udfff"}, {"shop": "a\ud800b"}])
def test_half_a_surrogate_pair_from_python_is_refused(event):
    found = {"tx": "t", "at": 5, "card": "c", "amount": 1.0} | event
    good = {"tx": "t", "at": 5, "card": "c", "amount": 1.0}
    read = READER.read_objects([good, found, good], 0)
    assert read.rows.tolist() == [0, 2]
    assert next(iter(event)) in read.refused[0][1].detail


def test_what_is_no_event_at_all_is_refused_in_its_place():
    read = READER.read_objects([None, 5, "x", [], object(), {"tx": "t", "at": 5, "card": "c", "amount": 1.0}], 0)
    assert read.rows.tolist() == [5]
    assert all("an event is a JSON object" in refusal.detail for _, refusal in read.refused)
