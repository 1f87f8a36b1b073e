"""What people ask about records: what became of one transaction, what was decided about one key, counts over time."""

from collections import Counter
from datetime import datetime, timedelta
from random import Random

import msgspec
import numpy as np
import pytest

from penstock import Detector, Engine, Entity, Label, Rule
from penstock.clock import SECOND_US, iso, to_us
from penstock.engine import decision_history, recent_decisions
from penstock.engine.statistics.buckets import HOUR_US, MINUTE_US, TimeSeries
from penstock.engine.statistics.totals import Totals
from penstock.messages import Action
from penstock.wiring.detectors import load_detector

START = datetime.fromisoformat("2026-01-05T10:00:00+00:00")


class Transfer(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    kind_type: str
    sender: str
    receiver: str
    user_id: int
    amount: float
    is_fraud: bool | None = None


account = Entity("account", roles={"sent": "sender", "received": "receiver"})
user = Entity("user_id")

transfers = Detector(
    name="transfers",
    event=Transfer,
    id="transaction_id",
    time="timestamp",
    label=Label("is_fraud", delay="1d"),
    features=[account.count("1h", role="sent").named("sent_1h"), user.count("ever").named("user_count")],
    rules=[
        Rule("large", "amount > 900", then="block", reason="{amount} is large"),
        Rule("some", "amount > 800", then="review", reason="{amount} is much"),
    ],
)


class Clock:
    """Tells what a test says."""

    def __init__(self, now_us):
        self.now_us = now_us

    def __call__(self):
        return self.now_us


def event(number, random):
    return {
        "transaction_id": f"t{number}",
        "timestamp": iso(to_us(START + timedelta(seconds=number))),
        "kind_type": random.choice(["CASH", "TRANSFER"]),
        "sender": f"a{random.randrange(6)}",
        "receiver": f"a{random.randrange(6)}",
        "user_id": 12_345_670 + random.randrange(4),
        "amount": float(random.randrange(1000)),
    }


@pytest.fixture
def decided(tmp_path):
    random = Random(7)
    with Engine(transfers, data=tmp_path, clock=Clock(to_us(START + timedelta(hours=1)))) as engine:
        events = [event(number, random) for number in range(300)]
        decisions = []
        while len(decisions) < len(events):
            size = random.choice([1, 1, 3, 40])
            decisions += engine.decide_many(events[len(decisions) : len(decisions) + size])
        yield engine, events, decisions


def test_the_outcome_of_a_transaction_holds_the_facts_of_its_event(decided):
    engine, events, decisions = decided
    blocked = next(n for n, decision in enumerate(decisions) if decision.decision == "BLOCK")
    found, sent = engine.history.outcome(f"t{blocked}"), events[blocked]
    assert (found["decision"], found["processed_at"]) == ("BLOCK", decisions[blocked].decided_at)
    assert (found["amount"], found["type"]) == (sent["amount"], sent["kind_type"])
    assert (found["origin"], found["destination"]) == (sent["sender"], sent["receiver"])
    assert found["reasons"][0]["text"].endswith("is large")
    assert (found["fraud_probability"], found["fraud_score"]) == (None, None), "rules alone give no score"
    assert engine.history.outcome("nobody") is None


@pytest.mark.parametrize("entity", ["account", "user"])
def test_what_was_decided_about_a_key_is_what_a_walk_over_all_decisions_says(decided, entity):
    engine, events, decisions = decided
    keys = ["a0", "a5"] if entity == "account" else ["12345670", "12345673"]
    for key in keys:
        fields = ("sender", "receiver") if entity == "account" else ("user_id",)
        of_key = [n for n, sent in enumerate(events) if key in {str(sent[field]) for field in fields}]
        said = Counter(decisions[n].decision for n in of_key)
        found = engine.history.of_key(entity, key)
        assert found["decisions"] | {"first_seen": 0, "last_seen": 0} == {
            "total": len(of_key),
            **{action.name.lower(): said[action.name] for action in Action},
            "highest_score": None,
            "first_seen": 0,
            "last_seen": 0,
        }
        times = [decisions[n].event_time for n in of_key]
        assert (found["decisions"]["first_seen"], found["decisions"]["last_seen"]) == (min(times), max(times))
        recent = [msgspec.json.decode(decision)["transaction_id"] for decision in found["recent"]]
        assert recent == [f"t{n}" for n in of_key[::-1][:20]]
        listed = engine.history.transactions(limit=1000, entity=entity, key=key)[0]
        assert [msgspec.json.decode(decision)["transaction_id"] for decision in listed] == [f"t{n}" for n in of_key[::-1]]
        assert found["counted"] == {"decisions": 300, "since": decisions[0].decided_at, "complete": True}


def test_labels_of_a_key_are_counted(decided):
    engine, events, _ = decided
    mine = [sent["transaction_id"] for sent in events if sent["user_id"] == 12_345_671]
    engine.label(mine[0], fraud=True, source="bank")
    engine.label(mine[-1], fraud=False)
    labels = engine.history.of_key("user", "12345671")["labels"]
    assert (labels["fraud"], labels["good"]) == (1, 1)
    assert [label["transaction_id"] for label in labels["newest"]] == [mine[-1], mine[0]]
    assert labels["newest"][1]["source"] == "bank"


def test_a_history_that_is_longer_than_what_is_kept_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(recent_decisions, "MOST", 50)
    monkeypatch.setattr(recent_decisions, "_TOGETHER", 4)
    chance = Random(7)
    with Engine(transfers, data=tmp_path) as engine:
        for number in range(100):
            engine.decide(event(number, chance))
        found = engine.history.of_key("user", "12345671")
        assert 50 <= found["counted"]["decisions"] < 60
        assert found["counted"]["complete"] is False


def test_what_was_decided_before_a_restart_comes_back_bit_by_bit(decided):
    engine, _, _ = decided
    before = engine.history.of_key("account", "a0")
    engine.recent_decisions = recent_decisions.RecentDecisions(engine.active, engine.ledger, engine.totals.amount)
    engine.recent_decisions.begin(engine.ledger.next_seq)
    totals = [engine.recent_decisions.window(fill_s=0.0).total]
    while not (window := engine.recent_decisions.window(fill_s=0.001)).complete:
        totals.append(window.total)
    assert totals[0] == 0
    assert totals == sorted(totals)
    assert window.total == 300
    assert engine.history.of_key("account", "a0") == before


def test_a_key_that_cannot_be_has_no_history(decided):
    engine, _, _ = decided
    assert engine.history.of_key("user", "no number")["decisions"]["total"] == 0
    assert engine.history.of_key("user", "nan")["decisions"]["total"] == 0


# ---------------------------------------------------------------- series


def test_series_count_as_a_list_of_everything_would():
    random, series, window = Random(3), TimeSeries(0), []
    now_us = 5_000 * HOUR_US
    for _ in range(2_000):
        now_us += random.randrange(60 * SECOND_US)
        counts, amounts = (
            np.array([random.randrange(3) for _ in Action]),
            np.array([float(random.randrange(9)) for _ in Action]),
        )
        series.add(now_us // MINUTE_US * MINUTE_US, counts, amounts)
        window.append((now_us, counts, amounts))
    found = series.form(now_us)
    for name, length_us, n in (("minutes", MINUTE_US, 60), ("hours", HOUR_US, 24)):
        assert len(found[name]) == n
        for back, one in enumerate(reversed(found[name])):
            start_us = (now_us // length_us - back) * length_us
            within = [(c, a) for at, c, a in window if start_us <= at < start_us + length_us]
            assert one["at"] == iso(start_us)
            assert one["block"] == sum(int(c[Action.BLOCK.value]) for c, _ in within)
            assert one["amount"] == pytest.approx(sum(a.sum() for _, a in within))


def test_a_minute_in_which_nothing_happened_is_there_and_an_hour_ago_is_forgotten():
    series = TimeSeries(0)
    series.add(MINUTE_US, np.array([1, 0, 0, 0]), np.zeros(4))
    assert [one["approve"] for one in series.form(3 * MINUTE_US)["minutes"][-3:]] == [1, 0, 0]
    assert sum(one["approve"] for one in series.form(2 * HOUR_US)["minutes"]) == 0
    assert sum(one["approve"] for one in series.form(2 * HOUR_US)["hours"]) == 1


def test_series_survive_a_restart_with_and_without_a_snapshot(tmp_path):
    random, clock = Random(1), Clock(to_us(START))
    with Engine(transfers, data=tmp_path, clock=clock) as engine:
        for number in range(5):
            engine.decide(event(number, random))
            clock.now_us += 40 * SECOND_US
        before = engine.totals.series()
    assert [one["approve"] + one["block"] + one["review"] for one in before["minutes"][-4:]] == [2, 1, 2, 0]
    clock.now_us += SECOND_US
    with Engine(transfers, data=tmp_path, clock=clock) as engine:
        assert engine.totals.series() == before
    for snapshot in (tmp_path / "state").rglob("*"):
        if snapshot.is_file():
            snapshot.unlink()
    with Engine(transfers, data=tmp_path, clock=clock) as engine:
        assert engine.totals.series()["minutes"] == before["minutes"]
        assert engine.totals.series()["since"] == before["since"] == engine.stats()["since"]


def test_totals_of_an_earlier_version_have_no_series_and_are_restored():
    totals = Totals(None, transfers.plan.layout, Clock(7 * MINUTE_US))
    totals.restore({"actions": [1, 0, 0, 0], "amounts": [0.0] * 4, "since_us": 0})
    assert totals.stats()["since"] == iso(0)
    assert totals.series()["since"] == iso(7 * MINUTE_US)


# ---------------------------------------------------------------- facts


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("banking", {"amount": "amount"}),
        ("card", {"amount": "amount"}),
        ("ecommerce", {"amount": "purchase_value"}),
        ("mobile_money", {"amount": "amount", "type": "type", "origin": "nameOrig", "destination": "nameDest"}),
        ("payments", {"amount": "amount", "type": "transaction_type"}),
    ],
)
def test_the_facts_of_a_payment_are_found_in_every_detector_that_has_them(name, facts):
    assert decision_history.facts_of(load_detector(name)) == facts
