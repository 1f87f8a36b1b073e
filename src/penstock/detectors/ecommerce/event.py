"""A purchase in an online shop."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta


class Purchase(msgspec.Struct, kw_only=True):
    """A user who signed up some time ago buys something, from a device and an address."""

    transaction_id: str | None = None
    user_id: int
    signup_time: datetime | None = None
    purchase_time: datetime
    purchase_value: Annotated[float, Meta(ge=0, le=1e12)]
    device_id: str | None = None
    source: str | None = None  # how the user came: SEO, Ads, Direct
    browser: str | None = None
    sex: str | None = None  # M, F
    age: Annotated[float, Meta(ge=0, le=150)] | None = None
    ip_address: Annotated[float, Meta(ge=0, lt=4294967296)] | None = None  # IPv4 as a number
    fraud: bool | None = msgspec.field(name="class", default=None)  # only in recorded data; never reaches a model
