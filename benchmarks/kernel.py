"""The feature kernel beside plain Python deques and DuckDB RANGE frames, one thread each, on the same events.

9 features over 3 entities: customer count and sum over 1 h and 24 h, mean and std over 7 d, time since the previous;
customers of a device within 24 h; events of a merchant within 1 h. Keys are codes already (replay.py includes texts).
"""

import tempfile

import duckdb
import numpy as np
from _report import Row, best_of, main
from _workload import NINE, WITH_DUCKDB, batch_of, columns, detector, many_features, stream, with_deques

from penstock.engine.reads import take

CHUNK = 16_384


def _apply(declared, chunks) -> None:
    """All events through fresh tables."""
    state, sequence = declared.state(), 0
    for chunk in chunks:
        state.apply(chunk, sequence)
        sequence += len(chunk)


def _chunks(batch) -> list:
    """The batch in pieces that share its columns, so that features stand in the whole."""
    return [take(batch, slice(start, start + CHUNK)) for start in range(0, len(batch), CHUNK)]


def _rate(features, frame, repeats: int) -> float:
    declared = detector(features)
    chunks = _chunks(batch_of(declared, frame))
    _apply(declared, chunks)
    return len(frame) / best_of(repeats, lambda: _apply(declared, chunks))


def _check(declared, batch, deques) -> None:
    """Both compute the same numbers."""
    _apply(declared, _chunks(batch))
    names = [f.name for f in NINE]
    ours = np.column_stack([batch.x[:, declared.plan.layout[name].index] for name in names])
    theirs = np.array([[np.nan if v is None else v for v in row] for row in deques])
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-3)


def run(quick: bool) -> list[Row]:
    n = 100_000 if quick else 500_000
    frame = stream(n, days=30 * n // 500_000)
    inputs = columns(frame)
    declared = detector(NINE)
    _check(declared, batch_of(declared, frame), with_deques(*inputs))
    deques = n / best_of(2, lambda: with_deques(*inputs))
    connection = duckdb.connect(config={"threads": 1})
    with tempfile.TemporaryDirectory() as folder:
        frame.write_parquet(f"{folder}/payments.parquet")
        connection.execute(f"create table events as select * from '{folder}/payments.parquet'")
    duck = n / best_of(
        1 if quick else 2,
        lambda: connection.execute(f"create or replace table out as {WITH_DUCKDB.replace('payments', 'events')}"),
    )
    kernel = _rate(NINE, frame, 5)
    wide = _rate(many_features(), frame, 2)
    return [
        Row.faster("kernel, 9 features", kernel, "events/s", "python deques", deques, target=40),
        Row.faster("kernel, 9 features", kernel, "events/s", "duckdb range frames", duck, target=8),
        Row.faster("kernel, 120 features", wide, "events/s", "python deques, 9 features", deques, target=5),
    ]


if __name__ == "__main__":
    main(run)
