"""Encoding of records in PostgreSQL's binary COPY format: a row for each event, and the record's frame.

Numbers travel as one array per row, since the server takes an array of 84 numbers in 5 microseconds and a JSON object
with as many names in 40. A row is a stretch of constant length (all that is numbers and times, filled column by column)
followed by its texts.

Source: the documentation of COPY, "Binary Format", and the wire formats of `array_recv` and `timestamptz_recv`.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain
from re import compile as pattern
from struct import Struct
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from penstock.adapters.postgres.layouts import Shape
from penstock.adapters.postgres.tables import kept
from penstock.decision.record import explanations_of
from penstock.decoding import prepared
from penstock.ledger.encoding import KINDS, Header
from penstock.messages import Record

BEGIN = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END = b"\xff\xff"

EVENTS = (
    "day, log, kind, shape, seq, code, event_time, arrived_at, decided_at, action, probability, amount, numbers,"
    " transaction_id, texts, reasons, rules, degraded"
)
FRAMES = "day, log, position, first_seq, rows, kind, detector, newest_us, frame"

_FIXED = (
    ("day", ">i4"),
    ("log", ">i2"),
    ("kind", ">i2"),
    ("shape", ">i4"),
    ("seq", ">i8"),
    ("code", ">i8"),
    ("event_time", ">i8"),
    ("arrived_at", ">i8"),
    ("decided_at", ">i8"),
    ("action", ">i2"),
    ("probability", ">f8"),
    ("amount", ">f8"),
)
_COLUMNS = 18
_FLOAT8, _TEXT = 701, 25
_NULL = b"\xff\xff\xff\xff"
_EPOCH_US = 946_684_800_000_000
_EPOCH_DAYS = 10_957
_MOST_US, _LEAST_US = 2**62, -(2**60)
_length = Struct(">i").pack
_UNWANTED = pattern(rb"(?<!\\)((?:\\\\)*)\\u0000")


class _RowExplanation(msgspec.Struct):
    """The fields read from an explanation."""

    reasons: msgspec.Raw
    rules: msgspec.Raw


_explained = msgspec.json.Decoder(prepared(_RowExplanation))


def event_rows(record: Record, day: int, log: int, shape: Shape, number: int | NDArray[np.int64]) -> bytes:
    """The rows of a record. day: since 1970. number: the shape's, or that of each row."""
    pieces = _numbers(record, day, log, shape, number)
    ids = _texts(record.ids)
    arrays = _arrays([record.columns[column] for column, _, _ in shape.texts], len(record))
    return b"".join(chain.from_iterable(zip(pieces, ids, arrays, _tails(record), strict=True)))


def frame_row(header: Header, frame: bytes, detector: str, day: int, log: int) -> bytes:
    """The row with a record's frame."""
    kind, name = header.kind.encode(), kept(detector).encode()
    head = _FRAME_HEAD.pack(9, 4, day - _EPOCH_DAYS, 2, log, 8, header.position, 8, header.first_seq, 4, header.rows, len(kind))
    return b"".join((head, kind, _length(len(name)), name, _FRAME_TAIL.pack(8, header.newest_us, len(frame)), frame))


_FRAME_HEAD = Struct(">hiiihiqiqiii")
_FRAME_TAIL = Struct(">iqi")


@lru_cache(maxsize=64)
def _row_type(width: int) -> np.dtype[np.void]:
    """One row up to its texts: every value behind its length."""
    fields: list[Any] = [("columns", ">i2")]
    for name, kind in _FIXED:
        fields += [(f"{name}_bytes", ">i4"), (name, kind)]
    fields += [(name, ">i4") for name in ("numbers_bytes", "dimensions", "nulls", "element", "width", "first")]
    return np.dtype([*fields, ("numbers", [("bytes", ">i4"), ("value", ">f8")], (width,))])


