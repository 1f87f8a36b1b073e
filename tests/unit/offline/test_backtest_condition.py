"""A condition over recorded decisions says what really would have happened: another engine, with the rule, is the oracle."""

import math
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest

from penstock import Detector, Engine, Entity, Label, LogisticRegression, Policy, Rule, derive
from penstock.clock import to_us
from penstock.decision.policy import ORDERS
from penstock.errors import DataError, DeclarationError, ExpressionError
from penstock.ledger.archive import Archive
from penstock.models import Ensemble
from penstock.offline.backtest import NotRecorded, backtest
from penstock.offline.backtest.cells import ACTIONS

START = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 12
NOW_US = to_us(START + timedelta(days=DAYS))
DELAY = timedelta(days=4)


class Payment(msgspec.Struct):
    id: str
    time: datetime
    customer: str
    amount: float
    country: str | None = None
    night: bool | None = None
    risk: float | None = None
    fraud: bool | None = None


RULES = [
    Rule("large", "amount > 80", then="block"),
    Rule("stolen", "country = 'XX'", then="block", hard=True),
    Rule("trusted", "customer = 'c1'", then="allow"),
    Rule("frequent", "customer_count_1d >= 4", then="review"),
    Rule("step_up", "risk > 0.95", then="challenge"),
    Rule("known", "customer IN ('c2', 'c3', 'c4')", then="review", override=True),
]


def declared(rules=RULES, features=(), name="small", **policy):
    customer = Entity("customer")
    return Detector(
        name,
        event=Payment,
        id="id",
        time="time",
        label=Label("fraud", delay="4d"),
        features=[customer.count("1d"), derive("doubled", "amount * 2"), *features],
        rules=rules,
        models=[LogisticRegression()],
        policy=Policy(challenge_at=0.7, review_at=0.8, block_at=0.9, **policy),
    )


class Risky(Ensemble):
    """Models that see the amount alone: three of ten payments are challenged, reviewed or blocked by the score."""

    def __init__(self):
        self.names, self.features, self.encodings, self.thresholds = ("m",), ("amount",), {}, {}
        self.fingerprint, self.version, self.base = None, "v1", 0.0

    def fill(self, x, scores):
        scores[:] = np.floor(x[:, :1]) * 7 % 10 / 10

    def usual_values(self):
        return {}

    def contributions(self, x):
        return np.zeros((len(x), 1))


def payments(n=600, seed=1):
    rng = np.random.default_rng(seed)
    at = np.sort(rng.random(n)) * DAYS
    return [
        {
            "id": f"p{i}",
            "time": START + timedelta(days=float(at[i])),
            "customer": f"c{rng.integers(0, 60)}",
            "amount": round(float(rng.exponential(40)), 2),
            "country": [None, "XX", "DE", "FR"][rng.choice(4, p=[0.1, 0.05, 0.5, 0.35])],
            "night": [None, True, False][rng.integers(0, 3)],
            "risk": None if rng.random() < 0.3 else round(float(rng.random()), 3),
        }
        for i in range(n)
    ]


LABELS = {f"p{i}": i % 3 == 0 for i in range(0, 600, 7)}


@pytest.fixture(scope="module", params=ORDERS)
def world(request):
    """What was recorded under an order of the policy: an archive, the events, the decisions, and the order."""
    with recorded(order=request.param) as (archive, events, decided):
        yield archive, events, decided, request.param


@contextmanager
def recorded(**policy):
    events = payments()
    with Engine(declared(**policy), models=Risky()) as engine:
        decided = {d.transaction_id: d for d in engine.decide_many(events)}
        times = {event["id"]: event["time"] for event in events}
        for name, fraud in LABELS.items():
            engine.label(name, fraud=fraud, at=max(START + timedelta(days=DAYS - 1), times[name]))
        engine.ledger.flush()
        with Archive(engine.ledger) as archive:
            yield archive, events, decided


