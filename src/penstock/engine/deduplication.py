"""Deduplication: finds events whose id was decided before, and repeats their first decision."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.decision import conflicting
from penstock.engine import records
from penstock.engine.active_detector import ActiveDetector
from penstock.engine.queries import RecordQueries
from penstock.engine.statistics.totals import Totals
from penstock.ledger import INDEXED, Claims, Ledger
from penstock.messages import Batch, Record, Refusal


class IdCollision(Exception):
    """Two different ids have the same hash code."""


class Duplicates(NamedTuple):
    """The duplicates of a batch.

    first_seqs: -1 where an event is new, else the sequence number of the first one; None where all are new. collided: whether
    the one event is new, although an earlier one holds the claim of its code.
    """

    first_seqs: NDArray[np.int64] | None
    collided: bool = False


_NO_DUPLICATES = Duplicates(None)


class Deduplicator:
    """Finds events whose id was seen within the `dedupe` period.

    The claims know an id by its 64-bit code. Two ids meet in one by chance never, but somebody who chooses ids can find two
    that do within minutes, so no hit is trusted before the recorded id has been compared. Where it is another one, the
    event is new, and takes over the claim once it has entered state; the ledger's index, which compares ids, knows the
    other one when it comes again.
    """

    def __init__(self, active: ActiveDetector, ledger: Ledger, claims: Claims, queries: RecordQueries, totals: Totals) -> None:
        self._active, self._ledger, self._claims, self._queries, self._totals = active, ledger, claims, queries, totals

    def find(self, batch: Batch, codes: NDArray[np.int64], first_seq: int, *, dry_run: bool = False) -> Duplicates:
        """Find the duplicates of a batch. New ids are claimed, except in a dry run; call `commit` after it.

        Raises:
            IdCollision: two ids of one code meet in a batch of several; nothing was claimed.
        """
        if not len(batch):
            return _NO_DUPLICATES
        claims, arrived_us = self._claims, batch.arrived_us
        first_seqs = claims.peek(codes, arrived_us) if dry_run else claims.claim(codes, arrived_us, first_seq)
        hits = [] if first_seqs[0] < 0 and len(first_seqs) == 1 else np.flatnonzero(first_seqs >= 0).tolist()
        if not hits:
            return _NO_DUPLICATES
        if self._theirs(batch, first_seqs, hits, first_seq):
            return Duplicates(first_seqs)
        if len(batch) > 1:
            if not dry_run:
                claims.unclaim(codes, first_seq)
            raise IdCollision
        first_seqs[0] = self._searched(batch)
        return Duplicates(None, collided=True) if first_seqs[0] < 0 else Duplicates(first_seqs)

    def commit(self, batch: Batch, codes: NDArray[np.int64], first_seq: int, found: Duplicates) -> None:
        """Keep the claims of a batch whose new events are in state. found: its duplicates."""
        if found.collided:
            self._claims.restore(codes, batch.arrived_us, np.array([first_seq]))

    def _theirs(self, batch: Batch, first_seqs: NDArray[np.int64], hits: list[int], first_seq: int) -> bool:
        """Whether every hit claim belongs to the same id."""
        new: list[int] | None = None
        for row in hits:
            seq = int(first_seqs[row])
            if seq >= first_seq:
                new = np.flatnonzero(first_seqs < 0).tolist() if new is None else new
                if batch.ids[new[seq - first_seq]] != batch.ids[row]:
                    return False
            else:
                found = self._ledger.record_of(seq)
                if found is not None and found[0].ids[found[1]] != batch.ids[row]:
                    return False
        return True

    def _searched(self, batch: Batch) -> int:
        """The sequence number under which the index knows the one event's id, -1 if it does not."""
        self._ledger.flush()  # the index holds what is durable
        found = self._ledger.find(self._active.name, batch.ids[0], INDEXED)
        if found is None or int(batch.arrived_us[0]) - int(found[0].arrived_us[found[1]]) > self._active.detector.dedupe_us:
            return -1
        return found[0].first_seq + found[1]

    # ---- answers

    def answer(
        self, batch: Batch, first_seqs: NDArray[np.int64], first_seq: int, fresh: Mapping[int, bytes], *, dry_run: bool
    ) -> dict[int, bytes | Refusal]:
        """The first decision for each duplicate row, marked as a conflict if the content differs.

        fresh: the decisions of this batch's new rows, in their order.
        """
        new = list(fresh)
        answers: dict[int, bytes | Refusal] = {}
        for row in np.flatnonzero(first_seqs >= 0).tolist():
            seq = int(first_seqs[row])
            if seq >= first_seq:
                twin = new[seq - first_seq]
                same, answer = self._same(batch, row, batch, twin), fresh[twin]
            else:
                found = self._ledger.record_of(seq)
                if found is None or found[0].kind != "decisions":
                    answers[row] = _undecided(batch.ids[row])
                    continue
                same, answer = self._recorded(batch, row, *found)
            if not dry_run:
                self._totals.duplicates += 1
                self._totals.conflicts += not same
            answers[row] = answer if same else conflicting(answer)
        return answers

    def _recorded(self, batch: Batch, row: int, record: Record, at: int) -> tuple[bool, bytes]:
        earlier = records.batch_of(records.rows_of(record, [at]), self._active.detector, self._queries.names_of(record))
        return self._same(batch, row, earlier, 0), self._queries.render(record, [at])[0]

    def _same(self, left: Batch, left_row: int, right: Batch, right_row: int) -> bool:
        schema = self._active.detector.schema
        fields: dict[str, Any] = {
            name: type_ for name, type_ in schema.columns.items() if name != schema.time or name in schema.needed
        }
        return records.same_content(left, left_row, right, right_row, fields, self._active.detector.plan.layout)


def _undecided(transaction_id: str) -> Refusal:
    return Refusal(409, f"transaction {transaction_id!r} was taken in before, without a decision")
