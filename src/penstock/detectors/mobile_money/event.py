"""A movement of mobile money, in the columns of PaySim."""

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta

START = datetime(2020, 1, 1, tzinfo=UTC)
"""The instant of step 0, where a movement says in which hour it happened instead of when."""

Balance = Annotated[float, Meta(ge=-1e12, le=1e12)]  # below 0 where an account may be overdrawn


class Movement(msgspec.Struct, kw_only=True):
    """Money moves from one account to another; all amounts are in one currency."""

    transaction_id: str | None = None  # made of the row, or new, where it is missing
    timestamp: datetime | None = None  # that of the step where it is missing, else the time of arrival
    step: Annotated[int, Meta(ge=0, le=600_000)] | None = None  # hours since START
    type: str  # CASH_IN, CASH_OUT, DEBIT, PAYMENT, TRANSFER
    amount: Annotated[float, Meta(ge=0, le=1e12)]
    nameOrig: str  # noqa: N815 -- the public file's name
    oldbalanceOrg: Balance | None = None  # noqa: N815
    newbalanceOrig: Balance | None = None  # noqa: N815 -- known only afterwards: never reaches a model
    nameDest: str  # noqa: N815
    oldbalanceDest: Balance | None = None  # noqa: N815
    newbalanceDest: Balance | None = None  # noqa: N815 -- known only afterwards: never reaches a model
    isFraud: bool | None = None  # noqa: N815 -- only in recorded data; never reaches a model
    isFlaggedFraud: Annotated[int, Meta(ge=0, le=1)] | None = None  # noqa: N815 -- from upstream: for a rule, never for a model
