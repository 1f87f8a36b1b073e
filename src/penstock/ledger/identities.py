"""The id index: from an id's code to sequence numbers, without an index insert per decision.

The newest ids stand unsorted in memory, where a look-up scans them (131,072 words: 40 microseconds). Full buffers are
sorted into runs; four runs of a size class are merged into one of the next, so that there are few of them however long
the log is, and each id is rewritten a handful of times. All of it can be made again from the log.
"""

import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from penstock.decoding import prepared
from penstock.errors import LedgerDamaged
from penstock.ledger.claims import Claims
from penstock.ledger.cursors import BEGINNING, Cursor, checksum_of, discarded
from penstock.ledger.disk import Disk
from penstock.ledger.encoding import detector_code
from penstock.ledger.runs import Columns, IdRun, Run, open_run, write_run
from penstock.ledger.segments import write_whole
from penstock.messages import Record

INDEXED = ("decisions", "informing", "loaded")
"""The kinds of records whose ids can be looked up and are claimed; labels carry the ids of others."""

SEAL_ROWS = 131_072
_FAN = 4
_NO_ROWS = (np.empty(0, np.int64), np.empty(0, np.int64))
_WIDEST = 1 << 32


class _Manifest(msgspec.Struct, array_like=True):
    """Which runs are valid, and up to which position of the log they are complete. checksum: see `cursors.Cursor`."""

    covered: int
    runs: list[str]
    checksum: int | None = None


