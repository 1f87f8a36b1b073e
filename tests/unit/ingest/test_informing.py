"""Several event types in one stream: told apart by `type`, laid into one batch in the order they came."""

from datetime import datetime

import msgspec
import numpy as np
import polars as pl
import pytest
from tests.unit.ingest.events import ARRIVED_US, CardDecline, Login, Payment, payment, reader, same, value

from penstock.codes import text_codes
from penstock.errors import DeclarationError
from penstock.ingest import Schema

READER = reader(informs=[Login, CardDecline])
LOGIN = b'{"type": "login", "at": 7, "card": "c1", "country": "DE", "failures": 2}'
DECLINE = b'{"type": "card_decline", "tx": "d1", "card": "c2", "amount": 3.5}'


def test_a_mixed_batch_keeps_its_order_and_each_type_its_fields():
    read = READER.read([LOGIN, payment(card="c9"), DECLINE, payment(tx="t2", shop="s")], ARRIVED_US)
    batch = read.batch
    assert read.rows.tolist() == [0, 1, 2, 3]
    assert batch.kinds.tolist() == [1, 0, 2, 0]
    assert read.id_codes.tolist() == text_codes(batch.ids).tolist()
    assert batch.ids[1:] == ["t1", "d1", "t2"]
    assert batch.texts["card"] == ["c1", "c9", "c2", "c1"]
    assert batch.texts["shop"] == [None, None, None, "s"]
    assert batch.texts["country"] == ["DE", None, None, None]
    assert [value(READER, batch, "amount", row) for row in range(4)] == [None, 12.5, 3.5, 12.5]
    assert [value(READER, batch, "failures", row) for row in range(4)] == [2, None, None, None]


def test_an_informing_event_without_a_time_happened_when_it_arrived():
    batch = READER.read([DECLINE, LOGIN], ARRIVED_US).batch
    assert batch.time_us.tolist() == [ARRIVED_US, 7_000_000]


def test_an_informing_event_that_declares_no_id_may_carry_one():
    batch = READER.read([LOGIN, LOGIN.replace(b"{", b'{"tx": "login-7", ')], ARRIVED_US).batch
    assert len(batch.ids[0]) == 36
    assert batch.ids[1] == "login-7"


@pytest.mark.parametrize("mark", ["login", "Login", "LOGIN"])
def test_a_type_is_named_in_any_case(mark):
    assert READER.read([LOGIN.replace(b"login", mark.encode())], 0).batch.kinds.tolist() == [1]


@pytest.mark.parametrize("mark", ["card_decline", "CardDecline", "carddecline", "card-decline"])
def test_a_type_of_several_words_is_named_in_any_usual_spelling(mark):
    assert READER.read([DECLINE.replace(b"card_decline", mark.encode())], 0).batch.kinds.tolist() == [2]


@pytest.mark.parametrize("mark", [None, "payment", "Payment", "transaction"])
def test_the_transaction_may_be_marked_too(mark):
    assert READER.read([payment(type=mark)], 0).batch.kinds.tolist() == [0]


@pytest.mark.parametrize(("mark", "said"), [("logn", "Did you mean login?"), (5, "type is 5"), ([], "type is an array")])
def test_an_unknown_type_is_refused_with_a_hint(mark, said):
    read = READER.read([payment(type=mark), payment()], 0)
    assert read.rows.tolist() == [1]
    assert read.refused[0][1].errors[0][0] == "type"
    assert said in read.refused[0][1].detail


def test_a_fault_is_judged_by_the_declared_type_of_its_event():
    ((_, refusal),) = READER.read([LOGIN.replace(b"DE", b"XX")], 0).refused
    assert refusal.errors == (("country", 'country is "XX"; expected one of DE, FR'),)


def test_type_means_nothing_where_there_is_one_type_only():
    assert len(reader().read([payment(type="anything")], 0).batch) == 1


class Transfer(msgspec.Struct):
    tx: str
    at: datetime
    type: str
    fraud: bool | None = None


def test_a_transaction_with_a_type_of_its_own_keeps_it():
    source = reader(Transfer, [Login])
    bodies = [b'{"tx": "1", "at": 5, "type": "CASH_OUT"}', LOGIN, b'{"tx": "2", "at": 5, "type": "PAYMENT"}']
    batch = source.read(bodies, 0).batch
    assert batch.kinds.tolist() == [0, 1, 0]
    assert batch.texts["type"] == ["CASH_OUT", None, "PAYMENT"]


def test_a_type_of_its_own_must_be_text_to_tell_events_apart():
    numbered = msgspec.defstruct("Numbered", [("tx", str), ("at", datetime), ("type", int)])
    with pytest.raises(DeclarationError, match=r"Numbered\.type"):
        Schema(numbered, [Login], id="tx", time="at")


def test_structs_say_themselves_what_they_are():
    at = datetime.fromisoformat("2026-02-06T10:00:00+00:00")
    events = [Login(at=at, card="c1"), Payment(tx="t", at=at, card="c1", amount=2.0), CardDecline(tx="d", card="c2")]
    read = READER.read_objects(events, ARRIVED_US)
    assert read.refused == []
    assert read.batch.kinds.tolist() == [1, 0, 2]


def test_a_struct_that_is_not_declared_is_refused():
    read = reader().read_objects([Login(at=datetime.fromisoformat("2026-02-06T10:00:00Z"), card="c")], 0)
    assert len(read.refused) == 1


def test_a_frame_of_several_types_is_read_as_its_rows_are():
    rows = [
        {"type": "login", "tx": "l1", "at": 7, "card": "c1", "country": "DE", "failures": 2},
        {"type": None, "tx": "t1", "at": 8, "card": "c1", "amount": 2.0, "currency": "USD", "present": True},
        {"type": "card_decline", "tx": "d1", "at": 9, "card": "c1", "amount": 3.0},
    ]
    frame = pl.DataFrame(rows, infer_schema_length=None)
    read = READER.read_frame(frame)
    events = [{name: value for name, value in row.items() if value is not None} for row in rows]
    singles = [READER.read_objects([event], event["at"] * 1_000_000).batch for event in events]
    assert read.batch.kinds.tolist() == [1, 0, 2]
    assert np.array_equal(read.batch.x, np.concatenate([batch.x for batch in singles]), equal_nan=True)
    assert np.array_equal(read.batch.codes, np.concatenate([batch.codes for batch in singles]))
    assert read.batch.texts["country"] == ["DE", None, None]


def test_unknown_types_in_a_frame_are_refused_row_by_row():
    frame = pl.DataFrame({"type": ["login", "logn"], "tx": ["a", "b"], "at": [7, 8], "card": ["c", "c"], "amount": [1, 1]})
    read = READER.read_frame(frame)
    assert read.rows.tolist() == [0]
    assert read.refused[0][1].detail == 'row 2: type is "logn", which is no event type of this detector. Did you mean login?'


def test_all_of_one_informing_type_still_has_the_texts_of_the_others():
    batch = READER.read([LOGIN, LOGIN], 0).batch
    assert set(batch.texts) == {"card", "shop", "channel", "currency", "country"}
    assert same(batch, READER.read_objects([msgspec.json.decode(LOGIN) | {"tx": name} for name in batch.ids], 0).batch)
