"""A detector of rules alone, as a user would write one: small enough to read, with something of everything HTTP shows."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from penstock import CasePolicy, Detector, Entity, Label, Policy, Rule, derive


class Payment(msgspec.Struct):
    """A payment by a customer."""

    transaction_id: Annotated[str, Meta(min_length=1, max_length=60)]
    timestamp: datetime
    customer_id: str
    amount: Annotated[float, Meta(ge=0, le=1e9)]
    merchant: str | None = None
    is_fraud: bool | None = None


class Login(msgspec.Struct):
    """Somebody signed in as a customer."""

    transaction_id: str
    timestamp: datetime
    customer_id: str


customer = Entity("customer_id")

detector = Detector(
    name="mine",
    event=Payment,
    id="transaction_id",
    time="timestamp",
    informs=[Login],
    label=Label("is_fraud", delay="7d"),
    features=[
        customer.count("1h"),
        customer.mean("amount", "30d", current=False).named("usual_amount"),
        customer.count("1h", of=Login).named("logins"),
        derive("amount_ratio", "amount / usual_amount"),
    ],
    models=[],
    rules=[
        Rule(
            "fourth_in_an_hour", "customer_count_1h >= 4", then="review", reason="{customer_count_1h} payments within an hour"
        ),
        Rule(
            "amount_spike",
            "amount_ratio > 10",
            then="block",
            reason="{amount} is {amount_ratio:.1f} times the usual {usual_amount}",
        ),
    ],
    policy=Policy(on_failure="review"),
    naive_times="UTC",
    cases=CasePolicy(grouped=False),
)
