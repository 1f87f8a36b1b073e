"""Shares that are left open: taken from validation rows, equal without a reason, and never touching what was declared."""

import numpy as np
import pytest

from penstock.errors import DeclarationError
from penstock.models import LogisticRegression, XGBoost, fit_ensemble, metrics
from penstock.models.fit import choose_weights


@pytest.fixture
def judged():
    """Two members that know half of the truth each, and one that knows nothing."""
    rng = np.random.default_rng(0)
    y = (rng.random(4000) < 0.05).astype(float)
    good, better, nothing = rng.normal(size=4000) + 1.5 * y, rng.normal(size=4000) + 2.0 * y, rng.normal(size=4000)
    return 1 / (1 + np.exp(3 - np.column_stack([good, better, nothing]))), y


def test_declared_weights_come_back_as_they_are(judged):
    assert choose_weights(*judged, [0.3, 2.0, 1.0]) == [0.3, 2.0, 1.0]


def test_open_weights_beat_equal_ones_and_every_member_alone(judged):
    probabilities, y = judged
    shares = np.array(choose_weights(probabilities, y, [None] * 3))
    assert shares.sum() == pytest.approx(1)
    reached = metrics.average_precision(probabilities @ shares, y)
    others = [*np.eye(3), np.full(3, 1 / 3)]
    assert all(reached >= metrics.average_precision(probabilities @ other, y) for other in others)
    assert shares[2] < 0.1 < shares[0] < shares[1]


def test_open_weights_share_what_declared_ones_leave(judged):
    first, second, third = choose_weights(*judged, [None, 0.4, None])
    assert second == 0.4
    assert first + third == pytest.approx(0.6)


def test_without_both_classes_open_weights_are_equal(judged):
    assert choose_weights(judged[0], np.zeros(4000), [None] * 3) == pytest.approx([1 / 3] * 3)


def test_declared_shares_must_leave_something_for_the_open_ones(judged):
    with pytest.raises(DeclarationError, match=r"add up to 1\.2, which leaves nothing"):
        choose_weights(*judged, [0.7, 0.5, None])


def ranked(ensemble, x):
    """The ensemble's probabilities of rows, and those of its trees alone."""
    scores = ensemble.score(x)
    return scores.ensemble, scores.members[:, 1]


def test_an_ensemble_of_undeclared_weights_takes_them_from_the_validation_rows():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3000, 3))
    y = ((np.abs(x[:, 0]) > 1.6) & (rng.random(3000) < 0.5)).astype(float)  # only trees can see this
    models = [LogisticRegression(), XGBoost(trees=20)]
    ensemble = fit_ensemble(models, x[:2000], y[:2000], x[2000:], y[2000:], ["a", "b", "c"])
    together, alone = (metrics.average_precision(scores, y[2000:]) for scores in ranked(ensemble, x[2000:]))
    assert together > alone
    assert ensemble.weights.tolist() != [0.5, 0.5]
    assert (
        fit_ensemble(models, x[:2000], y[:2000], x[2000:], y[2000:], ["a", "b", "c"]).weights.tolist()
        == ensemble.weights.tolist()
    )
