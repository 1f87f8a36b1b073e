"""Decisions that are not approvals say why, for people, with the value and what is usual."""

import json
import math

import pytest

from .conftest import FEATURES, make_bench

NAN = math.nan
BENCH = make_bench()
SPIKE = {"timestamp": 1, "amount": 120.0, "amount_ratio": 4.2}
CALM = {"timestamp": 1, "amount": 12.0, "amount_ratio": 1.0, "is_night": False}


def explain(row, score=NAN, bench=BENCH, failed=None, degraded=None, moved=None):
    scores = [[score] * 3]
    record = bench.record([row], scores, failed, degraded, {0: moved} if moved else None)
    (body,) = bench.renderer.render(record)
    said = json.loads(body)
    return said["decision"], said["explanation"]


def test_a_rule_that_decides_gives_its_code_its_sentence_the_value_and_what_is_usual():
    decision, why = explain(SPIKE, 0.1)
    assert (decision, why["decision_reason"]) == ("BLOCK", "amount_spike")
    assert why["reasons"] == [
        {"code": "amount_spike", "text": "120.00 is 4.2 times the usual", "feature": "amount_ratio", "value": 4.2, "usual": 1}
    ]
    assert why["rules"] == [{"name": "spike", "action": "block", "values": {"amount_ratio": 4.2}}]


def test_a_rule_without_a_sentence_says_what_it_read():
    row = {"timestamp": 1, "is_night": True, "city": "Zug", "previous_city": "Thun"}
    decision, why = explain(row)
    assert (decision, why["decision_reason"]) == ("REVIEW", "night_abroad")
    assert (
        why["reasons"][0]["text"] == "is_night AND city <> previous_city: is_night is yes, city is Zug, previous_city is Thun"
    )
    assert why["reasons"][0]["feature"] == "is_night"
    assert (why["reasons"][0]["value"], why["reasons"][0]["usual"]) == (True, False)
    assert why["rules"][0]["values"] == {"is_night": True, "city": "Zug", "previous_city": "Thun"}


def test_an_allow_approves_and_is_listed_without_reasons():
    decision, why = explain({**SPIKE, "city": "Bern"}, 0.95, moved=[1, 2, 3])
    assert (decision, why["decision_reason"]) == ("APPROVE", "known_good")
    assert why["reasons"] == why["contributions"] == []
    assert [hit["name"] for hit in why["rules"]] == ["known_good", "spike"]


def test_the_rule_that_decides_comes_first_and_an_allow_is_no_reason_against():
    decision, why = explain({**SPIKE, "city": "Bern", "is_night": True, "previous_city": "Thun"}, 0.995)
    assert (decision, why["decision_reason"]) == ("BLOCK", "scored")
    assert [reason["code"] for reason in why["reasons"]] == ["scored", "amount_spike", "night_abroad"]


def test_a_score_gives_what_moved_it_most_as_reasons():
    decision, why = explain({**CALM, "amount": 4500.0, "is_night": True}, 0.93, moved=[1.25, -0.5, 2.5])
    assert (decision, why["decision_reason"], why["model_confidence"]) == ("BLOCK", "ml_probability", 0.93)
    assert why["reasons"] == [
        {"code": "is_night", "text": "Is night (typically not)", "feature": "is_night", "value": True, "usual": False},
        {
            "code": "amount",
            "text": "Amount is 4,500 (typically 38.2 overall)",
            "feature": "amount",
            "value": 4500,
            "usual": 38.2,
        },
    ]
    assert why["contributions"] == [
        {"feature": "is_night", "value": 1, "contribution": 2.5},
        {"feature": "amount", "value": 4500, "contribution": 1.25},
        {"feature": "amount_ratio", "value": 1, "contribution": -0.5},
    ]


def test_declared_words_stand_in_for_a_features_name():
    bench = make_bench(words={"amount": "the amount paid"})
    _, why = explain({**CALM, "amount": 99.0}, 0.6, bench, moved=[2.0, 0.0, 0.0])
    assert why["reasons"][0]["text"] == "The amount paid is 99 (typically 38.2 overall)"


