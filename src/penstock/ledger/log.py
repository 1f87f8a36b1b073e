"""The log: segments in order, appended to by one thread, read by any.

A record has a *position* (its ordinal number) and, if it has rows, their consecutive *sequence numbers*. Both only
ever grow, so each is found by bisecting the segments, then the marks of one segment, then some headers.
"""

import bisect
import threading
from collections.abc import Collection, Iterator
from pathlib import Path

from penstock.errors import LedgerDamaged
from penstock.ledger.disk import Disk, read_at
from penstock.ledger.encoding import Header, decode, header_of, intact
from penstock.ledger.segments import FIRST_OFFSET, Segment, SegmentWriter, create_segment, damaged, open_segment
from penstock.messages import Record

SEGMENT_BYTES = 128 << 20
"""A segment is sealed before it grows beyond this."""

_READ_BYTES = 4 << 20


class Log:
    """All segments of one folder.

    cut_bytes: what recovery removed from the end when the log was opened: a group that no one was told about.
    """

    def __init__(self, folder: Path, *, read_only: bool = False, disk: Disk | None = None, segment_bytes: int = SEGMENT_BYTES):
        self.folder = folder
        self._disk = disk or Disk()
        self._segment_bytes = segment_bytes
        self._lock = threading.Lock()
        self._read_only = read_only
        self.cut_bytes = 0
        self._segments = [_opened(path) for path in sorted(folder.glob("*.log"))]
        if not self._segments and not read_only:
            self._segments = [create_segment(folder, 0, 0, self._disk)]
        self._writer = None if read_only else self._recover()
        if read_only and self._segments:
            self._read_last()

    def _recover(self) -> SegmentWriter:
        last = self._segments[-1]
        torn = 0 if last.sealed else last.scan()
        self._check_order()
        if last.sealed:
            return self._next_segment()
        writer = SegmentWriter(last, self._disk)
        if torn:
            self.cut_bytes = torn
            writer.cut()
        return writer

    def _read_last(self) -> None:
        if not self._segments[-1].sealed:
            self._segments[-1].scan(being_written=True)
        self._check_order()

    def _check_order(self) -> None:
        """Every segment must begin where the one before it ends; one without a sidecar is read for that."""
        for earlier, later in zip(self._segments, self._segments[1:], strict=False):
            if not earlier.sealed:
                self._seal_again(earlier)
            if (earlier.next_position, earlier.next_seq) != (later.first_position, later.first_seq):
                raise LedgerDamaged(
                    f"{later.path} begins at position {later.first_position}, but {earlier.path} ends before position "
                    f"{earlier.next_position}: a segment is missing or cut. Restore the missing file from a copy"
                )

    def _seal_again(self, segment: Segment) -> None:
        """A segment that others follow was complete once: a torn end there is damage."""
        if segment.scan():
            raise damaged(segment.path, segment.end)
        segment.sealed = True
        if not self._read_only:
            segment.save_sidecar(self._disk)

    # ------------------------------------------------------------ what is there

    @property
    def first_position(self) -> int:
        """The oldest record that is still here."""
        return self._segments[0].first_position if self._segments else 0

    @property
    def next_position(self) -> int:
        """The position after the last durable record."""
        return self._segments[-1].next_position if self._segments else 0

    @property
    def next_seq(self) -> int:
        """The sequence number after the last durable row."""
        return self._segments[-1].next_seq if self._segments else 0

    @property
    def sealed_position(self) -> int:
        """Records before this one stand in sealed segments."""
        return self._segments[-1].first_position if self._segments else 0

    @property
    def size_bytes(self) -> int:
        """Bytes of all records."""
        with self._lock:
            return sum(segment.end for segment in self._segments)

    # ------------------------------------------------------------ writing (one thread)

    def write(self, frames: list[bytes], headers: list[Header]) -> None:
        """Make a group of records durable; on an error the log is as it was before.

        Raises:
            OSError: what the device said.
        """
        assert self._writer is not None
        group = b"".join(frames)
        segment = self._writer.segment
        full = segment.end > FIRST_OFFSET and segment.end + len(group) > self._segment_bytes
        if full or segment.sealed:
            self._writer = self._next_segment()
            segment = self._writer.segment
        self._writer.write(group)
        with self._lock:
            for header in headers:
                segment.note(header, segment.end)

    def _next_segment(self) -> SegmentWriter:
        """Seal the last segment and begin another; safe to repeat after an error in between."""
        last = self._segments[-1]
        if not last.sealed:
            assert self._writer is not None
            self._writer.seal()
        fresh = create_segment(self.folder, last.next_position, last.next_seq, self._disk)
        with self._lock:
            self._segments.append(fresh)
        return SegmentWriter(fresh, self._disk)

    def forget(self, before_position: int) -> int:
        """Delete sealed segments that hold only records before this position; returns how many."""
        with self._lock:
            old = [segment for segment in self._segments[:-1] if segment.next_position <= before_position]
            self._segments = self._segments[len(old) :]
        for segment in old:
            segment.path.unlink()
            segment.path.with_suffix(".marks").unlink(missing_ok=True)
        return len(old)

    def close(self) -> None:
        """Close the open segment."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    # ------------------------------------------------------------ reading (any thread)

    def record_of(self, seq: int) -> tuple[Record, int] | None:
        """The durable record that holds this sequence number, and the row."""
        with self._lock:
            k = bisect.bisect_right(self._segments, seq, key=lambda segment: segment.first_seq) - 1
            segment = self._segments[k] if k >= 0 else None
        found = segment.locate_seq(seq) if segment is not None else None
        if segment is None or found is None:
            return None
        header, offset = found
        return decode(header, segment.record_bytes(header, offset)), seq - header.first_seq

    def read(
        self, position: int, stop: int | None = None, kinds: Collection[str] | None = None
    ) -> Iterator[tuple[int, Record]]:
        """Durable records from a position on, in order, checked.

        Raises:
            LedgerDamaged: a record does not fit its checksum.
        """
        while True:
            segment, end = self._segment_at(position)
            if segment is None:
                return
            for header, data, at in _records(segment, segment.locate_position(position), end):
                if stop is not None and header.position >= stop:
                    return
                if kinds is None or header.kind in kinds:
                    yield header.position, decode(header, data, at)
                position = header.position + 1

    def _segment_at(self, position: int) -> tuple[Segment | None, int]:
        """The segment with this position, and its present end."""
        with self._lock:
            k = bisect.bisect_right(self._segments, position, key=lambda segment: segment.first_position) - 1
            segment = self._segments[max(k, 0)] if self._segments else None
            if segment is None or position >= segment.next_position:
                return None, 0
            return segment, segment.end

    def backwards(self, detector: int, before: int, kinds: Collection[str]) -> Iterator[Record]:
        """Durable records of a detector (by its code) that begin before a sequence number, newest first."""
        with self._lock:
            segments = [(segment, segment.end, len(segment.marks)) for segment in self._segments if segment.first_seq < before]
        for segment, end, marks in reversed(segments):
            for k in reversed(range(marks)):
                if segment.marks[k].seq >= before:
                    continue
                start, stop = segment.block(k)
                block = list(segment.headers(start, min(stop, end)))
                for header, offset in reversed(block):
                    if header.detector == detector and header.kind in kinds and header.first_seq < before:
                        yield decode(header, segment.record_bytes(header, offset))


def _opened(path: Path) -> Segment:
    segment = open_segment(path)
    segment.sealed = segment.load_sidecar()
    return segment


def _records(segment: Segment, start: int, end: int) -> Iterator[tuple[Header, bytes, int]]:
    """Checked records between two offsets, read in large pieces: header, bytes, where it begins in them."""
    data, base, offset = b"", start, start
    while offset < end:
        header = header_of(data, offset - base)
        if header is None or offset - base + header.total > len(data):
            size = max(_READ_BYTES, header.total if header is not None else 0)
            data, base = read_at(segment.path, offset, min(size, end - offset)), offset
            header = header_of(data, 0)
            if header is not None and header.total > len(data) and header.total <= end - offset:
                data = read_at(segment.path, offset, header.total)
        if header is None or not intact(header, data, offset - base):
            raise damaged(segment.path, offset)
        yield header, data, offset - base
        offset += header.total
