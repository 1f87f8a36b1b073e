"""Compilation before traffic, so that the first event of a new installation does not wait for numba."""

from datetime import UTC, datetime

import msgspec
import numpy as np

from penstock.detector import Detector
from penstock.engine.decide import WARM_UP
from penstock.engine.engine import Engine
from penstock.features import Entity, Label
from penstock.rules import Rule

SWITCH_S = 0.0005
"""Python's switch interval where deciding, committing to a server and sinks run in separate threads. With the default of 5 ms,
the other threads would wait that long after every answer of a server."""

GC_THRESHOLDS = (50_000, 50, 1_000)
"""The garbage collection thresholds of a process that decides. The hot path makes little garbage. With Python's defaults a
server had a p99 of tens of milliseconds, and a worker spent more time on collection than on labels."""

_MANY_KEYS, _MANY_IDS = 2_000, 20_000
"""Enough events to enlarge the tables and the memory of ids."""


class _Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    amount: float
    note: str | None = None
    is_fraud: bool | None = None


def warm_up(engine: Engine) -> None:
    """Run all compiled code once, on a small separate detector: kernels do not depend on the detector.

    With cached code it takes about ten milliseconds. It leaves the engine unchanged; its models score an empty row.
    """
    if engine.pipeline.ensemble is not None:
        engine.pipeline.ensemble.warm()
    linked = bool(engine.pipeline.state.links)
    with Engine(_small(linked=linked), clock=engine.clock) as small:
        _decide(small)
        small.entity("customer", "c")
        small.history.of_key("customer", "c")
        with Engine(_small(linked=linked), clock=engine.clock) as follower:
            for _, record in small.ledger.read():
                follower.recovery.follow(record)
            follower.queries.transaction("1")


def compile_features() -> None:
    """Compile the feature kernel, more than half of all there is to compile."""
    _load(_small())


def compile_links() -> None:
    """Compile the kernels of linked features, which few detectors have; needs the compiled feature kernel."""
    _load(_small(linked=True))


def _load(detector: Detector) -> None:
    import polars as pl

    event = {"transaction_id": ["1"], "timestamp": ["2026-01-01T00:00:00Z"], "customer_id": ["c"], "amount": [1.5]}
    with Engine(detector) as small:
        small.load(small.reader.read_frame(pl.DataFrame(event)))


def compile_decisions() -> None:
    """Compile the code without features: parsing, rules, decisions, the memory of ids."""
    body = b'{"transaction_id": "1", "timestamp": "2026-01-01T00:00:00Z", "customer_id": "c", "amount": 1.5}'
    with Engine(_small()) as small:
        small.pipeline.score_and_decide(small.reader.read([body], small.clock()).batch, 0)
        _claim(small)


def _decide(small: Engine) -> None:
    """Decide, label and look up, one at a time and many."""
    body = b'{"transaction_id": "%d", "timestamp": "2026-01-01T00:00:0%dZ", "customer_id": "c", "amount": 1.5}'
    for count in (1, 2):
        small.decide_json([body % (count, k) for k in range(count)])
    small.decide(msgspec.json.decode(body % (8, 8)), dry_run=True)
    small.label("1", fraud=True, at=datetime(2026, 1, 1, tzinfo=UTC))
    small.decide_json([body % (9, 9)])
    small.decide_json([b"{}"])
    small.history.outcome("1")
    small.queries.transaction("1")
    _grow(small)


def _grow(small: Engine) -> None:
    """Compile the code for large tables, sweeps and repeated ids."""
    body = b'{"transaction_id": "many %d", "timestamp": "2026-01-01T00:00:00Z", "customer_id": "c%d", "amount": 1.5}'
    small.decide_json([body % (k, k) for k in range(_MANY_KEYS)])
    state = small.pipeline.state
    copy = state.copy()
    small.decide_json([body % (_MANY_KEYS, 0)])
    state.load(dict(copy), {}, state.clock_us, state.pace_us)
    state.digest()
    _claim(small)


def _claim(small: Engine) -> None:
    codes, arrived_us = np.arange(1, _MANY_IDS), np.zeros(_MANY_IDS - 1, np.int64)
    small.claims.claim(codes, arrived_us, _MANY_IDS)
    small.claims.unclaim(codes, _MANY_IDS)
    small.claims.restore(codes, arrived_us, codes)


def _small(*, linked: bool = False) -> Detector:
    """linked: with a linked feature, whose kernels only detectors with links need."""
    customer = Entity("customer_id")
    features = [customer.count("1h"), customer.max("amount", "1d"), customer.distinct("note", "1h"), customer.last("note")]
    shared = [customer.linked("note", window="1d"), customer.ring("note", window="1d")]
    return Detector(
        WARM_UP,
        event=_Payment,
        id="transaction_id",
        time="timestamp",
        label=Label("is_fraud"),
        features=[*features, customer.label_rate("1d"), *(shared if linked else [])],
        rules=[Rule("some", "amount > 1", then="block", reason="{amount} is some")],
    )
