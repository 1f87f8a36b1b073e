"""Records and engines for tests of stores: the same decisions, however they are kept."""

import numpy as np

from penstock.codes import text_codes
from penstock.ledger import ArchiveField
from penstock.messages import Record

HOUR_US = 3_600_000_000
BEGIN_US = 1_767_225_600_000_000  # 2026-01-01

LAYOUT = {
    "x": [ArchiveField("amount"), ArchiveField("night", "boolean"), ArchiveField("seen_at", "time"), ArchiveField("")],
    "scores": [ArchiveField("fraud_probability"), ArchiveField("score_forest")],
    "action": [ArchiveField("decision", "text", ("APPROVE", "CHALLENGE", "REVIEW", "BLOCK"))],
    "text:city": [ArchiveField("city", "text")],
}


def record(first_seq, n=3, *, detector="banking", arrived_us=BEGIN_US, ids=None, city=None, x=None, kind="decisions"):
    """A record as the engine makes them, with every kind of column."""
    ids = ids or [f"tx{first_seq + k}" for k in range(n)]
    n = len(ids)
    x = np.tile([5.5, 1.0, float(BEGIN_US), 9.0], (n, 1)) if x is None else x
    columns = {
        "x": x,
        "scores": np.full((n, 2), 0.25),
        "action": np.arange(n, dtype=np.uint8) % 4,
        "by": np.zeros(n, np.int16),
        "text:city": city or ["Zürich"] * n,
    }
    times = np.full(n, arrived_us, np.int64)
    versions = {"detector": "d1", "model": None, "rules": "r1"}
    meta = {"layout": "v1", "decided_us": arrived_us + 7, "versions": versions, "latency_ms": {"total": 1.5}}
    return Record(kind, detector, first_seq, ids, text_codes(ids), times - 5, times, columns, meta)


def same(left, right):
    """Whether two records are the same to the last bit."""
    facts = ("kind", "detector", "first_seq", "ids", "meta")
    arrays = ("codes", "time_us", "arrived_us")
    return (
        all(getattr(left, name) == getattr(right, name) for name in facts)
        and all(getattr(left, name).tobytes() == getattr(right, name).tobytes() for name in arrays)
        and left.columns.keys() == right.columns.keys()
        and all(_same_column(column, right.columns[name]) for name, column in left.columns.items())
    )


def _same_column(left, right):
    return left == right if isinstance(left, list) else (left.dtype, left.tobytes()) == (right.dtype, right.tobytes())
