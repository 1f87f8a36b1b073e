"""The weighted sum of calibrated members, and contributions that add up to it."""

import numpy as np
import pytest
from tests.unit.models.conftest import FEATURES, make_rows

from penstock.errors import DataError, DeclarationError
from penstock.models import LogisticRegression, XGBoost, fit_ensemble


def log_odds(p):
    return np.log(p) - np.log1p(-p)


def test_the_score_is_the_weighted_sum_of_the_members_probabilities(ensemble):
    x, _ = make_rows(500, seed=3)
    scores = ensemble.score(x)
    assert ensemble.names == ("logistic_regression", "xgboost")
    assert np.allclose(scores.ensemble, 0.75 * scores.members[:, 0] + 0.25 * scores.members[:, 1], atol=1e-15)
    assert scores.raw.shape == scores.members.shape == (500, 2)


def test_weights_are_shares_of_their_sum():
    x, y = make_rows(400)
    ensemble = fit_ensemble([LogisticRegression(weight=3), XGBoost(weight=1, trees=3)], x, y, x, y, FEATURES)
    assert ensemble.weights.tolist() == [0.75, 0.25]


def test_a_row_scores_alike_alone_among_others_and_in_any_layout(ensemble):
    x, _ = make_rows(67, seed=4)
    whole = ensemble.score(x).ensemble
    assert [ensemble.score(row[None]).ensemble[0] for row in x] == whole.tolist()
    assert np.array_equal(ensemble.score(np.asfortranarray(x)).ensemble, whole)
    frozen = x.copy()
    frozen.flags.writeable = False
    assert np.array_equal(ensemble.score(frozen).ensemble, whole)
    assert ensemble.score(x[:0]).ensemble.shape == (0,)


def test_contributions_add_up_to_the_log_odds_of_score_over_base(ensemble):
    x, _ = make_rows(2000, seed=5)
    found = ensemble.contributions(x)
    assert np.allclose(found.sum(axis=1) + ensemble.base, log_odds(ensemble.score(x).ensemble), atol=1e-9)
    assert np.isfinite(found).all()


def test_contributions_keep_the_direction_the_members_agree_on(ensemble):
    x, _ = make_rows(2000, seed=6)
    linear, trees = ensemble.member_contributions(x)
    agree = np.sign(linear) == np.sign(trees)
    assert agree.mean() > 0.5
    assert (np.sign(ensemble.contributions(x))[agree] == np.sign(linear)[agree]).all()


def test_members_contributions_add_up_to_their_raw_outputs(ensemble):
    x, _ = make_rows(500, seed=7)
    raw = ensemble.score(x).raw
    for column, (part, found) in enumerate(zip(ensemble.parts, ensemble.member_contributions(x), strict=True)):
        assert np.allclose(found.sum(axis=1) + part.member.base, raw[:, column], atol=1e-5)


def test_a_single_member_keeps_its_contributions_up_to_one_factor():
    x, y = make_rows(2000)
    ensemble = fit_ensemble([XGBoost(trees=20)], x, y, x, y, FEATURES)
    combined, own = ensemble.contributions(x), ensemble.member_contributions(x)[0]
    factor = combined.sum(axis=1) / own.sum(axis=1)
    assert np.allclose(combined, own * factor[:, None], atol=1e-9)


def test_what_is_usual_is_the_median_and_unknown_stays_unknown():
    x, y = make_rows(400)
    x[:, 3] = np.nan
    ensemble = fit_ensemble([LogisticRegression()], x, y, x, y, FEATURES)
    assert ensemble.usual[0] == np.nanmedian(x[:, 0])
    assert np.isnan(ensemble.usual[3])


def test_few_frauds_are_said_aloud(ensemble):
    x, y = make_rows(400)
    assert ensemble.notes == ()
    notes = fit_ensemble([LogisticRegression()], x, y, x[:20], np.zeros(20), FEATURES).notes
    assert any("0 frauds" in note for note in notes)
    assert any("one class only" in note for note in notes)


def test_rows_of_another_width_are_refused_with_both_numbers(ensemble):
    with pytest.raises(DataError, match=r"shape \(2, 5\).* 6 features"):
        ensemble.score(np.zeros((2, 5)))


def test_an_ensemble_needs_models_of_different_names():
    x, y = make_rows(100)
    with pytest.raises(DeclarationError, match="at least one model"):
        fit_ensemble([], x, y, x, y, FEATURES)
    with pytest.raises(DeclarationError, match="two models are called 'xgboost'"):
        fit_ensemble([XGBoost(), XGBoost()], x, y, x, y, FEATURES)


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: XGBoost(weight=0), "weight 0"),
        (lambda: XGBoost(name="X G"), "model name 'X G'"),
        (lambda: XGBoost(trees=0), "0 trees"),
        (lambda: XGBoost(scale_pos_weight=-1.0), "scale_pos_weight -1.0"),
        (lambda: LogisticRegression(C=0), "C = 0"),
    ],
)
def test_a_model_declared_impossibly_is_refused_with_the_value(declare, message):
    with pytest.raises(DeclarationError, match=message):
        declare()


def test_filling_a_matrix_gives_the_same_bits(ensemble):
    x, _ = make_rows(67, seed=6)
    for rows in (x, x[:1].copy(), x[:0]):
        out = np.empty((len(rows), 3))
        ensemble.fill(rows, out)
        scores = ensemble.score(rows)
        assert np.array_equal(out, np.column_stack([scores.ensemble, scores.members]))
