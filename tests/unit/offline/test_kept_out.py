"""Events that stay out of state (too late for their key, or stamped too far ahead), their labels, and the stream's clock."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import polars as pl
import pytest

from penstock import Detector, Engine, Entity, Label, Rule, derive, replay
from penstock.clock import to_us
from penstock.engine import verify
from penstock.features import table

START = datetime(2026, 1, 5, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    shop: str
    amount: float
    is_fraud: bool | None = None


class Login(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str


customer, shop = Entity("customer_id"), Entity("shop")
EVER = [
    customer.count("ever").named("count"),
    customer.label_count("ever").named("frauds"),
    customer.label_rate("ever").named("rate"),
    shop.label_count("ever").named("shop_frauds"),
]
KNOWN = customer.label_count("7d", by="known").named("known")
TYPES = {
    "timestamp": pl.Datetime("us", "UTC"),
    "arrived_at": pl.Datetime("us", "UTC"),
    "label_known_at": pl.Datetime("us", "UTC"),
}


def declared(features, **options) -> Detector:
    fixed = {"event": Payment, "id": "transaction_id", "time": "timestamp", "label": Label("is_fraud", delay="1h")}
    return Detector("shop", features=features, **fixed, **options)


def row(k, at, *, who="c", where="s", fraud=False, arrived=None, known=None, amount=1.0) -> dict:
    times = {"timestamp": START + at, "arrived_at": START + (at if arrived is None else arrived)}
    told = {"is_fraud": fraud, "label_known_at": None if known is None else START + known}
    return {"transaction_id": f"t{k}", "customer_id": who, "shop": where, "amount": amount, **times, **told}


def frame(*rows) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema_overrides=TYPES)


TOO_LATE = [
    row(0, 10 * DAY, where="s1"),
    row(1, 5 * DAY, where="s2", fraud=True, arrived=10 * DAY + HOUR),  # too late for its customer, not for its shop
    row(2, 11 * DAY, where="s1"),
    row(3, 100 * DAY, where="s2"),
]


def test_the_label_of_a_too_late_event_changes_no_feature_of_that_key() -> None:
    """It counts for the shop, whose state the event entered; `by="known"` counts it no more than `ever` does."""
    found = replay(declared([*EVER, KNOWN]), frame(*TOO_LATE))
    assert found["count"].to_list() == [1, 1, 2, 3]
    assert found["frauds"].to_list() == found["rate"].to_list() == found["known"].to_list() == [0, 0, 0, 0]
    assert found["shop_frauds"].to_list() == [0, 0, 0, 1]


def test_the_label_of_an_event_stamped_too_far_ahead_changes_no_feature() -> None:
    """It stayed out of every key's state."""
    rows = [row(0, 0 * DAY), row(1, 3 * DAY, arrived=HOUR, fraud=True, known=2 * HOUR), row(2, 2 * DAY), row(3, 60 * DAY)]
    found = replay(declared([*EVER, KNOWN]), frame(*rows))
    assert found["count"].to_list() == [1, 2, 2, 3]
    for name in ("frauds", "rate", "shop_frauds", "known"):
        assert found[name].to_list() == [0, 0, 0, 0], name


@dataclass
class Wall:
    """A clock that stands where it was set."""

    now_us: int = to_us(START)

    def __call__(self) -> int:
        return self.now_us


@pytest.mark.parametrize("snapshot", [True, False])
def test_it_changes_none_either_after_a_restart(tmp_path, snapshot) -> None:
    """What was kept out is known from a snapshot, and from the log; a verification comes to the same."""
    detector, clock = declared([*EVER, KNOWN], rules=[Rule("never", "amount < 0", then="review")]), Wall()
    seen = []
    for k, event in enumerate(TOO_LATE):
        with Engine(detector, data=tmp_path, clock=clock) as engine:
            clock.now_us = to_us(event["arrived_at"])
            fields = {name: event[name] for name in ("transaction_id", "timestamp", "customer_id", "shop", "amount")}
            seen.append(engine.decide(fields).features)
            if event["is_fraud"]:
                engine.label(event["transaction_id"], fraud=True)
        if not snapshot:
            for file in sorted((tmp_path / "state").rglob("*"), reverse=True):
                file.unlink() if file.is_file() else file.rmdir()
        assert k == len(seen) - 1
    assert [each["frauds"] for each in seen] == [each["known"] for each in seen] == [0, 0, 0, 0]
    assert [each["shop_frauds"] for each in seen] == [0, 0, 0, 1]
    with Engine(detector, data=tmp_path, clock=clock) as engine:
        assert verify(engine.ledger, detector, "t3", None).identical


