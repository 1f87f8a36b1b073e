"""The newest durable records, in memory: a close follower of a ledger need not read them back from the disk."""

import threading
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Protocol, runtime_checkable

from penstock.messages import Record

KEPT_ROWS = 65_536
MOST_RECORDS = 8_192
"""Durable rows that a ledger keeps in memory for its followers: some seconds of a busy service."""


class RecentRecords:
    """The newest records of one ledger, without a gap. One thread adds, any may ask. kept_rows: how many rows they hold."""

    def __init__(self, kept_rows: int = KEPT_ROWS) -> None:
        self._kept_rows = kept_rows
        self._changed = threading.Condition()
        self._records: deque[tuple[int, Record]] = deque()
        self._rows = 0

    def add(self, records: Sequence[tuple[int, Record]]) -> None:
        """Add durable records, which follow those that were added before."""
        with self._changed:
            self._records += records
            self._rows += sum(len(record) for _, record in records)
            while self._rows > self._kept_rows and len(self._records) > 1:
                self._rows -= len(self._records.popleft()[1])
            self._changed.notify_all()

    def wait(self, position: int, timeout_s: float) -> None:
        """Return when there is a record at this position, or after `timeout_s`."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._records) and self._records[-1][0] >= position, timeout_s)

    def following(self, position: int) -> list[tuple[int, Record]] | None:
        """The records from a position on; None if the first of them is no longer here."""
        with self._changed:
            if not self._records or self._records[0][0] > position:
                return None
            return list(islice(self._records, position - self._records[0][0], None))


@runtime_checkable
class KeepsRecent(Protocol):
    """A ledger that can keep its newest durable records in memory."""

    def recent_records(self) -> RecentRecords:
        """These records, from the first call on."""