def tried(world, when, **options):
    return backtest(world[0], declared(order=world[3]), when, **{"now_us": NOW_US, "days": None, **options})


ASKS = [
    {"then": "allow"},
    *({"then": then} for then in ("challenge", "review", "block")),
    *({"then": then, "override": True} for then in ("challenge", "review", "block")),
    {"then": "block", "hard": True},
]
CONDITIONS = [
    "amount > 50 AND customer_count_1d >= 2",
    "NOT (risk > 0.5 OR night)",
    "country IN ('DE', 'XX') AND coalesce(risk, 0.9) > 0.6",
    "country IS NULL OR night IS NULL AND amount / risk > 60",
    "doubled > 100 AND hour(time) < 6",
    "amount > 0",
]


@pytest.mark.filterwarnings("ignore::penstock.detector.DetectorWarning")
@pytest.mark.parametrize("asks", ASKS, ids=lambda asks: "-".join(map(str, asks.values())))
@pytest.mark.parametrize("when", CONDITIONS)
def test_figures_are_those_of_an_engine_that_has_the_rule(world, when, asks):
    _, events, before, order = world
    candidate = Rule("candidate", when, **asks)
    with Engine(declared([*RULES, candidate], order=order), models=Risky()) as engine:
        after = {d.transaction_id: d for d in engine.decide_many(events)}
    matched = [i for i, d in after.items() if any(r.name == "candidate" for r in d.explanation.rules)]
    changed = [i for i in after if before[i].decision != after[i].decision]
    found = tried(world, when, **asks)
    less = [i for i in changed if ACTIONS.index(after[i].decision) < ACTIONS.index(before[i].decision)]
    assert (found.lowered, found.lowered_per_day) == (len(less), round(len(less) / DAYS, 2))
    assert (found.then, found.hard, found.override) == (candidate.then, candidate.hard, candidate.override)
    if order == "severest" and asks in ({"then": "challenge"}, {"then": "review"}, {"then": "block"}):
        assert not less, "a rule that does not say so lowers nothing"
    assert (found.read, found.matched, found.changed) == (600, len(matched), len(changed))
    assert {k: v for k, v in found.decisions.items() if v} == Counter(before[i].decision for i in matched)
    assert found.truth_changed == truth(changed, events, before)
    assert found.truth == truth(matched, events, before)
    fired = Counter(rule.name for i in matched for rule in before[i].explanation.rules)
    assert {each.rule: each.count for each in found.caught_by} == fired
    assert found.new == sum(not before[i].explanation.rules for i in matched)
    more = Counter(after[i].decision for i in after)
    more.subtract(Counter(d.decision for d in before.values()))
    assert found.per_day == {a: round(more[a] / DAYS, 2) for a in ("APPROVE", "CHALLENGE", "REVIEW", "BLOCK")}
    assert math.isclose(found.money.loss_caught, stopped(after, before, events, lambda k: k == "fraud"), abs_tol=0.01)
    assert math.isclose(
        found.money.good_stopped, stopped(after, before, events, lambda k: k in ("good", "unobjected")), abs_tol=0.01
    )
    for attribute in ("read", "matched", "changed"):
        assert sum(getattr(day, attribute) for day in found.by_day) == getattr(found, attribute)
    assert {e.transaction_id for e in found.examples} <= set(matched)
    assert all(before[e.transaction_id].decision == e.decision for e in found.examples)
    assert all(after[e.transaction_id].decision == e.then for e in found.examples)


@pytest.mark.filterwarnings("ignore::penstock.detector.DetectorWarning")
def test_what_is_let_through_by_a_control_share_stays_so_unless_it_is_no_block_any_more():
    with recorded(control_share=0.2, control_salt="s") as (archive, events, before):
        let_through = [i for i, d in before.items() if d.explanation.decision_reason == "control_share"]
        assert len(let_through) > 5
        for asks in ({"then": "review"}, {"then": "review", "override": True}, {"then": "allow"}):
            detector = declared([*RULES, Rule("candidate", "amount > 0", **asks)], control_share=0.2, control_salt="s")
            with Engine(detector, models=Risky()) as engine:
                after = {d.transaction_id: d for d in engine.decide_many(events)}
            found = backtest(archive, declared(control_share=0.2), "amount > 0", now_us=NOW_US, days=None, **asks)
            assert found.changed == sum(before[i].decision != after[i].decision for i in after)


