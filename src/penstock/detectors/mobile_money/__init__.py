"""Mobile money: wallets that hold a balance, transfers between them, and cash in and out at agents.

Judged by gradient boosting and two rules.
"""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from penstock import Detector, GradientBoosting, Label, Policy, Rule
from penstock.detectors.mobile_money.features import features, inputs, words
from penstock.detectors.mobile_money.recorded import START, adapt
from penstock.ingest import Steps

__all__ = ["START", "Movement", "detector"]

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


rules = [
    Rule(
        "flagged_by_source",
        "isFlaggedFraud = 1",
        then="block",
        hard=True,
        reason="the system that sent it had flagged it as fraud",
    ),
    Rule(
        "mule_account",
        "in_and_out AND fan_in_24h >= 3 AND seconds_since_first < 2592000 AND coalesce(score, 0) < 0.8",
        then="review",
        reason="{fan_in_24h:.0f} accounts paid this one within 24 hours, and the money leaves within an hour",
    ),
]


detector = Detector(
    name="mobile_money",
    event=Movement,
    id="transaction_id",
    time="timestamp",
    steps=Steps("step", every="1h", start=START),
    headline=("nameOrig", "nameDest", "type"),
    currency="USD",
    label=Label("isFraud", delay="7d"),
    features=features,
    inputs=inputs,
    words=words,
    models=[GradientBoosting(trees=200, depth=6, learning_rate=0.05, features=0.3, min_leaf=5, imbalance="under")],
    rules=rules,
    policy=Policy(review_at=0.5, block_at=0.8, on_failure="review"),
    naive_times="UTC",
    recorded=adapt,
)
