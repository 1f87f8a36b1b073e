"""The key index of a detector: which rows of a log concern a key, and where the stream's clocks stood.

ledger/keys/DETECTOR/FINGERPRINT/*.ids, manifest    rows by key, like the ids of decisions: sorted runs of code, event time, row
ledger/keys/DETECTOR/FINGERPRINT/clocks             the stream's clocks after each record

It is derived from the log, by a separate thread, and made again where it is missing: nobody who decides waits for it. The
fingerprint is of the fields that keys are made of, of the definitions of derived ones, and of `max_ahead`: other changes of a
detector leave its index valid.
"""

import hashlib
import logging
import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from penstock.detector import Detector
from penstock.engine import records
from penstock.engine.keys.clocks import ClockFile, Clocks
from penstock.features.plan import EntityPlan
from penstock.features.state import OPEN, STRIDE_US, key_codes
from penstock.ledger import FileLedger, Ledger
from penstock.ledger.disk import Disk
from penstock.ledger.encoding import detector_code
from penstock.ledger.identities import INDEXED, SEAL_ROWS, Identities
from penstock.ledger.runs import Columns
from penstock.messages import Record
from penstock.private_files import make_private

_FORMAT = 1
"""Raise it when the files change their meaning."""
_EVERY_S = 1.0
_WORK_S = 0.002
"""Seconds of work at a time: the deciding thread waits no longer for the interpreter."""
_REST = 9
"""The indexing thread rests so many times as long as it has worked."""
MOST_BEHIND = 200_000
"""Rows that are indexed at most while somebody waits."""

_log = logging.getLogger("penstock.engine")

