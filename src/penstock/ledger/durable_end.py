"""The durable end of a log, in a small file next to it: acknowledged records must be present at the next start.

The file is written, without a sync, after a group of records is durable and before it is acknowledged; this costs
microseconds. After `kill -9` it is exact, since the pages belong to the system; after a power failure it may be older and
cover less. So a torn write, never acknowledged, lies behind this end, and damage before it is damage of acknowledged
records.

    two slots of 128 bytes, written in turn: magic | crc32 | log | first position | position | next seq | checksum
"""

import os
import zlib
from pathlib import Path
from struct import Struct

import msgspec

_SLOT = Struct("<12sIQqqqI")
_MAGIC = b"PENSTOCK-END"
_SLOT_BYTES = 128


class DurableEnd(msgspec.Struct, frozen=True):
    """The durable end of a log.

    log: a random number that was drawn when the log was made. first_position: of the oldest record; older ones were
    forgotten on purpose. position, next_seq: those of the next record. checksum: of the last record's bytes, 0 before any.
    """

    log: int
    first_position: int = 0
    position: int = 0
    next_seq: int = 0
    checksum: int = 0


def read_end(path: Path) -> DurableEnd | None:
    """The newest end that the file holds; None where there is no file, or none that is whole."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    ends = (_unpacked(data[start : start + _SLOT.size]) for start in (0, _SLOT_BYTES))
    return max((end for end in ends if end is not None), key=lambda end: end.position, default=None)


class EndFile:
    """Writes the file. Used by one thread."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._slot = 0

    def begin(self, end: DurableEnd) -> None:
        """Write both slots, durably."""
        self.write(end)
        self.write(end)
        os.fsync(self._fd)

    def write(self, end: DurableEnd) -> None:
        """Write an end; the previous one stays in the other slot.

        Raises:
            OSError: of the device.
        """
        os.pwrite(self._fd, _packed(end), self._slot * _SLOT_BYTES)
        self._slot = 1 - self._slot

    def close(self) -> None:
        """Make it durable and close the file; twice is fine."""
        if self._fd >= 0:
            os.fsync(self._fd)
            os.close(self._fd)
            self._fd = -1


def _packed(end: DurableEnd) -> bytes:
    slot = _SLOT.pack(_MAGIC, 0, end.log, end.first_position, end.position, end.next_seq, end.checksum)
    return slot[:12] + zlib.crc32(slot).to_bytes(4, "little") + slot[16:]


def _unpacked(slot: bytes) -> DurableEnd | None:
    bare = slot[:12] + bytes(4) + slot[16:]
    if len(slot) < _SLOT.size or slot[:12] != _MAGIC or zlib.crc32(bare) != int.from_bytes(slot[12:16], "little"):
        return None
    _, _, log, first_position, position, next_seq, checksum = _SLOT.unpack(slot)
    return DurableEnd(log, first_position, position, next_seq, checksum)
