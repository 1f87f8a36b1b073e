"""Event types are read from Structs, and what cannot work is refused when it is declared, with a remedy."""

import uuid
from datetime import date, datetime
from decimal import Decimal
from enum import IntEnum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta
from tests.unit.ingest.events import CardDecline, Login, Payment

from penstock.errors import DeclarationError
from penstock.ingest import Schema
from penstock.messages import Type


def declared(**fields: Any) -> type[msgspec.Struct]:
    """A Struct `Event` with an id, a time and these fields."""
    return msgspec.defstruct("Event", [("tx", str), ("at", datetime), *fields.items()], kw_only=True)


def schema(event: Any = Payment, informs: Any = (), **options: Any) -> Schema:
    return Schema(event, informs, **({"id": "tx", "time": "at"} | options))


def test_the_amount_is_the_field_that_is_named_or_the_one_whose_name_says_so():
    class Paid(msgspec.Struct):
        tx: str
        at: datetime
        total: float
        value: float

    assert Schema(Paid, id="tx", time="at").amount == "value"
    assert Schema(Paid, id="tx", time="at", amount="total").amount == "total"
    with pytest.raises(DeclarationError, match=r"amount='totl' is not a number of the transaction.*total"):
        Schema(Paid, id="tx", time="at", amount="totl")


def test_fields_become_columns_without_id_and_labels():
    found = schema(label="fraud").columns
    assert list(found) == ["at", "card", "shop", "amount", "items", "present", "channel", "currency", "born"]
    assert found["at"] is found["born"] is Type.TIME
    assert found["card"] is found["channel"] is found["currency"] is Type.TEXT
    assert found["amount"] is found["items"] is Type.NUMBER
    assert found["present"] is Type.BOOLEAN


def test_a_label_that_is_not_declared_as_one_is_an_ordinary_column():
    assert schema().columns["fraud"] is Type.BOOLEAN


def test_required_fields_are_never_null_and_needed_fields_must_be_sent():
    found = schema(label="fraud")
    assert found.required == {"at", "card", "amount", "present", "currency"}
    assert found.needed == {"at", "card", "amount"}


def test_each_event_type_has_its_index_and_adds_its_columns():
    found = schema(informs=[Login, CardDecline], label="fraud")
    assert found.kinds == {Payment: 0, Login: 1, CardDecline: 2}
    assert list(found.columns)[-2:] == ["country", "failures"]
    assert "amount" in found.required
    assert "country" not in found.required


def test_scales_are_units_per_one():
    class Event(msgspec.Struct):
        tx: str
        at: datetime
        pieces: int
        euros: float
        bitcoins: Annotated[float, Meta(extra={"scale": 1e-8})]
        cents: Annotated[float, Meta(ge=0, extra={"scale": 0.01})] | None

    assert schema(Event).scales == {"pieces": 1.0, "euros": 1e6, "bitcoins": 1e8, "cents": 100.0}


@pytest.mark.parametrize(
    ("fields", "amount"),
    [
        ({"amount": float, "other_amount": float}, "amount"),
        ({"TX_AMOUNT": float, "lat": float}, "TX_AMOUNT"),
        ({"purchase_value": float, "age": float}, "purchase_value"),
        ({"amt": float}, "amt"),
        ({"amount_in": float, "amount_out": float}, None),
        ({"amount": str}, None),
        ({"evaluation": float}, None),
    ],
)
def test_the_amount_is_the_field_that_is_evidently_money(fields, amount):
    assert schema(declared(**fields)).amount == amount


def test_names_are_those_of_json():
    class Event(msgspec.Struct, rename="camel"):
        transaction_id: str
        event_time: datetime
        card_number: str
        was_fraud: bool | None = msgspec.field(name="class", default=None)

    found = Schema(Event, id="transaction_id", time="eventTime", label="was_fraud", personal=["card_number"])
    assert (found.id, found.time, found.label) == ("transactionId", "eventTime", "class")
    assert list(found.columns) == ["eventTime", "cardNumber"]
    assert found.personal == {"cardNumber"}


