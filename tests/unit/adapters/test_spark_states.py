"""A stream's stages without Spark: state in dicts that stand for Spark's store, micro-batches by hand, failures on purpose."""

import copy
import json
from collections import defaultdict
from contextlib import suppress

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

pytest.importorskip("pyspark")
from tests.integration import crash_worker, spark_world

from penstock import Engine
from penstock.adapters.spark import keyed_state
from penstock.adapters.spark.blocks import unpack
from penstock.adapters.spark.decide import Decide
from penstock.adapters.spark.dedup import Dedup
from penstock.adapters.spark.inbox import SparkInbox
from penstock.adapters.spark.keyed_state import KeyedState
from penstock.adapters.spark.source import DetectorSource
from penstock.adapters.spark.stream import check_fit, declare
from penstock.errors import BundleError, ConfigurationError

BUCKETS = 3
START_US = 1_767_225_600_000_000


def declared(name: str):
    return crash_worker.detector if name == "crash" else getattr(spark_world, name)


SOURCE = DetectorSource("crash", declared)


class StoreFails(Exception):
    """Spark's store takes nothing, as when a machine is lost in the middle of a task."""


class Broken(dict):
    def __setitem__(self, name, value):
        raise StoreFails

    def setdefault(self, name, default=None):
        raise StoreFails


class Value:
    def __init__(self, store, name):
        self.store, self.name = store, name

    def get(self):
        return self.store.get(self.name)

    def update(self, value):
        self.store[self.name] = value


class Listed(Value):
    def get(self):
        return iter(self.store.get(self.name, []))

    def appendValue(self, value):
        self.store.setdefault(self.name, []).append(value)

    def clear(self):
        self.store.pop(self.name, None)


class Mapped(Value):
    def _held(self):
        return self.store.setdefault(self.name, {})

    def getValue(self, key):
        return self._held().get(key)

    def updateValue(self, key, value):
        self._held()[key] = value

    def iterator(self):
        return iter(list(self._held().items()))

    def keys(self):
        return iter(list(self._held()))

    def removeKey(self, key):
        del self._held()[key]


class Handle:
    """What Spark hands to a processor, for one key at a time."""

    def __init__(self, store):
        self.store = store

    def getValueState(self, name, _schema):
        return Value(self.store, name)

    def getListState(self, name, _schema):
        return Listed(self.store, name)

    def getMapState(self, name, _key, _value):
        return Mapped(self.store, name)


class Stream:
    """The stages with their stores; `restart` is a new process, which holds nothing."""

    def __init__(self, source=SOURCE, buckets=BUCKETS):
        self.source, self.buckets = source, buckets
        self.stores = {Dedup: defaultdict(dict), KeyedState: defaultdict(dict)}
        self.starts = 0

    def restart(self):
        self.starts += 1

    def batch(self, messages, *, fails_at=None, late=False):
        """Run a micro-batch of (arrived_us, partition, offset, body).

        fails_at: a stage whose tasks fail once, at their first write or, with `late`, when all is done.
        """
        rows = [dict(zip(("arrived_us", "partition", "offset", "value"), found, strict=True)) for found in messages]
        by_partition = defaultdict(list)
        for row in rows:
            by_partition[row["partition"]].append(row)
        types = [("arrived_us", pa.int64()), ("partition", pa.int32()), ("offset", pa.int64()), ("value", pa.binary())]
        batches = [pa.RecordBatch.from_pylist(part, schema=pa.schema(types)) for part in by_partition.values()]
        parcels = [row for found in SparkInbox(self.source, self.buckets, "salt")(iter(batches)) for row in found.to_pylist()]
        for stage in (Dedup, KeyedState):
            if stage is fails_at:
                kept = copy.deepcopy(self.stores[stage])
                self._through(stage, parcels, broken=not late)
                self.stores[stage] = kept
            parcels = self._through(stage, parcels)
        ordered = sorted(parcels, key=lambda row: (row["slice"], row["group"]))
        inputs = [pa.RecordBatch.from_pylist([row], schema=_PARCEL) for row in ordered]
        found = [row for done in Decide(self.source, self.buckets)(iter(inputs)) for row in done.to_pylist()]
        found.sort(key=lambda row: (row["slice"], row["nth"]))
        bodies = defaultdict(list)
        for row in found:
            if row["kind"] != "record":
                bodies[row["kind"]] += map(json.loads, unpack(pa.py_buffer(row["data"])).column("body").to_pylist())
        return bodies["decisions"], bodies["quarantine"]

    def _through(self, stage, parcels, *, broken=False):
        groups = defaultdict(list)
        for row in parcels:
            groups[row["group"]].append(row)
        out = []
        for group, rows in groups.items():
            processor = stage(self.source, self.buckets, f"{id(self)}-{self.starts}")
            store = self.stores[stage][group]
            processor.init(Handle(Broken(store) if broken else store))
            with suppress(StoreFails):
                for frame in processor.handleInputRows((group,), iter([pd.DataFrame(rows)]), None):
                    out += frame.to_dict("records")
        return out


_PARCEL = pa.schema([("group", pa.int32()), ("slice", pa.int64()), ("data", pa.binary())])


