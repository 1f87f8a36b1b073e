"""Rows and trained members that several of these tests look at."""

import numpy as np
import pytest

from penstock.models import Ensemble, LogisticRegression, XGBoost, fit_ensemble

FEATURES = ("amount", "count_1h", "amount_ratio", "hour", "country_risk", "constant")


def make_rows(n, seed=0, missing=0.05):
    """Payments with a heavy-tailed amount, one constant column, missing values; about one in eight is fraud."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, len(FEATURES)))
    x[:, 0] = np.round(np.exp(3 + 1.5 * x[:, 0]), 2)
    x[:, 1] = rng.poisson(1.5, n)
    x[:, 3] = rng.integers(0, 24, n)
    margin = np.log(x[:, 0]) + x[:, 1] * (x[:, 2] > 0) - (x[:, 3] > 6) + x[:, 4] - 6.5
    y = (rng.random(n) < 1 / (1 + np.exp(-margin))).astype(float)
    x[rng.random(x.shape) < missing] = np.nan
    x[:, 5] = 7.0
    return x, y


@pytest.fixture(scope="session")
def rows():
    return make_rows


@pytest.fixture(scope="session")
def ensemble() -> Ensemble:
    """Logistic regression and XGBoost, three to one, never changed by a test."""
    x, y = make_rows(4000)
    models = [LogisticRegression(weight=0.75), XGBoost(weight=0.25, trees=40, depth=4)]
    return fit_ensemble(models, x[:3000], y[:3000], x[3000:], y[3000:], FEATURES, seed=1)
