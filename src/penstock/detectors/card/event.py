"""A payment with a card."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

Degrees90 = Annotated[float, Meta(ge=-90, le=90)]
Degrees180 = Annotated[float, Meta(ge=-180, le=180)]


class CardPayment(msgspec.Struct, kw_only=True):
    """A card pays for something somewhere; all amounts are in one currency."""

    transaction_id: str | None = None  # made where it is missing
    timestamp: datetime | None = None  # the time of arrival where it is missing
    amount: Annotated[float, Meta(ge=0, le=1e12)]
    category: str  # what is sold there; any word will do
    hour: Annotated[int, Meta(ge=0, le=23)] | None = None  # by the payer's clock; of the timestamp in UTC where missing
    day_of_week: Annotated[int, Meta(ge=0, le=6)] | None = None  # Monday is 0
    latitude: Degrees90 | None = None  # where it is paid
    longitude: Degrees180 | None = None
    user: str | None = None
    card: str | None = None  # its number: replaced by a token on arrival
    device: str | None = None
    merchant: str | None = None
    ip: str | None = None
    age: Annotated[float, Meta(ge=0, le=150)] | None = None  # of the holder at the time of the payment, in years
    home_latitude: Degrees90 | None = None  # where the holder lives
    home_longitude: Degrees180 | None = None
    city_population: Annotated[float, Meta(ge=0, le=1e9)] | None = None  # of where the holder lives
    is_fraud: bool | None = None  # only in recorded data; never reaches a model
