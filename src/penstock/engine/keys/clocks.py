"""The clocks of a detector's stream after each record of its events, in a file next to the key index."""

import bisect
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.ledger.disk import Disk


class Clocks(NamedTuple):
    """What a record leaves behind. position, next_seq: of the log, after it. stream_us, pace_us: see `FeatureState`. closed:
    whether events had to stay out of state until then, because the memory budget was used up.
    """

    position: int
    next_seq: int
    stream_us: int
    pace_us: int
    closed: int


NO_CLOCKS = Clocks(0, 0, 0, 0, 0)
"""Those before the first record."""
_WIDTH = len(Clocks._fields)
_ROW_BYTES = 8 * _WIDTH


class ClockFile:
    """The clocks of all records, oldest first: the newest in memory, the others in a file. One thread at a time uses it."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self._path, self._disk = path, disk
        self._kept: NDArray[np.int64] = np.empty((0, _WIDTH), np.int64)
        self._newest: list[Clocks] = []

    def load(self, before_position: int) -> bool:
        """Load the clocks of the records before a position; False where they are not there."""
        self._newest = []
        size = self._path.stat().st_size if self._path.exists() else 0
        self._map(size // _ROW_BYTES)
        self._kept = self._kept[: bisect.bisect_right(self._kept, before_position, key=lambda row: row[0])]
        return before_position == 0 or len(self._kept) > 0

    def clear(self) -> None:
        """Begin again."""
        self._kept, self._newest = self._kept[:0], []

    def _map(self, rows: int) -> None:
        empty = np.empty((0, _WIDTH), np.int64)
        self._kept = np.memmap(self._path, np.int64, "r", shape=(rows, _WIDTH)) if rows else empty

    def add(self, clocks: Clocks) -> None:
        """Those after the next record."""
        self._newest.append(clocks)

    def flush(self) -> None:
        """Make everything durable.

        Raises:
            OSError: of the device.
        """
        if not self._newest:
            return
        fd = self._disk.open(self._path) if self._path.exists() else self._disk.create(self._path)
        try:
            size = len(self._kept) * _ROW_BYTES
            self._disk.write(fd, np.array(self._newest, np.int64).tobytes(), size)
            self._disk.truncate(fd, size + len(self._newest) * _ROW_BYTES)
            self._disk.sync(fd)
        finally:
            os.close(fd)
        self._map(len(self._kept) + len(self._newest))
        self._newest = []

    def __len__(self) -> int:
        return len(self._kept) + len(self._newest)

    def __getitem__(self, place: int) -> Clocks:
        if place < 0:
            return NO_CLOCKS
        kept = len(self._kept)
        return Clocks(*self._kept[place].tolist()) if place < kept else self._newest[place - kept]

    def __iter__(self) -> Iterator[Clocks]:
        return (self[place] for place in range(len(self)))

    def of(self, seq: int) -> int:
        """The place of the first record whose rows do not all come before a sequence number."""
        return bisect.bisect_right(self, seq, key=lambda clocks: clocks.next_seq)

    def reaching(self, time_us: int) -> int:
        """The place of the first record at whose end the stream's clock has reached a time."""
        return bisect.bisect_left(self, time_us, key=lambda clocks: clocks.stream_us)
