"""Reads of one log by position, by sequence number and by id. Thread-safe."""

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from penstock.adapters.postgres.connection import Connection, Shared
from penstock.errors import LedgerDamaged
from penstock.ledger import INDEXED
from penstock.ledger.encoding import KINDS, decode, header_of, intact
from penstock.messages import Record

Found = tuple[int, Record]
Claimed = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]

_AT_ONCE = 32
_FIRST_ROWS = 4
_EPOCH_US = 946_684_800_000_000
_IDS = np.dtype(
    [("columns", ">i2"), ("a", ">i4"), ("code", ">i8"), ("b", ">i4"), ("arrived", ">i8"), ("c", ">i4"), ("seq", ">i8")]
)
_COPY_HEAD = 19


class LogReader:
    """Reader of the durable records of one log."""

    def __init__(self, url: str, log: int) -> None:
        self._server = Shared(url)
        self._log = log

    def place(self) -> tuple[int, int]:
        """The position and the sequence number that come next."""
        [row] = self._server.rows("SELECT position, next_seq FROM logs WHERE log = %s", (self._log,))
        return int(row[0]), int(row[1])

    def first_position(self) -> int:
        """The oldest record that is still here; where none is, that which comes next."""
        [(first,)] = self._server.rows(
            "SELECT coalesce((SELECT min(position) FROM frames WHERE log = %(log)s), position) FROM logs WHERE log = %(log)s",
            {"log": self._log},
        )
        return int(first)

    def read(self, position: int, kinds: Collection[str] | None) -> Iterator[Found]:
        """Records in order, some at a time, until there is no more.

        Raises:
            LedgerDamaged: a record does not fit its checksum.
        """
        stop = self.place()[0]
        while position < stop:
            found = self._server.rows(
                "SELECT position, frame FROM frames WHERE log = %s AND position >= %s AND position < %s AND kind = ANY (%s)"
                " ORDER BY position LIMIT %s",
                (self._log, position, stop, list(KINDS if kinds is None else kinds), _AT_ONCE),
            )
            for at, frame in found:
                yield at, self._record(frame, at)
            if len(found) < _AT_ONCE:
                position, stop = stop, self.place()[0]
            else:
                position = found[-1][0] + 1

    def record_of(self, seq: int) -> tuple[Record, int] | None:
        """The record that holds a sequence number, and its row."""
        found = self._server.rows(
            "SELECT position, first_seq, rows, frame FROM frames WHERE log = %s AND first_seq <= %s AND rows > 0"
            " ORDER BY first_seq DESC LIMIT 1",
            (self._log, seq),
        )
        for position, first_seq, rows, frame in found:
            if seq < first_seq + rows:
                return self._record(frame, position), seq - first_seq
        return None

    def find(self, code: int, kinds: Collection[str]) -> Iterator[tuple[Record, int]]:
        """The records of these kinds that hold an id's code, and its rows in them, newest first."""
        found = self._server.rows(
            "SELECT e.seq, f.position, f.first_seq, f.frame FROM events AS e CROSS JOIN LATERAL ("
            " SELECT position, first_seq, frame FROM frames WHERE log = e.log AND first_seq <= e.seq AND rows > 0"
            " ORDER BY first_seq DESC LIMIT 1) AS f"
            " WHERE e.code = %s AND e.log = %s AND e.kind = ANY (%s) ORDER BY e.seq DESC",
            (code, self._log, [KINDS.index(kind) for kind in kinds]),
        )
        for seq, position, first_seq, frame in found:
            yield self._record(frame, position), seq - first_seq

    def backwards(self, detector: str, before: int, kinds: Collection[str]) -> Iterator[Record]:
        """Records of a detector that begin before a sequence number, newest first."""
        most = _FIRST_ROWS
        while True:
            found = self._server.rows(
                "SELECT position, first_seq, frame FROM frames WHERE log = %s AND first_seq < %s AND rows > 0"
                " AND detector = %s AND kind = ANY (%s) ORDER BY first_seq DESC LIMIT %s",
                (self._log, before, detector, list(kinds), most),
            )
            for position, first_seq, frame in found:
                yield self._record(frame, position)
                before = first_seq
            if len(found) < most:
                return
            most = _AT_ONCE

    def ids(self, detector: str, dedupe_us: int) -> tuple[int, Claimed]:
        """The latest arrival, and code, arrival and sequence number of every event that came within `dedupe` before it."""
        [(newest,)] = self._server.rows(
            "SELECT coalesce(max(newest_us), 0) FROM frames WHERE log = %s AND detector = %s AND kind = ANY (%s)",
            (self._log, detector, list(INDEXED)),
        )
        query = (
            "COPY (SELECT code, arrived_at, seq FROM events WHERE log = {log} AND shape IN (SELECT shape FROM shapes WHERE"
            " detector = {detector}) AND arrived_at >= timestamptz 'epoch' + {since} * interval '1 microsecond')"
            " TO STDOUT (FORMAT binary)"
        )
        since = max(int(newest) - dedupe_us, 0)
        rows = self._server.use(lambda db: _copied(db, query, log=self._log, detector=detector, since=since))
        arrived = rows["arrived"].astype(np.int64) + _EPOCH_US
        return int(newest), (rows["code"].astype(np.int64), arrived, rows["seq"].astype(np.int64))

    def _record(self, frame: bytes, position: int) -> Record:
        header = header_of(frame)
        if header is None or not intact(header, frame):
            raise LedgerDamaged(
                f"record {position} in {self._server.place} is damaged: its bytes are not what was written. "
                "Check the server's device, and restore the database from a copy"
            )
        return decode(header, frame)

    def close(self) -> None:
        """Close; twice is fine."""
        self._server.close()


def _copied(db: Connection, query: str, **values: Any) -> NDArray[np.void]:
    """The rows of a COPY of three numbers each."""
    named = {name: sql.Literal(value) for name, value in values.items()}
    with db.cursor().copy(sql.SQL(query).format(**named)) as copy:
        data = b"".join(bytes(part) for part in copy)
    return np.frombuffer(data[_COPY_HEAD:-2], _IDS)
