"""Bundles as MLflow models: `mlflow.pyfunc.load_model("models:/banking@champion").predict(frame)`.

MLflow finds this module by its name in the file `MLmodel` next to a bundle. Nothing is pickled: it loads the bundle's files
and verifies them.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.codes import text_codes
from penstock.errors import DataError, did_you_mean
from penstock.models import Ensemble, load_bundle


class Scorer:
    """Scores rows of features, as a service would after computing them."""

    def __init__(self, ensemble: Ensemble) -> None:
        self._ensemble = ensemble

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> NDArray[np.float64]:  # noqa: ARG002 -- MLflow's signature
        """The fraud probability of each row (n,).

        Args:
            model_input: a frame with a column per feature that the bundle reads; others are not looked at.
            params: none are known.

        Raises:
            DataError: a feature is missing.
        """
        columns = [self._column(model_input, name) for name in self._ensemble.features]
        return self._ensemble.score(np.column_stack(columns)).ensemble

    def _column(self, frame: Any, name: str) -> NDArray[np.float64]:
        if name not in frame:
            raise DataError(f"the models read a feature {name!r} that is missing.{did_you_mean(name, map(str, frame))}")
        encoding = self._ensemble.encodings.get(name)
        if encoding is None:
            return np.asarray(frame[name], np.float64)
        texts = [text if isinstance(text, str) else None for text in frame[name]]
        return encoding.encode(text_codes(texts))


def _load_pyfunc(path: str) -> Scorer:
    """Entry point for MLflow, called with the folder of a bundle."""
    return Scorer(load_bundle(Path(path)))
