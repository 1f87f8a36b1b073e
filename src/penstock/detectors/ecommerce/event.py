"""A purchase in an online shop."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta


class Purchase(msgspec.Struct, kw_only=True):
    """A user who signed up some time ago buys something, from a device and an address."""

    transaction_id: Annotated[str | None, Meta(description="Made where it is missing.")] = None
    user_id: Annotated[int, Meta(description="Who buys.")]
    signup_time: Annotated[datetime | None, Meta(description="When the user signed up.")] = None
    purchase_time: Annotated[datetime, Meta(description="When it is bought.")]
    purchase_value: Annotated[float, Meta(ge=0, le=1e12, description="In the one currency of all amounts.")]
    device_id: Annotated[str | None, Meta(description="With which it is bought.")] = None
    source: Annotated[str | None, Meta(description="How the user came: SEO, Ads, Direct.")] = None
    browser: Annotated[str | None, Meta(description="Its name, such as Chrome.")] = None
    sex: Annotated[str | None, Meta(description="M or F.")] = None
    age: Annotated[float, Meta(ge=0, le=150, description="Of the user, in years.")] | None = None
    ip_address: Annotated[float, Meta(ge=0, lt=4294967296, description="An IPv4 address as a number.")] | None = None
    fraud: Annotated[bool | None, Meta(description="Only in recorded data; never reaches a model.")] = msgspec.field(
        name="class", default=None
    )