class _Buffer:
    """Ids of one detector in the order of arrival; one thread adds, any scans."""

    def __init__(self, rows: int) -> None:
        self.codes = np.zeros(rows, np.int64)
        self.arrived_us = np.zeros(rows, np.int64)
        self.seqs = np.zeros(rows, np.int64)
        self.count = 0
        self.first_seq = -1

    def add(self, rows: Columns) -> None:
        codes, arrived_us, seqs = rows
        if self.first_seq < 0:
            self.first_seq = int(seqs[0])
        stop = self.count + len(seqs)
        if stop > len(self.codes):
            self._grow(2 * stop)
        here = slice(self.count, stop)
        self.codes[here], self.arrived_us[here], self.seqs[here] = codes, arrived_us, seqs
        self.count = stop

    def _grow(self, rows: int) -> None:
        for name in ("codes", "arrived_us", "seqs"):
            larger = np.zeros(rows, np.int64)
            larger[: self.count] = getattr(self, name)[: self.count]
            setattr(self, name, larger)

    def find(self, code: int) -> list[int]:
        return [int(seq) for seq in self.of(code)[1][::-1]]

    def of(self, code: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        places = np.flatnonzero(self.codes[: self.count] == code)
        return self.arrived_us[places], self.seqs[places]

    def stretch(self) -> IdRun:
        here = slice(0, self.count)
        return IdRun(self.first_seq, self.codes[here], self.arrived_us[here], self.seqs[here] - self.first_seq)


class Identities:
    """The ids of all detectors of one log; `folder` keeps the runs."""

    def __init__(self, folder: Path, disk: Disk, *, seal_rows: int = SEAL_ROWS, read_only: bool = False) -> None:
        self.folder = folder
        self._disk = disk
        self._seal_rows = seal_rows
        self._writable = not read_only
        self._lock = threading.Lock()
        self._newest: dict[int, _Buffer] = {}
        self._full: list[tuple[dict[int, _Buffer], Cursor]] = []
        self._runs: list[Run] = []
        self._covered = BEGINNING
        self._newest_us: dict[int, int] = {}
        self._discarded = False

    # ------------------------------------------------------------ opening

    def open(self, first: int, stop: int, read: Callable[[int], Iterable[tuple[int, Record]]]) -> None:
        """Load the runs, rebuild missing ones, and read the later ids from the log.

        first, stop: the oldest position of the log and the one after the last. read: the log's records of the indexed
        kinds from a position on.
        """
        for position, record in read(self.load(first, stop, read)):
            self.add(record, position)
            self.tend()

    def load(self, first: int, stop: int, read: Callable[[int], Iterable[tuple[int, Record]]]) -> int:
        """Load the runs alone; from the position that is returned on, records are to be added. See `open`."""
        self._newest, self._full, self._newest_us, self._discarded = {}, [], {}, False
        tries = 1 if self._writable else 3  # the owner may be merging runs while a reader opens them
        if not any(self._load(first, stop, read) for _ in range(tries)):
            self._runs, self._covered = [], Cursor(first)
        for run in self._runs:
            self._newest_us[run.detector] = max(self._newest_us.get(run.detector, 0), run.newest_us)
        if self._writable:
            self._remove_strays()
        return max(self._covered.position, first)

    def _load(self, first: int, stop: int, read: Callable[[int], Iterable[tuple[int, Record]]]) -> bool:
        try:
            data = (self.folder / "manifest").read_bytes()
            if zlib.crc32(data[4:]) != int.from_bytes(data[:4], "little"):
                return False
            manifest = msgspec.msgpack.decode(data[4:], type=prepared(_Manifest))
            self._runs = [open_run(self.folder / name) for name in manifest.runs]
        except (OSError, LedgerDamaged, msgspec.DecodeError):
            return False
        self._covered = Cursor(manifest.covered, manifest.checksum)
        if not self._writable:
            return True
        known = manifest.checksum is None or not first < manifest.covered <= stop
        same = known or next((checksum_of(record) for _, record in read(manifest.covered - 1)), None) == manifest.checksum
        if manifest.covered > stop or not same:
            discarded("ids", f"the ids in {self.folder} do not belong to the log: it was restored; they are made again from it")
            return False
        return True

    def clear(self) -> None:
        """Begin again, at the beginning of the log."""
        self._runs, self._covered, self._newest, self._full = [], BEGINNING, {}, []

    def discard(self) -> None:
        """Declare the runs invalid; the next `open` makes them again from the log."""
        self._discarded = True
        (self.folder / "manifest").unlink(missing_ok=True)

    def _remove_strays(self) -> None:
        kept = {run.path for run in self._runs}
        for path in [*self.folder.glob("*.ids"), *self.folder.glob("*.tmp")]:
            if path not in kept:
                path.unlink(missing_ok=True)

    # ------------------------------------------------------------ adding (the writer's thread)

    def add(self, record: Record, position: int) -> None:
        """Take the ids of a durable record; positions come in order."""
        if record.kind in INDEXED and len(record):
            seqs = np.arange(record.first_seq, record.first_seq + len(record))
            self.add_rows({detector_code(record.detector): (record.codes, record.arrived_us, seqs)}, record, position)

    def add_rows(self, rows: Mapping[int, Columns], record: Record, position: int) -> None:
        """Take what is to be found of a durable record: codes, arrivals and sequence numbers, by the code of a detector."""
        sealed = False
        with self._lock:
            for detector, columns in rows.items():
                buffer = self._newest.get(detector)
                if buffer is None:
                    buffer = self._newest[detector] = _Buffer(min(self._seal_rows * 2, 1 << 18))
                buffer.add(columns)
                newest_us = int(columns[1].max())
                self._newest_us[detector] = max(self._newest_us.get(detector, 0), newest_us)
                sealed = sealed or buffer.count >= self._seal_rows
            if sealed and self._writable:
                self._full.append((self._newest, Cursor(position + 1, checksum_of(record))))
                self._newest = {}

    @property
    def untended(self) -> bool:
        """Whether `tend` has something to do."""
        return bool(self._full) and not self._discarded

    # ------------------------------------------------------------ sorting (in a separate thread)

    def tend(self) -> None:
        """Write full buffers as runs and merge; after an error the state is unchanged, and the call may be repeated.

        Raises:
            OSError: of the device.
            LedgerDamaged: a run does not fit its checksum; `discard` it and open again.
        """
        while self.untended:
            buffers, covered = self._full[0]
            fresh = [self._write(code, [buffer.stretch()]) for code, buffer in buffers.items()]
            self._publish(self._runs + fresh, covered, sealed=True)
            while self._merge():
                pass

    def _write(self, detector: int, stretches: Sequence[IdRun]) -> Run:
        first = min(stretch.base_seq for stretch in stretches)
        count = sum(len(stretch) for stretch in stretches)
        name = f"{detector & (2**64 - 1):016x}-{first:016d}-{count}.ids"
        return write_run(self._disk, self.folder / name, detector, stretches)

    def _merge(self) -> bool:
        """Merge the runs of one crowded size class; False when none is crowded."""
        crowded = next((runs for runs in self._classes() if len(runs) >= _FAN and _span(runs) < _WIDEST), None)
        if crowded is None:
            return False
        for run in crowded:
            run.check()
        merged = self._write(crowded[0].detector, crowded)
        replaced = {run.path for run in crowded}
        kept = [run for run in self._runs if run.path not in replaced]
        self._publish([*kept, merged], self._covered, sealed=False)
        for run in crowded:
            run.path.unlink(missing_ok=True)
        return True

    def _classes(self) -> Iterable[list[Run]]:
        groups: dict[tuple[int, int], list[Run]] = {}
        for run in self._runs:
            size = 0
            while len(run) >= self._seal_rows * _FAN ** (size + 1):
                size += 1
            groups.setdefault((run.detector, size), []).append(run)
        return groups.values()

    def _publish(self, runs: list[Run], covered: Cursor, *, sealed: bool) -> None:
        body = msgspec.msgpack.encode(_Manifest(covered.position, [run.path.name for run in runs], covered.checksum))
        write_whole(self._disk, self.folder / "manifest", zlib.crc32(body).to_bytes(4, "little") + body)
        with self._lock:
            self._runs, self._covered = runs, covered
            if sealed:
                self._full.pop(0)

    # ------------------------------------------------------------ looking up (any thread)

    def find(self, detector: str, code: int) -> Iterator[int]:
        """The sequence numbers of an id's code, newest first."""
        key = detector_code(detector)
        with self._lock:
            buffers = [group[key] for group in [*(g for g, _ in self._full), self._newest] if key in group]
            runs = sorted((run for run in self._runs if run.detector == key), key=lambda run: run.base_seq)
            found = [seq for buffer in reversed(buffers) for seq in buffer.find(code)]
        yield from found
        for run in reversed(runs):
            yield from run.find(code)

    def rows(self, detector: int, code: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Arrivals and sequence numbers of all rows with a code, by the code of a detector, in the order of the log."""
        with self._lock:
            groups = [*(group for group, _ in self._full), self._newest]
            found = [group[detector].of(code) for group in groups if detector in group]
            runs = sorted((run for run in self._runs if run.detector == detector), key=lambda run: run.base_seq)
        arrived_us, seqs = zip(_NO_ROWS, *(run.of(code) for run in runs), *found, strict=True)
        return np.concatenate(arrived_us), np.concatenate(seqs)

    def claims(self, detector: str, dedupe_us: int) -> Claims:
        """A table of the ids that are younger than `dedupe_us`; called while nothing is being appended.

        Raises:
            LedgerDamaged: a run does not fit its checksum.
        """
        key = detector_code(detector)
        with self._lock:
            newest_us = self._newest_us.get(key, 0)
            runs = [run for run in self._runs if run.detector == key and run.newest_us >= newest_us - dedupe_us]
            stretches = [group[key].stretch() for group in [*(g for g, _ in self._full), self._newest] if key in group]
        claims = Claims(dedupe_us, newest_us=newest_us)
        for run in runs:
            run.check()
        for stretch in [*runs, *stretches]:
            claims.restore(*stretch.rows())
        return claims


def _span(runs: list[Run]) -> int:
    return max(run.base_seq + len(run) for run in runs) - min(run.base_seq for run in runs)
