"""What the engine promises: order, idempotency, labels, failure, durability."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import pytest

from penstock import Detector, Engine, Entity, Label, LogisticRegression, Policy, Rule, derive
from penstock.engine import verify
from penstock.errors import BundleError, FolderInUse, LedgerError, MalformedEvent, NotReady
from penstock.ledger import MemoryLedger
from penstock.messages import Refusal
from penstock.models import About, Ensemble, fit_ensemble, save

START = datetime(2026, 1, 5, 10, tzinfo=UTC)


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str | None
    amount: float
    country: str | None = None
    is_fraud: bool | None = None


class Decline(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str


customer = Entity("customer_id")


def declared(**options: Any) -> Detector:
    fixed: dict[str, Any] = {
        "event": Payment,
        "id": "transaction_id",
        "time": "timestamp",
        "label": Label("is_fraud", delay="1h", sources=("bank", "analyst")),
        "informs": [Decline],
        "features": [
            customer.count("1h"),
            customer.sum("amount", "24h"),
            customer.last("country"),
            customer.label_count("24h"),
            customer.count("1h", of=Decline).named("declines"),
            derive("abroad", "country <> customer_last_country"),
        ],
        "rules": [Rule("fourth", "customer_count_1h >= 4", then="review")],
    }
    return Detector("shop", **{**fixed, **options})


def payment(k: int, minutes: float = 0, customer_id: str | None = "c", amount: float = 10.0, **fields: Any) -> dict[str, Any]:
    at = (START + timedelta(minutes=minutes)).isoformat()
    return {"transaction_id": f"t{k}", "timestamp": at, "customer_id": customer_id, "amount": amount, **fields}


def trained(detector: Detector, seed: int = 0) -> Ensemble:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(400, len(detector.plan.inputs)))
    y = (x[:, 0] + rng.normal(size=400) > 1).astype(float)
    return fit_ensemble(detector.models, x[:200], y[:200], x[200:], y[200:], detector.plan.inputs, seed=seed)


@pytest.fixture
def engine():
    with Engine(declared()) as engine:
        yield engine


# ---------------------------------------------------------------- deciding


def test_events_of_one_batch_see_one_another(engine) -> None:
    """Ten payments at once are decided one after the other."""
    bodies = [msgspec.json.encode(payment(k)) for k in range(10)]
    decisions = [msgspec.json.decode(answer)["decision"] for answer in engine.decide_json(bodies)]
    assert decisions == ["APPROVE"] * 3 + ["REVIEW"] * 7


def test_a_repeated_id_gets_the_first_decision_and_changes_nothing(engine) -> None:
    """Sent again, in a later batch or in the same one."""
    first = engine.decide(payment(1))
    again = engine.decide(payment(1))
    assert again == first
    twice = engine.decide_many([payment(2), payment(2)])
    assert twice[0] == twice[1]
    assert engine.decide(payment(3)).features["customer_count_1h"] == 3
    assert engine.stats()["total"] == 3


def test_a_repeated_id_with_other_content_says_so(engine) -> None:
    """`conflict` is true, and the decision is still the first."""
    first = engine.decide(payment(1, amount=10.0))
    other = engine.decide(payment(1, amount=99.0))
    assert other.conflict is True
    assert other.features == first.features
    assert engine.metrics["conflicts"] == 1


def test_a_dry_run_changes_and_records_nothing(engine) -> None:
    """The next event does not see it, and nobody finds it."""
    assert engine.decide(payment(1), dry_run=True).features["customer_count_1h"] == 1
    assert engine.decide(payment(2)).features["customer_count_1h"] == 1
    assert engine.queries.transaction("t1") is None
    assert engine.stats()["total"] == 1


def test_malformed_events_are_refused_in_their_place_and_quarantined() -> None:
    """The others of the batch are decided."""
    ledger = MemoryLedger()
    engine = Engine(declared(), ledger=ledger)
    bodies = [msgspec.json.encode(payment(1)), b'{"transaction_id": "t2"}', b"no json", msgspec.json.encode(payment(3))]
    answers = engine.decide_json(bodies)
    assert [isinstance(answer, Refusal) for answer in answers] == [False, True, True, False]
    engine.close()
    assert ledger.tables.quarantine_count("shop") == 2


def test_a_null_key_gives_null_features_and_blocks_nobody(engine) -> None:
    """Rules over them do not fire."""
    decision = engine.decide(payment(1, customer_id=None))
    assert decision.decision == "APPROVE"
    assert decision.features["customer_count_1h"] is None


def test_a_batch_that_cannot_be_decided_is_not_remembered() -> None:
    """Its ids are free again."""
    ledger = MemoryLedger()
    with Engine(declared(), ledger=ledger) as engine:
        ledger.trouble = LedgerError("no disk")
        with pytest.raises(LedgerError, match="no disk"):
            engine.decide(payment(1))
        ledger.trouble = None
        assert engine.decide(payment(1)).features["customer_count_1h"] == 1


def test_text_features_come_back_as_texts(engine) -> None:
    """`last` of a text is the text, and compares as one."""
    engine.decide(payment(1, country="DE"))
    decision = engine.decide(payment(2, country="FR"))
    assert decision.features["customer_last_country"] == "DE"
    assert decision.features["abroad"] is True


# ---------------------------------------------------------------- informing events and labels


def test_informing_events_change_state_and_get_no_decision(engine) -> None:
    """A decline counts as a decline, not as a payment."""
    engine.inform(
        {"type": "Decline", **{k: v for k, v in payment(1).items() if k in ("transaction_id", "timestamp", "customer_id")}}
    )
    decision = engine.decide(payment(2, minutes=1))
    assert decision.features["declines"] == 1
    assert decision.features["customer_count_1h"] == 1
    assert engine.stats()["total"] == 1


def test_a_transaction_is_no_informing_event(engine) -> None:
    """It says where such an event belongs."""
    with pytest.raises(MalformedEvent, match="POST /predict"):
        engine.inform(payment(1))


def test_a_label_is_seen_from_the_moment_it_is_known(engine) -> None:
    """Not before, and not by events before it."""
    engine.decide(payment(1))
    engine.label("t1", fraud=True, at=START + timedelta(hours=2))
    assert engine.decide(payment(2, minutes=119)).features["customer_label_count_24h"] == 0
    assert engine.decide(payment(3, minutes=120)).features["customer_label_count_24h"] == 1


def test_a_label_can_be_taken_back_by_a_source_as_trusted(engine) -> None:
    """An analyst does not overrule the bank; the bank overrules itself."""
    engine.decide(payment(1))
    engine.label("t1", fraud=True, source="bank")
    engine.label("t1", fraud=False, source="analyst")
    assert engine.decide(payment(2)).features["customer_label_count_24h"] == 1
    engine.label("t1", fraud=False, source="bank")
    assert engine.decide(payment(3)).features["customer_label_count_24h"] == 0


def test_a_label_said_twice_counts_once(engine) -> None:
    """Repeating changes nothing."""
    engine.decide(payment(1))
    engine.label("t1", fraud=True)
    engine.label("t1", fraud=True)
    assert engine.decide(payment(2)).features["customer_label_count_24h"] == 1


@pytest.mark.parametrize("source", [{}, {"source": None}])
def test_a_label_may_name_no_source(engine, source) -> None:
    """Neither may what overrules it."""
    engine.decide(payment(1))
    for fraud in (True, False):
        (answer,) = engine.label_json(msgspec.json.encode({"transaction_id": "t1", "fraud": fraud, **source}))
        assert answer["accepted"]
    assert engine.decide(payment(2)).features["customer_label_count_24h"] == 0


def test_a_label_for_nothing_is_refused(engine) -> None:
    """It names the transaction."""
    with pytest.raises(MalformedEvent, match="'t9'"):
        engine.label("t9", fraud=True)


# ---------------------------------------------------------------- models and failure


def test_declared_models_without_a_bundle_are_an_error() -> None:
    """Never a silent approval; a service waits and is not ready."""
    detector = declared(models=[LogisticRegression()])
    with pytest.raises(BundleError, match="penstock train shop"):
        Engine(detector)
    with Engine(detector, wait_for_models=True) as waiting:
        assert waiting.ready is not None
        with pytest.raises(NotReady):
            waiting.decide(payment(1))
        waiting.use(trained(detector))
        assert waiting.ready is None
        assert waiting.decide(payment(1)).fraud_probability is not None


@pytest.mark.parametrize(("on_failure", "expected"), [("approve", "APPROVE"), ("review", "REVIEW"), ("block", "BLOCK")])
def test_a_failing_model_leaves_the_decision_to_the_policy(on_failure, expected, monkeypatch) -> None:
    """And the decision says that it was degraded, and why."""
    detector = declared(models=[LogisticRegression()], policy=Policy(review_at=0.5, block_at=0.9, on_failure=on_failure))
    with Engine(detector, models=trained(detector)) as engine:

        def fail(_x, _out):
            raise FloatingPointError("no number")

        monkeypatch.setattr(engine.pipeline.ensemble, "fill", fail)
        decision = engine.decide(payment(1))
    assert decision.decision == expected
    assert decision.degraded is not None
    assert decision.degraded.part == "models"
    assert "no number" in decision.degraded.cause
    assert decision.fraud_probability is None


def test_models_that_take_too_long_leave_the_decision_to_the_policy() -> None:
    """A time budget that nobody can keep."""
    detector = declared(models=[LogisticRegression()], policy=Policy(review_at=0.5, block_at=0.9, time_budget_ms=1e-6))
    with Engine(detector, models=trained(detector)) as engine:
        decision = engine.decide(payment(1))
    assert decision.decision == "REVIEW"
    assert "budget" in decision.degraded.cause


def test_models_are_swapped_between_batches(tmp_path) -> None:
    """The next decision is made by the new ones and names them; old decisions read as they were answered."""
    detector = declared(models=[LogisticRegression()])
    about = About(detector.name, "2026-01-01T00:00:00Z", detector.fingerprint(detector.plan.inputs))
    first, second = (save(trained(detector, seed), tmp_path, about) for seed in (0, 1))
    with Engine(detector, models=first) as engine:
        before = engine.decide(payment(1))
        recorded = engine.queries.transaction("t1")
        engine.use(second)
        after = engine.decide(payment(2))
        assert (before.model_version, after.model_version) == (first.version, second.version)
        assert engine.queries.transaction("t1") == recorded


def test_a_model_of_other_features_is_refused() -> None:
    """It names what is missing."""
    detector = declared(models=[LogisticRegression()])
    other = declared(models=[LogisticRegression()], features=[customer.count("2h")], rules=[])
    with pytest.raises(BundleError, match="customer_count_2h"):
        Engine(detector, models=trained(other))


# ---------------------------------------------------------------- durability


def test_a_restart_comes_back_to_the_same_state(tmp_path) -> None:
    """From the snapshot, and from the log alone."""
    with Engine(declared(), data=tmp_path) as engine:
        engine.decide_many([payment(k, minutes=k, country="DE") for k in range(20)])
        engine.label("t3", fraud=True, at=START + timedelta(hours=5))
        digest, stats = engine.pipeline.state.digest(), engine.stats()
    for path in (None, tmp_path / "state" / "shop"):
        for snapshot in path.iterdir() if path else ():
            snapshot.unlink()
        with Engine(declared(), data=tmp_path) as again:
            assert again.pipeline.state.digest() == digest
            assert again.stats()["total"] == stats["total"] == 20
            assert len(again.pipeline.pending) == 1
            repeated = again.decide(payment(7, minutes=7, country="DE"))
            assert repeated.features["customer_count_1h"] == 8


def test_a_second_process_is_refused(tmp_path) -> None:
    """One folder has one owner."""
    with Engine(declared(), data=tmp_path), pytest.raises(FolderInUse):
        Engine(declared(), data=tmp_path)


def test_a_changed_plan_rebuilds_its_state_from_the_log(tmp_path) -> None:
    """A new aggregate sees the events that are still in the log."""
    with Engine(declared(), data=tmp_path) as engine:
        engine.decide_many([payment(k, minutes=k) for k in range(5)])
    changed = declared(features=[customer.count("1h"), customer.max("amount", "7d")])
    with Engine(changed, data=tmp_path) as engine:
        assert any("rebuilt" in note for note in engine.recovery.notes)
        assert engine.decide(payment(9, minutes=6, amount=1.0)).features == {
            "customer_count_1h": 6,
            "customer_max_amount_7d": 10,
        }


def test_a_recorded_decision_is_verified(tmp_path) -> None:
    """Recomputed from the log, labels and all; and a difference is found."""
    with Engine(declared(), data=tmp_path) as engine:
        engine.decide_many([payment(k, minutes=k, country="DE") for k in range(30)])
        engine.label("t3", fraud=True, at=START + timedelta(minutes=35))
        engine.decide(payment(40, minutes=40))
        assert verify(engine.ledger, declared(), "t40", None).identical
        found = engine.ledger.record_of(engine.ledger.next_seq - 1)
        assert found is not None


# ---------------------------------------------------------------- looking


def test_the_features_of_a_key_are_shown_without_an_event(engine) -> None:
    """As they stand, for a key that is known."""
    engine.decide_many([payment(k, minutes=k) for k in range(3)])
    shown = engine.entity("customer", "c")
    assert shown["features"]["customer_count_1h"] == 3
    assert engine.entity("customer", "nobody") is None


def test_decisions_are_listed_newest_first_and_filtered(engine) -> None:
    """By decision, key and time, page by page."""
    engine.decide_many([payment(k, minutes=k, customer_id="c" if k % 2 else "d") for k in range(10)])

    def listed(**filters):
        page, following = engine.history.transactions(**filters)
        return [msgspec.json.decode(item)["transaction_id"] for item in page], following

    page, following = listed(limit=3)
    assert page == ["t9", "t8", "t7"]
    assert listed(limit=3, before=following)[0] == ["t6", "t5", "t4"]
    assert listed(entity="customer", key="d")[0] == ["t8", "t6", "t4", "t2", "t0"]
    assert listed(decision="review")[0] == ["t9", "t8", "t7", "t6"]
    assert listed(rule="fourth")[0] == ["t9", "t8", "t7", "t6"]
    assert listed(rule="fourth", limit=2, entity="customer", key="d")[0] == ["t8", "t6"]
    assert listed(rule="nobody_wrote_it")[0] == []
