"""A payment by a user, as a payment API takes it."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta


class Payment(msgspec.Struct, kw_only=True):
    """A user pays a merchant from some place, with some device; all amounts are in one currency."""

    transaction_id: str | None = None  # made where it is missing
    timestamp: datetime | None = None  # the time of arrival where it is missing
    user_id: str
    amount: Annotated[float, Meta(ge=0, le=1e12)]
    merchant: str
    location: str | None = None  # a country's name or ISO code, or "City, Country"
    device_id: str | None = None
    transaction_type: str | None = None  # online means that the card is not present
    is_fraud: bool | None = None  # only in recorded data; never reaches a model
