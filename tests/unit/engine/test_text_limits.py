"""A text that is too long is refused by name before it changes anything; what was recorded with one goes on as it is."""

from datetime import UTC, datetime

import msgspec
import polars as pl
import pytest

from penstock import Detector, Engine, Entity, Rule, derive, replay
from penstock.errors import DataError, MalformedEvent
from penstock.ingest import field
from penstock.ledger.memory import MemoryLedger
from penstock.messages import Refusal


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    amount: float
    note: str | None = None
    is_fraud: bool | None = None


class Login(msgspec.Struct):
    timestamp: datetime
    customer_id: str
    device: str


customer = Entity("customer_id")
LONG = "crypto " * 51_428  # 360 KB


def detector() -> Detector:
    return Detector(
        "shop",
        event=Payment,
        id="transaction_id",
        time="timestamp",
        informs=[Login],
        features=[customer.count("1h"), customer.last("note"), derive("loud", "UPPER(note)")],
        rules=[Rule("exchange", "LOWER(note) LIKE '%crypto%exchange%' OR customer_last_note LIKE '%crypto%'", then="review")],
    )


def payment(k: int, **fields) -> dict:
    return {"transaction_id": f"t{k}", "timestamp": f"2026-01-05T10:00:{k:02}Z", "customer_id": "c", "amount": 3.0, **fields}


def test_what_is_refused_enters_no_state_and_is_in_quarantine_by_name():
    ledger = MemoryLedger()
    with Engine(detector(), ledger=ledger) as engine:
        bodies = [payment(0, note=LONG), payment(1, note="crypto exchange"), {**payment(2), "customer_id": LONG}]
        answers = engine.decide_json([msgspec.json.encode(body) for body in bodies])
        assert [isinstance(answer, Refusal) for answer in answers] == [True, False, True]
        decided = msgspec.json.decode(answers[1])
        assert decided["decision"] == "REVIEW"
        assert decided["features"]["customer_count_1h"] == 1
        [told] = engine.inform_json([msgspec.json.encode({"type": "login", **payment(3), "device": LONG})])
        assert told is not None
        with pytest.raises(MalformedEvent, match=r"note has 359,996 bytes .* at most 8,192"):
            engine.decide(payment(4, note=LONG))
        with pytest.raises(MalformedEvent, match="device has 359,996 bytes"):
            engine.inform(Login(datetime(2026, 1, 5, tzinfo=UTC), "c", LONG))
    kept = ledger.tables.quarantined(limit=10)
    assert sorted((each.field, each.cause.split(";")[0]) for each in kept) == [
        (name, f"{name} has 359,996 bytes of UTF-8 and at most 8,192 are accepted")
        for name in ("customer_id", "device", "note")
    ]


def test_a_label_has_names_of_bounded_length():
    with Engine(detector()) as engine:
        engine.decide(payment(1))
        for name in ("kind", "source", "transaction_id"):
            [told] = engine.label_json(msgspec.json.encode({"transaction_id": "t1", "fraud": True, name: "x" * 201}))
            assert isinstance(told, Refusal)
            assert told.status == 422
            assert told.errors == ((name, f"{name} has 201 characters and at most 200 are accepted; send a shorter one"),)
        with pytest.raises(MalformedEvent, match="source has 10,000 characters"):
            engine.label("t1", fraud=True, source="x" * 10_000)
        engine.label("t1", fraud=True, source="x" * 200, kind="y" * 200)


def test_events_that_were_recorded_with_long_texts_go_on_as_they_are(tmp_path, monkeypatch):
    """Version 0.1 knew no limit."""
    with monkeypatch.context() as before:
        before.setattr(field, "MAX_TEXT_BYTES", 1 << 20)
        with Engine(detector(), data=tmp_path, snapshot_every_s=1e9) as engine:
            answers = engine.decide_json([msgspec.json.encode(payment(k, note=LONG)) for k in (1, 2)])
            engine.label("t1", fraud=True)
            digest = engine.pipeline.state.digest()
    for snapshot in tmp_path.glob("state/**/*"):  # everything is rebuilt from the log
        if snapshot.is_file():
            snapshot.unlink()
    with Engine(detector(), data=tmp_path) as engine:
        assert engine.pipeline.state.digest() == digest
        assert engine.queries.transaction("t2") == answers[1]
        again, fresh = engine.decide_json([msgspec.json.encode(payment(k, note=n)) for k, n in ((2, LONG), (3, "short"))])
        assert isinstance(again, Refusal)
        assert msgspec.json.decode(fresh)["features"]["customer_last_note"] == LONG


def test_a_replay_refuses_the_same_rows():
    rows = [payment(k, note=LONG if k == 1 else "n", timestamp=datetime(2026, 1, 5, 10, 0, k, tzinfo=UTC)) for k in range(3)]
    with pytest.raises(DataError, match="note has 359,996 bytes"):
        replay(detector(), pl.DataFrame(rows))
    with pytest.warns(UserWarning, match="note has 359,996 bytes"):
        found = replay(detector(), pl.DataFrame(rows), max_refused=0.5)
    assert found["transaction_id"].to_list() == ["t0", "t2"]
