"""How events get into state: new ones only, all of a batch or none."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from penstock.engine import records
from penstock.engine.deduplication import Duplicates, IdCollision
from penstock.engine.pipeline import UpdatedState
from penstock.engine.reads import chosen
from penstock.ingest import Read
from penstock.ledger import INDEXED
from penstock.messages import Batch, Record, Refusal

if TYPE_CHECKING:
    from penstock.engine.engine import Engine, OnDurable


class Intake:
    """The way of events into the state and the log of one engine."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine

    def update_state(
        self, batch: Batch, codes: NDArray[np.int64], first_seq: int, found: Duplicates, *, read: bool, write: bool = True
    ) -> UpdatedState:
        """Let new events into state; where that is refused, none has entered and their ids are free again."""
        engine = self._engine
        try:
            entered = engine.pipeline.update_state(batch, first_seq, read=read, write=write)
        except BaseException:
            if write:
                engine.claims.unclaim(codes, first_seq)
            raise
        if write:
            engine.deduplicator.commit(batch, codes, first_seq, found)
        return entered

    def record(self, batch: Batch, codes: NDArray[np.int64], kind: str, first_seq: int, entered: UpdatedState) -> Record:
        """What the log keeps of events that were not decided."""
        engine = self._engine
        record = records.applied(batch, kind, engine.detector.name, first_seq, {"layout": engine.layout_id}, codes)
        records.keep_closed(record, entered.closed)
        return record

    def apply(self, read: Read, kind: str, on_durable: "OnDurable | None") -> int:
        """Let events into state without deciding about them; how many were new."""
        engine = self._engine
        records.keep_unknown(read)
        first_seq = engine.ledger.next_seq
        try:
            found = engine.deduplicator.find(read.batch, read.id_codes, first_seq)
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
        entered = self.update_state(batch, codes, first_seq, found, read=False)
        engine.ledger.append(self.record(batch, codes, kind, first_seq, entered), on_durable)
        engine.personal.keep(batch)
        if kind == "loaded":
            engine.label_store.recorded(batch, first_seq, read)
        engine.recovery.maybe_snapshot()
        return len(batch)

    def _when_durable(self, told: "OnDurable | None") -> None:
        if told is not None:
            self._engine.ledger.when_durable(told)

    def not_informing(self, read: Read) -> list[tuple[int, Refusal]]:
        """Refusals for those that are transactions."""
        names = ", ".join(self._engine.informs) or "none"
        text = f"this is a transaction, which is decided by POST /predict; informing events carry a type, one of: {names}"
        return [(int(read.rows[row]), Refusal(422, text, (("type", text),))) for row in np.flatnonzero(read.batch.kinds == 0)]

    def follow(self, record: Record) -> None:
        """Take in a record that another engine has written."""
        engine = self._engine
        if record.kind in INDEXED:
            seqs = np.arange(record.first_seq, record.first_seq + len(record))
            if (engine.claims.claim(record.codes, record.arrived_us, record.first_seq) >= 0).any():
                # numbered otherwise: an id came again, or two meet in a code
                engine.claims.unclaim(record.codes, record.first_seq)
                engine.claims.restore(record.codes, record.arrived_us, seqs)
        engine.recovery.apply(record)
        engine.ledger.append(record)
        engine.recovery.maybe_snapshot()
