"""Labels that come together are taken in together, and change what they would change one by one."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import pytest

from penstock import Detector, Engine, Entity, Label
from penstock.messages import Refusal

START = datetime(2026, 1, 5, 10, tzinfo=UTC)
EVENTS = 400


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    amount: float
    is_fraud: bool | None = None


customer = Entity("customer_id")
detector = Detector(
    "shop",
    event=Payment,
    id="transaction_id",
    time="timestamp",
    label=Label("is_fraud", delay="1h", sources=("bank", "analyst")),
    features=[
        customer.label_count("24h"),
        customer.label_rate("24h", delay="1h"),
        customer.label_count("ever").named("known_frauds"),
    ],
    models=[],
)


def payments(first: int, count: int) -> list[bytes]:
    rng = np.random.default_rng(first)
    return [
        msgspec.json.encode(
            {
                "transaction_id": f"t{k}",
                "timestamp": START + timedelta(seconds=30 * k),
                "customer_id": f"c{rng.integers(12)}",
                "amount": 1.0,
            }
        )
        for k in range(first, first + count)
    ]


def statements(seed: int, count: int) -> list[dict[str, Any]]:
    """Labels of every kind: repeated, taken back, of several sources, known at times of their own, of nothing."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        number = int(rng.integers(EVENTS + 10))
        label = {"transaction_id": f"t{number}", "fraud": bool(rng.random() < 0.6)}
        if rng.random() < 0.5:
            label["source"] = str(rng.choice(["bank", "analyst", "hearsay"]))
        if rng.random() < 0.5:
            label["known_at"] = START + timedelta(seconds=30 * number + int(rng.integers(20_000)))
        found.append(label)
    return found


def told(answers: list[list[Any]]) -> list[Any]:
    return [each.detail if isinstance(each, Refusal) else each for part in answers for each in part]


@pytest.mark.parametrize("seed", range(5))
def test_labels_of_a_batch_do_what_they_do_one_by_one(seed, tmp_path) -> None:
    """The same answers, tables and features; also after a restart, and for a follower of the log."""
    bodies = [msgspec.json.encode(each) for each in statements(seed, 300)]
    arrivals = {"clock": lambda: 1_767_700_000_000_000}
    with (
        Engine(detector, data=tmp_path / "one", **arrivals) as one,
        Engine(detector, data=tmp_path / "many", **arrivals) as many,
        Engine(detector, data=tmp_path / "follower", **arrivals) as follower,
    ):
        for engine in (one, many):
            engine.decide_json(payments(0, EVENTS))
        assert told(many.label_store.submit_json(bodies)) == told([one.label_store.submit_json([body])[0] for body in bodies])
        for engine in (one, many):
            engine.ledger.flush()
        ids = [f"t{k}" for k in range(EVENTS)]
        assert many.ledger.tables.labels_of("shop", ids) == one.ledger.tables.labels_of("shop", ids) != []
        for name in ids:
            assert many.ledger.tables.label_history("shop", name) == one.ledger.tables.label_history("shop", name)
        for _, record in many.ledger.read():
            follower.recovery.follow(record)
        expected = [decision.features for decision in one.decide_many([msgspec.json.decode(e) for e in payments(EVENTS, 300)])]
        for engine in (many, follower):
            found = engine.decide_many([msgspec.json.decode(event) for event in payments(EVENTS, 300)])
            assert [decision.features for decision in found] == expected
            assert engine.pipeline.state.digest() == one.pipeline.state.digest()
    with (
        Engine(detector, data=tmp_path / "many", **arrivals) as again,
        Engine(detector, data=tmp_path / "one", **arrivals) as one,
    ):
        assert again.pipeline.state.digest() == one.pipeline.state.digest()


def test_labels_of_a_batch_are_one_record_and_read_each_record_once(tmp_path, monkeypatch) -> None:
    """Thousands of labels a second are not thousands of reads and writes."""
    with Engine(detector, data=tmp_path / "data") as engine:
        for first in range(0, EVENTS, 100):
            engine.decide_json(payments(first, 100))
        engine.ledger.flush()
        reads = []
        record_of = engine.ledger.record_of
        monkeypatch.setattr(engine.ledger, "record_of", lambda seq: reads.append(seq) or record_of(seq))
        position = engine.ledger.position
        order = np.random.default_rng(0).permutation(EVENTS).tolist()
        bodies = [b'{"transaction_id":"t%d","fraud":true}' % number for number in order]
        assert not any(isinstance(answer, Refusal) for [answer] in engine.label_store.submit_json(bodies))
        assert engine.ledger.position == position + 1
        assert len(reads) == EVENTS / 100
