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

    transaction_id: Annotated[str | None, Meta(description="Made of the row, or new, where it is missing.")] = None
    timestamp: Annotated[datetime | None, Meta(description="Where missing that of the step, else of arrival.")] = None
    step: Annotated[int, Meta(ge=0, le=600_000, description="Hours since START, in place of a time.")] | None = None
    type: Annotated[str, Meta(description="CASH_IN, CASH_OUT, DEBIT, PAYMENT, TRANSFER.")]
    amount: Annotated[float, Meta(ge=0, le=1e12, description="In the one currency of all amounts.")]
    nameOrig: Annotated[str, Meta(description="The account it leaves.")]  # noqa: N815 -- the public file's name
    oldbalanceOrg: Annotated[Balance | None, Meta(description="Of the account it leaves, before.")] = None  # noqa: N815
    newbalanceOrig: Annotated[Balance | None, Meta(description="The same, after; never reaches a model.")] = None  # noqa: N815
    nameDest: Annotated[str, Meta(description="The account it reaches.")]  # noqa: N815
    oldbalanceDest: Annotated[Balance | None, Meta(description="Of the account it reaches, before.")] = None  # noqa: N815
    newbalanceDest: Annotated[Balance | None, Meta(description="The same, after; never reaches a model.")] = None  # noqa: N815
    isFraud: Annotated[bool | None, Meta(description="Only in recorded data; never reaches a model.")] = None  # noqa: N815
    isFlaggedFraud: Annotated[int, Meta(ge=0, le=1, description="From upstream: for a rule, never for a model.")] | None = None  # noqa: N815
