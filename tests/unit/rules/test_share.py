"""Rules that act on a share of the traffic, or only watch."""

import numpy as np
import pytest

from penstock import Detector, Engine, Entity, Policy, Rule
from penstock.codes import text_codes
from penstock.errors import DeclarationError
from penstock.rules import KeyShare
from penstock.rules.share import bucket
from penstock.testing import ExamplePayment, decide_all

customer = Entity("customer_id")


def detector(*rules):
    features = [customer.count("1h")]
    return Detector(
        "d", event=ExamplePayment, id="transaction_id", time="timestamp", features=features, rules=rules, policy=Policy()
    )


def payments(n, amount=500.0):
    return [
        {"transaction_id": f"t{k}", "timestamp": "2026-01-05T10:00:00Z", "customer_id": f"C{k}", "amount": amount}
        for k in range(n)
    ]


def stored(engine, name):
    """A column of everything an engine has recorded, by the name it has outside."""
    found = []
    for _, record in engine.ledger.read(kinds=("decisions",)):
        names = [field.name for field in engine.ledger.layouts()[record.meta["layout"]]["x"]]
        found += record.columns["x"][:, names.index(name)].tolist() if name in names else [None] * len(record)
    return found


def test_keys_are_spread_evenly_and_stand_where_they_stood():
    codes = text_codes([f"C{k}" for k in range(20_000)])
    part = bucket(codes, "a_rule")
    assert np.histogram(part, 20, (0, 100))[0].min() > 850
    assert np.array_equal(part, bucket(codes, "a_rule"))
    assert abs(np.corrcoef(part, bucket(codes, "another"))[0, 1]) < 0.03
    assert part[:3].round(4).tolist() == [bucket(codes[k : k + 1], "a_rule")[0].round(4) for k in range(3)]


def test_two_shares_that_meet_hold_every_key_once():
    codes = np.append(text_codes([f"C{k}" for k in range(5_000)]), 0)
    ours, theirs = KeyShare("customer_id", 0, 30, seed="x"), KeyShare("customer_id", 30, 100, seed="x")
    assert (ours.holds(codes) ^ theirs.holds(codes)).all()
    assert theirs.holds(codes)[-1]


def test_a_rule_that_only_watches_is_recorded_and_changes_nothing():
    with Engine(detector(Rule("large", "amount > 100", then="block", share=KeyShare()))) as engine:
        assert {decision.decision for decision in engine.decide_many(payments(5))} == {"APPROVE"}
        assert (stored(engine, "rule_large"), stored(engine, "watch_large")) == ([0.0] * 5, [1.0] * 5)


def test_a_rule_acts_on_its_share_of_the_keys_alone():
    share = KeyShare("customer_id", 0, 25, seed="large")
    decisions = decide_all(detector(Rule("large", "amount > 100", then="block", share=share)), payments(2_000))
    blocked = [decision.decision == "BLOCK" for decision in decisions]
    assert blocked == share.holds(text_codes([f"C{k}" for k in range(2_000)])).tolist()
    assert 400 < sum(blocked) < 600


def test_two_versions_of_a_rule_share_the_traffic():
    old = Rule("large", "amount > 1000", then="block", share=KeyShare("customer_id", 10, 100, seed="large"))
    new = Rule("large_2", "amount > 100", then="block", code="large", share=KeyShare("customer_id", 0, 10, seed="large"))
    decisions = decide_all(detector(old, new), payments(3_000))
    assert 200 < sum(decision.decision == "BLOCK" for decision in decisions) < 400
    assert {d.explanation.decision_reason for d in decisions if d.decision == "BLOCK"} == {"large"}


@pytest.mark.parametrize(
    ("share", "message"),
    [
        (("customer_id", 5, 4), "0 <= begin <= end"),
        (("customer_id", -1, 4), "0 <= begin <= end"),
        ((None, 0, 4), "needs a field"),
    ],
)
def test_a_share_that_cannot_be_is_refused(share, message):
    with pytest.raises(DeclarationError, match=message):
        KeyShare(*share)


def test_only_texts_are_shared_out():
    with pytest.raises(DeclarationError, match=r"name a text field or feature\. Known: customer_id"):
        detector(Rule("large", "amount > 100", share=KeyShare("amount", 0, 5)))


def test_rules_change_between_two_batches_and_state_goes_on():
    with Engine(detector(Rule("third", "customer_count_1h >= 3", then="review"))) as engine:
        one = payments(1)[0]
        first = engine.decide(one)
        engine.decide({**one, "transaction_id": "u1"})
        engine.use_rules([Rule("second", "customer_count_1h >= 2", then="block"), Rule("tiny", "amount < 1", then="review")])
        last = engine.decide({**one, "transaction_id": "u2"})
        assert (last.decision, last.features["customer_count_1h"]) == ("BLOCK", 3)
        assert last.versions.rules != first.versions.rules
        assert engine.decide({**one, "transaction_id": "u1"}).decision == "APPROVE"
        assert engine.decide(one) == first
        engine.label("t0", fraud=True)


def test_a_rule_that_cannot_work_changes_nothing():
    with Engine(detector(Rule("third", "customer_count_1h >= 3", then="review"))) as engine:
        before = engine.active.format.versions
        with pytest.raises(DeclarationError, match="Did you mean amount"):
            engine.use_rules([Rule("large", "amuont > 3", then="block")])
        assert engine.active.format.versions == before
        assert engine.decide(payments(1)[0]).decision == "APPROVE"


def test_what_was_decided_under_other_rules_is_the_same_after_a_restart(tmp_path):
    declared = detector(Rule("third", "customer_count_1h >= 3", then="review"))
    with Engine(declared, data=tmp_path) as engine:
        engine.use_rules([Rule("any", "amount > 1", then="block", reason="{amount} is some")])
        decided = engine.decide(payments(1)[0])
        digest = engine.pipeline.state.digest()
    with Engine(declared, data=tmp_path) as engine:
        assert engine.pipeline.state.digest() == digest
        assert engine.decide(payments(1)[0]) == decided


@pytest.mark.parametrize("share", [None, KeyShare("customer_id", 0, 50, seed="large")])
def test_a_rule_does_not_act_on_its_exceptions_and_records_that_it_fired(share):
    rule = Rule("large", "amount > 100", then="block", share=share, unless="customer_id IN list('snoozed')")
    declared = detector().with_rules([rule], {"snoozed": [f"C{k}" for k in range(0, 40, 3)]})
    with Engine(declared) as engine:
        sent = payments(40) + [{**each, "transaction_id": f"s{k}", "amount": 1.0} for k, each in enumerate(payments(40))]
        decided = [decision.decision for decision in engine.decide_many(sent)]
        holds = [True] * 40 if share is None else share.holds(text_codes([f"C{k}" for k in range(40)])).tolist()
        acts = [held and k % 3 != 0 for k, held in enumerate(holds)]
        assert decided == ["BLOCK" if act else "APPROVE" for act in acts] + ["APPROVE"] * 40
        assert stored(engine, "rule_large") == [float(act) for act in acts] + [0.0] * 40
        assert stored(engine, "watch_large") == [1.0] * 40 + [0.0] * 40
