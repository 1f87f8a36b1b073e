"""A payment by a bank's customer."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta


class Transaction(msgspec.Struct, kw_only=True):
    """A customer pays a merchant; all amounts are in one currency."""

    transaction_id: Annotated[str | None, Meta(description="Made where it is missing.")] = None
    timestamp: Annotated[datetime, Meta(description="When it is paid, with a time zone.")]
    customer_id: Annotated[str, Meta(description="Who pays.")]
    merchant_id: Annotated[str, Meta(description="Who is paid.")]
    amount: Annotated[float, Meta(ge=0, le=1e12, description="In the one currency of all amounts.")]
    lat: Annotated[float, Meta(ge=-90, le=90, description="Where the customer is: degrees north.")] | None = None
    long: Annotated[float, Meta(ge=-180, le=180, description="Where the customer is: degrees east.")] | None = None
    is_fraud: Annotated[bool | None, Meta(description="Only in recorded data; never reaches a model.")] = None
