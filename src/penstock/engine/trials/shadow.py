"""Shadow evaluation: what each candidate would have decided about the same events.

A *trial* is a candidate next to the champion: a challenger (`model_VERSION`), or a rule that watches or is rolled out, by its
own name. For every event, a trial knows what the champion alone would have decided, and what the candidate would have if it
acted on everything; so both are always compared on the same events.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.decision import NO_ACTION, BatchDecisions, Judge, Thresholds
from penstock.detector import Detector
from penstock.engine.trials.challenger import Challenger, Contender, ScoredBatch
from penstock.messages import Action, Batch
from penstock.models import Ensemble
from penstock.rules import CompiledRule, Ran

_NO_ROWS = np.empty(0, np.int32)
_NO_CONTRIBUTIONS = np.empty((0, 0))


class Trial(NamedTuple):
    """A trial that there is. what: tells it from others of the same name: the champion's version beside a challenger, the
    condition of a rule. version: of a challenger, None of a rule.
    """

    name: str
    what: str
    version: str | None = None


@dataclass(slots=True)
class ShadowResult:
    """The results of all trials for one batch.

    names: of the trials, challengers first. would: uint8 (n, 1 + trials): what the champion alone would have decided, then each
    candidate; `NO_ACTION` where it could not. scores: (n, 1 + challengers), the champion's probability and theirs. decided_by:
    uint8 (n,), 1 where a challenger decided. errors: why candidates could not judge, by trial. spent_ns: what each trial took.
    explained, contributions: as in `Judged`, of the rows that the challenger decided.
    """

    names: tuple[str, ...]
    would: NDArray[np.uint8]
    scores: NDArray[np.float64] | None = None
    decided_by: NDArray[np.uint8] | None = None
    errors: Mapping[str, str] = field(default_factory=dict)
    spent_ns: tuple[int, ...] = ()
    explained: NDArray[np.int32] = field(default_factory=lambda: _NO_ROWS)
    contributions: NDArray[np.float64] = field(default_factory=lambda: _NO_CONTRIBUTIONS)


@dataclass(slots=True)
class Challenged:
    """A batch that challengers scored, each in its place. decides: the rows that are those of the one that decides."""

    scored: Sequence[ScoredBatch]
    decides: NDArray[np.bool_]


class ShadowEvaluator:
    """The trials of one detector, models and rules; made anew when any of them changes.

    Args:
        detector: as it is; its rules say which of them are candidates.
        champion: the models that decide, None for rules alone.
        thresholds: those of the champion.
        challengers: the models that are tried; at most one of them decides for a share of the keys.
    """

    def __init__(
        self, detector: Detector, champion: Ensemble | None, thresholds: Thresholds, challengers: Sequence[Challenger] = ()
    ) -> None:
        rules = list(detector.plan.rules)
        self._plan = detector.plan
        self._watches = np.array([rule.watch for rule in rules], np.int64)
        self._worlds = _worlds(rules)
        self._reads_score = any("score" in rule.expression.names for rule in rules)
        placed = [_Placed(at, rule.action, rule.hard, rule.override) for at, rule in enumerate(rules)]
        self._judge = Judge(detector.policy, placed, thresholds)
        self.contenders = [Contender(detector, each, placed) for each in challengers]
        self._rules = tuple(rule.name for rule in candidates(rules))
        self.names = (*(each.trial for each in challengers), *self._rules)
        self._deciding = next((at for at, each in enumerate(self.contenders) if each.share is not None), None)
        self.members: tuple[str, ...] = champion.names if champion is not None else ()
        if self.decider is not None:
            names = self.decider.ensemble.names
            self.members += tuple(name for name in names if name not in self.members)
            self._places = np.array([0, *(1 + self.members.index(name) for name in names)], np.int64)

    @classmethod
    def of(
        cls, detector: Detector, champion: Ensemble | None, thresholds: Thresholds, challengers: Sequence[Challenger]
    ) -> "ShadowEvaluator | None":
        """The trials there are; None if there are none, so that nothing is spent on them."""
        some = challengers or candidates(list(detector.plan.rules))
        return cls(detector, champion, thresholds, challengers) if some else None

    @property
    def decider(self) -> Contender | None:
        """The challenger that decides for a share of the keys."""
        return None if self._deciding is None else self.contenders[self._deciding]

    # ---- scoring

    def challenge(self, batch: Batch) -> Challenged | None:
        """Let challengers score a batch whose features are there; None if there are none.

        Whatever one of them does, nobody else notices: where the one that decides fails, the champion decides everything.
        """
        if not self.contenders:
            return None
        scored = [contender.score(batch) for contender in self.contenders]
        if self._deciding is None or scored[self._deciding].error is not None:
            return Challenged(scored, np.zeros(len(batch), np.bool_))
        return Challenged(scored, self.contenders[self._deciding].decides(batch))

    def merged(self, champion: NDArray[np.float64], challenged: Challenged | None) -> NDArray[np.float64]:
        """(n, 1 + members): each row's scores by the models that decide it, NaN for members of the other alone."""
        if champion.shape[1] == 1 + len(self.members) and (challenged is None or not challenged.decides.any()):
            return champion
        out = np.full((len(champion), 1 + len(self.members)), np.nan)
        out[:, : champion.shape[1]] = champion
        if challenged is not None and self._deciding is not None:
            rows = np.flatnonzero(challenged.decides)
            out[rows] = np.nan
            out[np.ix_(rows, self._places)] = challenged.scored[self._deciding].all[rows]
        return out

    def judged(
        self, batch: Batch, scores: NDArray[np.float64], ours: BatchDecisions, challenged: Challenged | None
    ) -> BatchDecisions:
        """The verdicts, where the challenger's rows are judged by its own thresholds."""
        if challenged is None or self.decider is None or not challenged.decides.any():
            return ours
        theirs, decides = self.decider.judge.decide(batch.x, scores), challenged.decides
        unusual = np.where(decides, _marked(theirs), _marked(ours))
        action, by = np.where(decides, theirs.action, ours.action), np.where(decides, theirs.by, ours.by)
        lowered = ours.lowered
        if lowered is not None and theirs.lowered is not None:  # both judge by the same rules
            lowered = np.where(decides, theirs.lowered, lowered)
        return BatchDecisions(action, by, np.flatnonzero(unusual), lowered)

    # ---- what would have been

    def tried(
        self, batch: Batch, champion: NDArray[np.float64], challenged: Challenged | None, ran: Sequence[Ran] = ()
    ) -> ShadowResult:
        """The decisions of each candidate, after the rules have run. ran: the results of candidate rules."""
        would = np.full((len(batch), 1 + len(self.names)), NO_ACTION, np.uint8)
        scored = [] if challenged is None else challenged.scored
        errors = {name: each.error for name, each in zip(self.names, scored, strict=False) if each.error is not None}
        errors |= {each.name: each.error for each in ran if each.error is not None}
        fired = self._fired(batch, champion[:, 0])
        would[:, 0] = self._judge.decide(self._worlds[0](fired), champion).action
        for place, (contender, each) in enumerate(zip(self.contenders, scored, strict=False), 1):
            if each.error is None:
                theirs = self._worlds[0](self._fired(batch, each.all[:, 0]))
                would[:, place] = contender.whole.decide(theirs, each.all).action
        for place, (name, world) in enumerate(zip(self._rules, self._worlds[1:], strict=True), 1 + len(self.contenders)):
            if name not in errors:
                would[:, place] = self._judge.decide(world(fired), champion).action
        spent = {each.name: each.spent_ns for each in ran}
        spent_ns = (*(each.spent_ns for each in scored), *(spent.get(name, 0) for name in self._rules))
        if challenged is None:
            return ShadowResult(self.names, would, errors=errors, spent_ns=spent_ns)
        scores = np.column_stack([champion[:, 0], *(each.all[:, 0] for each in scored)])
        return ShadowResult(self.names, would, scores, challenged.decides.astype(np.uint8), errors, spent_ns)

    def _fired(self, batch: Batch, score: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, rules): 1 where a rule's condition holds, acting or not, had this been the score."""
        place = self._plan.score
        if self._reads_score and place is not None and not np.array_equal(batch.x[:, place.index], score, equal_nan=True):
            batch = replace(batch, x=batch.x.copy())
            batch.x[:, place.index] = score
            self._plan.rules.run(batch)
        return np.ascontiguousarray(batch.x[:, self._watches])

    def explain(self, tried: ShadowResult, batch: Batch, verdicts: BatchDecisions) -> None:
        """How far each input moved the challenger's scores, for rows that it decided and did not approve."""
        if tried.decided_by is None or self.decider is None:
            return
        rows = stopped(verdicts)
        rows = rows[tried.decided_by[rows] == 1]
        if len(rows):
            tried.explained = rows
            tried.contributions = self.decider.contributions(batch, rows)


def stopped(verdicts: BatchDecisions) -> NDArray[np.int32]:
    """The rows that are not approved."""
    rows: NDArray[np.int32] = verdicts.unusual[verdicts.action[verdicts.unusual] != Action.APPROVE.value].astype(np.int32)
    return rows


def candidates(rules: Sequence[CompiledRule]) -> list[CompiledRule]:
    """The rules that are tried."""
    return [rule for rule in rules if rule.tried]


@dataclass(frozen=True, slots=True)
class _Placed:
    """A rule as a judge sees it who looks at the columns of rules alone."""

    index: int
    action: str
    hard: bool
    override: bool


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


def _marked(verdicts: BatchDecisions) -> NDArray[np.bool_]:
    found = np.zeros(len(verdicts.action), np.bool_)
    found[verdicts.unusual] = True
    return found
