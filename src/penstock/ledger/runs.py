"""A run: an immutable file with the ids of a stretch of the log, sorted by their code.

    magic "PENSTOCK-IDS" | crc32 of the header | detector | count | base seq | newest arrival | crc32 of the data
    codes int64[count] ascending | arrived int64[count] | seq - base uint32[count]

20 bytes an id. Codes are hashes, so they lie evenly: a look-up guesses the place and reads one or two pages.
"""

import os
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.errors import LedgerDamaged
from penstock.ledger.disk import Disk, read_at

_HEAD = Struct("<12sIqqqqI16x")
_MAGIC = b"PENSTOCK-IDS"
_ROW_BYTES = 20
_SLAB_ROWS = 1 << 17
_SYNC_SLABS = 8
_LOWEST = -(2**63)
_FEW = 8
"""Up to so many rows of one code are counted one by one; an id has one."""

Columns = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
"""Codes, arrivals and sequence numbers, row by row."""


@dataclass(frozen=True, slots=True)
class IdRun:
    """Ids with their arrivals; the sequence numbers are `base_seq + offsets`."""

    base_seq: int
    codes: NDArray[np.int64]
    arrived_us: NDArray[np.int64]
    offsets: NDArray[np.integer[Any]]

    def __len__(self) -> int:
        return len(self.codes)

    def rows(self, start: int = 0, stop: int | None = None) -> Columns:
        """Some of the rows, in memory."""
        here = slice(start, stop)
        return self.codes[here], self.arrived_us[here], self.base_seq + self.offsets[here].astype(np.int64)


@dataclass(frozen=True, slots=True)
class Run(IdRun):
    """An opened run; the arrays are mapped, not read."""

    path: Path
    detector: int
    newest_us: int
    data_crc: int

    def find(self, code: int) -> list[int]:
        """The sequence numbers of a code, newest first."""
        _, seqs = self.of(code)
        return sorted(seqs.tolist(), reverse=True)

    def of(self, code: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Arrivals and sequence numbers of a code; those of one stretch in its order."""
        low, high = self._near(code)
        first = low + int(np.searchsorted(self.codes[low:high], code))
        stop = first
        while stop < len(self) and self.codes[stop] == code and stop - first < _FEW:
            stop += 1
        if stop - first == _FEW:
            stop = first + int(np.searchsorted(self.codes[first:], code, side="right"))
        return self.arrived_us[first:stop], self.base_seq + self.offsets[first:stop].astype(np.int64)

    def _near(self, code: int) -> tuple[int, int]:
        """A short range that must hold the first place of a code, guessed from its size."""
        n = len(self)
        guess = (code - _LOWEST) * n >> 64
        slack = 8 + 4 * int(n**0.5)
        low, high = max(guess - slack, 0), min(guess + slack, n)
        if low > 0 and self.codes[low - 1] >= code:
            low = 0
        if high < n and self.codes[high - 1] < code:
            high = n
        return low, high

    def check(self) -> None:
        """Compare everything in it with its checksum.

        Raises:
            LedgerDamaged: it does not fit.
        """
        columns = [array.view(np.uint8).data for array in (self.codes, self.arrived_us, self.offsets)]
        if _joined([zlib.crc32(column) for column in columns]) != self.data_crc:
            raise LedgerDamaged(f"{self.path} does not fit its checksum; it is made again from the log")


def open_run(path: Path) -> Run:
    """Map a run.

    Raises:
        LedgerDamaged: the header is invalid, or the file is shorter than it says.
        OSError: it cannot be read.
    """
    head = read_at(path, 0, _HEAD.size)
    whole = len(head) == _HEAD.size and zlib.crc32(head[:12] + bytes(4) + head[16:]) == int.from_bytes(head[12:16], "little")
    if not whole or head[:12] != _MAGIC:
        raise LedgerDamaged(f"{path} has no valid header; it is made again from the log")
    _, _, detector, count, base_seq, newest_us, data_crc = _HEAD.unpack(head)
    if path.stat().st_size != _HEAD.size + _ROW_BYTES * count:
        raise LedgerDamaged(f"{path} is cut; it is made again from the log")
    data = np.memmap(path, np.uint8, "r", offset=0)[_HEAD.size :]
    codes = data[: 8 * count].view(np.int64)
    arrived_us = data[8 * count : 16 * count].view(np.int64)
    offsets = data[16 * count :].view(np.uint32)
    return Run(base_seq, codes, arrived_us, offsets, path, detector, newest_us, data_crc)


def write_run(disk: Disk, path: Path, detector: int, stretches: Sequence[IdRun]) -> Run:
    """Sort stretches into one run; in pieces small enough that no other thread waits for long."""
    count = sum(len(stretch) for stretch in stretches)
    base_seq = min(stretch.base_seq for stretch in stretches)
    fresh = path.with_name(path.name + ".tmp")
    fresh.unlink(missing_ok=True)
    fd = disk.create(fresh)
    try:
        data_crc = _write_columns(disk, fd, count, base_seq, _slabs(stretches, count))
        newest_us = max(int(stretch.arrived_us.max()) for stretch in stretches)
        head = _HEAD.pack(_MAGIC, 0, detector, count, base_seq, newest_us, data_crc)
        disk.write(fd, head[:12] + zlib.crc32(head).to_bytes(4, "little") + head[16:], 0)
        disk.sync(fd)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    finally:
        os.close(fd)
    disk.rename(fresh, path)
    return open_run(path)


def _write_columns(disk: Disk, fd: int, count: int, base_seq: int, slabs: Iterable[Columns]) -> int:
    """Write each slab of rows into the three columns, with frequent syncs so that other writes do not wait behind gigabytes."""
    starts = [_HEAD.size, _HEAD.size + 8 * count, _HEAD.size + 16 * count]
    crcs = [0, 0, 0]
    for slab, (codes, arrived_us, seqs) in enumerate(slabs, 1):
        columns = (codes.tobytes(), arrived_us.tobytes(), (seqs - base_seq).astype(np.uint32).tobytes())
        for k, data in enumerate(columns):
            disk.write(fd, data, starts[k])
            crcs[k] = zlib.crc32(data, crcs[k])
            starts[k] += len(data)
        if slab % _SYNC_SLABS == 0:
            disk.sync(fd)
    return _joined(crcs)


def _joined(crcs: Sequence[int]) -> int:
    """One checksum of the three columns' checksums."""
    return zlib.crc32(b"".join(crc.to_bytes(4, "little") for crc in crcs))


def _slabs(stretches: Sequence[IdRun], count: int) -> Iterable[Columns]:
    """The rows of all stretches in the order of their codes, by equal shares of the code space."""
    ordered = [_sorted(stretch) for stretch in stretches]
    parts = -(-count // _SLAB_ROWS)
    starts = [0] * len(ordered)
    for part in range(1, parts + 1):
        limit = _LOWEST + part * (1 << 64) // parts
        stops = [len(s) if part == parts else int(np.searchsorted(s.codes, limit)) for s in ordered]
        pieces = [s.rows(a, b) for s, a, b in zip(ordered, starts, stops, strict=True)]
        codes, arrived_us, seqs = (np.concatenate(columns) for columns in zip(*pieces, strict=True))
        order = np.argsort(codes, kind="stable")  # merges what is sorted in pieces
        yield codes[order], arrived_us[order], seqs[order]
        starts = stops


def _sorted(stretch: IdRun) -> IdRun:
    if isinstance(stretch, Run):
        return stretch
    order = np.argsort(stretch.codes, kind="stable")
    return IdRun(stretch.base_seq, stretch.codes[order], stretch.arrived_us[order], stretch.offsets[order])