def test_what_was_kept_out_is_known_when_memory_has_been_given_back(monkeypatch) -> None:
    """A state that is compacted remembers it."""
    monkeypatch.setattr(table, "_WORTH_COMPACTING", 2.0)
    detector, clock = declared(EVER), Wall()
    with Engine(detector, clock=clock) as engine:
        for event in TOO_LATE:
            clock.now_us = to_us(event["arrived_at"])
            fields = {name: event[name] for name in ("transaction_id", "timestamp", "customer_id", "shop", "amount")}
            found = engine.decide(fields).features
            if event["is_fraud"]:
                engine.label(event["transaction_id"], fraud=True)
                for each in engine.pipeline.state.tables:
                    each.reclaim(engine.pipeline.state.pace_us)
    assert (found["frauds"], found["shop_frauds"]) == (0, 1)


def stream(seed: int, n: int = 400) -> pl.DataFrame:
    """Payments of a few customers in order of arrival: late, far too late, stamped ahead and far ahead, with ties and gaps."""
    rng = np.random.default_rng(seed)
    arrived = np.cumsum(rng.choice([0, 0, 1, 60, 3_600, 20_000, 90_000, 400_000], n))
    apart = rng.choice([0, 0, 0, 0, 1, -3, 3_600, 50_000, 86_400, 86_401, 300_000, -4, -40_000, -86_400, -86_401, -200_000], n)
    fraud, wait = rng.random(n) < 0.3, rng.choice([0, 1, 3_600, 40_000, 90_000, 700_000, 4_000_000], n)
    return frame(
        *(
            row(
                k,
                timedelta(seconds=int(a - w)),
                who=f"c{rng.integers(4)}",
                where=f"s{rng.integers(3)}",
                fraud=bool(f),
                arrived=timedelta(seconds=int(a)),
                known=timedelta(seconds=int(a + later)),
                amount=float(np.round(rng.lognormal(3, 1), 8)),
            )
            for k, (a, w, f, later) in enumerate(zip(arrived, apart, fraud, wait, strict=True))
        )
    )


def naive(events: pl.DataFrame, days: int) -> list[int]:
    """For every payment: frauds of the customer in (t - days, t + 5 s] that are in state and known by the clock."""
    found, newest, kept, clock = [], {}, [], datetime.min.replace(tzinfo=UTC)
    for each in events.rows(named=True):
        t, arrived, who = each["timestamp"], each["arrived_at"], each["customer_id"]
        clock = max(clock, min(t, arrived))
        window = (
            e for e in kept if e["customer_id"] == who and t - timedelta(days=days) < e["timestamp"] <= t + 5 * HOUR / 3_600
        )
        found.append(sum(e["is_fraud"] and e["label_known_at"] <= clock for e in window))
        late = who in newest and t < newest[who] - DAY
        if t - arrived <= DAY and not late:
            newest[who] = max(t, newest.get(who, t))
            kept.append(each)
    return found


@pytest.mark.parametrize("seed", range(6))
def test_labels_count_from_when_they_are_known_whatever_the_stamps_say(seed) -> None:
    """The clock is the newest event time, but an event stamped ahead counts at its arrival."""
    events = stream(seed)
    found = replay(declared([customer.label_count("3000d").named("frauds")]), events)
    assert found["frauds"].to_list() == naive(events, 3000)


def test_a_stamp_ahead_of_its_arrival_brings_no_label_early() -> None:
    """Another customer's clock is 20 hours ahead; the label is known in ten."""
    rows = [
        row(0, 0 * DAY, fraud=True, known=10 * HOUR),
        row(1, 21 * HOUR, arrived=HOUR, who="d"),
        row(2, 9 * HOUR),
        row(3, 10 * HOUR),
    ]
    detector, clock = declared([customer.label_count("7d").named("frauds")]), Wall()
    assert replay(detector, frame(*rows))["frauds"].to_list() == [0, 0, 0, 1]
    with Engine(detector, clock=clock) as engine:
        seen = []
        for each in rows:
            clock.now_us = to_us(each["arrived_at"])
            fields = {name: each[name] for name in ("transaction_id", "timestamp", "customer_id", "shop", "amount")}
            seen.append(engine.decide(fields).features["frauds"])
            if each["is_fraud"]:
                engine.label(each["transaction_id"], fraud=True, at=each["label_known_at"])
    assert seen == [0, 0, 0, 1]


