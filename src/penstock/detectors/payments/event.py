"""A payment by a user, as a payment API takes it."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta


class Payment(msgspec.Struct, kw_only=True):
    """A user pays a merchant from some place, with some device; all amounts are in one currency."""

    transaction_id: Annotated[str | None, Meta(description="Made where it is missing.")] = None
    timestamp: Annotated[datetime | None, Meta(description="With a time zone; the time of arrival where it is missing.")] = None
    user_id: Annotated[str, Meta(description="Who pays.")]
    amount: Annotated[float, Meta(ge=0, le=1e12, description="In the one currency of all amounts.")]
    merchant: Annotated[str, Meta(description="Who is paid.")]
    location: Annotated[str | None, Meta(description="A country's name or ISO code, or City, Country.")] = None
    device_id: Annotated[str | None, Meta(description="With which it is paid.")] = None
    transaction_type: Annotated[str | None, Meta(description="online means that the card is not present.")] = None
    is_fraud: Annotated[bool | None, Meta(description="Only in recorded data; never reaches a model.")] = None
