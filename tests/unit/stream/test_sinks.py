"""Stores beside the path get every record once, in order, whatever they do in between."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from tests.waiting import wait_until

from penstock.codes import text_codes
from penstock.errors import ConfigurationError, Fenced, SinkUnavailable
from penstock.ledger import FileLedger, MemoryLedger, RecentRecords
from penstock.messages import Record
from penstock.stream.sinks import LEAST_ROWS, MOST_ROWS, Feeding, Lag, start_feeding


class Store:
    """Keeps positions; refuses as often as it is told."""

    name = "store"

    def __init__(self, begin_at=0, refuse=0, fenced=False):
        self.kept, self.begin_at, self.refuse, self.fenced = [], begin_at, refuse, fenced
        self.closed = False

    def begin(self, fence):
        self._maybe_refuse()
        self.fence = fence
        return self.begin_at

    def write(self, records):
        self._maybe_refuse()
        if self.fenced:
            raise Fenced("a newer owner was here")
        self.kept += [position for position, _ in records]

    def _maybe_refuse(self):
        if self.refuse:
            self.refuse -= 1
            raise SinkUnavailable("it is away")

    def close(self):
        self.closed = True


def append(ledger, count, rows=2):
    fresh = []
    for _ in range(count):
        ids = [f"t{ledger.next_seq + k}" for k in range(rows)]
        arrived = np.zeros(rows, np.int64)
        record = Record("decisions", "d", ledger.next_seq, ids, text_codes(ids), arrived, arrived)
        fresh.append((ledger.append(record), record))
    return fresh


@pytest.mark.parametrize("refuse", [0, 1, 3])
def test_a_store_gets_what_was_there_and_what_comes_even_after_it_was_away(refuse):
    ledger, newest, store = MemoryLedger(), RecentRecords(), Store(refuse=refuse)
    append(ledger, 5)
    feeding = Feeding(store, ledger, newest, 7, pytest.fail)
    for _ in range(4):
        newest.add(append(ledger, 3))
    wait_until(lambda: len(store.kept) == 17)
    feeding.close()
    assert store.kept == list(range(17))
    assert (store.fence, store.closed, feeding.trouble) == (7, True, None)


def test_a_store_goes_on_where_it_says(tmp_path):
    ledger, store = MemoryLedger(), Store(begin_at=3)
    append(ledger, 5)
    feeding = Feeding(store, ledger, RecentRecords(), 1, pytest.fail)
    feeding.finish(60)
    feeding.close()
    assert store.kept == [3, 4]


def test_a_store_beside_a_service_gets_each_record_once_and_new_ones_without_the_disk(tmp_path, monkeypatch):
    with FileLedger(tmp_path) as ledger:
        append(ledger, 5)
        store = Store()
        feeding = start_feeding(store, ledger, 1, pytest.fail)
        wait_until(lambda: len(store.kept) == 5)
        append(ledger, 1)
        wait_until(lambda: len(store.kept) == 6)
        monkeypatch.setattr(ledger, "read", lambda *_: pytest.fail("read back from the disk"))
        append(ledger, 40)
        feeding.finish(60)
        feeding.close()
    assert store.kept == list(range(46))


def test_records_that_memory_no_longer_holds_are_read_from_the_ledger():
    ledger, newest, store = MemoryLedger(), RecentRecords(4), Store()
    for _ in range(30):
        newest.add(append(ledger, 2))
    feeding = Feeding(store, ledger, newest, 1, pytest.fail)
    feeding.finish(60)
    feeding.close()
    assert store.kept == list(range(60))


def test_whoever_is_fenced_hears_of_it_and_writes_no_more():
    ledger, store, told = MemoryLedger(), Store(fenced=True), threading.Event()
    append(ledger, 2)
    feeding = Feeding(store, ledger, RecentRecords(), 1, lambda error: told.set())
    assert told.wait(60)
    feeding.close()
    assert store.kept == []


def test_a_store_that_stays_away_does_not_hold_up_the_end():
    ledger, store = MemoryLedger(), Store(refuse=1_000)
    append(ledger, 2)
    feeding = Feeding(store, ledger, RecentRecords(), 1, pytest.fail)
    wait_until(lambda: feeding.trouble is not None)
    assert feeding.behind == 2
    feeding.close()
    assert store.closed


def test_a_store_that_cannot_be_used_as_it_is_ends_the_owner_with_the_reason():
    class Unmade(Store):
        def begin(self, fence):
            raise ConfigurationError("it holds no ledger; make one")

    ledger, told = MemoryLedger(), []
    append(ledger, 1)
    feeding = Feeding(Unmade(), ledger, RecentRecords(), 1, told.append)
    wait_until(lambda: told)
    feeding.close()
    assert "make one" in str(told[0])


def test_a_store_that_is_ahead_of_the_ledger_is_refused_by_name():
    """Its positions belong to records that this ledger, restored from an older copy, will give to others."""
    ledger, ended = MemoryLedger(), []
    append(ledger, 5)
    feeding = Feeding(Store(begin_at=9), ledger, RecentRecords(), 0, ended.append)
    wait_until(lambda: ended)
    feeding.close()
    [error] = ended
    assert str(error) == feeding.trouble
    assert "store does not belong to this ledger: it has read 9 records, the log ends before 5" in feeding.trouble


class Slow(Store):
    """Takes records at a pace of its own, and keeps how many came together."""

    def __init__(self, clock, per_row_s):
        super().__init__()
        self.clock, self.per_row_s, self.sizes = clock, per_row_s, []

    def write(self, records):
        rows = sum(len(record) for _, record in records)
        self.sizes.append(rows)
        self.clock[0] += rows * self.per_row_s
        super().write(records)


@pytest.mark.parametrize(("per_row_s", "last"), [(0.0, MOST_ROWS), (0.01, LEAST_ROWS)])
def test_writes_grow_for_a_quick_store_and_shrink_for_a_slow_one(per_row_s, last, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("penstock.stream.sinks.time", SimpleNamespace(monotonic=lambda: clock[0], sleep=time.sleep))
    ledger, store = MemoryLedger(), Slow(clock, per_row_s)
    append(ledger, 900, rows=128)
    feeding = Feeding(store, ledger, RecentRecords(), 1, pytest.fail)
    for _ in range(2):
        wait_until(lambda: feeding.behind == 0)
        append(ledger, 900, rows=128)
    wait_until(lambda: feeding.behind == 0)
    feeding.close()
    assert store.kept == list(range(2_700))
    assert last in store.sizes


def test_the_lag_is_the_time_since_a_sink_had_everything(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("penstock.stream.sinks.time", SimpleNamespace(monotonic=lambda: now[0]))
    lag = Lag()
    lag.reached(0, 10)
    now[0] = 103.0
    assert (lag.seconds(10), lag.seconds(0)) == (3.0, 0.0)
    lag.reached(9, 40)
    assert lag.seconds(31) == 3.0
    lag.reached(12, 50)  # the ten of the beginning are there; forty more came until now
    assert lag.seconds(38) == 3.0
    now[0] = 110.0
    lag.reached(50, 60)  # all that had come by 103
    assert lag.seconds(10) == 7.0
