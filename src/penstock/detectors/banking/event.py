"""A payment by a bank's customer."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta


class Transaction(msgspec.Struct, kw_only=True):
    """A customer pays a merchant; all amounts are in one currency."""

    transaction_id: str | None = None
    timestamp: datetime
    customer_id: str
    merchant_id: str
    amount: Annotated[float, Meta(ge=0, le=1e12)]
    lat: Annotated[float, Meta(ge=-90, le=90)] | None = None
    long: Annotated[float, Meta(ge=-180, le=180)] | None = None
    is_fraud: bool | None = None  # only in recorded data; never reaches a model
