"""Event types and a reader of them, for the tests of ingest."""

from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from penstock.ingest import Reader, Schema
from penstock.messages import Batch, Layout, Type

ARRIVED_US = 1_770_372_000_000_000
KEY = b"sixteen secret bytes"


class Channel(Enum):
    WEB = "web"
    SHOP = "shop"


class Payment(msgspec.Struct, kw_only=True):
    tx: str | None = None
    at: datetime
    card: str
    shop: str | None = None
    amount: Annotated[float, Meta(ge=0, le=1e6)]
    items: Annotated[int, Meta(ge=1)] | None = None
    present: bool = False
    channel: Channel | None = None
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] = "EUR"
    born: datetime | None = None
    fraud: bool | None = None


class Login(msgspec.Struct, kw_only=True):
    at: datetime
    card: str
    country: Literal["DE", "FR"] | None = None
    failures: int = 0


class CardDecline(msgspec.Struct, kw_only=True):
    tx: str
    card: str
    amount: float | None = None


def reader(
    event: type[msgspec.Struct] = Payment,
    informs: Sequence[type[msgspec.Struct]] = (),
    *,
    key: bytes | None = None,
    id: str = "tx",
    time: str = "at",
    label: str | None = "fraud",
    **options: Any,
) -> Reader:
    schema = Schema(event, informs, id=id, time=time, label=label, **options)
    layout = Layout()
    layout.add("before", Type.NUMBER)  # columns of the schema need not come first, nor fill the layout
    for name, kind in schema.columns.items():
        layout.add(name, kind)
    layout.add("after", Type.NUMBER)
    layout.add("after_text", Type.TEXT)
    return Reader(schema, layout, personal_key=key)


def payment(**fields: Any) -> bytes:
    """A payment in JSON; a field given as ... is left out."""
    whole = {"tx": "t1", "at": "2026-02-06T10:00:00Z", "card": "c1", "amount": 12.5} | fields
    return msgspec.json.encode({name: value for name, value in whole.items() if value is not ...})


def value(source: Reader, batch: Batch, name: str, row: int = 0) -> Any:
    """What a batch holds of a field: the text, or the number as the matrix has it, None for null."""
    column = source.layout[name]
    if column.type is Type.TEXT:
        return batch.texts[name][row]
    found = float(batch.x[row, column.index])
    return None if found != found else found


def same(one: Batch, other: Batch) -> bool:
    """Whether two batches are equal to the last bit."""
    arrays = ("kinds", "time_us", "arrived_us", "x", "codes")
    return (
        one.ids == other.ids
        and one.texts == other.texts
        and all(
            getattr(one, name).dtype == getattr(other, name).dtype
            and getattr(one, name).tobytes() == getattr(other, name).tobytes()
            for name in arrays
        )
    )
