"""Detectors for Spark's tests, in a file of their own so that its workers can load them, and events that are hard on them."""

from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import polars as pl

from penstock import Detector, Entity, Label, LogisticRegression, Policy, Rule, XGBoost, derive
from penstock.clock import to_us
from penstock.expressions import ListMember, Members

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY_S = 86_400


class Transfer(msgspec.Struct):
    """Money from one account to another."""

    transfer_id: str
    at: datetime
    receiver: str
    amount: float
    sender: str | None = None
    city: str | None = None
    fraud: bool | None = None


class Login(msgspec.Struct):
    """Somebody came in."""

    transfer_id: str
    at: datetime
    sender: str


sender, pair = Entity("sender"), Entity("sender", "receiver", name="pair")
account = Entity("account", roles={"sent": "sender", "received": "receiver"})
transfers = Detector(
    "transfers",
    event=Transfer,
    informs=[Login],
    id="transfer_id",
    time="at",
    label=Label("fraud", delay="30h"),
    dedupe="5d",
    features=[
        derive("large", "amount > 100"),
        sender.count("1h"),
        sender.sum("amount", "7d"),
        sender.std("amount", "ever"),
        sender.distinct("receiver", "2d"),
        sender.last("city", "10d").named("city_before"),
        sender.since_last("10d"),
        sender.count("1d", of=Login).named("logins"),
        sender.max("amount", "3d", where="large"),
        sender.label_count("20d", delay="1d"),
        sender.label_rate("ever", delay="1d").named("sender_rate"),
        pair.count("ever", current=False).named("met"),
        account.count("2d", role="received", at="received").named("received"),
        account.mean("amount", "5d", role="received", at="sent", current=False).named("income"),
        account.label_count("20d", role="received", at="received").named("receiver_frauds"),
        derive("moved", "city <> city_before"),
        derive("share", "amount / income"),
    ],
    rules=[Rule("burst", "sender_count_1h >= 3", then="review"), Rule("far", "moved AND share > 2", then="block")],
    policy=Policy(),
)

known = Detector(
    "known",
    event=Transfer,
    id="transfer_id",
    time="at",
    label=Label("fraud", delay="6h"),
    features=[sender.label_count("2d", by="known"), sender.count("2d")],
)

scored = Detector(
    "scored",
    event=Transfer,
    id="transfer_id",
    time="at",
    label=Label("fraud", delay="1d"),
    features=[sender.count("1h").named("recent"), sender.sum("amount", "24h").named("spent")],
    models=[LogisticRegression(weight=0.5), XGBoost(weight=0.5, trees=20, depth=3)],
    rules=[
        Rule("huge", "amount > 500", then="block"),
        Rule("round", "amount > 200", then="challenge"),
        Rule("known", "sender = 'a1'", then="review", override=True),
    ],
)

MIDDLE_US, NEVER = to_us(START + timedelta(days=20)), to_us(START - timedelta(days=1))
listed = Detector(
    "listed",
    event=Transfer,
    id="transfer_id",
    time="at",
    features=[sender.count("1h").named("recent")],
    lists={
        "stolen": Members.of([ListMember("a1"), ListMember("a2", until_us=MIDDLE_US), ListMember("a3", since_us=MIDDLE_US)]),
        "watched": Members.of([ListMember(f"a{k}") for k in range(5, 12)] + [ListMember("a0", until_us=NEVER)]),
    },
    rules=[
        Rule("stolen", "sender IN list('stolen')", then="block", hard=True),
        Rule("watched", "receiver IN list('watched') AND recent >= 2", then="review"),
    ],
)


def events(n: int = 3_000, *, seed: int = 0, days: int = 40) -> pl.DataFrame:
    """Transfers and logins with ties, bursts, quiet days, late and far too late events, ids that come again."""
    rng = np.random.default_rng(seed)
    busy = np.sort(rng.choice(days, days // 2, replace=False))  # whole days without any event
    seconds = np.sort(rng.choice(busy, n) * DAY_S + rng.integers(0, DAY_S // 30, n) * 30)
    late = rng.choice([0, 0, 0, 0, 0, 0, 20, 4_000, 60_000, 400_000, -200_000], n)  # the last: its clock is days ahead
    people = np.array([f"a{k}" for k in range(40)])
    senders, receivers = people[rng.zipf(1.6, n) % 40], people[rng.integers(0, 40, n)]
    login = rng.random(n) < 0.1
    amounts = np.round(rng.lognormal(4, 1, n), 2)
    ids = np.array([f"t{k}" for k in range(n)])
    again = rng.random(n) < 0.03
    ids[again] = ids[np.maximum(0, np.flatnonzero(again) - rng.integers(1, 200, again.sum()))]
    return pl.DataFrame(
        {
            "transfer_id": ids,
            "at": [START + timedelta(seconds=int(s - w)) for s, w in zip(seconds, late, strict=True)],
            "sender": [
                None if lost and not at else who for lost, who, at in zip(rng.random(n) < 0.02, senders, login, strict=True)
            ],
            "receiver": receivers,
            "amount": amounts,
            "city": [(None, "Köln", "Paris", "Rome")[k] for k in rng.integers(0, 4, n)],
            "fraud": (rng.random(n) < np.where(amounts > 150, 0.4, 0.03)) & ~login,
            "type": np.where(login, "login", "transfer"),
            "arrived_at": [START + timedelta(seconds=int(s)) for s in seconds],
        },
        schema_overrides={"at": pl.Datetime("us", "UTC"), "arrived_at": pl.Datetime("us", "UTC")},
    )