Rows = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Event times and sequence numbers, in the order of the log."""


class NeedsWholeLog(Exception):
    """The features of an event cannot be computed from the events of its keys alone; says why."""


class KeyIndex:
    """The rows of a log by the keys of one detector, as far as they have been indexed. Any thread may use it.

    ledger: of files; `of` says whether there is an index for one. read_only: what is indexed now stays in memory.
    """

    def __init__(self, ledger: FileLedger, detector: Detector, *, read_only: bool = False, seal_rows: int = SEAL_ROWS) -> None:
        self._ledger, self._detector, self._read_only = ledger, detector, read_only
        self.fingerprint = fingerprint_of(detector)
        self._folder = ledger.folder / "keys" / detector.name / self.fingerprint
        self._columns = {names: _number(detector, names) for plan in detector.plan.entities for names in columns_of(plan)}
        self._derived = bool(derived_keys(detector))
        self._lock, self._indexing = threading.RLock(), threading.Lock()
        disk = Disk()
        if not read_only:
            make_private(self._folder)
        self._ids = Identities(self._folder, disk, seal_rows=seal_rows, read_only=read_only)
        self._clocks = ClockFile(self._folder / "clocks", disk)
        self._position, self._next_seq = 0, 0
        self._reading: Iterator[tuple[int, Record]] | None = None
        self._names: dict[str, list[str]] = {}
        self._load()
        if not read_only:
            remove_others(self._folder)

    @classmethod
    def of(cls, ledger: Ledger, detector: Detector, *, read_only: bool = False) -> Self | None:
        """The index of a detector; None where its ledger has none: one that is not of files, or begins late."""
        if not isinstance(ledger, FileLedger) or ledger.first_position > 0:
            return None
        return cls(ledger, detector, read_only=read_only)

    def _load(self) -> None:
        self._position = self._ids.load(0, self._ledger.durable_position, self._ledger.read)
        if not self._clocks.load(self._position):
            self._ids.clear()
            self._clocks.clear()
            self._position = 0
        self._next_seq = self._clocks[len(self._clocks) - 1].next_seq

    # ------------------------------------------------------------ indexing

    @property
    def behind(self) -> int:
        """How many records are durable and not indexed."""
        return self._ledger.durable_position - self._position

    def rows_behind(self, seq: int) -> int:
        """How many rows, at most, are to be indexed up to this one."""
        return max(seq + 1 - self._next_seq, 0)

    def index(self, until_seq: int | None = None, *, longest_s: float | None = None) -> None:
        """Index what is durable: up to a sequence number, or for some time.

        Raises:
            OSError: of the device.
            LedgerDamaged: the log or the index.
        """
        began = time.perf_counter()
        with self._indexing:
            while until_seq is None or self._next_seq <= until_seq:
                reading, self._reading = self._reading or iter(self._ledger.read(self._position)), None
                found = next(reading, None)
                if found is None:
                    return
                self._take(*found)
                self._reading = reading
                if self._ids.untended and not self._read_only:
                    with self._lock:
                        self._clocks.flush()
                    self._ids.tend()
                if longest_s is not None and time.perf_counter() - began > longest_s:
                    return

    def _take(self, position: int, record: Record) -> None:
        rows: Mapping[int, Columns] = {}
        clocks = None
        if record.detector == self._detector.name and len(record):
            if record.kind == "labels":
                rows = self._of_labels(record)
            elif record.kind in INDEXED:
                clocks, _, keep = self.clocks_in(record, self._clocks[len(self._clocks) - 1])
                clocks = clocks._replace(position=position + 1)
                rows = self._of_events(record, keep)
        with self._lock:
            self._ids.add_rows(rows, record, position)
            if clocks is not None:
                self._clocks.add(clocks)
            self._position, self._next_seq = position + 1, max(self._next_seq, record.first_seq + len(record))

    def clocks_in(self, record: Record, before: Clocks) -> tuple[Clocks, NDArray[np.int64], NDArray[np.bool_]]:
        """The clocks after a record, the pace clock at each of its events, and which of these may enter state."""
        from penstock.features.kernel.handles import pace

        n = len(record)
        keep, paces = np.empty(n, np.bool_), np.empty(n, np.int64)
        moving = np.array([before.stream_us, before.pace_us], np.int64)
        times, arrived = (np.ascontiguousarray(each) for each in (record.time_us, record.arrived_us))
        pace(times, arrived, self._detector.max_ahead_us, STRIDE_US, moving, keep, paces, True)
        closed = before.closed or int(records.closed_of(record) != OPEN)
        after = Clocks(before.position, record.first_seq + n, int(moving[0]), int(moving[1]), closed)
        return after, paces, keep

    def _of_events(self, record: Record, keep: NDArray[np.bool_]) -> dict[int, Columns]:
        found: dict[int, Columns] = {}
        for names, codes in self._keys(record).items():
            rows = np.flatnonzero(keep & (codes != 0))
            if len(rows):
                found[self._columns[names]] = codes[rows], record.time_us[rows], record.first_seq + rows
        return found

    def _of_labels(self, record: Record) -> dict[int, Columns]:
        """Labels that change state, found by the keys of their events."""
        changes, seqs = np.asarray(record.columns["change"]), np.asarray(record.columns["seq"])
        events = records.events_at(self._ledger, np.where(changes != 0, seqs, -1))
        parts: dict[int, list[tuple[int, int, int]]] = {}
        for row, found in enumerate(events):
            if found is None:
                continue
            for names, codes in self._keys(records.rows_of(found[0], [found[1]])).items():
                if codes[0]:
                    part = parts.setdefault(_of_label(self._columns[names]), [])
                    part.append((int(codes[0]), int(record.time_us[row]), record.first_seq + row))
        columns = {number: np.array(part, np.int64).T for number, part in parts.items()}
        return {number: (codes, known_us, seqs) for number, (codes, known_us, seqs) in columns.items()}

    def _keys(self, record: Record) -> dict[tuple[str, ...], NDArray[np.int64]]:
        """The key of every event, by the fields that it is made of."""
        fields = None if self._derived else {name for names in self._columns for name in names}
        batch = records.batch_of(record, self._detector, self.names_of(record), fields)
        for step in self._detector.plan.before if self._derived else ():
            step.run(batch)
        found: dict[tuple[str, ...], NDArray[np.int64]] = {}
        for plan in self._detector.plan.entities:
            keys = key_codes(plan, batch)
            found |= dict(zip(columns_of(plan), keys.T, strict=True))
        return found

    def names_of(self, record: Record) -> list[str] | None:
        """Names of a record's matrix columns; see `Rebuild.names_of`."""
        layout_id = record.meta.get("layout")
        if layout_id is not None and layout_id not in self._names:
            self._names[layout_id] = [field.name for field in self._ledger.layouts()[layout_id]["x"]]
        return None if layout_id is None else self._names[layout_id]

    # ------------------------------------------------------------ asking

    def rows_of(self, names: tuple[str, ...], key: int, *, labels: bool = False) -> Rows:
        """The rows of events that may enter state and have this key in these fields; or of labels of such events, with the time
        at which they became known.
        """
        number = self._columns[names]
        return self._ids.rows(_of_label(number) if labels else number, key)

    def clocks_before(self, seq: int) -> Clocks:
        """The clocks before the record that holds a sequence number."""
        with self._lock:
            place = self._clocks.of(seq)
            return self._clocks[place - 1]

    def closed_by(self, seq: int) -> bool:
        """Whether memory was used up, so that an event stayed out of state, in the record of a sequence number or before."""
        with self._lock:
            place = self._clocks.of(seq)
            return place >= len(self._clocks) or bool(self._clocks[place].closed)

    def due(self, seq: int, known_us: int) -> tuple[Clocks, int] | None:
        """Where a label falls due that stands in this row: the clocks before the record of events, and a row of that record."""
        with self._lock:
            place = max(self._clocks.of(seq), self._clocks.reaching(known_us))
            if place >= len(self._clocks):
                return None
            return self._clocks[place - 1], self._clocks[place].next_seq - 1