def messages(events, partitions=1, seed=0):
    """Events as Kafka holds them: each in some partition, with the time at which it was appended."""
    rng = np.random.default_rng(seed)
    stamps = START_US + np.cumsum(rng.integers(0, 3, len(events))) * 1000  # many at the same millisecond
    where = rng.integers(0, partitions, len(events))
    offsets = [int((where[:k] == where[k]).sum()) for k in range(len(events))]
    bodies = [event if isinstance(event, bytes) else msgspec.json.encode(event) for event in events]
    return [(int(t), int(p), o, b) for t, p, o, b in zip(stamps, where, offsets, bodies, strict=True)]


class Published:
    """Keeps the JSON of new decisions."""

    def __init__(self):
        self.decisions: list[bytes] = []

    def decided(self, _record, _result, rendered):
        self.decisions += rendered


def expected(found):
    """What one process decides about messages in the order (append time, partition, offset)."""
    with Engine(crash_worker.detector) as engine:
        bodies = [body for *_, body in sorted(found)]
        stamps = np.array([stamp for stamp, *_ in sorted(found)])
        published = Published()
        engine.decider.observers = (published, *engine.decider.observers)
        engine.take_json(bodies, stamps)
        return essence(map(json.loads, published.decisions))


def essence(decisions):
    return [{key: value for key, value in found.items() if key not in ("decided_at", "latency_ms")} for found in decisions]


@pytest.mark.parametrize(("partitions", "least_log"), [(1, 1 << 20), (3, 1 << 20), (3, 0)])
def test_micro_batches_decide_what_one_process_decides(partitions, least_log, monkeypatch):
    """Over several partitions, with ids that come again, processes that start anew, and snapshots after every batch."""
    monkeypatch.setattr(keyed_state, "LEAST_LOG", least_log)
    monkeypatch.setattr(keyed_state, "SLICE", 64)
    events = crash_worker.events(700)
    found = messages([*events[:400], *events[100:150], *events[400:], *events[650:]], partitions)
    stream, decided = Stream(), []
    for start in range(0, len(found), 130):
        batch = sorted(found)[start : start + 130]
        decided += stream.batch(batch)[0]
        if start == 260:
            stream.restart()
    assert essence(decided) == expected(found)
    assert len(decided) == 700


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("stage", [Dedup, KeyedState])
def test_a_task_that_fails_and_runs_again_changes_nothing(stage, late):
    """What a process held when it failed half way is not taken for what Spark kept."""
    found = messages(crash_worker.events(300))
    stream, decided = Stream(), []
    for start in range(0, 300, 100):
        decided += stream.batch(found[start : start + 100], fails_at=stage, late=late)[0]
    assert essence(decided) == expected(found)


def test_ids_are_forgotten_after_dedupe_and_their_minutes_with_them():
    source = DetectorSource("transfers", declared)
    stream = Stream(source)
    event = {"transfer_id": "t", "at": "2026-01-01T00:00:00Z", "receiver": "r", "amount": 1.0}
    day_us = 86_400_000_000
    counts = [len(stream.batch([(START_US + k * day_us, 0, k, msgspec.json.encode(event))])[0]) for k in (0, 4, 6, 7)]
    assert counts == [1, 0, 1, 0]  # dedupe is five days
    minutes = [store["minutes"] for store in stream.stores[Dedup].values() if store.get("minutes")]
    assert [len(held) for held in minutes] == [1]


def test_what_is_no_event_is_put_aside_with_its_cause_and_its_neighbours_are_decided():
    events = crash_worker.events(3)
    poison = [b"", b"{", b"[]", b"\x00", msgspec.json.encode({**events[0], "amount": "much"}), b"x" * (1 << 21)]
    decided, refused = Stream().batch(messages([events[0], *poison, *events[1:]]))
    assert [found["transaction_id"] for found in decided] == [event["transaction_id"] for event in events]
    assert len(refused) == len(poison)
    assert all(found["cause"] and found["detector"] == "crash" for found in refused)
    assert len(refused[-1]["body"]) < 10_000


def test_informing_events_change_state_and_get_no_decision():
    source = DetectorSource("transfers", declared)
    login = {"type": "login", "transfer_id": "l", "at": "2026-01-01T00:00:00Z", "sender": "a"}
    event = {"transfer_id": "t", "at": "2026-01-01T00:00:01Z", "sender": "a", "receiver": "r", "amount": 1.0}
    decided, _ = Stream(source).batch(messages([login, event]))
    assert [found["transaction_id"] for found in decided] == ["t"]
    assert decided[0]["features"]["logins"] == 1


def test_a_checkpoint_belongs_to_one_detector_and_its_features(tmp_path):
    first = declare(SOURCE, tmp_path, 4)
    assert declare(SOURCE, tmp_path, 9) == first
    with pytest.raises(ConfigurationError, match="belongs to 'crash'"):
        declare(DetectorSource("known", declared), tmp_path, 4)
    (tmp_path / "penstock.json").write_bytes(msgspec.json.encode(msgspec.structs.replace(first, state="other")))
    with pytest.raises(ConfigurationError, match="aggregates of 'crash' are others"):
        declare(SOURCE, tmp_path, 4)


def test_what_a_stream_would_not_do_exactly_is_refused():
    with pytest.raises(ConfigurationError, match="counts labels of merchant"):
        check_fit(SOURCE, without_labels=False, has_key=False)
    check_fit(SOURCE, without_labels=True, has_key=False)
    with pytest.raises(BundleError, match="train them first"):
        check_fit(DetectorSource("scored", declared), without_labels=True, has_key=False)
