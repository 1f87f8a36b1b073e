"""Recovery of the state at the start: the newest snapshot, and the log after it."""

import logging
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from penstock.clock import SECOND_US, Clock
from penstock.engine.active_detector import ActiveDetector
from penstock.engine.pipeline import BatchResult
from penstock.engine.queries import RecordQueries
from penstock.engine.statistics.totals import Totals
from penstock.errors import LedgerError, PenstockError
from penstock.features.state_copy import StateCopy
from penstock.ingest import ReadEvents
from penstock.ledger import INDEXED, Claims, Ledger, snapshots
from penstock.ledger.cursors import Cursor, cursor_at, discarded, misfit
from penstock.messages import Batch, Record

_log = logging.getLogger(__name__)
_EVENTS = 250_000
"""Minimum number of events between snapshots: about as many as recovery reads from the log in a second."""


class LastSnapshot(NamedTuple):
    """The last snapshot: when it was written (None: not since the start), up to which row, and why a newer one failed."""

    at_us: int | None
    seq: int
    trouble: str | None


class RecordObserver(Protocol):
    """Receives records of the log that entered state."""

    def recorded(self, record: Record, names: Sequence[str], events: Batch | None) -> None:
        """A record of this detector was let into state. names: of its matrix columns; events: those that it holds."""


