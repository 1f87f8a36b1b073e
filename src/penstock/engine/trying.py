"""What is tried beside what decides: a challenger's scores, and what each candidate would have decided about the same events.

A *trial* is a candidate beside the champion. `model` is the challenger's; each rule that watches or is rolled out has one of
its own name. For every event, a trial knows what the champion alone would have decided, and what the candidate would have if
it acted on everything; so both are always held against each other on the same events.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.decision import NO_ACTION, Judge, Thresholds, Verdicts
from penstock.detector import Detector
from penstock.engine.inputs import Inputs
from penstock.messages import Action, Batch
from penstock.models import Ensemble
from penstock.rules import CompiledRule, Share

MODEL = "model"
"""The trial of a challenger."""

_NO_ROWS = np.empty(0, np.int32)
_NO_CONTRIBUTIONS = np.empty((0, 0))


@dataclass(frozen=True, slots=True)
class Challenger:
    """A version of the models that is tried. share: the keys that it decides for; None where it only watches."""

    ensemble: Ensemble
    share: Share | None = None


class InTrial(NamedTuple):
    """What is to be tried from now on: nothing where `challenger` is None. revision: of the book of trials."""

    revision: int
    challenger: Challenger | None


NewerTrial = Callable[[int], InTrial | None]
"""Asked in a thread, with the revision in force: what is tried by now where that is another, loaded, warm and fitting."""


@dataclass(slots=True)
class Tried:
    """What came of trials for one batch.

    names: of the trials. would: uint8 (n, 1 + trials): what the champion alone would have decided, then each candidate;
    `NO_ACTION` where it could not. scores: (n, 2), the champion's probability and the challenger's. decided_by: uint8 (n,),
    1 where the challenger decided. error: why it could not judge. explained, contributions: as in `Judged`, of the rows that
    it decided. spent_ns: what it took, 0 where there is no challenger.
    """

    names: tuple[str, ...]
    would: NDArray[np.uint8]
    scores: NDArray[np.float64] | None = None
    decided_by: NDArray[np.uint8] | None = None
    error: str | None = None
    spent_ns: int = 0
    explained: NDArray[np.int32] = field(default_factory=lambda: _NO_ROWS)
    contributions: NDArray[np.float64] = field(default_factory=lambda: _NO_CONTRIBUTIONS)


@dataclass(slots=True)
class Challenged:
    """A batch that the challenger scored. all: (n, 1 + m); NaN where it failed. decides: the rows that are its own."""

    all: NDArray[np.float64]
    decides: NDArray[np.bool_]
    error: str | None
    spent_ns: int


class Trying:
    """The trials of one detector, models and rules; made anew when any of them changes.

    Args:
        detector: as it is; its rules say which of them are candidates.
        champion: the models that decide, None for rules alone.
        thresholds: those of the champion.
        challenger: the models that are tried, if any.
    """

    def __init__(
        self, detector: Detector, champion: Ensemble | None, thresholds: Thresholds, challenger: Challenger | None
    ) -> None:
        self._plan, self.challenger = detector.plan, challenger
        self._watches = np.array([rule.watch for rule in detector.plan.rules], np.int64)
        self._worlds = _worlds(list(detector.plan.rules))
        own = () if challenger is None else (MODEL,)
        self.names = (*own, *(rule.name for rule in candidates(list(detector.plan.rules))))
        self._reads_score = any("score" in rule.expression.names for rule in detector.plan.rules)
        placed = [_Placed(at, rule.action, rule.hard) for at, rule in enumerate(detector.plan.rules)]
        self._judge = Judge(detector.policy, placed, thresholds)
        self.members: tuple[str, ...] = champion.names if champion is not None else ()
        if challenger is None:
            return
        ensemble = challenger.ensemble
        self.thresholds = detector.policy.thresholds(ensemble.thresholds)
        self._their_judge = Judge(detector.policy, placed, self.thresholds)
        self.judge = Judge(detector.policy, list(detector.plan.rules), self.thresholds)
        self._inputs = Inputs(detector.plan.layout, ensemble.features, ensemble.encodings)
        self._keys = None if challenger.share is None else detector.plan.layout[challenger.share.of or ""].index
        if challenger.share is not None:
            self.members += tuple(name for name in ensemble.names if name not in self.members)
        places = [0, *(1 + self.members.index(name) for name in ensemble.names if name in self.members)]
        self._places = np.array(places, np.int64)

    @classmethod
    def of(
        cls, detector: Detector, champion: Ensemble | None, thresholds: Thresholds, challenger: Challenger | None
    ) -> "Trying | None":
        """The trials there are; None where there are none, so that nothing is spent on them."""
        some = challenger is not None or candidates(list(detector.plan.rules))
        return cls(detector, champion, thresholds, challenger) if some else None

    # ---- scoring

    def challenge(self, batch: Batch) -> Challenged | None:
        """Let the challenger score a batch whose features are there; None where there is no challenger.

        Whatever it does, nobody else notices: where it fails, the champion decides everything.
        """
        if self.challenger is None:
            return None
        started_ns, n = time.perf_counter_ns(), len(batch)
        ensemble, error = self.challenger.ensemble, None
        scores = np.empty((n, 1 + len(ensemble.names)))
        try:
            ensemble.fill(self._inputs.matrix(batch), scores)
        except Exception as failure:  # noqa: BLE001  whatever a challenger does, the champion decides
            scores[:] = np.nan
            error = f"{type(failure).__name__}: {failure}"
        decides = np.zeros(n, np.bool_)
        if self.challenger.share is not None and error is None:
            decides = self.challenger.share.holds(batch.codes[:, self._keys])
        return Challenged(scores, decides, error, time.perf_counter_ns() - started_ns)

    def merged(self, champion: NDArray[np.float64], challenged: Challenged | None) -> NDArray[np.float64]:
        """(n, 1 + members): each row's scores by whoever decides it, NaN for members of the other alone."""
        if champion.shape[1] == 1 + len(self.members) and (challenged is None or not challenged.decides.any()):
            return champion
        out = np.full((len(champion), 1 + len(self.members)), np.nan)
        out[:, : champion.shape[1]] = champion
        if challenged is not None:
            rows = np.flatnonzero(challenged.decides)
            out[rows] = np.nan
            out[np.ix_(rows, self._places)] = challenged.all[rows]
        return out

    def judged(self, batch: Batch, scores: NDArray[np.float64], ours: Verdicts, challenged: Challenged | None) -> Verdicts:
        """The verdicts, where the challenger's rows are judged by its own thresholds."""
        if challenged is None or not challenged.decides.any():
            return ours
        theirs, decides = self.judge.decide(batch.x, scores), challenged.decides
        unusual = np.where(decides, _marked(theirs), _marked(ours))
        action = np.where(decides, theirs.action, ours.action)
        return Verdicts(action, np.where(decides, theirs.by, ours.by), np.flatnonzero(unusual))

    # ---- what would have been

    def tried(self, batch: Batch, champion: NDArray[np.float64], challenged: Challenged | None) -> Tried:
        """What each candidate would have decided, after the rules have run."""
        would = np.full((len(batch), 1 + len(self.names)), NO_ACTION, np.uint8)
        fired = self._fired(batch, champion[:, 0])
        would[:, 0] = self._judge.decide(self._worlds[0](fired), champion).action
        if challenged is not None and challenged.error is None:
            theirs = self._fired(batch, challenged.all[:, 0])
            would[:, 1] = self._their_judge.decide(self._worlds[0](theirs), challenged.all).action
        first = 1 + (challenged is not None)
        for place, world in enumerate(self._worlds[1:], first):
            would[:, place] = self._judge.decide(world(fired), champion).action
        if challenged is None:
            return Tried(self.names, would)
        pair = np.column_stack([champion[:, 0], challenged.all[:, 0]])
        decided_by = challenged.decides.astype(np.uint8)
        return Tried(self.names, would, pair, decided_by, challenged.error, challenged.spent_ns)

    def _fired(self, batch: Batch, score: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, rules): 1 where a rule's condition holds, acting or not, had this been the score."""
        place = self._plan.score
        if self._reads_score and place is not None and not np.array_equal(batch.x[:, place.index], score, equal_nan=True):
            batch = replace(batch, x=batch.x.copy())
            batch.x[:, place.index] = score
            self._plan.rules.run(batch)
        return np.ascontiguousarray(batch.x[:, self._watches])

    def explain(self, tried: Tried, batch: Batch, verdicts: Verdicts) -> None:
        """How far each input moved the challenger's scores, for rows that it decided and did not approve."""
        if tried.decided_by is None or self.challenger is None:
            return
        rows = stopped(verdicts)
        rows = rows[tried.decided_by[rows] == 1]
        if len(rows):
            tried.explained = rows
            tried.contributions = self.challenger.ensemble.contributions(self._inputs.matrix(batch, rows))


