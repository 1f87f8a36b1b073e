"""Deciding with the features and rules of a built-in detector, and a model that has seen next to nothing."""

from collections.abc import Callable

import numpy as np
import pytest

from penstock import Detector, Engine, LogisticRegression
from penstock.codes import text_codes
from penstock.messages import Type
from penstock.models import Encoding, fit_ensemble


@pytest.fixture
def deciding() -> Callable[[Detector], Engine]:
    """An engine in memory whose model approves whatever the rules let pass."""

    def engine(detector: Detector) -> Engine:
        inputs, layout = detector.plan.inputs, detector.plan.layout
        rng = np.random.default_rng(0)
        x, y = rng.random((400, len(inputs))), (np.arange(400) % 40 == 0).astype(np.float64)
        words = ["seen"] * 400
        texts = [name for name in inputs if layout[name].type is Type.TEXT]
        encodings = {name: Encoding.fit(text_codes(words), words, y) for name in texts}
        model = LogisticRegression(name=detector.models[0].name)
        return Engine(detector, models=fit_ensemble([model], x, y, x, y, inputs, encodings=encodings))

    return engine
