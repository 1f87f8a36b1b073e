"""Challengers: versions of the models that score the same events beside those that decide."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.decision import Judge
from penstock.decision.judge import Judged as JudgedBy
from penstock.detector import Detector
from penstock.errors import DeclarationError
from penstock.messages import Batch
from penstock.models import Ensemble
from penstock.models.inputs import Inputs
from penstock.rules import KeyShare

MODEL = "model"
"""The name of a model trial, for people; its version identifies it."""

MOST = 4
"""So many challengers are tried beside a champion at the most: every event waits for all of them."""


def model_trial(version: str) -> str:
    """The recorded name of the trial of a version.

    >>> model_trial("3f2a91c07be4")
    'model_3f2a91c07be4'
    """
    return f"{MODEL}_{version}"


@dataclass(frozen=True, slots=True)
class Challenger:
    """A version of the models that is tried. share: the keys that it decides for; None where it only watches."""

    ensemble: Ensemble
    share: KeyShare | None = None

    @property
    def version(self) -> str:
        """The version, as records name it."""
        return self.ensemble.version or "unsaved"

    @property
    def trial(self) -> str:
        """The recorded name of its trial."""
        return model_trial(self.version)


class InTrial(NamedTuple):
    """The challengers to try, the oldest trial first. revision: of the trials."""

    revision: int
    challengers: tuple[Challenger, ...]


NewerTrial = Callable[[int], InTrial | None]
"""Asked in a thread, with the revision in force: what is tried now where that is another, loaded, warm and fitting."""


def check_together(challengers: Sequence[Challenger]) -> None:
    """Challengers that can be tried side by side.

    Raises:
        DeclarationError: they are too many, two of one version, or two that decide.
    """
    versions = [each.version for each in challengers]
    if len(challengers) > MOST:
        raise DeclarationError(f"{len(challengers)} challengers at a time are too many; at most {MOST} can be tried")
    if len(set(versions)) < len(versions):
        raise DeclarationError(f"a version can be tried once at a time, not as in {', '.join(versions)}")
    deciding = [each.version for each in challengers if each.share is not None]
    if len(deciding) > 1:
        raise DeclarationError(f"{' and '.join(deciding)} cannot both decide for a share of the keys; one may, others watch")


@dataclass(slots=True)
class ScoredBatch:
    """A batch that a challenger scored. all: (n, 1 + m); NaN where it failed, and error says why."""

    all: NDArray[np.float64]
    error: str | None
    spent_ns: int


class Contender:
    """A challenger, ready to score and to judge.

    whole: judges as if it decided everything and no rule were tried; judge: as the rules stand.
    """

    def __init__(self, detector: Detector, challenger: Challenger, untried: Sequence[JudgedBy]) -> None:
        ensemble = challenger.ensemble
        self.challenger, self.ensemble, self.share = challenger, ensemble, challenger.share
        self.thresholds = detector.policy.thresholds(ensemble.thresholds)
        self.whole = Judge(detector.policy, untried, self.thresholds)
        self.judge = Judge(detector.policy, list(detector.plan.rules), self.thresholds)
        self._inputs = Inputs(detector.plan.layout, ensemble.features, ensemble.encodings)
        self._keys = None if self.share is None else detector.plan.layout[self.share.of or ""].index

    def score(self, batch: Batch) -> ScoredBatch:
        """Score a batch whose features are there; whatever happens, nobody else notices."""
        started_ns, error = time.perf_counter_ns(), None
        scores = np.empty((len(batch), 1 + len(self.ensemble.names)))
        try:
            self.ensemble.fill(self._inputs.matrix(batch), scores)
        except Exception as failure:  # noqa: BLE001  whatever a challenger does, the champion decides
            scores[:] = np.nan
            error = f"{type(failure).__name__}: {failure}"
        return ScoredBatch(scores, error, time.perf_counter_ns() - started_ns)

    def decides(self, batch: Batch) -> NDArray[np.bool_]:
        """The rows that are its own."""
        if self.share is None:
            return np.zeros(len(batch), np.bool_)
        return self.share.holds(batch.codes[:, self._keys])

    def contributions(self, batch: Batch, rows: NDArray[np.int32]) -> NDArray[np.float64]:
        """How far each input moved its scores of these rows."""
        return self.ensemble.contributions(self._inputs.matrix(batch, rows))
