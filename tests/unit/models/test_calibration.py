"""Calibrations keep the ranking, stay between 0 and 1, and mean what they say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from penstock.models import calibration, kernels
from penstock.models.calibration import Calibration
from penstock.models.ensemble import _curves
from penstock.models.metrics import ece


def probabilities(calibration, raw):
    members, ensemble = np.empty((1, len(raw))), np.empty(len(raw))
    kernels.calibrate(np.asarray(raw, float)[None], *_curves([calibration]), np.ones(1), members, ensemble)
    assert np.array_equal(members[0], ensemble)
    return ensemble


def sample(n, seed=0, shift=-3.0):
    rng = np.random.default_rng(seed)
    raw = rng.normal(size=n) * 2
    return raw, (rng.random(n) < 1 / (1 + np.exp(-(1.5 * raw + shift)))).astype(float)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 600),
    decimals=st.integers(0, 6),
    shift=st.floats(-8, 8),
    scale=st.floats(1e-3, 1e3),
)
def test_probabilities_rise_with_the_output_and_stay_between_0_and_1(seed, n, decimals, shift, scale):
    raw, y = sample(n, seed, shift)
    raw = np.round(raw, decimals) * scale
    calibration = Calibration.fit(raw, y, prior=0.01)
    found = probabilities(calibration, np.sort(np.concatenate([raw, np.linspace(-20, 20, 101) * scale])))
    assert (found > 0).all()
    assert (found < 1).all()
    assert (np.diff(found) >= 0).all()
    assert (np.diff(calibration.knots) > 0).all()
    assert (np.diff(calibration.levels) > 0).all()


def test_the_highest_outputs_stay_apart():
    raw, y = sample(20_000)
    calibration = Calibration.fit(raw, y, prior=0.01)
    top = raw.max() + np.arange(5.0)
    assert (np.diff(probabilities(calibration, top)) > 0).all()


@pytest.mark.parametrize(("n", "method"), [(20_000, "isotonic"), (300, "platt")])
def test_probabilities_mean_what_they_say_on_rows_not_seen_before(n, method):
    raw, y = sample(n, seed=1)
    calibration = Calibration.fit(3 * raw + 1, y, prior=0.01)
    assert calibration.method == method
    fresh_raw, fresh_y = sample(50_000, seed=2)
    assert ece(probabilities(calibration, 3 * fresh_raw + 1), fresh_y) < (0.006 if method == "isotonic" else 0.03)


def test_a_bend_that_no_straight_line_follows_is_followed():
    rng = np.random.default_rng(3)
    raw = rng.uniform(-4, 4, 40_000)
    truth = np.where(raw < 1, 0.02, 0.7)
    y = (rng.random(len(raw)) < truth).astype(float)
    found = probabilities(Calibration.fit(raw, y, prior=0.01), np.array([-3.0, 0.0, 2.0, 3.5]))
    assert np.allclose(found, [0.02, 0.02, 0.7, 0.7], atol=0.04)


@pytest.mark.parametrize("y", [np.zeros(50), np.zeros(0)])
def test_without_a_fraud_the_average_output_gets_the_base_rate(y):
    raw = np.linspace(-1, 3, len(y))
    calibration = Calibration.fit(raw, y, prior=0.004)
    assert calibration.method == "prior"
    assert probabilities(calibration, [raw.mean() if len(raw) else 0.0]) == pytest.approx(0.004)


def test_one_fraud_among_many_does_not_become_a_certainty():
    raw = np.linspace(0, 1, 500)
    y = (raw == 1).astype(float)
    assert probabilities(Calibration.fit(raw, y, prior=0.002), [1.0]) < 0.7


def test_a_calibration_survives_its_json():
    raw, y = sample(20_000)
    calibration = Calibration.fit(raw, y, prior=0.01)
    again = Calibration.from_json(calibration.to_json())
    assert np.array_equal(probabilities(calibration, raw), probabilities(again, raw))


def test_applied_alone_it_gives_what_an_ensemble_gives(ensemble, rows):
    x, _ = rows(500, seed=9)
    scores = ensemble.score(x)
    for at, part in enumerate(ensemble.parts):
        assert part.calibration.apply(scores.raw[:, at]).tolist() == scores.members[:, at].tolist()


def votes(n, seed):
    """A forest's mean of leaf probabilities: many at exactly 0, and its own idea of how far from 0 the others are."""
    rng = np.random.default_rng(seed)
    truth = 1 / (1 + np.exp(-(rng.normal(size=n) * 2 - 5)))
    p = np.round(truth**0.7, 2)
    return p, (rng.random(n) < truth).astype(float)


@pytest.mark.parametrize("frauds", [5, 40, 90])
def test_few_frauds_far_from_everything_else_get_probabilities_far_from_everything_else(frauds):
    rng = np.random.default_rng(frauds)
    y = (np.arange(4000) < frauds).astype(float)
    raw = np.where(y > 0, 0.4, -0.53) + rng.normal(0, 0.03, 4000)  # a few trees, on classes that were evened out
    raw[rng.integers(0, 4000, 3)] = 0.1
    fitted = Calibration.fit(raw, y, prior=0.01)
    assert fitted.method == "platt"
    slope, level = best_line(raw, y)
    np.testing.assert_allclose([fitted.slopes[0], fitted.levels[0]], [slope, level], rtol=1e-4)
    assert fitted.apply(np.array([0.4]))[0] > 0.8
    assert fitted.apply(np.array([-0.53]))[0] < 0.001


def best_line(raw, y):
    """The line of least log loss to Platt's targets, by another method."""
    frauds = y.sum()
    target = np.where(y > 0, (frauds + 1) / (frauds + 2), 1 / (len(y) - frauds + 2))

    def log_loss(line):
        margins = line[0] * raw + line[1]
        return np.logaddexp(0, margins).sum() - target @ margins

    options = {"xatol": 1e-9, "fatol": 1e-9, "maxiter": 20_000, "maxfev": 20_000}
    return minimize(log_loss, [1.0, 0.0], method="Nelder-Mead", options=options).x


def test_few_frauds_and_probabilities_to_begin_with_give_a_beta_curve_better_than_a_line():
    p, y = votes(1200, seed=0)
    fitted = Calibration.fit(p, y, prior=0.02)
    assert (fitted.method, y.sum() < 100) == ("beta", True)
    assert (np.diff(fitted.knots) > 0).all()
    assert (np.diff(fitted.levels) > 0).all()
    new_p, new_y = votes(40_000, seed=1)
    slope, level = calibration.fit_platt(p, y)
    straight = 1 / (1 + np.exp(-(slope * new_p + level)))
    assert loss(fitted.apply(new_p), new_y) < 0.97 * loss(straight, new_y)


def test_a_beta_curve_rises_even_where_probabilities_point_the_wrong_way():
    p, y = votes(3000, seed=2)
    fitted = Calibration.fit(1 - p, y, prior=0.02)
    assert (np.diff(fitted.levels) >= 0).all()
    assert np.isfinite(fitted.apply(np.array([0.0, 0.5, 1.0]))).all()


def loss(p, y):
    p = np.clip(p, 1e-9, 1 - 1e-9)
    return -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean()
