"""The figures of an evaluation, compared with scikit-learn's and with definitions written out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from penstock.offline.metrics import (
    NAMES,
    average_precision,
    card_precision_at,
    evaluate,
    expected_calibration_error,
    recall_at_fpr,
    roc_auc,
)


@st.composite
def ranked(draw):
    """Scores with many ties, and truths of both classes."""
    n = draw(st.integers(2, 60))
    levels = draw(st.integers(1, 20))
    scores = np.array(draw(st.lists(st.integers(0, levels), min_size=n, max_size=n))) / levels
    fraud = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    fraud[:2] = [True, False]
    return scores, fraud


@given(ranked())
@settings(max_examples=150, deadline=None)
def test_ranking_figures_equal_scikit_learns(case):
    scores, fraud = case
    assert roc_auc(scores, fraud) == pytest.approx(roc_auc_score(fraud, scores))
    assert average_precision(scores, fraud) == pytest.approx(average_precision_score(fraud, scores))
    alarms, caught, _ = roc_curve(fraud, scores, drop_intermediate=False)
    for rate in (0.001, 0.01, 0.3):
        assert recall_at_fpr(scores, fraud, rate) == pytest.approx(caught[alarms <= rate].max())


def test_calibration_error_is_zero_where_three_in_ten_means_three_in_ten():
    scores = np.full(10, 0.3)
    fraud = np.array([True] * 3 + [False] * 7)
    assert expected_calibration_error(scores, fraud) == pytest.approx(0.0)
    assert expected_calibration_error(scores, ~fraud) == pytest.approx(0.4)


def test_a_score_of_one_falls_into_the_last_bin():
    assert expected_calibration_error(np.array([1.0, 0.0]), np.array([True, False])) == 0.0


def test_card_precision_counts_each_card_once_a_day_and_forgets_those_that_were_caught():
    scores = np.array([0.9, 0.8, 0.1, 0.95, 0.7])
    fraud = np.array([True, False, False, True, True])
    day = np.array([1, 1, 1, 2, 2])
    card = np.array(["a", "b", "a", "a", "c"])
    assert card_precision_at(scores, fraud, day, card, 1) == pytest.approx((1 + 1) / 2)  # a on day 1, then c: a is known
    assert card_precision_at(scores, fraud, day, card, 2) == pytest.approx((1 / 2 + 1 / 2) / 2)


def test_without_both_classes_there_is_nothing_to_measure():
    figures = evaluate(np.array([0.5]), np.array([True]), threshold=0.5, day=np.array([0]), card=np.array(["a"]))
    assert figures == dict.fromkeys(NAMES)


def test_precision_and_recall_count_what_reaches_the_threshold():
    figures = evaluate(
        np.array([0.5, 0.5, 0.4, 0.1]),
        np.array([True, False, True, False]),
        threshold=0.5,
        day=np.zeros(4, np.int64),
        card=np.arange(4),
    )
    assert tuple(figures) == NAMES
    assert (figures["precision"], figures["recall"], figures["f1"]) == (0.5, 0.5, 0.5)