class KeyIndexer:
    """Keeps an index up to date during traffic, in a thread that works for a small share of the time."""

    def __init__(self, index: KeyIndex) -> None:
        self._index, self._closed = index, threading.Event()
        self._thread = threading.Thread(target=self._run, name="penstock-key-index", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closed.is_set():
            began = time.perf_counter()
            try:
                self._index.index(longest_s=_WORK_S)
            except Exception as error:  # noqa: BLE001  whatever happens to an index, the log still tells
                _log.warning("keys are not indexed for now: %s: %s", type(error).__name__, error)
                self._closed.wait(60 * _EVERY_S)
            worked_s = time.perf_counter() - began
            self._closed.wait(_REST * worked_s if self._index.behind else _EVERY_S)

    def close(self) -> None:
        """Stop; what is not indexed is indexed at the next start."""
        self._closed.set()
        self._thread.join()


def columns_of(plan: EntityPlan) -> list[tuple[str, ...]]:
    """The names of the fields that keys of an entity are made of, by role."""
    return [tuple(column.name for column in columns) for columns in plan.keys]


def fingerprint_of(detector: Detector) -> str:
    """Names everything about a detector that its key index depends on."""
    keys = sorted({names for plan in detector.plan.entities for names in columns_of(plan)})
    derived = derived_keys(detector)
    definitions = (detector.fingerprint(derived),) if derived else ()
    return hashlib.sha256(repr((_FORMAT, keys, detector.max_ahead_us, *definitions)).encode()).hexdigest()[:16]


def derived_keys(detector: Detector) -> list[str]:
    """The columns that keys are made of and that are computed from fields."""
    names = {name for plan in detector.plan.entities for columns in columns_of(plan) for name in columns}
    return sorted(names - detector.schema.columns.keys())


def remove_others(index_folder: Path) -> None:
    """Delete the indexes that a detector had before its keys changed."""
    for other in index_folder.parent.iterdir():
        if other != index_folder:
            shutil.rmtree(other, ignore_errors=True)


def _number(detector: Detector, names: Sequence[str]) -> int:
    """The number under which the rows of keys made of these fields are kept."""
    return detector_code("\0".join((detector.name, *names)))


def _of_label(number: int) -> int:
    """The same of labels."""
    return number ^ 1
