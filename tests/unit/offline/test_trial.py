"""Champion and candidate over time, from what was recorded: the same figures as counting by hand."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import pytest

from penstock import Detector, Engine, Entity, Label, LogisticRegression, Policy, Rule
from penstock.clock import to_us
from penstock.engine import Challenger
from penstock.errors import DataError
from penstock.ledger.archive import Archive
from penstock.models import fit_ensemble
from penstock.offline.trial import Question, compare, seen, tried
from penstock.rules import KeyShare
from penstock.testing import SetClock

START = datetime(2026, 1, 5, 10, tzinfo=UTC)
N, LATER = 600, datetime(2026, 2, 1, tzinfo=UTC)


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    amount: float
    is_fraud: bool | None = None


customer = Entity("customer_id")


def declared(**options: Any) -> Detector:
    fixed: dict[str, Any] = {
        "event": Payment,
        "id": "transaction_id",
        "time": "timestamp",
        "label": Label("is_fraud", delay="1d"),
        "features": [customer.count("1h"), customer.sum("amount", "24h")],
        "models": [LogisticRegression()],
        "rules": [
            Rule("large", "amount > 150", then="block"),
            Rule("large_v2", "amount > 80", then="block", share=KeyShare(None, 0, 0, seed="large")),
        ],
        "policy": Policy(review_at=0.5, block_at=0.8),
    }
    return Detector("shop", **{**fixed, **options})


def trained(detector: Detector, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    x = rng.exponential(50, size=(600, len(detector.plan.inputs)))
    y = (x[:, seed] + rng.normal(0, 20, 600) > 60).astype(float)
    found = fit_ensemble(detector.models, x[:400], y[:400], x[400:], y[400:], detector.plan.inputs, seed=seed)
    found.version = f"v{seed}"
    return found


@pytest.fixture(scope="module")
def recorded() -> Any:
    """Two hours of payments beside a challenger and a candidate rule; a third of them is labelled."""
    detector, rng, clock = declared(), np.random.default_rng(0), SetClock(START)
    with Engine(detector, models=trained(detector, 0), clock=clock) as engine:
        engine.challenge(Challenger(trained(detector, 1), KeyShare("customer_id", 0, 40, seed="m")))
        fraud = {}
        for k in range(N):
            at = START + timedelta(seconds=12 * k)
            clock.at(at)
            event = {"transaction_id": f"t{k}", "timestamp": at.isoformat(), "customer_id": f"c{rng.integers(50)}"}
            engine.decide(event | {"amount": round(float(rng.exponential(60)), 2)})
            if k % 3 == 0:
                fraud[f"t{k}"] = bool(rng.random() < 0.3)
        clock.at(LATER - timedelta(days=1))
        for name, value in fraud.items():
            engine.label(name, fraud=value)
        rows = [row for _, record in engine.ledger.read(kinds=["decisions"]) for row in _rows(engine, record)]
        with Archive(engine.ledger) as archive:
            yield detector, archive, rows, fraud


def _rows(engine: Engine, record: Any) -> list[dict[str, Any]]:
    names = ("APPROVE", "CHALLENGE", "REVIEW", "BLOCK")
    would = record.columns["would"]
    amounts = record.columns["x"][:, engine.queries.columns.index("amount")]
    return [
        {
            "id": record.ids[row],
            "hour": record.arrived_us[row] // 3_600_000_000,
            "amount": float(amounts[row]),
            "decision": names[record.columns["action"][row]],
            **dict(zip(("champion", "model", "large_v2"), (names[value] for value in would[row]), strict=True)),
        }
        for row in range(len(record))
    ]


@pytest.mark.parametrize("trial", ["model", "large_v2"])
def test_every_figure_is_what_counting_by_hand_gives(recorded, trial) -> None:
    detector, archive, rows, fraud = recorded
    found = compare(archive, detector, Question(trial), now_us=to_us(LATER))
    assert found.total.events == N
    assert {a: {b: n for b, n in some.items() if n} for a, some in found.total.matrix.items()} == {
        a: dict(Counter(row[trial] for row in rows if row["champion"] == a)) for a in found.total.matrix
    }
    for which, side in (("champion", found.total.champion), (trial, found.total.candidate)):
        assert side.decisions["BLOCK"] == sum(row[which] == "BLOCK" for row in rows)
        stopped = [row for row in rows if row[which] != "APPROVE"]
        good = [row for row in stopped if _good(row, fraud)]
        caught = [row for row in stopped if fraud.get(row["id"])]
        assert (side.precision.part, side.precision.of) == (len(caught), len(caught) + len(good))
        assert (side.recall.part, side.recall.of) == (len(caught), sum(fraud.values()))
        for rate in (side.precision, side.recall):
            assert (rate.value is None) == (rate.of < 30)
            assert rate.value is None or rate.value == rate.part / rate.of
            assert rate.value is None or rate.low < rate.value < rate.high
        assert side.unobjected == sum(row["id"] not in fraud for row in good)
        missed = [row["amount"] for row in rows if fraud.get(row["id"]) and row[which] == "APPROVE"]
        assert side.loss == pytest.approx(sum(missed), abs=0.01)
        assert side.good_stopped == pytest.approx(sum(row["amount"] for row in good), abs=0.01)
    assert [part.events for part in found.parts] == list(Counter(row["hour"] for row in rows).values())
    assert found.loss_caught.value == pytest.approx(found.total.champion.loss - found.total.candidate.loss, abs=0.01)
    assert found.loss_caught.low <= found.loss_caught.value <= found.loss_caught.high


def _good(row: dict[str, Any], fraud: dict[str, bool]) -> bool:
    return fraud.get(row["id"]) is False or (row["id"] not in fraud and row["decision"] == "APPROVE")


def test_a_model_shows_scores_and_times_of_both_and_a_rule_what_its_stage_takes_with_and_without_it(recorded) -> None:
    detector, archive, *_ = recorded
    model = compare(archive, detector, Question(), now_us=to_us(LATER))
    assert (model.candidate, sum(model.total.candidate.scores), sum(model.parts[0].champion.scores)) == ("v1", N, 300)
    assert model.total.champion.latency_ms.p50 <= model.total.champion.latency_ms.p99
    rule = compare(archive, detector, Question("large_v2"), now_us=to_us(LATER))
    assert rule.total.candidate.scores is None
    assert 0 < rule.total.champion.latency_ms.p50 < rule.total.candidate.latency_ms.p50


def test_what_is_recorded_of_trials_is_listed_and_another_is_refused(recorded) -> None:
    detector, archive, *_ = recorded
    assert tried(archive, detector) == ["large_v2", "model_v1"]
    by_name, newest = (compare(archive, detector, Question(trial), now_us=to_us(LATER)) for trial in ("model_v1", "model"))
    assert (by_name.candidate, by_name.total) == ("v1", newest.total)
    with pytest.raises(DataError, match="Did you mean large_v2"):
        compare(archive, detector, Question("large_v3"), now_us=to_us(LATER))
    assert seen(archive, detector, Question("large_v3"), now_us=to_us(LATER)).events == 0


def test_labels_that_are_not_known_yet_are_young_and_count_for_nothing(recorded) -> None:
    detector, archive, *_ = recorded
    found = compare(archive, detector, Question(), now_us=to_us(START + timedelta(hours=3)))
    assert found.total.champion.precision.value is None
    assert any("Nobody has labelled" in note for note in found.notes)
    known = seen(archive, detector, Question(), now_us=to_us(LATER))
    assert known.stopped[1] == found_of(recorded).total.candidate.precision.of


def found_of(recorded: Any) -> Any:
    return compare(recorded[1], recorded[0], Question(), now_us=to_us(LATER))


def test_the_control_share_tells_the_precision_of_blocks_that_nobody_else_can() -> None:
    """Of what is blocked 70 % is fraud; labels come for what was let through alone."""
    policy = Policy(control_share=0.1)
    detector = declared(models=[], rules=[Rule("large", "amount > 50", then="block")], policy=policy)
    rng, clock = np.random.default_rng(3), SetClock(START)
    with Engine(detector, clock=clock) as engine:
        fraud = {f"t{k}": bool(rng.random() < 0.7) for k in range(6000)}
        events = [
            {"transaction_id": name, "timestamp": START.isoformat(), "customer_id": "c", "amount": 100.0} for name in fraud
        ]
        decided = engine.decide_many(events)
        clock.at(LATER - timedelta(days=2))
        for decision in decided:
            if decision.decision == "APPROVE" and fraud[decision.transaction_id]:
                engine.label(decision.transaction_id, fraud=True)
        with Archive(engine.ledger) as archive:
            from penstock.offline.trial import blocks

            found = blocks(archive, detector, now_us=to_us(LATER))
    assert (found.blocked + found.let_through, found.known) == (6000, found.let_through)
    truth = sum(fraud.values()) / 6000
    assert found.precision.low < truth < found.precision.high
    good = 100.0 * sum(not fraud[each.transaction_id] for each in decided if each.decision == "BLOCK")
    assert found.good_stopped == pytest.approx(good, rel=0.15)
