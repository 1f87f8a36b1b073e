"""A forest with random splits is served like any other: equal to its library, missing values included."""

import numpy as np
import pytest

from penstock.models import RandomForest


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_a_forest_of_random_splits_scores_as_its_library_does(missing):
    rng = np.random.default_rng(4)
    x = rng.normal(size=(600, 4))
    y = (x[:, 0] + 0.5 * rng.normal(size=600) > 1).astype(float)
    x[rng.random(x.shape) < missing] = np.nan
    kind = RandomForest(trees=30, splits="random", features=0.6)
    member, library = kind.fit(x, y, list("abcd")), kind.train(x, y)
    assert type(library).__name__ == "ExtraTreesClassifier"
    raw = np.empty(len(x))
    member.fill(x, raw)
    assert raw == pytest.approx(library.predict_proba(x.astype(np.float32))[:, 1], abs=1e-6)
