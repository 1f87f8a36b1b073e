"""Metrics against scikit-learn's, and where they have no answer."""

import numpy as np
import pytest
from sklearn import metrics as reference

from penstock.models import metrics


@pytest.fixture(params=[1, 2, 3])
def scored(request):
    rng = np.random.default_rng(request.param)
    y = (rng.random(2000) < 0.1).astype(float)
    return np.round(np.clip(0.1 * rng.normal(size=2000) + 0.3 + 0.15 * y, 0, 1), request.param), y


def test_ranking_figures_equal_those_of_scikit_learn_ties_included(scored):
    score, y = scored
    assert metrics.roc_auc(score, y) == pytest.approx(reference.roc_auc_score(y, score), abs=1e-12)
    assert metrics.average_precision(score, y) == pytest.approx(reference.average_precision_score(y, score), abs=1e-12)


@pytest.mark.parametrize("fpr", [0.0, 0.001, 0.01, 0.05, 1.0])
def test_recall_at_a_false_positive_rate_is_a_point_of_the_roc_curve(scored, fpr):
    score, y = scored
    rates, recalls, _ = reference.roc_curve(y, score, drop_intermediate=False)
    assert metrics.recall_at_fpr(score, y, fpr) == pytest.approx(recalls[rates <= fpr].max())


def test_precision_recall_and_f1_equal_those_of_scikit_learn(scored):
    score, y = scored
    expected = reference.precision_recall_fscore_support(y, score >= 0.4, average="binary")[:3]
    assert metrics.precision_recall_f1(score, y, 0.4) == pytest.approx(expected)


def test_brier_equals_that_of_scikit_learn(scored):
    score, y = scored
    assert metrics.brier(score, y) == pytest.approx(reference.brier_score_loss(y, score))


def test_calibration_error_is_the_mean_gap_between_claim_and_truth():
    score, y = np.array([0.9, 0.9, 0.1, 0.1]), np.array([1.0, 0.0, 0.0, 0.0])
    assert metrics.ece(score, y) == pytest.approx((2 * 0.4 + 2 * 0.1) / 4)


def test_a_customer_caught_on_one_day_is_not_counted_on_the_next():
    day = np.array([1, 1, 1, 2, 2, 2])
    customer = np.array(["ann", "bob", "eve", "ann", "bob", "eve"])
    score = np.array([0.9, 0.8, 0.1, 0.9, 0.2, 0.7])
    y = np.array([1.0, 0.0, 1.0, 1.0, 0.0, 1.0])
    assert metrics.card_precision_at_k(day, customer, score, y, k=2) == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert metrics.card_precision_at_k(day, customer, score, y, k=1) == pytest.approx((1 + 1) / 2)


def test_a_customer_counts_once_a_day_with_the_highest_score():
    day, customer = np.zeros(4), np.array([1, 1, 2, 3])
    score, y = np.array([0.1, 0.9, 0.8, 0.7]), np.array([1.0, 0.0, 0.0, 1.0])
    assert metrics.card_precision_at_k(day, customer, score, y, k=2) == pytest.approx(1 / 2)


def test_what_the_rows_cannot_say_is_none():
    found = metrics.figures(np.array([0.2, 0.4]), np.zeros(2), threshold=0.5)
    unknown = {name for name, value in found.items() if value is None}
    assert unknown == {*metrics.RANKING, "card_precision_at_100", "value_detection_rate", "precision", "recall", "f1"}


def test_thresholds_keep_the_false_positives_and_the_precision_asked_for():
    rng = np.random.default_rng(0)
    y = (rng.random(50_000) < 0.02).astype(float)
    score = 1 / (1 + np.exp(-(rng.normal(size=len(y)) + 5 * y - 4)))
    found = metrics.choose_thresholds(score, y)
    false_positives = (score[y == 0] >= found["review_at"]).mean()
    assert 0.009 < false_positives <= 0.01
    precision, recall, _ = metrics.precision_recall_f1(score, y, found["block_at"])
    assert precision >= 0.9
    assert recall > 0.3


@pytest.mark.parametrize("y", [np.zeros(100), np.ones(100), np.zeros(0)])
def test_thresholds_fall_back_to_probabilities_taken_at_their_word(y):
    found = metrics.choose_thresholds(np.linspace(0.001, 0.2, len(y)), y, block_precision=0.8)
    assert found["block_at"] >= found["review_at"] > 0
    assert found["block_at"] == 0.8 or y.all()


def test_the_value_detection_rate_counts_money_not_frauds():
    score, y, amount = np.array([0.9, 0.2, 0.8]), np.array([1.0, 1.0, 0.0]), np.array([90.0, 10.0, 5000.0])
    assert metrics.value_detection_rate(score, y, amount, 0.5) == pytest.approx(0.9)
    assert metrics.figures(score, y, threshold=0.5, amount=amount)["value_detection_rate"] == pytest.approx(0.9)
    assert metrics.figures(score, y, threshold=0.5)["value_detection_rate"] is None


def test_intervals_hold_the_figure_itself_and_narrow_with_more_rows(scored):
    score, y = scored
    wide, narrow = metrics.intervals(score[:500], y[:500]), metrics.intervals(score, y)
    for name, figure in (("roc_auc", metrics.roc_auc(score, y)), ("average_precision", metrics.average_precision(score, y))):
        assert narrow[name][0] < figure < narrow[name][1]
        assert narrow[name][1] - narrow[name][0] < wide[name][1] - wide[name][0]


def test_drawing_every_row_once_gives_the_figures_themselves(scored):
    """The weighted sums that intervals are made of, against the figures' own definitions."""
    score, y = scored
    found, flagged = metrics.counts_by_score(score, y)
    expected = [metrics.roc_auc(score, y), metrics.average_precision(score, y)]
    expected += [metrics.recall_at_fpr(score, y, fpr) for fpr in (0.001, 0.01, 0.05)]
    assert metrics.ranking_figures(found, flagged) == pytest.approx(expected, abs=1e-12)


def test_frauds_of_one_card_are_one_chance_and_widen_the_interval():
    rng = np.random.default_rng(0)
    card = np.repeat(np.arange(200), 10)
    y = np.repeat(rng.random(200) < 0.1, 10).astype(float)
    score = np.repeat(rng.normal(size=200), 10) + y
    alone, together = metrics.intervals(score, y), metrics.intervals(score, y, card)
    width = {name: high - low for name, (low, high) in (("rows", alone["roc_auc"]), ("cards", together["roc_auc"]))}
    assert width["cards"] > 2 * width["rows"]


def test_one_class_alone_has_no_intervals():
    assert set(metrics.intervals(np.array([0.1, 0.2]), np.zeros(2)).values()) == {None}
