"""Hard block, allow, block, review, challenge, then the score, else approve; a failure stands in the score's place."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.decision import Judge, Policy, Thresholds, kernel
from penstock.messages import Action

NAN = float("nan")


@dataclass
class Stub:
    index: int
    action: str
    hard: bool = False


def naive(rules, fired, probability, thresholds, failed, on_failure):
    """The definition, read aloud."""
    for wanted, outcome in (
        ("hard", "BLOCK"),
        ("allow", "APPROVE"),
        ("block", "BLOCK"),
        ("review", "REVIEW"),
        ("challenge", "CHALLENGE"),
    ):
        for position, rule in enumerate(rules):
            kind = "hard" if rule.hard else rule.action
            if kind == wanted and fired[position] == 1.0:
                return outcome, position
    if failed:
        return on_failure.upper(), kernel.BY_FAILURE
    for level, outcome in (
        (thresholds.block_at, "BLOCK"),
        (thresholds.review_at, "REVIEW"),
        (thresholds.challenge_at, "CHALLENGE"),
    ):
        if probability >= level:
            return outcome, kernel.BY_SCORE
    return "APPROVE", kernel.BY_NOTHING


def judge(rules, fired, probability, thresholds=None, failed=False, on_failure="review"):
    policy = Policy(on_failure=on_failure)
    x = np.array([[*fired]], np.float64).reshape(1, len(rules))
    verdicts = Judge(policy, rules, thresholds).decide(x, np.array([[probability]]), np.array([failed]))
    return Action(verdicts.action[0]).name, int(verdicts.by[0])


kinds = st.sampled_from([("allow", False), ("challenge", False), ("review", False), ("block", False), ("block", True)])
results = st.sampled_from([0.0, 1.0, NAN])


@st.composite
def batches(draw):
    rules = [Stub(index, *kind) for index, kind in enumerate(draw(st.lists(kinds, max_size=6)))]
    n = draw(st.integers(1, 5))
    x = np.array([[draw(results) for _ in rules] for _ in range(n)]).reshape(n, len(rules))
    levels = sorted(draw(st.lists(st.floats(0.01, 1) | st.just(float("inf")), min_size=3, max_size=3)))
    thresholds = Thresholds(*levels)
    probability = np.array(draw(st.lists(st.floats(0, 1) | st.just(NAN) | st.sampled_from(levels), min_size=n, max_size=n)))
    failed = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    return rules, x, probability, thresholds, failed, draw(st.sampled_from(["approve", "review", "block"]))


@settings(deadline=None)  # the first example compiles
@given(batches())
def test_every_row_is_decided_as_the_definition_says(batch):
    rules, x, probability, thresholds, failed, on_failure = batch
    verdicts = Judge(Policy(on_failure=on_failure), rules, thresholds).decide(x, probability[:, None], failed)
    for row in range(len(x)):
        expected = naive(rules, x[row], probability[row], thresholds, failed[row], on_failure)
        assert (Action(verdicts.action[row]).name, verdicts.by[row]) == expected
        plain = expected == ("APPROVE", kernel.BY_NOTHING) and not any(x[row, rule.index] == 1.0 for rule in rules)
        assert (row in verdicts.unusual) is not plain


@pytest.mark.parametrize(
    ("first", "second", "outcome", "decider"),
    [
        (("allow", False), ("block", True), "BLOCK", 1),
        (("block", False), ("allow", False), "APPROVE", 1),
        (("review", False), ("block", False), "BLOCK", 1),
        (("challenge", False), ("review", False), "REVIEW", 1),
        (("review", False), ("review", False), "REVIEW", 0),
    ],
)
def test_the_stronger_of_two_rules_decides_and_of_equals_the_first(first, second, outcome, decider):
    assert judge([Stub(0, *first), Stub(1, *second)], [1, 1], 0.0) == (outcome, decider)


def test_a_rule_that_cannot_tell_does_not_fire():
    assert judge([Stub(0, "block")], [NAN], 0.0) == ("APPROVE", kernel.BY_NOTHING)


@pytest.mark.parametrize(
    ("probability", "outcome"),
    [
        (0.29, "APPROVE"),
        (0.3, "CHALLENGE"),
        (0.5, "REVIEW"),
        (0.79999, "REVIEW"),
        (0.8, "BLOCK"),
        (1.0, "BLOCK"),
        (NAN, "APPROVE"),
    ],
)
def test_a_score_decides_from_its_threshold_on(probability, outcome):
    assert judge([], [], probability, Thresholds(0.3, 0.5, 0.8))[0] == outcome


@pytest.mark.parametrize("on_failure", ["approve", "review", "block"])
def test_a_failure_is_decided_by_the_policy_unless_a_rule_decides(on_failure):
    assert judge([Stub(0, "allow")], [0], NAN, failed=True, on_failure=on_failure) == (on_failure.upper(), kernel.BY_FAILURE)
    assert judge([Stub(0, "allow")], [1], NAN, failed=True, on_failure=on_failure) == ("APPROVE", 0)
    assert judge([Stub(0, "block")], [1], NAN, failed=True, on_failure=on_failure) == ("BLOCK", 0)


def test_without_thresholds_of_its_own_a_judge_uses_those_declared():
    verdicts = Judge(Policy(review_at=0.5), []).decide(np.empty((2, 0)), np.array([[0.4], [0.6]]))
    assert verdicts.action.tolist() == [Action.APPROVE.value, Action.REVIEW.value]
