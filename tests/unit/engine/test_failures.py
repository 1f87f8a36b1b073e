"""What holds when a part fails in the middle of a batch: state, log and ids agree, and nothing is counted twice."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from penstock import Detector, Engine, Entity, Label, Policy, Rule, derive

START = datetime(2026, 1, 5, 10, tzinfo=UTC)


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    device_id: str
    amount: float
    is_fraud: bool | None = None


customer, device = Entity("customer_id"), Entity("device_id")


def declared(**options) -> Detector:
    fixed = {
        "event": Payment,
        "id": "transaction_id",
        "time": "timestamp",
        "label": Label("is_fraud", delay="1h"),
        "features": [
            customer.count("1d"),
            customer.label_count("1d"),
            device.count("1d"),
            device.distinct("customer_id", "1d"),
            derive("double", "2 * customer_count_1d"),
        ],
        "rules": [Rule("third", "customer_count_1d >= 3", then="block", reason="{double:.0f} is twice the count")],
        "policy": Policy(review_at=0.5, block_at=0.9, on_failure="review"),
    }
    return Detector("shop", **{**fixed, **options})


def payment(k: int, *, minutes: float = 0, customer_id: str = "c", device_id: str | None = None) -> bytes:
    at = START + timedelta(minutes=minutes)
    return msgspec.json.encode(Payment(f"t{k}", at, customer_id, device_id or f"d{k}", 10.0))


def answers(engine: Engine, *bodies: bytes) -> list[dict]:
    return [msgspec.json.decode(answer) for answer in engine.decide_json(list(bodies))]


def fail(*_args, **_options) -> None:
    raise ArithmeticError("no number")


def test_where_rules_fail_the_policy_decides_and_says_so(monkeypatch) -> None:
    """As where models fail."""
    with Engine(declared()) as engine:
        monkeypatch.setattr(type(engine.pipeline.plan.rules), "run", fail)
        [answer] = answers(engine, payment(1))
    assert (answer["decision"], answer["degraded"]) == ("REVIEW", {"part": "rules", "cause": "ArithmeticError: no number"})


def test_where_a_derived_feature_fails_the_policy_decides_and_rules_still_block(monkeypatch) -> None:
    """The feature is null, and what does not need it is decided as ever."""
    with Engine(declared()) as engine:
        monkeypatch.setattr(engine.pipeline, "derive", fail)
        first, _, third = answers(engine, payment(1), payment(2), payment(3))
    assert first["decision"] == "REVIEW"
    assert first["degraded"] == {"part": "features", "cause": "ArithmeticError: no number"}
    assert first["features"]["double"] is None
    assert third["decision"] == "BLOCK"


def test_events_whose_decision_cannot_be_written_stay_in_the_log(tmp_path, monkeypatch) -> None:
    """State has counted them, so a restart must, and sent again they are not counted a second time."""
    with Engine(declared(), data=tmp_path) as engine:
        with monkeypatch.context() as patched:
            patched.setattr(engine.active.format.renderer, "render", fail)
            with pytest.raises(ArithmeticError):
                engine.decide_json([payment(1)])
        [refused] = engine.decide_json([payment(1)])
        assert refused.status == 409
        assert answers(engine, payment(2))[0]["features"]["customer_count_1d"] == 2
    for snapshot in (tmp_path / "state" / "shop").iterdir():
        snapshot.unlink()
    with Engine(declared(), data=tmp_path) as again:
        assert answers(again, payment(3))[0]["features"]["customer_count_1d"] == 3
