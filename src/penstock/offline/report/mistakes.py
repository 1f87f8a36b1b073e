"""The most costly mistakes on the test, decided by models, rules and policy together, with reasons. The recorded events are

replayed once more with the trained models, so these are the answers that a service would have given.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.clock import iso
from penstock.decision.phrases import phrase_of
from penstock.decision.reasons import public, typed
from penstock.detector import Detector
from penstock.ingest.selection import take
from penstock.messages import Action, Batch, Type
from penstock.models import Ensemble
from penstock.models.inputs import Inputs
from penstock.offline.datasets import Recorded
from penstock.offline.replay import Replay, ReplayChunk
from penstock.offline.rows import Rows

MOST = 8
"""Of each kind are shown."""

REASONS = 3
"""Contributions that are said, for and against."""


@dataclass(frozen=True, slots=True)
class Decided:
    """Decisions about the test: counts by decision and outcome, and the most costly mistakes, the worst first.

    missed: frauds that were approved. stopped: good ones that were not. Plain values, as JSON can hold them.
    """

    counts: dict[str, dict[str, int]]
    missed: list[dict[str, Any]]
    stopped: list[dict[str, Any]]


def decided(detector: Detector, ensemble: Ensemble, recorded: Recorded, test: Rows) -> Decided:
    """Replay everything, and evaluate the decisions about the test's rows."""
    find = _Finder(detector, ensemble, test, len(recorded.frame))
    for chunk in Replay(detector, ensemble).chunks(recorded):
        find.look(chunk)
    return Decided(find.counts, _worst(find.missed), _worst(find.stopped))


def _worst(found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(found, key=_cost, reverse=True)[:MOST]


def _cost(mistake: dict[str, Any]) -> float:
    """The amount; without one, the certainty of the models."""
    amount = mistake["amount"]
    return float(amount if amount is not None else abs(mistake["score"] - 0.5))


class _Finder:
    """Collects mistakes, chunk after chunk."""

    def __init__(self, detector: Detector, ensemble: Ensemble, test: Rows, size: int) -> None:
        self._detector, self._ensemble = detector, ensemble
        self._inputs = Inputs(detector.plan.layout, ensemble.features, ensemble.encodings)
        self._place = np.full(size, -1, np.intp)  # in the test, by the row of the recorded frame
        self._place[test.row] = np.arange(len(test))
        self._test = test
        self._usual = ensemble.usual_values()
        self._time = (int(test.time_us.min()), int(test.time_us.max())) if len(test) else (1, 0)
        self.counts = {action.name: {"fraud": 0, "good": 0} for action in Action}
        self.missed: list[dict[str, Any]] = []
        self.stopped: list[dict[str, Any]] = []

    def look(self, chunk: ReplayChunk) -> None:
        """Count the decisions about the test's rows in this chunk, and keep the worst mistakes."""
        batch, judged = chunk.batch, chunk.judged
        assert judged is not None
        first, last = self._time
        rows = np.flatnonzero((batch.time_us >= first) & (batch.time_us <= last) & (batch.kinds == 0))
        places = self._place[chunk.rows[rows]]
        rows, places = rows[places >= 0], places[places >= 0]
        if not len(rows):
            return
        fraud, approved = self._test.fraud[places] == 1.0, judged.verdicts.action[rows] == Action.APPROVE.value
        for action in Action:
            these = judged.verdicts.action[rows] == action.value
            self.counts[action.name]["fraud"] += int((these & fraud).sum())
            self.counts[action.name]["good"] += int((these & ~fraud).sum())
        missed, stopped = fraud & approved, ~fraud & ~approved
        self.missed = _worst([*self.missed, *self._described(chunk, rows[missed], places[missed])])
        self.stopped = _worst([*self.stopped, *self._described(chunk, rows[stopped], places[stopped])])

    def _described(self, chunk: ReplayChunk, rows: NDArray[np.intp], places: NDArray[np.intp]) -> list[dict[str, Any]]:
        """The worst of these rows, in words."""
        worst = np.argsort(-np.nan_to_num(self._test.amount[places]), kind="stable")[:MOST]
        rows, places = rows[worst], places[worst]
        if not len(rows):
            return []
        assert chunk.judged is not None
        batch = take(chunk.batch, rows)
        moved = self._ensemble.contributions(self._inputs.matrix(batch))
        scores = chunk.judged.scores[rows]
        actions = chunk.judged.verdicts.action[rows]
        return [
            self._one(batch, row, float(self._test.amount[places[row]]), scores[row], int(actions[row]), moved[row])
            for row in range(len(batch))
        ]

    def _one(
        self, batch: Batch, row: int, amount: float, scores: NDArray[np.float64], action: int, moved: NDArray[np.float64]
    ) -> dict[str, Any]:
        order = np.argsort(-moved, kind="stable").tolist()
        numbers = batch.x[row]
        return {
            "id": batch.ids[row],
            "time": iso(int(batch.time_us[row])),
            "amount": None if np.isnan(amount) else amount,
            "decision": Action(action).name,
            "score": float(scores[0]),
            "members": dict(zip(self._ensemble.names, scores[1:].tolist(), strict=True)),
            "rules": [rule.name for rule in self._detector.plan.rules if numbers[rule.index] == 1.0],
            "for": [self._sentence(batch, row, at) for at in order[:REASONS] if moved[at] > 0],
            "against": [self._sentence(batch, row, at) for at in reversed(order[-REASONS:]) if moved[at] < 0],
            "event": {name: public(self._value(batch, row, name)) for name in self._detector.schema.columns},
        }

    def _sentence(self, batch: Batch, row: int, at: int) -> str:
        name = self._ensemble.features[at]
        usual = self._usual.get(name)
        column = self._detector.plan.layout[name]
        known = typed(usual, column.type) if isinstance(usual, float) else usual
        return phrase_of(name, self._detector.words).say(self._value(batch, row, name), known)

    def _value(self, batch: Batch, row: int, name: str) -> Any:
        column = self._detector.plan.layout[name]
        return batch.texts[name][row] if column.type is Type.TEXT else typed(float(batch.x[row, column.index]), column.type)
