"""Cursors of log readers: the position reached, and a checksum that detects a replaced log.

A position is not enough: a ledger restored from an older copy assigns the same positions to other records. So a reader
keeps the checksum of its last record with the position. The checksum is of the record's content, not of its bytes, so that
copies of one log agree: files, a database, a mirror of a broker's journal.
"""

import logging
import zlib
from collections import Counter
from typing import Any

import msgspec
import numpy as np

from penstock.ledger.port import Ledger
from penstock.messages import Record

_log = logging.getLogger(__name__)
_encode = msgspec.msgpack.Encoder().encode


class Cursor(msgspec.Struct, frozen=True):
    """The position after the last record that was read. checksum: of that record; None where version 0.1 kept none."""

    position: int
    checksum: int | None = None


BEGINNING = Cursor(0, 0)

DISCARDED: Counter[str] = Counter()
"""Positions that did not belong to the log, by what had kept them, since the process began."""


def discarded(reader: str, text: str) -> None:
    """Say that a position was discarded, and count it."""
    _log.warning("%s", text)
    DISCARDED[reader] += 1


def checksum_of(record: Record) -> int:
    """A checksum of a record's content.

    >>> none = np.empty(0, np.int64)
    >>> one, other = (Record("labels", "shop", seq, [], none, none, none) for seq in (7, 8))
    >>> checksum_of(one) == checksum_of(other)
    False
    """
    crc = zlib.crc32(_encode([record.kind, record.detector, record.first_seq, record.ids, record.meta]))
    columns: dict[str, Any] = {"": record.time_us, " ": record.arrived_us, **record.columns}
    for name in sorted(columns):
        column = columns[name]
        crc = zlib.crc32(column.tobytes() if isinstance(column, np.ndarray) else _encode(column), crc)
    return crc


def cursor_at(ledger: Ledger, position: int) -> Cursor:
    """The cursor of a reader at a position; everything before it is durable."""
    if position == 0:
        return BEGINNING
    record = _record_at(ledger, position - 1)
    return Cursor(position, None if record is None else checksum_of(record))


def misfit(ledger: Ledger, cursor: Cursor) -> str | None:
    """The reason why a cursor does not belong to this ledger; None if it does, as far as can be known.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    if cursor.position > ledger.durable_position:
        ledger.flush()
    if cursor.position > ledger.durable_position:
        return f"it has read {cursor.position} records, the log ends before {ledger.durable_position}"
    if cursor.checksum is None or cursor.position == 0:
        return None
    record = _record_at(ledger, cursor.position - 1)
    if record is None or checksum_of(record) == cursor.checksum:
        return None
    return f"record {cursor.position - 1} of the log is another one than it has read"


def _record_at(ledger: Ledger, position: int) -> Record | None:
    """The record at a position; None where the ledger holds it no more."""
    if position < ledger.first_position:
        return None
    return next((record for _, record in ledger.read(position)), None)
