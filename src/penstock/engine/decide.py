"""The path from events that were read to durable decisions: deduplicate, update the state, score and decide, record, append.

Informing events and recorded history take the same path without a decision.
"""

import logging
import time
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from penstock.clock import Clock
from penstock.decision import compose
from penstock.engine import records
from penstock.engine.active_detector import ActiveDetector
from penstock.engine.deduplication import Deduplicator, Duplicates, IdCollision
from penstock.engine.pipeline import BatchResult, UpdatedState
from penstock.errors import NotReady
from penstock.ingest import ReadEvents
from penstock.ingest.selection import alone, chosen, take
from penstock.ledger import Claims, Ledger
from penstock.messages import Action, Batch, Record, Refusal

Answers = list[bytes | Refusal]

OnDurable = Callable[[BaseException | None], None]
"""Called once, from any thread, when a whole batch survives a crash, or with the error that prevents it."""

WARM_UP = "warm_up"
"""The detector that only compiles kernels; its decisions are not logged."""

_log = logging.getLogger("penstock.decisions")


class DecisionObserver(Protocol):
    """Receives new decisions, for counts, copies or snapshots."""

    def decided(self, record: Record, result: BatchResult, rendered: list[bytes]) -> None:
        """New decisions were handed to the ledger; rendered: their JSON. They may not be durable yet."""


class EventObserver(Protocol):
    """Receives events that entered state without a decision."""

    def applied(self, read: ReadEvents, kind: str, first_seq: int) -> None:
        """New events were handed to the ledger. kind: of their record, `informing` or `loaded`."""