def test_what_is_as_usual_is_no_reason_and_the_next_contribution_is():
    _, why = explain({**CALM, "amount": 4500.0}, 0.6, moved=[0.5, 2.0, 0.0])
    assert [reason["text"] for reason in why["reasons"]] == ["Amount is 4,500 (typically 38.2 overall)"]
    assert [each["feature"] for each in why["contributions"]] == ["amount_ratio", "amount"]


@pytest.mark.parametrize(
    ("amount", "said"), [(40.9, False), (29.0, False), (50.8, False), (28.6, True), (51.0, True), (0.0, True)]
)
def test_a_number_is_a_reason_only_where_it_is_a_quarter_away_from_the_usual_one(amount, said):
    _, why = explain({**CALM, "amount": amount}, 0.6, moved=[2.0, 0.0, 0.0])
    assert (why["reasons"][0]["code"] == "amount") == said


def test_where_nothing_stands_out_the_reason_says_so():
    _, why = explain({**CALM, "amount": 40.9}, 0.6, moved=[1.0, 2.0, 0.5])
    text = "the models find fraud 60% likely, so review: many small differences add up, and none of them stands out"
    assert why["reasons"] == [{"code": "ml_probability", "text": text, "feature": None, "value": None, "usual": None}]


def test_contributions_come_with_the_base_that_they_start_from():
    _, why = explain({**CALM, "amount": 4500.0}, 0.93, make_bench(base=-3.25), moved=[1.25, -0.5, 2.5])
    assert why["contribution_base"] == -3.25
    _, without = explain(SPIKE, 0.1, make_bench(base=-3.25))
    assert "contribution_base" not in without


def test_a_missing_value_can_be_a_reason():
    _, why = explain({"timestamp": 1}, 0.6, moved=[0.0, 2.0, 0.0])
    assert why["reasons"][0]["text"] == "Amount ratio is unknown (typically 1 overall)"
    assert why["reasons"][0]["value"] is None
    assert why["contributions"][0]["value"] is None


def test_a_score_that_was_not_explained_still_says_that_the_models_did_it():
    _, why = explain(CALM, 0.6)
    assert why["reasons"] == [
        {
            "code": "ml_probability",
            "text": "the models find fraud 60% likely, so review",
            "feature": None,
            "value": None,
            "usual": None,
        }
    ]


def test_contributions_are_no_reasons_where_the_score_spoke_for_approval():
    _, why = explain(SPIKE, 0.1, moved=[2.0, 1.0, 0.0])
    assert [reason["code"] for reason in why["reasons"]] == ["amount_spike"]
    assert [each["feature"] for each in why["contributions"]] == ["amount", "amount_ratio"]


def test_contributions_add_to_the_reasons_of_rules_where_the_score_is_high_too():
    _, why = explain(SPIKE, 0.9, moved=[2.0, 1.0, -1.0])
    assert [reason["code"] for reason in why["reasons"]] == ["amount_spike", "amount", "amount_ratio"]


@pytest.mark.parametrize(("on_failure", "decision"), [("approve", "APPROVE"), ("review", "REVIEW"), ("block", "BLOCK")])
def test_a_failure_says_what_failed_and_that_the_policy_decided(on_failure, decision):
    bench = make_bench(on_failure=on_failure)
    found, why = explain(CALM, NAN, bench, failed=[True], degraded=["models: took 12 ms of 5"])
    assert (found, why["decision_reason"], why["model_confidence"]) == (decision, "degraded", None)
    said = [reason["text"] for reason in why["reasons"]]
    assert said == ([] if on_failure == "approve" else [f"models failed (took 12 ms of 5), so the policy says {on_failure}"])


def test_a_rule_that_reads_nothing_has_a_reason_all_the_same():
    from penstock.rules import Rule

    bench = make_bench(rules=(Rule("closed", "1 = 1", then="review"),))
    _, why = explain(CALM, 0.1, bench)
    assert why["reasons"] == [{"code": "closed", "text": "1 = 1", "feature": None, "value": None, "usual": None}]


def test_the_features_of_a_blocked_decision_are_shown_like_those_of_an_approved_one():
    record = BENCH.record([SPIKE])
    (body,) = BENCH.renderer.render(record)
    assert tuple(json.loads(body)["features"]) == FEATURES