def test_a_label_without_a_time_counts_for_the_next_event_though_an_earlier_one_was_stamped_ahead() -> None:
    """It is known as of the stream's clock, which the stamp does not move."""
    detector, clock = declared([customer.label_count("7d").named("frauds")]), Wall()
    with Engine(detector, clock=clock) as engine:
        for k, at in ((0, 0 * DAY), (1, 20 * HOUR)):
            engine.decide({"transaction_id": f"t{k}", "timestamp": START + at, "customer_id": "c", "shop": "s", "amount": 1.0})
        engine.label("t0", fraud=True)
        clock.now_us += 60_000_000
        later = {
            "transaction_id": "t2",
            "timestamp": START + timedelta(minutes=1),
            "customer_id": "c",
            "shop": "s",
            "amount": 1.0,
        }
        assert engine.decide(later).features["frauds"] == 1


BASE = [
    customer.count("7d").named("count_7d"),
    customer.sum("amount", "1h").named("sum_1h"),
    customer.last("shop").named("last_shop"),
    customer.label_count("ever", delay="1d").named("frauds"),
    customer.max("amount", "7d", current=False).named("max_7d"),
    shop.distinct("customer_id", "7d").named("customers"),
]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "added",
    [[KNOWN], [shop.label_count("7d", by="known").named("shop_known")], [customer.count("1h", of=Login).named("logins")]],
    ids=["known", "known of the shop", "logins"],
)
def test_adding_a_feature_changes_no_other(seed, added) -> None:
    """By the time known, or over other types of events: neither moves what is too late for the others."""
    rng = np.random.default_rng(seed)
    events = stream(seed).with_columns(type=pl.Series(rng.choice(["payment", "payment", "login"], 400)))
    options = {"informs": [Login]}
    plain, more = (replay(declared(features, **options), events) for features in (BASE, [*BASE, *added]))
    assert more.select(plain.columns).equals(plain)


def test_too_late_an_event_sees_nothing_later_as_its_past() -> None:
    """What lasts for ever is held as a whole once it is old: where a part of that is later than the event, it sees none."""
    features = [
        customer.count("ever").named("count"),
        customer.distinct("shop", "ever").named("shops"),
        customer.max("amount", "ever").named("largest"),
        customer.label_count("ever").named("frauds"),
        customer.last("shop").named("last_shop"),
        customer.first("shop").named("first_shop"),
        customer.since_last().named("since"),
    ]
    rows = [
        row(0, 2 * DAY, where="s2", amount=90.0, fraud=True),
        row(1, 10 * DAY, where="s10", amount=80.0),
        row(2, 1 * DAY, where="s1", amount=7.0, arrived=10 * DAY + HOUR),  # too late
        *(row(100 + k, (10 + k) * DAY, where="x", who="d") for k in range(1, 21)),  # the customer's are held as a whole by now
        row(4, 10 * DAY - 2 * HOUR, where="s9", amount=5.0, arrived=30 * DAY),  # late, but not too late
        row(5, 31 * DAY, where="s2", amount=1.0),
    ]
    found = replay(declared(features), frame(*rows)).filter(pl.col("last_shop").is_null() | (pl.col("last_shop") != "x"))
    found = found.filter(pl.col("transaction_id") != "t101")
    assert found["count"].to_list() == [1, 2, 1, 1, 4]
    assert found["shops"].to_list() == [1, 2, 1, 1, 3]
    assert found["largest"].to_list() == [90, 90, 7, 5, 90]
    assert found["frauds"].to_list() == [0, 1, 0, 0, 1]
    assert found["last_shop"].to_list() == [None, "s2", None, None, "s10"]
    assert found["first_shop"].to_list() == [None, "s2", None, "s2", "s2"]
    assert found["since"].to_list() == [None, 8 * 86_400, None, None, 21 * 86_400]


@pytest.mark.parametrize("amount", [0.1 + 2e-8, 1e-9, -(1e-9), 123456.7890123, 123456789.0123456])
def test_no_amount_is_larger_than_the_maximum_or_smaller_than_the_minimum_that_it_belongs_to(amount) -> None:
    """Both are kept as they came: only sums are rounded."""
    features = [
        customer.max("amount", "1h").named("largest"),
        customer.min("amount", "ever").named("smallest"),
        derive("beyond", "amount > largest OR amount < smallest"),
    ]
    with pytest.warns(UserWarning, match="contains the event itself"):
        detector = declared(features)
    found = replay(detector, frame(row(0, 0 * HOUR, amount=amount), row(1, HOUR / 2, amount=amount)))
    assert found["beyond"].to_list() == [False, False]
    assert found["largest"].to_list() == found["smallest"].to_list() == [amount, amount]