class BatchDecider:
    """Decides micro-batches. observers, event_observers: called after each, in this order."""

    def __init__(
        self,
        active: ActiveDetector,
        ledger: Ledger,
        claims: Claims,
        deduplicator: Deduplicator,
        clock: Clock,
        *,
        observers: tuple[DecisionObserver, ...],
        event_observers: tuple[EventObserver, ...],
    ) -> None:
        self._active, self._ledger, self._claims, self._clock = active, ledger, claims, clock
        self._deduplicator = deduplicator
        self.observers, self._event_observers = observers, event_observers

    def decide(
        self,
        read: ReadEvents,
        n: int,
        *,
        dry_run: bool = False,
        on_durable: OnDurable | None = None,
        started_ns: int | None = None,
    ) -> Answers:
        """Answers, as JSON or refusals, to the `n` events from which `read` was read.

        A repeated id gets the first decision again. `on_durable` is called when all of it survives a crash.

        Raises:
            NotReady: declared models are missing.
            LedgerError: nothing can be made durable now.
        """
        if self._active.ready is not None:
            raise NotReady(f"detector {self._active.name!r} is not ready: {self._active.ready}")
        if self._ledger.trouble is not None and not dry_run:
            raise self._ledger.trouble
        records.keep_unknown(read)
        batch, codes = read.batch, read.id_codes
        first_seq = self._ledger.next_seq
        try:
            found = self._deduplicator.find(batch, codes, first_seq, dry_run=dry_run)
        except IdCollision:
            return self._one_by_one(read, n, dry_run=dry_run, on_durable=on_durable)
        decoded_ns = time.perf_counter_ns()
        rendered: list[bytes] = []
        first_seqs = found.first_seqs
        new = None if first_seqs is None else np.flatnonzero(first_seqs < 0)
        fresh, fresh_codes = (batch, codes) if new is None else (take(batch, new), codes[new])
        if len(fresh):
            rendered = self._decide_new(fresh, fresh_codes, first_seq, found, dry_run, on_durable, started_ns, decoded_ns)
        else:
            self._when_durable(on_durable)
        if new is None and not read.refused:
            return rendered  # type: ignore[return-value]  # a list of bytes is a list of answers
        by_row = dict(zip(range(len(batch)) if new is None else new.tolist(), rendered, strict=True))
        repeated = (
            {} if first_seqs is None else self._deduplicator.answer(batch, first_seqs, first_seq, by_row, dry_run=dry_run)
        )
        answers = _refusals(read, n)
        for row, answer in (by_row | repeated).items():
            answers[int(read.rows[row])] = answer
        return answers  # type: ignore[return-value]  # every place is filled

    def _one_by_one(self, read: ReadEvents, n: int, *, dry_run: bool, on_durable: OnDurable | None) -> Answers:
        """Decide each event as a separate batch."""
        answers = _refusals(read, n)
        for row, position in enumerate(read.rows.tolist()):
            [answers[position]] = self.decide(alone(read, row), 1, dry_run=dry_run)
        self._when_durable(on_durable)
        return answers  # type: ignore[return-value]  # every place is filled

    def _decide_new(
        self,
        batch: Batch,
        codes: NDArray[np.int64],
        first_seq: int,
        found: Duplicates,
        dry_run: bool,
        on_durable: OnDurable | None,
        started_ns: int | None,
        decoded_ns: int,
    ) -> list[bytes]:
        """Decide events with new ids, and append them to the ledger."""
        active = self._active
        begun_ns = time.perf_counter_ns()
        entered = self._update_state(batch, codes, first_seq, found, read=True, write=not dry_run)
        try:
            judged = active.pipeline.score_and_decide(batch, begun_ns, explain=active.detector.policy.explain, entered=entered)
            record = self._record(judged, codes, first_seq, started_ns, decoded_ns)
            # reasons are stored with the record, which stays the same when rules and models change
            active.format.renderer.explain(record, judged.verdicts.unusual)
            rendered = active.format.renderer.render(record)
        except BaseException:
            if not dry_run:  # state holds these events, so the log must, too: events that are sent again do not count twice
                self._append_applied(batch, codes, "informing", first_seq, entered, on_durable)
            raise
        if not dry_run:
            self._ledger.append(record, on_durable)
            if _log.isEnabledFor(logging.DEBUG) and record.detector != WARM_UP:
                _say(record)
            for observer in self.observers:
                observer.decided(record, judged, rendered)
        return rendered

    def _record(
        self, judged: BatchResult, codes: NDArray[np.int64], first_seq: int, started_ns: int | None, decoded_ns: int
    ) -> Record:
        """The ledger record of a batch. Stages are timed once per batch."""
        active = self._active
        spent_ns = {"decode": decoded_ns - started_ns if started_ns else 0, **judged.latency_ns}
        spent_ns["total"] = sum(spent_ns.values())
        latency_ms = {stage: ns // 100 / 10_000 for stage, ns in spent_ns.items()}  # in tenths of a microsecond
        record = compose(
            judged.batch,
            codes,
            judged.verdicts,
            judged.scores,
            detector=active.name,
            first_seq=first_seq,
            decided_us=self._clock(),
            layout=active.format.layout_id,
            versions=active.format.plain_versions,
            latency_ms=latency_ms,
            degraded=judged.degradations,
            explained=judged.explained,
            contributions=judged.contributions,
        )
        records.keep_tried(record, judged.tried, active.format.tried)
        records.keep_closed(record, judged.entered.closed)
        return record

    def apply(self, read: ReadEvents, kind: str, on_durable: OnDurable | None) -> int:
        """Update the state with events that need no decision; returns the number of new ones."""
        records.keep_unknown(read)
        first_seq = self._ledger.next_seq
        try:
            found = self._deduplicator.find(read.batch, read.id_codes, first_seq)
        except IdCollision:
            applied = sum(self.apply(chosen(read, np.array([row])), kind, None) for row in range(len(read.batch)))
            self._when_durable(on_durable)
            return applied
        if found.first_seqs is not None:
            read = chosen(read, np.flatnonzero(found.first_seqs < 0))
        batch, codes = read.batch, read.id_codes
        if not len(batch):
            self._when_durable(on_durable)
            return 0
        entered = self._update_state(batch, codes, first_seq, found, read=False)
        self._append_applied(batch, codes, kind, first_seq, entered, on_durable)
        for observer in self._event_observers:
            observer.applied(read, kind, first_seq)
        return len(batch)

    def _update_state(
        self, batch: Batch, codes: NDArray[np.int64], first_seq: int, found: Duplicates, *, read: bool, write: bool = True
    ) -> UpdatedState:
        """Update the state with new events. If it is refused, none entered and their ids are released."""
        try:
            entered = self._active.pipeline.update_state(batch, first_seq, read=read, write=write)
        except BaseException:
            if write:
                self._claims.unclaim(codes, first_seq)
            raise
        if write:
            self._deduplicator.commit(batch, codes, first_seq, found)
        return entered

    def _append_applied(
        self,
        batch: Batch,
        codes: NDArray[np.int64],
        kind: str,
        first_seq: int,
        entered: UpdatedState,
        on_durable: OnDurable | None,
    ) -> None:
        """Append events without decisions to the ledger."""
        record = records.applied(batch, kind, self._active.name, first_seq, {"layout": self._active.format.layout_id}, codes)
        records.keep_closed(record, entered.closed)
        self._ledger.append(record, on_durable)

    def _when_durable(self, on_durable: OnDurable | None) -> None:
        if on_durable is not None:
            self._ledger.when_durable(on_durable)


def _refusals(read: ReadEvents, n: int) -> list[bytes | Refusal | None]:
    """The answers to those of `n` events that were refused while they were read."""
    refused = dict(read.refused)
    return [refused.get(row) for row in range(n)]


def _say(record: Record) -> None:
    """Log one line per decision: id, outcome and latency, without data of the event."""
    actions, total_ms = record.columns["action"], record.meta["latency_ms"]["total"]
    for each, action in zip(record.ids, np.asarray(actions).tolist(), strict=True):
        said = {"detector": record.detector, "transaction_id": each, "decision": Action(action).name, "latency_ms": total_ms}
        _log.debug("decided", extra=said)