def test_several_spellings_of_one_type_are_one_column_type():
    fields = {"a": str | int, "b": int | float, "c": str | msgspec.UnsetType, "d": Annotated[str, Meta(max_length=3)] | None}
    found = schema(declared(**fields)).columns
    assert [found[name].value for name in "abcd"] == ["text", "number", "text", "text"]


class Number(IntEnum):
    ONE = 1


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Decimal, ["Event.f", "decimal", "declare a float", "scale"]),
        (date, ["Event.f", "declare a datetime"]),
        (uuid.UUID, ["Event.f", "declare a str"]),
        (bytes, ["Event.f", "declare a str"]),
        (list[str], ["Event.f", "fields of their own"]),
        (dict[str, int], ["Event.f", "fields of their own"]),
        (Any, ["Event.f", "declare str, int, float, bool or datetime"]),
        (Literal[1, 2], ["Event.f", "Literal or Enum of texts"]),
        (Number, ["Event.f", "Literal or Enum of texts"]),
        (str | bool, ["Event.f", "several types", "str, bool"]),
        (float | str, ["Event.f", "several types"]),
        (Annotated[float, Meta(extra={"scale": 0})], ["Event.f", "scale 0", "0.01"]),
        (Annotated[str, Meta(extra={"scale": 1})], ["Event.f", "scale 1", "numeric field"]),
    ],
)
def test_a_type_that_no_column_holds_is_refused_with_a_remedy(kind, said):
    with pytest.raises(DeclarationError) as refused:
        schema(declared(f=kind))
    assert all(part in str(refused.value) for part in said), refused.value


class Other(msgspec.Struct):
    tx: str
    at: datetime
    card: float


class Nested(msgspec.Struct, array_like=True):
    tx: str
    at: datetime


class Late(msgspec.Struct):
    tx: str
    at: datetime | None = datetime(2026, 1, 1)  # noqa: DTZ001  the default is what is refused


class Named(msgspec.Struct):
    at: datetime
    tx: str = "none"


@pytest.mark.parametrize(
    ("event", "options", "said"),
    [
        (dict, {}, ["msgspec.Struct"]),
        (Payment, {"id": "txx"}, ["id='txx'", "Payment", "Did you mean tx?"]),
        (Payment, {"time": "att"}, ["time='att'", "Did you mean at?"]),
        (Payment, {"time": "amount"}, ["Payment.amount", "declare it as datetime"]),
        (Payment, {"id": "amount"}, ["Payment.amount", "declare it as str"]),
        (Payment, {"label": "frod"}, ["label='frod'", "Did you mean fraud?"]),
        (Payment, {"label": "card"}, ["Payment.card", "bool | None = None"]),
        (Payment, {"label": "fraud", "label_time": "at"}, ["Payment.at", "datetime | None = None"]),
        (Payment, {"naive_times": "Europe/Berln"}, ["'Europe/Berln'", "Did you mean Europe/Berlin?"]),
        (Payment, {"personal": ["crad"]}, ["'crad'", "Did you mean card?"]),
        (Payment, {"personal": ["amount"]}, ["Payment.amount", "declare it as str"]),
        (Payment, {"personal": ["channel"]}, ["Payment.channel", "declare it as str"]),
        (Payment, {"personal": ["tx"]}, ["Payment.tx", "cannot be personal"]),
        (Payment, {"informs": [Other]}, ["Other.card", "Payment.card", "number and text", "declare them alike"]),
        (Payment, {"informs": [Login, Login]}, ["type 'login'"]),
        (Nested, {}, ["Nested", "array_like"]),
        (Late, {}, ["Late.at", "time of arrival"]),
        (Named, {}, ["Named.tx", "'none'", "one is made"]),
    ],
)
def test_a_declaration_that_cannot_work_names_place_and_remedy(event, options, said):
    with pytest.raises(DeclarationError) as refused:
        schema(event, **options)
    assert all(part in str(refused.value) for part in said), refused.value
