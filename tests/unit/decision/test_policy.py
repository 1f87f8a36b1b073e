"""A policy is checked when it is declared; what it leaves open is filled in by the model bundle."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.decision import Policy, Thresholds
from penstock.errors import DeclarationError

NEVER = math.inf
probabilities = st.none() | st.floats(0, 1, exclude_min=True)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"review_at": 0}, "review_at=0 is no probability"),
        ({"review_at": 1.01}, "give a number above 0 and at most 1"),
        ({"review_at": math.nan}, "is no probability"),
        ({"block_at": True}, "block_at=True is no probability"),
        ({"block_at": "0.8"}, "block_at='0.8' is no probability"),
        ({"review_at": 0.8, "block_at": 0.5}, "review_at=0.8 lies above block_at=0.5"),
        ({"challenge_at": 0.8, "block_at": 0.5}, "order them challenge <= review <= block"),
        ({"on_failure": "aprove"}, "Did you mean approve?"),
        ({"on_failure": "challenge"}, "on_failure='challenge' is not understood"),
        ({"time_budget_ms": 0}, "must be above 0"),
        ({"time_budget_ms": "5ms"}, "must be above 0"),
        ({"time_budget_ms": math.inf}, "left out for no limit"),
    ],
)
def test_a_policy_that_cannot_work_is_refused(arguments, complaint):
    with pytest.raises(DeclarationError, match="policy: ") as refusal:
        Policy(**arguments)
    assert complaint in str(refusal.value)


def test_declared_thresholds_win_over_those_of_the_bundle():
    policy = Policy(challenge_at=0.3, review_at=0.5, block_at=0.8)
    assert policy.thresholds({"review_at": 0.1, "block_at": 0.2}) == Thresholds(0.3, 0.5, 0.8)


def test_omitted_thresholds_are_those_of_the_bundle():
    assert Policy().thresholds({"review_at": 0.1, "block_at": 0.2}) == Thresholds(NEVER, 0.1, 0.2)
    assert Policy(review_at=0.15).thresholds({"review_at": 0.1, "block_at": 0.2}) == Thresholds(NEVER, 0.15, 0.2)


def test_without_declaration_or_bundle_no_score_decides():
    assert Policy().thresholds({}).lowest == NEVER


@given(st.lists(probabilities, min_size=3, max_size=3), st.lists(st.floats(0.001, 1), min_size=2, max_size=2).map(sorted))
def test_thresholds_in_force_are_in_order_and_keep_what_was_declared(declared, suggested):
    given_ = sorted(value for value in declared if value is not None)
    challenge, review, block = (None if value is None else given_.pop(0) for value in declared)
    policy = Policy(challenge_at=challenge, review_at=review, block_at=block)
    found = policy.thresholds({"review_at": suggested[0], "block_at": suggested[1]})
    assert found.review_at <= found.block_at
    assert challenge is None or found.challenge_at == challenge <= found.review_at
    assert review is None or found.review_at == review
    assert block is None or found.block_at == block


def test_equal_policies_read_the_same_so_that_a_detectors_version_is_stable():
    assert repr(Policy(review_at=0.5)) == repr(Policy(review_at=0.5)) != repr(Policy(review_at=0.6))
