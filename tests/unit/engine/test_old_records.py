"""Decisions of an earlier version of a detector read as they were answered, whatever became of the detector."""

from datetime import UTC, datetime

import msgspec

from penstock import Detector, Engine, Entity, Rule, derive
from penstock.ledger import FileLedger
from penstock.offline.recorded_decisions import explain

START = datetime(2026, 1, 5, 10, tzinfo=UTC)


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    amount: float
    country: str | None = None


class Later(Payment):
    channel: str | None = None


customer = Entity("customer_id")
FIXED = {"id": "transaction_id", "time": "timestamp"}


def of_then() -> Detector:
    return Detector(
        "shop",
        event=Payment,
        **FIXED,
        features=[
            customer.count("1h"),
            customer.last("country"),
            derive("first_seen", "timestamp"),
            derive("large", "amount > 100"),
            customer.count("1d", where="amount < 5").named("small"),
        ],
        rules=[Rule("large_one", "large", then="block", reason="{amount} from {customer_last_country}")],
    )


def of_now() -> Detector:
    """Other features in another order, one of the same name with another meaning, another rule of the same name."""
    return Detector(
        "shop",
        event=Later,
        **FIXED,
        features=[customer.max("amount", "7d"), derive("large", "amount * 2"), customer.count("1h")],
        rules=[Rule("large_one", "amount > 1", then="review"), Rule("other", "amount > 2", then="block")],
    )


def payment(k: int, **fields) -> bytes:
    return msgspec.json.encode(
        {"transaction_id": f"t{k}", "timestamp": START, "customer_id": "c", "amount": 90.0 * k, "country": "DE", **fields}
    )


def test_old_decisions_read_as_they_were_answered(tmp_path) -> None:
    """By id, in the list, sent again, and where the folder is only shown."""
    with Engine(of_then(), data=tmp_path) as engine:
        answers = engine.decide_json([payment(k) for k in range(3)])
        assert msgspec.json.decode(answers[2])["features"]["customer_last_country"] == "DE"
    with Engine(of_now(), data=tmp_path) as engine:
        assert [engine.queries.transaction(f"t{k}") for k in range(3)] == answers
        fresh = engine.decide_json([payment(3), payment(1)])
        engine.ledger.flush()
        assert fresh[1] == answers[1]
        assert set(msgspec.json.decode(fresh[0])["features"]) == {"customer_max_amount_7d", "large", "customer_count_1h"}
        assert engine.history.transactions()[0] == [fresh[0], *reversed(answers)]
    for detector in (of_then(), of_now()):
        with FileLedger(tmp_path / "ledger", read_only=True) as ledger:
            assert [explain(detector, ledger, f"t{k}") for k in range(4)] == [*answers, fresh[0]]


def test_a_field_that_came_later_is_no_conflict(tmp_path) -> None:
    """What the event did not say then, it says now."""
    with Engine(of_then(), data=tmp_path) as engine:
        [answer] = engine.decide_json([payment(1)])
    with Engine(of_now(), data=tmp_path) as engine:
        assert engine.decide_json([payment(1)]) == [answer]
        assert b'"conflict":true' in engine.decide_json([payment(1, channel="web")])[0]
