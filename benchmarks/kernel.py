"""The feature kernel beside plain Python deques and DuckDB RANGE frames, one thread each, on the same events: the table-driven
kernel, which serves at once, and the functions that are compiled from the plan.

9 features over 3 entities: customer count and sum over 1 h and 24 h, mean and std over 7 d, time since the previous;
customers of a device within 24 h; events of a merchant within 1 h. Keys are codes already (replay.py includes texts).
"""

import math
import tempfile
import time

import duckdb
import numpy as np
from _report import Row, best_of, main
from _workload import NINE, WITH_DUCKDB, batch_of, columns, detector, many_features, stream, with_deques

from penstock.features.compiled.background import find
from penstock.features.compiled.build import compile_source
from penstock.features.compiled.source import function_of
from penstock.ingest.selection import take

CHUNK = 16_384


def _apply(declared, chunks, *, compiled: bool) -> None:
    """All events through fresh tables."""
    state, sequence = declared.state(), 0
    if compiled:
        _use_functions(state)
    for chunk in chunks:
        state.apply(chunk, sequence)
        sequence += len(chunk)


def _use_functions(state) -> None:
    for text in find(state):
        compile_source(text)
    assert find(state) == []


def _compile_s(features) -> float:
    """Processor time to compile all functions of a plan, once what all plans share is compiled."""
    sources = sorted({function_of(entity.plan) for entity in detector(features).plan.entities})
    compile_source(sources[0])
    before = time.process_time()
    for text in sources:
        compile_source(text)
    return time.process_time() - before


def _chunks(batch) -> list:
    """The batch in pieces that share its columns, so that features stand in the whole."""
    return [take(batch, slice(start, start + CHUNK)) for start in range(0, len(batch), CHUNK)]


def _rates(features, frame, turns: int) -> tuple[float, float]:
    """Events a second, table-driven and compiled, in alternating turns."""
    declared = detector(features)
    chunks = _chunks(batch_of(declared, frame))
    best = [math.inf, math.inf]
    for turn in range(turns + 1):
        for compiled in (False, True):
            seconds = best_of(1, lambda: _apply(declared, chunks, compiled=compiled))  # noqa: B023 -- called at once
            best[compiled] = min(best[compiled], seconds) if turn else math.inf
    return len(frame) / best[False], len(frame) / best[True]


def _check(declared, batch, deques) -> None:
    """Deques and both tiers compute the same numbers."""
    _apply(declared, _chunks(batch), compiled=False)
    table_driven = batch.x.copy()
    _apply(declared, _chunks(batch), compiled=True)
    np.testing.assert_array_equal(batch.x, table_driven)
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
    table, kernel = _rates(NINE, frame, 5)
    wide_table, wide = _rates(many_features(), frame, 2)
    return [
        Row.faster("kernel, 9 features", kernel, "events/s", "python deques", deques, target=40),
        Row.faster("kernel, 9 features", kernel, "events/s", "duckdb range frames", duck, target=16),
        Row.faster("kernel, 120 features", wide, "events/s", "python deques, 9 features", deques, target=9),
        Row.faster("table-driven, 9 features", table, "events/s", "python deques", deques),
        Row.faster("table-driven, 9 features", table, "events/s", "duckdb range frames", duck),
        Row.faster("table-driven, 120 features", wide_table, "events/s", "python deques, 9 features", deques),
        Row.figure("compiling 9 features", _compile_s(NINE), "s of processor time"),
        Row.at_most("compiling 120 features", _compile_s(many_features()), "s of processor time", 10),
    ]


if __name__ == "__main__":
    main(run)
