"""Hard blocks are beaten by nothing, and run whatever else has failed: a stolen card is stolen while models are down, too."""

import json
from datetime import datetime

import msgspec
import numpy as np
import pytest

from penstock import Detector, Engine, Entity, LogisticRegression, Policy, Rule, derive
from penstock.models import Ensemble
from penstock.rules import KeyShare
from penstock.service.decide.fallback import fallback_decision


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    amount: float


customer = Entity("customer_id")
STOLEN = Rule("stolen", "customer_id IN list('stolen')", then="block", hard=True)
OTHERS = [
    Rule("vip", "amount > 0", then="allow"),
    Rule("large", "amount > 100", then="block"),
    Rule("middling", "amount > 50", then="review"),
    Rule("small", "amount > 10", then="challenge"),
]


def declared(*rules, **policy):
    return Detector(
        "shop",
        event=Payment,
        id="transaction_id",
        time="timestamp",
        features=[customer.count("1d"), derive("double", "customer_count_1d * 2")],
        models=[LogisticRegression()],
        lists={"stolen": ["bad"]},
        rules=[*rules, STOLEN],
        policy=Policy(block_at=0.9, **policy),
    )


class Fixed(Ensemble):
    """Models that give one probability, or fail."""

    def __init__(self, score):
        self.score, self.names, self.features, self.encodings, self.thresholds = score, ("m",), ("amount",), {}, {}
        self.fingerprint, self.version, self.base = None, "v1", 0.0

    def fill(self, x, scores):
        if self.score is None:
            raise ArithmeticError("no number")
        scores[:] = self.score

    def usual_values(self):
        return {}

    def contributions(self, x):
        return np.zeros((len(x), 1))


def decided(detector, customer, amount=5.0, score=0.0, change=None):
    with Engine(detector, models=Fixed(score)) as engine:
        if change is not None:
            change(engine)
        event = {"transaction_id": "1", "timestamp": "2026-01-05T10:00:00Z", "customer_id": customer, "amount": amount}
        return json.loads(engine.decide_json([json.dumps(event).encode()])[0])


ignore = pytest.mark.filterwarnings("ignore::penstock.detector.DetectorWarning")


@ignore
@pytest.mark.parametrize(
    ("customer", "rules", "amount", "score", "decision", "decider"),
    [
        ("bad", OTHERS, 500.0, 0.0, "BLOCK", "stolen"),
        ("good", OTHERS, 500.0, 0.95, "APPROVE", "vip"),
        ("good", OTHERS[1:], 500.0, 0.0, "BLOCK", "large"),
        ("good", OTHERS[1:], 60.0, 0.95, "BLOCK", "ml_probability"),
        ("good", OTHERS[1:], 20.0, 0.95, "BLOCK", "ml_probability"),
        ("good", OTHERS[1:], 60.0, 0.1, "REVIEW", "middling"),
        ("good", OTHERS[1:], 20.0, 0.1, "CHALLENGE", "small"),
        ("good", [Rule("known", "amount > 4", then="review", override=True), *OTHERS[1:]], 500.0, 0.95, "REVIEW", "known"),
        ("good", OTHERS[1:], 5.0, 0.95, "BLOCK", "ml_probability"),
        ("good", OTHERS[1:], 5.0, 0.1, "APPROVE", "normal_behavior"),
    ],
)
def test_hard_block_then_allow_then_override_then_the_severest_of_score_and_rules(
    customer, rules, amount, score, decision, decider
):
    answer = decided(declared(*rules[::-1]), customer, amount, score)
    assert (answer["decision"], answer["explanation"]["decision_reason"]) == (decision, decider)


def failing_rules(engine):
    class Broken:
        def run(self, batch):
            raise ArithmeticError("no number")

    hard, _ = engine.detector.plan.rules.programs
    engine.detector.plan.rules.programs[:] = [hard, Broken()]


def failing_features(engine):
    def fail(_batch):
        raise ArithmeticError("no number")

    engine.pipeline.derive = fail


@ignore
@pytest.mark.parametrize(
    ("why", "options", "score", "change"),
    [
        ("models", {}, None, None),
        ("models", {"time_budget_ms": 1e-6}, 0.0, None),
        ("features", {}, 0.0, failing_features),
        ("rules", {}, 0.0, failing_rules),
    ],
    ids=["the models fail", "the models take too long", "a derived feature fails", "another rule fails"],
)
def test_a_hard_block_runs_when_other_parts_have_failed_and_the_policy_would_approve(why, options, score, change):
    detector = declared(Rule("vip", "amount > 900", then="allow"), on_failure="approve", **options)
    stopped = decided(detector, "bad", 5.0, score, change)
    assert (stopped["decision"], stopped["explanation"]["decision_reason"]) == ("BLOCK", "stolen")
    assert stopped["degraded"]["part"] == why
    let_through = decided(detector, "good", 5.0, score, change)
    assert (let_through["decision"], let_through["degraded"]["part"]) == ("APPROVE", why)


@pytest.mark.parametrize("on_timeout", ["approve", "review", "provisional"])
def test_a_hard_block_is_told_where_a_worker_does_not_answer_in_time(on_timeout):
    body = {"transaction_id": "1", "timestamp": "2026-01-05T10:00:00Z", "customer_id": "bad", "amount": 5.0}
    with Engine(declared(), models=Fixed(0.0)) as engine:
        told = fallback_decision(engine, "1", json.dumps(body).encode(), "too late", on_timeout)
        assert (told.decision, told.degraded.cause) == ("BLOCK", "too late")
        body["customer_id"] = "good"
        told = fallback_decision(engine, "1", json.dumps(body).encode(), "too late", on_timeout)
        assert told.decision == {"review": "REVIEW"}.get(on_timeout, "APPROVE")


def test_a_control_share_lets_no_hard_block_through():
    event = {"timestamp": "2026-01-05T10:00:00Z", "amount": 500.0}
    detector = declared(Rule("large", "amount > 100", then="block"), control_share=0.2)
    with Engine(detector, models=Fixed(0.0)) as engine:
        found = {
            customer: {
                engine.decide({**event, "transaction_id": f"{customer}{k}", "customer_id": customer}).decision
                for k in range(60)
            }
            for customer in ("bad", "good")
        }
    assert found == {"bad": {"BLOCK"}, "good": {"BLOCK", "APPROVE"}}


def test_a_hard_block_that_is_rolled_out_acts_on_its_share_alone():
    tried = Rule("tried", "amount > 1", then="block", hard=True, share=KeyShare("customer_id", 0, 0.0, "tried"))
    assert decided(declared(tried), "good")["decision"] == "APPROVE"
