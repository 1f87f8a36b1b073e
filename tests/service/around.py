"""A detector with keys of every kind, and random payments: for what is shown around a transaction."""

import random
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta

from penstock import Detector, Entity, Label, Policy, Rule

START = datetime(2026, 2, 6, 9, 58, 31, tzinfo=UTC)


class Transfer(msgspec.Struct):
    """Money goes from one account to another, by a device, perhaps at a shop."""

    transaction_id: str
    timestamp: datetime
    sender: str
    receiver: str
    amount: Annotated[float, Meta(ge=0)]
    device: int | None = None
    card: str | None = None
    lat: float | None = None
    long: float | None = None
    home_latitude: float | None = None
    home_longitude: float | None = None
    is_fraud: bool | None = None


account = Entity("account", roles={"sent": "sender", "received": "receiver"})
device = Entity("device")
card = Entity("card")

detector = Detector(
    name="around",
    event=Transfer,
    id="transaction_id",
    time="timestamp",
    label=Label("is_fraud", delay="7d"),
    features=[account.count("1h"), device.count("1d"), card.sum("amount", "1d")],
    models=[],
    rules=[Rule("large", "amount > 900", then="block"), Rule("busy", "account_count_1h >= 4", then="review")],
    policy=Policy(on_failure="review"),
    personal=["card"],
    lists={"watched": ["A3", "A7"]},
)


def transfers(clock, count=120, seed=0):
    """Random transfers within some hours, one after the other; the clock goes with them."""
    chance, at = random.Random(seed), START
    for number in range(count):
        clock.at(at)
        yield {
            "transaction_id": f"t/{number}",
            "timestamp": at.isoformat(),
            "sender": f"A{chance.randrange(10)}",
            "receiver": f"A{chance.randrange(10)}",
            "amount": chance.choice((5.0, 50.0, 950.0)),
            "device": chance.choice((None, 1, 2, 3, 40)),
            "card": chance.choice((None, "4111 1111", "4222 2222")),
            "lat": chance.choice((None, 52.5)),
            "long": 13.4,
            "home_latitude": 48.1,
            "home_longitude": 11.6,
        }
        at += timedelta(minutes=chance.randrange(6))