@lru_cache(maxsize=64)
def _blank(width: int) -> NDArray[np.void]:
    """A row with all that is the same in every row. An array without elements has no dimensions."""
    row = np.zeros(1, _row_type(width))
    row["columns"] = _COLUMNS
    for name, kind in _FIXED:
        row[f"{name}_bytes"] = np.dtype(kind).itemsize
    row["numbers"]["bytes"] = 8
    row["dimensions"], row["element"], row["width"], row["first"] = 1, _FLOAT8, width, 1
    row["numbers_bytes"] = 20 + 12 * width
    return row


def _numbers(record: Record, day: int, log: int, shape: Shape, number: int | NDArray[np.int64]) -> list[bytes]:
    """The constant stretch of every row."""
    n, width = len(record), len(shape.numbers)
    rows = np.repeat(_blank(width), n)
    matrix, columns = shape.matrix(record), record.columns
    rows["day"], rows["log"], rows["kind"], rows["shape"] = day - _EPOCH_DAYS, log, KINDS.index(record.kind), number
    rows["seq"], rows["code"] = np.arange(record.first_seq, record.first_seq + n), record.codes
    rows["event_time"], rows["arrived_at"] = _instants(record.time_us), _instants(record.arrived_us)
    decided_us = record.meta.get("decided_us")
    rows["decided_at"] = rows["arrived_at"] if decided_us is None else decided_us - _EPOCH_US
    rows["action"] = columns.get("action", -1)
    scores: Any = columns.get("scores")
    rows["probability"] = np.nan if scores is None or scores.ndim != 2 or not scores.shape[1] else scores[:, 0]
    rows["amount"] = np.nan if shape.amount < 0 else matrix[:, shape.amount]
    rows["numbers"]["value"] = matrix
    if not width:
        return [piece[:-_EMPTY_CUT] + _EMPTY for piece in _cut(rows)]
    return _cut(rows)


_EMPTY_CUT = 24
_EMPTY = np.array([12, 0, 0, _FLOAT8], ">i4").tobytes()


def _cut(rows: NDArray[np.void]) -> list[bytes]:
    data, size = rows.tobytes(), rows.dtype.itemsize
    return [data[start : start + size] for start in range(0, len(data), size)]


def _instants(times_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """Instants in PostgreSQL's epoch, clamped to its range."""
    return np.clip(times_us, _LEAST_US, _MOST_US) - _EPOCH_US


def _texts(texts: Iterable[str]) -> list[bytes]:
    """Each text behind its length."""
    return [_length(len(data)) + data for data in [kept(text).encode() for text in texts]]


def _nullable(texts: Any) -> list[bytes]:
    """Each text behind its length; null is a length of -1."""
    return [
        _NULL if data is None else _length(len(data)) + data
        for data in [None if text is None else kept(text).encode() for text in texts]
    ]


def _arrays(columns: Sequence[Any], n: int) -> list[bytes]:
    """The texts of every row as an array."""
    if not columns:
        return [_length(12) + np.array([0, 0, _TEXT], ">i4").tobytes()] * n
    nulls = int(any(None in column for column in columns))
    head = np.array([1, nulls, _TEXT, len(columns), 1], ">i4").tobytes()
    bodies = list(map(b"".join, zip(*map(_nullable, columns), strict=True)))
    return [_length(20 + len(body)) + head + body for body in bodies]


def _tails(record: Record) -> list[bytes]:
    """Reasons, rules and degradation of every row: null but in the few that are out of the ordinary."""
    tails = [_NULL * 3] * len(record)
    explanations = (explanations_of(record) or {}) if record.kind == "decisions" else {}
    degraded: Any = record.columns.get("degraded")
    if isinstance(degraded, list):
        tails = [_NULL * 2 + each for each in _nullable(degraded)]
    for row, data in explanations.items():
        found = _explained.decode(data)
        tails[row] = _json(found.reasons) + _json(found.rules) + tails[row][8:]
    return tails


def _json(raw: msgspec.Raw) -> bytes:
    data = bytes(raw)
    if b"\\u0000" in data:  # which jsonb cannot hold
        data = _UNWANTED.sub(r"\1␀".encode(), data)
    return _length(len(data) + 1) + b"\x01" + data