def test_a_new_version_of_a_rule_is_tried_in_place_of_the_old_one(world):
    asks = {"then": "block", "override": True, "leaving_out": "trusted"}
    found = tried(world, "customer = 'c1'", **asks)
    assert found.decisions["APPROVE"] == found.changed > 0


def kind(event, before):
    """What is known of one event, said plainly."""
    if event["id"] in LABELS:
        return "fraud" if LABELS[event["id"]] else "good"
    if event["time"] > START + timedelta(days=DAYS) - DELAY:
        return "young"
    return "unobjected" if before[event["id"]].decision == "APPROVE" else "untold"


def truth(ids, events, before):
    counts = Counter(kind(event, before) for event in events if event["id"] in set(ids))
    from penstock.offline.backtest import Truth

    return Truth(**counts)


def stopped(after, before, events, wanted):
    return sum(
        event["amount"] * ((after[event["id"]].decision != "APPROVE") - (before[event["id"]].decision != "APPROVE"))
        for event in events
        if wanted(kind(event, before))
    )


def test_only_the_days_asked_for_are_read(world):
    events = world[1]
    found = tried(world, "amount > 0", days=3)
    newest = events[-1]["time"].date()
    assert (found.until, found.days) == (newest, 3)
    assert found.read == sum(event["time"].date() > newest - timedelta(days=3) for event in events)
    assert [day.date for day in found.by_day] == [newest - timedelta(days=k) for k in (2, 1, 0)]
    assert all(day.young for day in found.by_day)


def test_labels_that_are_not_known_yet_do_not_count(world):
    found = tried(world, "amount > 0", now_us=to_us(START + timedelta(days=DAYS - 2)))
    assert (found.truth.fraud, found.truth.good, found.truth.unobjected) == (0, 0, 0)
    assert any("labelled" in note for note in found.notes)


def test_a_saved_rule_is_not_among_those_that_caught_it(world):
    assert "large" in {each.rule for each in tried(world, "amount > 80").caught_by}
    assert "large" not in {each.rule for each in tried(world, "amount > 80", leaving_out="large").caught_by}


def test_the_result_is_json_and_reads_back(world):
    found = tried(world, "amount > 90")
    assert msgspec.json.decode(msgspec.json.encode(found), type=type(found)) == found


def test_a_condition_that_matches_nothing_is_answered(world):
    found = tried(world, "amount > 1000000")
    assert (found.matched, found.changed, found.examples) == (0, 0, [])
    assert found.read == 600


@pytest.mark.parametrize(
    ("when", "options", "error", "message"),
    [
        ("amuont > 1", {}, ExpressionError, "amuont.*Did you mean amount"),
        ("amount", {}, ExpressionError, "condition"),
        ("amount > 1", {"then": "stop"}, DeclarationError, "stop"),
        ("amount > 1", {"days": 0}, DeclarationError, "at least 1"),
    ],
)
def test_what_cannot_be_asked_is_refused(world, when, options, error, message):
    with pytest.raises(error, match=message):
        tried(world, when, **options)


def test_a_feature_that_was_not_recorded_is_named(world):
    newer = declared(features=[Entity("customer").sum("amount", "2d").named("spent")])
    with pytest.raises(NotRecorded, match="spent") as refused:
        backtest(world[0], newer, "spent > 100", now_us=NOW_US)
    assert refused.value.names == ("spent",)


def test_a_detector_that_has_decided_nothing_is_refused(world):
    with pytest.raises(DataError, match="other"):
        backtest(world[0], declared(name="other"), "amount > 1", now_us=NOW_US)
