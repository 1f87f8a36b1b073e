"""A hard block, an allow, a rule that overrides, then the severest of score and rules: as the tables of the documents say."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.decision import NO_ACTION, Judge, Policy, Thresholds, kernel
from penstock.decision.policy import ORDERS
from penstock.errors import DeclarationError
from penstock.messages import Action

NAN = float("nan")
SEVERITY = [action.name for action in Action]
TABLES = Path(__file__).parents[3] / "docs/reference/decisions.md"


@dataclass
class Stub:
    index: int
    action: str
    hard: bool = False
    override: bool = False

    @property
    def asks(self):
        return "APPROVE" if self.action == "allow" else self.action.upper()


def severest(outcomes):
    return max(outcomes, key=SEVERITY.index)


def scored(probability, thresholds, failed, on_failure):
    """What is asked for where no rule fires, and by what."""
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


def naive(order, rules, fired, default, by):
    """The definition, read aloud. default, by: what the score or a failure asks for."""
    found = [rule for rule in rules if fired[rule.index] == 1.0]
    for some in (
        [rule for rule in found if rule.hard],
        [rule for rule in found if rule.action == "allow"],
        [rule for rule in found if rule.override],
        [rule for rule in found if order == "rules_first" or SEVERITY.index(rule.asks) >= SEVERITY.index(default)],
    ):
        if some:
            outcome = severest(rule.asks for rule in some)
            return outcome, next(rule.index for rule in some if rule.asks == outcome)
    return default, by


def judge(rules, fired, probability, thresholds=None, failed=False, on_failure="review", order="severest"):
    policy = Policy(on_failure=on_failure, order=order)
    x = np.array([[*fired]], np.float64).reshape(1, len(rules))
    verdicts = Judge(policy, rules, thresholds).decide(x, np.array([[probability]]), np.array([failed]))
    return Action(verdicts.action[0]).name, int(verdicts.by[0])


KINDS = {
    "no rule": None,
    "`challenge`": ("challenge", False, False),
    "`review`": ("review", False, False),
    "`block`": ("block", False, False),
    "`challenge`, override": ("challenge", False, True),
    "`review`, override": ("review", False, True),
    "`block`, override": ("block", False, True),
    "`allow`": ("allow", False, False),
    "`block`, hard": ("block", True, False),
}
"""Every kind of rule, by its name in the documents."""

kinds = st.sampled_from([kind for kind in KINDS.values() if kind] + [("allow", False, True), ("block", True, True)])
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
@given(batches(), st.sampled_from(ORDERS))
def test_every_row_is_decided_as_the_definition_says(batch, order):
    rules, x, probability, thresholds, failed, on_failure = batch
    judge = Judge(Policy(on_failure=on_failure, order=order), rules, thresholds)
    verdicts = judge.decide(x, probability[:, None], failed)
    saying_so = [rule for rule in rules if not rule.hard and (rule.override or rule.action == "allow")]
    assert judge.lowers is (order == "severest" and bool(saying_so))
    assert (verdicts.lowered is None) is not judge.lowers
    for row in range(len(x)):
        default = scored(probability[row], thresholds, failed[row], on_failure)
        given, by = naive(order, rules, x[row], *default)
        assert (Action(verdicts.action[row]).name, verdicts.by[row]) == (given, by)
        fired = [rule for rule in rules if x[row, rule.index] == 1.0]
        assert (row in verdicts.unusual) is not (by == kernel.BY_NOTHING and not fired)
        asked = severest([default[0], *(rule.asks for rule in fired)])
        if judge.lowers:
            lowered = NO_ACTION if asked == given else SEVERITY.index(asked)
            assert verdicts.lowered[row] == lowered
        elif order == "severest":
            assert asked == given


def table(order):
    """The table of an order in the documents: by rule, what is given for each outcome of the score."""
    text = TABLES.read_text("utf-8")
    rows = [line.strip("| \n").split(" | ") for line in text[text.index(f"| `{order}` |") :].split("\n\n")[0].splitlines()]
    assert [cell.upper() for cell in rows[0][1:]] == SEVERITY
    return {name: dict(zip(SEVERITY, outcomes, strict=True)) for name, *outcomes in rows[2:]}


@pytest.mark.parametrize("order", ORDERS)
def test_every_pair_of_score_and_rule_is_decided_as_the_documents_say(order):
    said = table(order)
    assert said.keys() == KINDS.keys()
    levels, probabilities = Thresholds(0.3, 0.5, 0.8), dict(zip(SEVERITY, (0.1, 0.4, 0.6, 0.9), strict=True))
    for (name, kind), asked in product(KINDS.items(), SEVERITY):
        rules = [] if kind is None else [Stub(0, *kind)]
        given, by = judge(rules, [1] * len(rules), probabilities[asked], levels, order=order)
        assert given == said[name][asked], (order, name, asked)
        assert (given, by) == naive(order, rules, [1], *scored(probabilities[asked], levels, False, "review"))
        if asked != "CHALLENGE":  # no policy says challenge where something fails
            on_failure = asked.lower()
            assert judge(rules, [1] * len(rules), NAN, levels, True, on_failure, order)[0] == said[name][asked]


@pytest.mark.parametrize("order", ORDERS)
def test_every_pair_of_rules_is_decided_as_the_definition_says(order):
    found = [kind for kind in KINDS.values() if kind]
    levels = Thresholds(0.3, 0.5, 0.8)
    for first, second, probability in product(found, found, (0.1, 0.4, 0.6, 0.9)):
        rules = [Stub(0, *first), Stub(1, *second)]
        expected = naive(order, rules, [1, 1], *scored(probability, levels, False, "review"))
        assert judge(rules, [1, 1], probability, levels, order=order) == expected, (first, second, probability)


def test_an_order_that_there_is_not_is_refused():
    with pytest.raises(DeclarationError, match=r"order='severe' is not understood; use severest or rules_first.*severest"):
        Policy(order="severe")


@pytest.mark.parametrize(
    ("first", "second", "outcome", "decider"),
    [
        (("allow", False), ("block", True), "BLOCK", 1),
        (("block", False), ("allow", False), "APPROVE", 1),
        (("review", False), ("block", False), "BLOCK", 1),
        (("challenge", False), ("review", False), "REVIEW", 1),
        (("review", False), ("review", False), "REVIEW", 0),
        (("block", False), ("review", False, True), "REVIEW", 1),
        (("review", False, True), ("block", False, True), "BLOCK", 1),
        (("challenge", False, True), ("allow", False), "APPROVE", 1),
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


def test_a_rule_that_asks_for_as_much_as_the_score_decides_and_one_that_asks_for_less_does_not():
    levels = Thresholds(review_at=0.5, block_at=0.8)
    assert judge([Stub(0, "review")], [1], 0.6, levels) == ("REVIEW", 0)
    assert judge([Stub(0, "review")], [1], 0.9, levels) == ("BLOCK", kernel.BY_SCORE)
    assert judge([Stub(0, "review", override=True)], [1], 0.9, levels) == ("REVIEW", 0)
    assert judge([Stub(0, "review")], [1], NAN, levels, failed=True, on_failure="block") == ("BLOCK", kernel.BY_FAILURE)


@pytest.mark.parametrize("on_failure", ["approve", "review", "block"])
def test_a_failure_is_decided_by_the_policy_unless_a_rule_decides(on_failure):
    assert judge([Stub(0, "allow")], [0], NAN, failed=True, on_failure=on_failure) == (on_failure.upper(), kernel.BY_FAILURE)
    assert judge([Stub(0, "allow")], [1], NAN, failed=True, on_failure=on_failure) == ("APPROVE", 0)
    assert judge([Stub(0, "block")], [1], NAN, failed=True, on_failure=on_failure) == ("BLOCK", 0)


def test_without_thresholds_of_its_own_a_judge_uses_those_declared():
    verdicts = Judge(Policy(review_at=0.5), []).decide(np.empty((2, 0)), np.array([[0.4], [0.6]]))
    assert verdicts.action.tolist() == [Action.APPROVE.value, Action.REVIEW.value]