def stopped(verdicts: Verdicts) -> NDArray[np.int32]:
    """The rows that are not approved."""
    rows: NDArray[np.int32] = verdicts.unusual[verdicts.action[verdicts.unusual] != Action.APPROVE.value].astype(np.int32)
    return rows


def candidates(rules: Sequence[CompiledRule]) -> list[CompiledRule]:
    """The rules that are tried: they act on a first share of the keys, or on none."""
    return [rule for rule in rules if rule.rule.share is not None and rule.rule.share.begin == 0]


@dataclass(frozen=True, slots=True)
class _Placed:
    """A rule as a judge sees it who looks at the columns of rules alone."""

    index: int
    action: str
    hard: bool


@dataclass(frozen=True, slots=True)
class _World:
    """Which rules act. acts: (rules,)"""

    acts: NDArray[np.bool_]

    def __call__(self, fired: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(self.acts, fired, 0.0)


def _worlds(rules: Sequence[CompiledRule]) -> list[_World]:
    """The world in which nothing is tried, and for each candidate the one in which it has taken over from its rule."""
    tried = candidates(rules)
    names = {rule.name for rule in tried}
    usual = np.array([rule.name not in names for rule in rules], np.bool_)
    worlds = [_World(usual)]
    for candidate in tried:
        acts = usual.copy()
        for at, rule in enumerate(rules):
            if rule.name == candidate.name:
                acts[at] = True
            elif candidate.rule.share is not None and rule.name == candidate.rule.share.seed:
                acts[at] = False
        worlds.append(_World(acts))
    return worlds


def _marked(verdicts: Verdicts) -> NDArray[np.bool_]:
    found = np.zeros(len(verdicts.action), np.bool_)
    found[verdicts.unusual] = True
    return found