class Recovery:
    """Writes snapshots of a detector's state, and restores the state at the start.

    observers: are given each record that comes back, or that another process has written.

    A snapshot is valid only with the log up to its position, so it is written after that has become durable.
    """

    def __init__(
        self,
        active: ActiveDetector,
        ledger: Ledger,
        claims: Claims,
        queries: RecordQueries,
        totals: Totals,
        observers: tuple[RecordObserver, ...],
        clock: Clock,
        folder: Path | None,
        every_s: float,
    ) -> None:
        self._active, self._ledger, self._claims, self._clock = active, ledger, claims, clock
        self._queries, self._totals, self._observers = queries, totals, observers
        self._folder = folder / "state" / active.name if folder is not None else None
        self._every_us = int(every_s * SECOND_US)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="penstock-snapshot")
        self.writing: Future[Any] | None = None
        self.every_events = _EVENTS
        self._saved_at_us = self._clock()
        self._saved_seq = 0
        self._saved_position = -1
        self.notes: list[str] = []
        self._written: tuple[int | None, int] = (None, 0)
        self._trouble: str | None = None

    # ---- coming back

    def recover(self) -> None:
        """Bring the state to the end of the log."""
        position = self._load()
        if position < self._ledger.first_position:
            self._note(
                f"the log begins at record {self._ledger.first_position}, so what happened before is missing from the state "
                f"of {self._active.name!r}; windows that reach further back count too little until they have passed"
            )
        begun = None
        for _, record in self._ledger.read(position):
            begun = record.first_seq if begun is None else begun
            if record.detector == self._active.name:
                self.apply(record)
        self._saved_seq = self._ledger.next_seq
        self._saved_position = self._ledger.position if position == self._ledger.position else -1
        self._written = None, self._ledger.next_seq if begun is None else begun

    def _load(self) -> int:
        """Load the newest snapshot that fits; return the position in the log from which to go on."""
        found = snapshots.load_newest(self._folder, self._fits) if self._folder is not None else None
        if found is None:
            return 0
        arrays, meta = found
        words = {int(code): text for code, text in meta.get("words", {}).items()}
        self._active.pipeline.state.load(arrays, words, meta["clock_us"], meta["pace_us"])
        self._totals.restore(meta["totals"])
        if meta["pending"]:
            self._active.rebuild.expect(*zip(*meta["pending"], strict=True))
        return int(meta["position"])

    def _fits(self, path: Path, meta: dict[str, Any]) -> bool:
        """Whether a snapshot is of these aggregates and of this log; one of another log is put aside."""
        wrong = misfit(self._ledger, Cursor(meta["position"], meta.get("checksum")))
        if wrong is not None:
            text = (
                f"the snapshot {path} of {self._active.name!r} does not belong to the log: {wrong}; one of them was "
                "restored from an older copy. It is discarded, and the state is rebuilt from the log"
            )
            self.notes.append(text)
            discarded("snapshot", text)
            snapshots.discard(path)
            return False
        if meta["fingerprint"] != self._active.detector.state_fingerprint:
            self._note(f"the aggregates of {self._active.name!r} have changed; the state is rebuilt from the log")
            return False
        return True

    def apply(self, record: Record) -> None:
        """Apply a record of the log to state."""
        events = self._active.rebuild.apply(record)
        names = self._queries.names_of(record) or self._queries.columns
        for observer in self._observers:
            observer.recorded(record, names, events)

    def follow(self, record: Record) -> None:
        """Apply a record that another engine wrote."""
        if record.kind in INDEXED:
            seqs = np.arange(record.first_seq, record.first_seq + len(record))
            if (self._claims.claim(record.codes, record.arrived_us, record.first_seq) >= 0).any():
                # numbered otherwise: an id came again, or two meet in a code
                self._claims.unclaim(record.codes, record.first_seq)
                self._claims.restore(record.codes, record.arrived_us, seqs)
        self.apply(record)
        self._ledger.append(record)
        self.maybe_snapshot()

    def renew(self) -> None:
        """Note that the state was replaced: saved snapshots no longer fit, so the next event triggers a new one."""
        self._saved_position, self._saved_seq, self._saved_at_us = -1, -self.every_events, 0

    def _note(self, text: str) -> None:
        self.notes.append(text)
        _log.warning(text)

    # ---- saving

    def saved(self) -> LastSnapshot | None:
        """The newest snapshot; None without a data folder. Thread-safe."""
        return None if self._folder is None else LastSnapshot(*self._written, self._trouble)

    def decided(self, _record: Record, _result: BatchResult, _rendered: list[bytes]) -> None:
        """Start a snapshot if one is due."""
        self.maybe_snapshot()

    def applied(self, _read: ReadEvents, _kind: str, _first_seq: int) -> None:
        """Start a snapshot if one is due."""
        self.maybe_snapshot()

    def maybe_snapshot(self) -> None:
        """Start a snapshot if one is due."""
        due = (
            self._ledger.next_seq - self._saved_seq >= self.every_events and self._clock() - self._saved_at_us >= self._every_us
        )
        if self._folder is not None and due and (self.writing is None or self.writing.done()):
            self.snapshot()

    def snapshot(self) -> None:
        """Start to write a snapshot of the current state; `writing` is its future."""
        state = self._active.pipeline.state
        meta = {
            "fingerprint": self._active.detector.state_fingerprint,
            "position": self._ledger.position,
            "clock_us": state.clock_us,
            "pace_us": state.pace_us,
            "totals": self._totals.saved(),
            "pending": [[p.known_us, p.change, p.sequence] for p in self._active.pipeline.pending.saved()],
        }
        self._saved_at_us, self._saved_seq = self._clock(), self._ledger.next_seq
        self._saved_position = self._ledger.position
        self.writing = self._writer.submit(self._write, state.copy(), meta, self._saved_seq)

    def _write(self, copy: StateCopy, meta: dict[str, Any], seq: int) -> None:
        assert self._folder is not None
        try:
            snapshots.save(self._folder, copy, lambda: self._durable(meta), position=meta["position"])
            self._written, self._trouble = (self._clock(), seq), None
        except (OSError, PenstockError) as error:
            self._trouble = str(error)
            _log.error("the state of %r could not be saved; the log still holds everything: %s", self._active.name, error)
        finally:
            copy.give_up()

    def _durable(self, meta: dict[str, Any]) -> dict[str, Any]:
        """The metadata of a snapshot, once the log up to it is durable."""
        self._ledger.flush()
        return meta | {"checksum": cursor_at(self._ledger, meta["position"]).checksum}

    def close(self) -> None:
        """Write a snapshot if the state changed since the last one.

        Raises:
            LedgerError: that cannot be; the log still holds everything.
        """
        if self._folder is not None and self._ledger.position != self._saved_position:
            self.snapshot()
        self._writer.shutdown(wait=True)
        if self._trouble is not None:
            raise LedgerError(
                f"the state of {self._active.name!r} could not be saved: {self._trouble}; nothing that was "
                "acknowledged is lost, and the next start reads it from the log"
            )
