"""The path of a micro-batch: from columns to decisions. Everything that decides runs through here: one event, a
million, live, in a replay or after a crash; so the numbers are the same everywhere.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from penstock.decision import NO_ACTION, BatchDecisions, Judge, Thresholds
from penstock.detector import Detector
from penstock.engine.labels.queue import LabelQueue
from penstock.engine.trials.challenger import Challenger, check_together
from penstock.engine.trials.control_share import ControlShare
from penstock.engine.trials.shadow import ShadowEvaluator, ShadowResult, stopped
from penstock.errors import BundleError, DeclarationError, did_you_mean
from penstock.features.kernel.words import ALL_KEYS
from penstock.features.lookups import lookups_of
from penstock.features.state import OPEN, Closed
from penstock.ingest.selection import take
from penstock.messages import Batch, Type
from penstock.models import Ensemble
from penstock.models.inputs import Inputs
from penstock.rules import Ran

if TYPE_CHECKING:
    from penstock.features.table import Table

_NO_ROWS = np.empty(0, np.int32)
_NO_CONTRIBUTIONS = np.empty((0, 0))

MEMORY_LIMIT = "state: memory_limit: a key is new and memory_limit_gb is used up"
"""The cause of decisions by `on_failure` for events whose key could not be added."""


class UpdatedState(NamedTuple):
    """What became of a batch in state. closed: where it had to stay out; refused: the rows that did, None where all entered."""

    closed: Closed
    refused: NDArray[np.bool_] | None


ENTERED = UpdatedState(OPEN, None)
"""All events of the batch entered state."""


@dataclass(slots=True)
class BatchResult:
    """The result of a batch.

    scores: (n, 1 + m), the ensemble's probability and each member's, NaN without models. verdicts: actions and who
    decided. explained: rows that carry contributions.
    degraded: what failed, so that the policy's `on_failure` decided. entered: what became of its events in state; it also
    decided those that had to stay out.
    latency_ns: time spent in each stage. tried: what candidates would have decided, where there are any. rules: those that ran.
    """

    batch: Batch
    scores: NDArray[np.float64]
    verdicts: BatchDecisions
    explained: NDArray[np.int32]
    contributions: NDArray[np.float64]
    degraded: str | None = None
    entered: UpdatedState = ENTERED
    latency_ns: dict[str, int] = field(default_factory=dict)
    tried: ShadowResult | None = None
    rules: Sequence[Any] = ()

    @property
    def degradations(self) -> list[str | None] | None:
        """By row, the cause of a decision by `on_failure`; None if there was none."""
        refused = self.entered.refused
        if self.degraded is not None:
            return [self.degraded] * len(self.batch)
        return None if refused is None else [MEMORY_LIMIT if each else None for each in refused.tolist()]


class Pipeline:
    """The stages of a detector over its state.

    ensemble: the models that score, None for rules alone. trying: what is tried beside them, None where nothing is. One thread
    uses a path at a time: its state has one writer.
    """

    def __init__(self, detector: Detector, ensemble: Ensemble | None = None, *, memory_limit: int | None = None) -> None:
        self.detector = detector
        self.plan = detector.plan
        self.state = detector.state(memory_limit=memory_limit)
        self.pending = LabelQueue(self.state, len(detector.schema.kinds))
        self.challengers: tuple[Challenger, ...] = ()
        self.use(ensemble)

    def use(self, ensemble: Ensemble | None) -> None:
        """Replace the models, from the next batch on.

        Raises:
            BundleError: they were trained on other features than this detector computes.
        """
        if ensemble is not None:
            check_fits(self.detector, ensemble)
        self.ensemble = ensemble
        self._inputs = Inputs(self.plan.layout, ensemble.features, ensemble.encodings) if ensemble else None
        thresholds = self.detector.policy.thresholds(ensemble.thresholds if ensemble else {})
        self._rebuild(thresholds)

    def challenge(self, *challengers: Challenger) -> None:
        """Replace the challengers, from the next batch on; without any, all trials end.

        Raises:
            BundleError: one was trained on other features than this detector computes.
            DeclarationError: they cannot be tried together, or the keys of a share cannot be shared out.
        """
        check_together(challengers)
        for challenger in challengers:
            check_fits(self.detector, challenger.ensemble)
            check_keys(self.detector, challenger)
        self.challengers = challengers
        self._rebuild(self.judge.thresholds)

    def change(self, detector: Detector) -> None:
        """Switch to another version of the detector that differs only in its rules."""
        self.detector, self.plan = detector, detector.plan
        self._rebuild(self.judge.thresholds)

    def _rebuild(self, thresholds: Thresholds) -> None:
        """Rebuild rules, judge and shadow evaluation for the current versions."""
        policy, rules = self.detector.policy, self.plan.rules
        self.judge = Judge(policy, list(rules), thresholds)
        self.control = ControlShare.of(policy, rules)
        self.trying = ShadowEvaluator.of(self.detector, self.ensemble, thresholds, self.challengers)

    @property
    def members(self) -> tuple[str, ...]:
        """The names of the columns of scores after the first."""
        if self.trying is not None:
            return self.trying.members
        return self.ensemble.names if self.ensemble is not None else ()

    @property
    def entities(self) -> list[str]:
        """The inputs of features in the order of declaration."""
        return [table.plan.entity.name for table in self.state.tables]

    def table(self, entity: str) -> "Table":
        """The table of an entity.

        Raises:
            DeclarationError: the detector has no such entity.
        """
        tables = {table.plan.entity.name: table for table in self.state.tables}
        if entity not in tables:
            raise DeclarationError(f"detector {self.detector.name!r} has no entity {entity!r}.{did_you_mean(entity, tables)}")
        return tables[entity]

    # ---- stages

    def decide(
        self, batch: Batch, first_sequence: int, *, write: bool = True, explain: bool = True, closed: Closed | None = None
    ) -> BatchResult:
        """Run all stages for a batch of transactions. With `write` off the state does not change.

        closed: see `enter`.
        """
        started_ns = time.perf_counter_ns()
        entered = self.update_state(batch, first_sequence, write=write, closed=closed)
        return self.score_and_decide(batch, started_ns, explain=explain, entered=entered)

    def features(
        self, batch: Batch, first_sequence: int, *, read: bool = True, write: bool = True, closed: Closed | None = None
    ) -> None:
        """Fill every feature column."""
        self.update_state(batch, first_sequence, read=read, write=write, closed=closed)
        if read:
            self.derive(batch)

    def update_state(
        self, batch: Batch, first_sequence: int, *, read: bool = True, write: bool = True, closed: Closed | None = None
    ) -> UpdatedState:
        """Let events into state, and fill what is computed from it; labels that are due come first, each before the
        events that follow it.

        closed: where events had to stay out when the batch came for the first time; None where it comes for the first time,
        and the memory budget is asked.
        """
        for step in self.plan.before:
            step.run(batch)
        n, refusals = len(batch), self.state.refused
        limited = closed is not None or self.state.memory_limit is not None
        if not write or not n or not (limited or self.pending.labels):
            self.state.apply(batch, first_sequence, read=read, write=write)
            return ENTERED
        start, admitted, parts = 0, 0 if closed is None else n, []
        closed = closed or OPEN
        cuts = self.pending.due_positions(batch) if self.pending.labels else iter(())
        end, due_us = next(cuts, (n, None))
        while start < n:
            if start == admitted:
                rows, level = self.state.room(n - start, batch, start)
                admitted, closed = start + rows, closed if level == ALL_KEYS else Closed(start, level)
            if due_us is not None and start == end:
                self.pending.apply_due(due_us, closed if start >= closed.row else OPEN)
                end, due_us = next(cuts, (n, None))
                continue
            stop = min(end, admitted)
            parts.append(self._aggregates(batch, slice(start, stop), first_sequence, closed, read=read))
            start = stop
        if self.state.refused == refusals:
            return ENTERED
        refused = np.concatenate(parts)
        return UpdatedState(closed, refused if refused.any() else None)

    def score_and_decide(
        self, batch: Batch, started_ns: int, *, explain: bool = True, entered: UpdatedState = ENTERED
    ) -> BatchResult:
        """Compute derived features, scores, rules and decisions. Does not change state.

        Where a part fails, the policy's `on_failure` decides, and the decision says so; also about events that had to stay out
        of state.
        """
        trying, refused = self.trying, entered.refused
        failed = self._attempt_derived(batch)
        featured = time.perf_counter_ns()
        champion, failed = self._score(batch, featured) if failed is None else (self._no_scores(batch), failed)
        if refused is not None:
            champion[refused] = np.nan
        scored = time.perf_counter_ns()
        challenged = trying.challenge(batch) if trying is not None and failed is None else None
        if challenged is not None and refused is not None:
            challenged.decides[refused] = False
        scores = champion if trying is None else trying.merged(champion, challenged)
        if self.plan.score is not None:
            batch.x[:, self.plan.score.index] = scores[:, 0]
        challenged_by = time.perf_counter_ns()
        ran: Sequence[Ran] = ()
        try:
            ran = self.plan.rules.run(batch)
        except Exception as error:  # noqa: BLE001  whatever a rule does, the policy decides and the decision says so
            failed = _said("rules", error)
        verdicts = self.judge.decide(batch.x, scores, np.ones(len(batch), np.bool_) if failed is not None else refused)
        tried = None
        if trying is not None and failed is not None:
            scores = trying.merged(champion, None)
        elif trying is not None:
            verdicts = trying.judged(batch, scores, verdicts, challenged)
            tried = trying.tried(batch, champion, challenged, ran)
            if refused is not None:
                tried.would[refused] = NO_ACTION
        if self.control is not None:
            self.control.let_through(batch.ids, verdicts)
        ruled = time.perf_counter_ns()
        explained, contributions = _NO_ROWS, _NO_CONTRIBUTIONS
        if len(verdicts.unusual) and explain and failed is None:
            explained, contributions = self._explain(batch, verdicts, tried, refused)
        latency = {"features": featured - started_ns, "models": scored - featured, "rules": ruled - challenged_by}
        if challenged is not None:
            latency["challenger"] = challenged_by - scored
        latency["explain"] = time.perf_counter_ns() - ruled
        return BatchResult(
            batch=batch,
            scores=scores,
            verdicts=verdicts,
            explained=explained,
            contributions=contributions,
            degraded=failed,
            entered=entered,
            latency_ns=latency,
            tried=tried,
            rules=self.plan.rules.rules,
        )

    def _attempt_derived(self, batch: Batch) -> str | None:
        """The cause of a failure of derived features, for decisions; None if they were computed."""
        try:
            self.derive(batch)
        except Exception as error:  # noqa: BLE001  whatever a feature does, the policy decides and the decision says so
            return _said("features", error)
        return None

    def derive(self, batch: Batch) -> None:
        """Compute the derived features of a batch."""
        for step in self.plan.after:
            step.run(batch)

    def _aggregates(self, batch: Batch, rows: slice, first_sequence: int, closed: Closed, *, read: bool) -> NDArray[np.bool_]:
        """Add rows to state; returns those that were refused."""
        if rows.start == 0 and rows.stop == len(batch):
            return self.state.apply(batch, first_sequence, read=read, closed=closed)
        part = take(batch, rows)
        closed = Closed(max(0, closed.row - rows.start), closed.level)
        refused = self.state.apply(part, first_sequence + rows.start, read=read, closed=closed)
        for column in self.state.outputs:
            texts = [] if rows.start == 0 else cast("list[str | None]", batch.texts[column.name])
            texts += part.texts[column.name]
            batch.texts[column.name] = texts
        return refused

    def _score(self, batch: Batch, started_ns: int) -> tuple[NDArray[np.float64], str | None]:
        if self.ensemble is None or self._inputs is None:
            return self._no_scores(batch), None
        scores = np.empty((len(batch), 1 + len(self.ensemble.names)))
        try:
            self.ensemble.fill(self._inputs.matrix(batch), scores)
        except Exception as error:  # noqa: BLE001  whatever a model does, the policy decides and the decision says so
            return self._no_scores(batch), _said("models", error)
        budget_ms = self.detector.policy.time_budget_ms
        if budget_ms is not None and (spent_ms := (time.perf_counter_ns() - started_ns) / 1e6) > budget_ms:
            return scores, f"models: took {spent_ms:.1f} ms of a budget of {budget_ms:g} ms"
        return scores, None

    def _no_scores(self, batch: Batch) -> NDArray[np.float64]:
        return np.full((len(batch), 1 + (len(self.ensemble.names) if self.ensemble is not None else 0)), np.nan)

    def _explain(
        self, batch: Batch, verdicts: BatchDecisions, tried: ShadowResult | None, refused: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """The scored rows that are not approved, and their contributions."""
        if self.ensemble is None or self._inputs is None:
            return _NO_ROWS, _NO_CONTRIBUTIONS
        rows = stopped(verdicts)
        rows = rows if refused is None else rows[~refused[rows]]
        if tried is not None and tried.decided_by is not None and self.trying is not None:
            self.trying.explain(tried, batch, verdicts)
            rows = rows[tried.decided_by[rows] == 0]
        if not len(rows):
            return _NO_ROWS, _NO_CONTRIBUTIONS
        return rows, self.ensemble.contributions(self._inputs.matrix(batch, rows))


def _said(part: str, error: Exception) -> str:
    """The cause of a failed part, for decisions."""
    return f"{part}: {type(error).__name__}: {error}"


def check_fits(detector: Detector, ensemble: Ensemble) -> None:
    """Check that a model's features are defined as in its training.

    Raises:
        BundleError: naming the features that are missing or were changed.
    """
    missing = [name for name in ensemble.features if name not in detector.plan.layout]
    version = ensemble.version or "unsaved"
    if missing:
        raise BundleError(
            f"model {version} reads {', '.join(missing)}, which detector {detector.name!r} does not compute; "
            f"train it again: penstock train {detector.reference}"
        )
    if ensemble.fingerprint is not None and ensemble.fingerprint != detector.fingerprint(ensemble.features):
        lost = ensemble.manifest.get("lookups", {}).items() - lookups_of(detector.features).items()
        if lost:
            names, files = (", ".join(sorted(set(each))) for each in zip(*lost, strict=True))
            raise BundleError(
                f"model {version} was trained with {names} of {detector.name!r} looked up in {files}, which is not here; name "
                f"the folder that holds it with the setting lookups, or train again: penstock train {detector.reference}"
            )
        raise BundleError(
            f"model {version} was trained on other definitions of the features of {detector.name!r} than it has now; "
            f"train it again: penstock train {detector.reference}"
        )


def check_keys(detector: Detector, challenger: Challenger) -> None:
    """A challenger decides for a share of the keys of a text field or feature.

    Raises:
        DeclarationError: it names another.
    """
    share, layout = challenger.share, detector.plan.layout
    column = None if share is None else layout.get(share.of or "")
    if share is not None and (column is None or column.type is not Type.TEXT):
        texts = [name for name, column in layout.items() if column.type is Type.TEXT]
        raise DeclarationError(
            f"the keys of {share.of!r} cannot be shared out; name a text field or feature of {detector.name!r}."
            f"{did_you_mean(share.of or '', texts)}"
        )
