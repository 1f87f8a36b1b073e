"""A replay lets every label in when it became known, whether the data says when or the declared delay does."""

from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import polars as pl
import pytest

from penstock import Detector, Engine, Entity, Label, replay
from penstock.offline import replay as module

START = datetime(2026, 1, 5, tzinfo=UTC)
N = 600


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    amount: float
    is_fraud: bool | None = None
    told_at: datetime | None = None


customer = Entity("customer_id")


def declared(label: Label) -> Detector:
    features = [customer.label_count("7d"), customer.label_rate("2d", delay="1d"), customer.count("7d")]
    return Detector("shop", event=Payment, id="transaction_id", time="timestamp", label=label, features=features)


def history(seed: int = 0) -> pl.DataFrame:
    """Payments of a few customers over three weeks; a fifth are frauds, most of them known hours or days later."""
    rng = np.random.default_rng(seed)
    seconds = np.sort(rng.integers(0, 21 * 86_400, N))
    times = [START + timedelta(seconds=int(s)) for s in seconds]
    fraud = rng.random(N) < 0.2
    waits = rng.exponential(40 * 3600, N).astype(int)
    known = [t + timedelta(seconds=int(w)) if rng.random() < 0.9 else None for t, w in zip(times, waits, strict=True)]
    return pl.DataFrame(
        {
            "transaction_id": [f"t{k}" for k in range(N)],
            "timestamp": times,
            "customer_id": [f"c{k}" for k in rng.integers(0, 5, N)],
            "amount": rng.integers(1, 90, N).astype(float),
            "is_fraud": fraud,
            "known": known,
        },
        schema_overrides={"timestamp": pl.Datetime("us", "UTC"), "known": pl.Datetime("us", "UTC")},
    )


def naive(frame: pl.DataFrame, delay: timedelta) -> list[int]:
    """For every payment: frauds among the customer's payments of seven days that were known by then."""
    rows = frame.rows(named=True)
    found = []
    for row in rows:
        t = row["timestamp"]
        found.append(
            sum(
                other["is_fraud"] and (other["known"] or other["timestamp"] + delay) <= t
                for other in rows
                if other["customer_id"] == row["customer_id"] and t - timedelta(days=7) < other["timestamp"] <= t
            )
        )
    return found


@pytest.mark.parametrize("column", ["label_known_at", "told_at"])
@pytest.mark.parametrize("chunk", [7, 100, 16_384])
def test_a_recorded_time_of_knowledge_counts(column, chunk, monkeypatch) -> None:
    """Under the name that every file may use, or under that of the declaration; where it is empty, the delay counts."""
    monkeypatch.setattr(module, "CHUNK", chunk)
    frame = history()
    label = Label("is_fraud", delay="30h", known_at="told_at" if column == "told_at" else None)
    with_times = replay(declared(label), frame.rename({"known": column}))["customer_label_count_7d"].to_list()
    assert with_times == naive(frame, timedelta(hours=30))
    without = replay(declared(Label("is_fraud", delay="30h")), frame.drop("known"))["customer_label_count_7d"].to_list()
    assert without == naive(frame.with_columns(known=None), timedelta(hours=30))
    assert without != with_times


def test_live_labels_at_the_same_times_give_the_same_numbers() -> None:
    """The replay's numbers are those that a decision would have seen."""
    frame, detector = history(1), declared(Label("is_fraud", delay="30h"))
    offline = replay(detector, frame.rename({"known": "label_known_at"}))
    with Engine(detector) as engine:
        for row, replayed in zip(frame.rows(named=True), offline.rows(), strict=True):
            event = {name: row[name] for name in ("transaction_id", "timestamp", "customer_id", "amount")}
            decision = engine.decide(event)
            assert tuple(decision.features[name] for name in offline.columns[2:5]) == replayed[2:5]
            if row["is_fraud"]:
                engine.label(row["transaction_id"], fraud=True, at=row["known"] or row["timestamp"] + timedelta(hours=30))


def test_late_events_bring_their_labels_at_the_same_moment_however_the_events_are_cut(monkeypatch) -> None:
    """A label that was due before its late event came is known to the event after it, in whatever chunk that comes."""
    events = history().with_columns(arrived_at=pl.col("timestamp")).drop("known")
    late = pl.Series(np.random.default_rng(1).random(N) < 0.3)
    events = events.with_columns(
        timestamp=pl.when(late).then(pl.col("timestamp") - pl.duration(hours=20)).otherwise("timestamp")
    )
    detector = declared(Label("is_fraud", delay="6h"))
    whole = replay(detector, events)
    for chunk in (1, 7, 64):
        monkeypatch.setattr(module, "CHUNK", chunk)
        assert replay(detector, events).equals(whole)
