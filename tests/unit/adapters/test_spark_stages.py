"""What runs inside Spark, run without it: shuffles are sorts here, and everything else is the very code of the workers."""

import logging
import threading
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from tests.integration import spark_world as world

from penstock import replay
from penstock.adapters.spark.blocks import bucket_of, pack, unpack
from penstock.adapters.spark.buckets import Needs, Running, StateBucket
from penstock.adapters.spark.clock import STRIDE_US, Asking, EventTimes, Naming, SliceClocks, Walking
from penstock.adapters.spark.collect import BASE, Collect
from penstock.adapters.spark.files import splits_of
from penstock.adapters.spark.scan import Cutting, Merging, Opening, SliceScan
from penstock.adapters.spark.shuffle import Shuffle
from penstock.adapters.spark.source import DetectorSource
from penstock.adapters.spark.state_cache import StateCache
from penstock.adapters.spark.stream import wait

BUCKETS, SIZE, PLACES = 3, 100, (0, 1, 2)


def declared(name: str):
    return getattr(world, name)


def ran(stage, rows, *order):
    """The rows that a stage makes of others, which a shuffle has brought into this order."""
    cells = sorted(rows, key=lambda row: [row[name] for name in order])
    batches = [pa.RecordBatch.from_pylist([cell], schema=_schema(cell)) for cell in cells]
    return [row for batch in stage(iter(batches)) for row in batch.to_pylist()]


def _schema(cell):
    types = {int: pa.int64(), bytes: pa.binary(), bool: pa.bool_(), str: pa.string(), list: pa.list_(pa.int64())}
    return pa.schema([(name, types.get(type(value), pa.null())) for name, value in cell.items()])


def bare(rows, *names):
    return [{name: row[name] for name in names} for row in rows]


def backfilled(source: DetectorSource, file: Path, work: Path) -> pl.DataFrame:
    """The rows of a backfill, all the ways round: the data out of order, ids that repeat, clocks that lag."""
    splits = splits_of([file], work, SIZE)
    read = ran(SliceScan(source, tuple(splits), SIZE), [{"id": k} for k in range(len(splits))])
    data = bare([row for row in read if row["rows"]], "slice", "refused", "data")
    bounds = tuple(sorted(np.quantile([us for row in read for us in row["sample"] or ()], [0.2, 0.4, 0.6, 0.8]).astype(int)))
    cut = ran(Cutting(source, bounds, PLACES), data)
    slices = bare(ran(Merging(source), cut, "slice", "group"), "slice", "data")
    asked = ran(Asking(source), ran(Naming(source, PLACES), slices), "group", "slice")
    repeated: dict[int, list[int]] = {}
    for row in asked:
        repeated.setdefault(row["slice"], []).extend(row["rows"])
    opening = Opening(source, repeated)
    walked = ran(Walking(source), ran(EventTimes(opening), slices), "slice")
    entries = {row["slice"]: SliceClocks(row["clock_us"], row["pace_us"], row["lags"]) for row in walked}
    spread = ran(Shuffle(opening, entries, BUCKETS, PLACES), slices)
    results = ran(Running(opening, BUCKETS, len(slices), PLACES), spread, "group", "slice")
    base = [{"group": BASE, **row} for row in slices]
    gathered = ran(Collect(opening, BUCKETS), base + bare(results, "group", "slice", "data"), "slice", "group")
    return pl.DataFrame(gathered, infer_schema_length=None)


@pytest.mark.parametrize("seed", [0, 1])
def test_all_stages_together_give_the_rows_of_a_replay(seed, tmp_path):
    """Late events, quiet days, roles, labels, informing events, ids that come again; every number to the last bit."""
    events = world.events(900, seed=seed).sample(fraction=1.0, shuffle=True, seed=seed)
    events.write_parquet(tmp_path / "events.parquet")
    rows = backfilled(DetectorSource("transfers", declared), tmp_path / "events.parquet", tmp_path)
    expected = replay(world.transfers, events)
    assert len(events) - len(expected) - 1 > 0
    assert rows.columns == expected.columns
    for name in expected.columns:
        left, right = rows[name].cast(expected[name].dtype), expected[name]
        if right.dtype == pl.Float64:
            left, right = left.reinterpret(signed=False), right.reinterpret(signed=False)
        assert left.equals(right), name


def test_the_pace_clock_lags_behind_in_these_events(tmp_path):
    """So that the test above shows something."""
    gaps = np.diff(world.events(900)["arrived_at"].to_physical().to_numpy())
    assert gaps.max() > STRIDE_US


def test_the_same_key_is_always_in_the_same_bucket_and_buckets_are_even():
    keys = np.random.default_rng(0).integers(1, 2**62, 10_000)
    buckets = bucket_of(keys, 16)
    assert np.array_equal(buckets[::-1], bucket_of(keys[::-1].copy(), 16))
    assert np.bincount(buckets).min() > 500


def test_a_cache_gives_out_what_it_holds_once():
    """Whoever fails half way must not leave a half changed state behind."""
    cache: StateCache[int] = StateCache(2)
    for key in range(3):
        cache.put(key, key)
    assert (cache.take(0), cache.take(2), cache.take(2)) == (None, 2, None)


def test_a_bucket_saved_and_restored_goes_on_as_if_nothing_had_been(tmp_path):
    pytest.importorskip("pyspark")
    from penstock.adapters.spark.keyed_state import restore, save

    source = DetectorSource("transfers", declared)
    events = world.events(900, seed=2).filter(type="transfer").unique("transfer_id", maintain_order=True)
    events.drop("fraud").write_parquet(tmp_path / "e.parquet")  # a stream has no labels
    splits = splits_of([tmp_path / "e.parquet"], tmp_path, SIZE)
    slices = bare(ran(SliceScan(source, tuple(splits), SIZE), [{"id": k} for k in range(len(splits))]), "slice", "rows", "data")
    slices = bare([row for row in slices if row["rows"]], "slice", "data")
    entries = {row["slice"]: SliceClocks(0, 0) for row in slices}
    blocks = ran(Shuffle(Opening(source, {}), entries, 1, PLACES), slices)
    for entity, plan in enumerate(world.transfers.plan.entities):
        needs = Needs(world.transfers, plan)
        one, other = StateBucket(needs, plan), StateBucket(needs, plan)
        mine = sorted((row for row in blocks if row["group"] == entity), key=lambda row: row["slice"])
        for block in mine:
            found = unpack(pa.py_buffer(block["data"]))
            again = StateBucket(needs, plan)
            restore(again, save(other))
            assert pack(one.run(found)).equals(pack(again.run(found)))
            other = again


PY4J = "There was an exception while executing the Python Proxy on the Python Side."


class Interrupted:
    """In the place of a query in the middle of a micro-batch: py4j logs what its Python function raises when it is stopped."""

    def __init__(self, *, active: bool) -> None:
        self.isActive = active

    def stop(self):
        logging.getLogger("py4j.clientserver").error(PY4J)


@pytest.mark.parametrize(("asked", "told"), [(True, []), (False, [PY4J])], ids=["asked to stop", "by itself"])
def test_a_micro_batch_that_is_dropped_on_request_is_no_failure_in_the_log(asked, told, caplog):
    stop = threading.Event()
    if asked:
        stop.set()
    with caplog.at_level(logging.WARNING, "py4j"):  # as a session sets it; restored afterwards
        wait(Interrupted(active=asked), stop)
    assert caplog.messages == told
