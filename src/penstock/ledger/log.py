"""The append-only log: segments in order, appended to by one thread, read by any.

A record has a *position* (its ordinal number) and, if it has rows, their consecutive *sequence numbers*. Both only
ever grow, so each is found by bisecting the segments, then the marks of one segment, then some headers.
"""

import bisect
import logging
import threading
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import msgspec

from penstock.errors import LedgerDamaged
from penstock.ledger.disk import Disk, read_at
from penstock.ledger.durable_end import DurableEnd, EndFile, read_end
from penstock.ledger.encoding import Header, decode, header_of, intact
from penstock.ledger.segments import FIRST_OFFSET, Segment, SegmentWriter, create_segment, damaged, open_segment
from penstock.messages import Record

SEGMENT_BYTES = 128 << 20
"""A segment is sealed before it grows beyond this."""

_READ_BYTES = 4 << 20
REMEDY = (
    "Restore the files of this ledger from a copy; or go on without what is missing: penstock serve --accept-loss "
    "(or penstock worker --accept-loss)"
)

_log = logging.getLogger(__name__)


class Log:
    """All segments of one folder.

    accept_loss: go on without what was acknowledged and is missing or damaged; it is put aside as `*.lost`.
    cut_bytes: what recovery removed from the end when the log was opened: a group that no one was told about.
    losses: what `accept_loss` accepted, a sentence each.
    following: of one that is read only: end where the owner has said that records are durable, and go on with `refresh`.

    Raises:
        LedgerDamaged: acknowledged records are missing or damaged.
    """

    def __init__(
        self,
        folder: Path,
        *,
        read_only: bool = False,
        following: bool = False,
        disk: Disk | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        accept_loss: bool = False,
    ) -> None:
        self.folder = folder
        self.losses: list[str] = []
        self._accept_loss = accept_loss
        self.end = read_end(folder / "end")  # before the segments: an owner may be writing
        self._end_file: EndFile | None = None
        self._disk = disk or Disk()
        self._segment_bytes = segment_bytes
        self._lock = threading.Lock()
        self._read_only, self._following = read_only, following
        self.cut_bytes = 0
        self.segments = self._opened()
        if not self.segments and self.end is not None and self.end.position > self.end.first_position:
            self._accept(
                LedgerDamaged(f"{folder} holds no segment of the log, but {self.end.position} records were durable. {REMEDY}")
            )
        if not self.segments and not read_only:
            self.segments = [create_segment(folder, 0, 0, self._disk)]
        self._writer = None if read_only else self._recover()
        if read_only and self.segments:
            self._read_last()

    def _opened(self) -> list[Segment]:
        segments: list[Segment] = []
        paths = sorted(self.folder.glob("*.log"))
        for path in paths:
            try:
                segments.append(_opened(path))
            except LedgerDamaged as error:
                self._accept(error)
                self._move_lost(paths[paths.index(path) :])
                break
        return segments

    def _recover(self) -> SegmentWriter:
        self._check_order()
        last = self.segments[-1]
        torn = 0 if last.sealed else self._scan(last)
        self._check_end()
        if last.sealed:
            return self._next_segment()
        writer = SegmentWriter(last, self._disk)
        if torn:
            self._cut(writer, torn)
        return writer

    def _scan(self, segment: Segment) -> int:
        """Read the open segment; the bytes to be cut off."""
        try:
            torn = segment.scan()
        except LedgerDamaged as error:
            self._accept(error)
            torn = segment.path.stat().st_size - segment.end
        return torn

    def _cut(self, writer: SegmentWriter, torn: int) -> None:
        segment = writer.segment
        if self.losses:
            rest = segment.path.read_bytes()[segment.end :]
            segment.path.with_name(f"{segment.path.name}.{segment.end}.lost").write_bytes(rest)
        why = "what was lost" if self.losses else "the rest of a write that nobody was told about"
        _log.warning("%s: %d bytes from byte %d on are cut off: %s", segment.path, torn, segment.end, why)
        self.cut_bytes = torn
        writer.cut()

    def _check_end(self) -> None:
        """Check that all acknowledged records are present.

        Raises:
            LedgerDamaged: it is not, and that is not accepted.
        """
        if self.end is None:
            return
        first, last = self.segments[0], self.segments[-1]
        if first.first_position > self.end.first_position and not self._read_only:
            self._accept(
                LedgerDamaged(
                    f"{self.folder / f'{self.end.first_position:016d}.log'} is missing: the log begins at record "
                    f"{first.first_position}. {REMEDY}"
                )
            )
        if last.next_position < self.end.position:
            self._accept(self._missing(last))
        elif self.end.position > first.first_position and self._checksum_before(self.end.position) != self.end.checksum:
            self._accept(
                LedgerDamaged(
                    f"record {self.end.position - 1} in {self.folder} is not the one that was acknowledged last: files of "
                    f"another copy of this log lie here, or it is damaged. {REMEDY}"
                )
            )

    def _missing(self, last: Segment) -> LedgerDamaged:
        assert self.end is not None
        return LedgerDamaged(
            f"{self.end.position - last.next_position} acknowledged records are missing: {last.path} is damaged or cut at byte "
            f"{last.end}, behind record {last.next_position - 1}, but {self.end.position} records were durable. {REMEDY}"
        )

    def _checksum_before(self, position: int) -> int | None:
        """The stored checksum of the record before a position; None where its bytes do not fit it."""
        segment, end = self._segment_at(position - 1)
        if segment is None:
            return None
        try:
            found = next(_records(segment, segment.locate_position(position - 1), end), None)
        except LedgerDamaged:
            return None
        return None if found is None else found[0].crc

    def _accept(self, error: LedgerDamaged) -> None:
        """Continue without the missing records, if that is accepted."""
        if not self._accept_loss:
            raise error
        if str(error) not in self.losses:
            self.losses.append(str(error))
            _log.warning("accepted: %s", error)

    def _move_lost(self, paths: Sequence[Path]) -> None:
        for path in paths:
            self._disk.rename(path, path.with_name(path.name + ".lost"))
            path.with_suffix(".marks").unlink(missing_ok=True)

    def keep_end(self, log: int) -> None:
        """Keep the durable end from now on, under the number of this log."""
        self._end_file = EndFile(self.folder / "end")
        checksum = self._checksum_before(self.next_position) if self.next_position > self.first_position else 0
        self.end = DurableEnd(log, self.first_position, self.next_position, self.next_seq, checksum or 0)
        self._end_file.begin(self.end)

    def _read_last(self) -> None:
        last = self.segments[-1]
        if self._following and self.end is not None:
            last.extend(self.end.position)  # what lies behind it may still be undone
        elif not last.sealed:
            last.scan(being_written=True)
        self._check_order()
        self._check_end()

    def refresh(self) -> int:
        """Go on to what the owner has made durable since, of a log that follows it; returns the position after that.

        Raises:
            LedgerDamaged: it began another segment, which cannot be read.
        """
        end = read_end(self.folder / "end")
        if end is None or end == self.end:
            return self.next_position
        with self._lock:
            kept = [segment for segment in self.segments[:-1] if segment.next_position > end.first_position]
            self.segments = [*kept, *self.segments[-1:]]
            while self.next_position < end.position:
                if self.segments:
                    self.segments[-1].extend(end.position)
                following = self.folder / f"{self.next_position:016d}.log"
                if self.next_position >= end.position or not following.exists():
                    break
                if not self.segments or self.segments[-1].path != following:
                    self.segments.append(open_segment(following))
            self.end = end if self.next_position >= end.position else self.end
        return self.next_position

    def _check_order(self) -> None:
        """Every segment must begin where the one before it ends; one without a sidecar is read for that."""
        for k, (earlier, later) in enumerate(zip(self.segments, self.segments[1:], strict=False), 1):
            try:
                if not earlier.sealed:
                    self._seal_again(earlier)
                if (earlier.next_position, earlier.next_seq) != (later.first_position, later.first_seq):
                    raise LedgerDamaged(
                        f"{later.path} begins at position {later.first_position}, but {earlier.path} ends before position "
                        f"{earlier.next_position}, at byte {earlier.end}: a segment is missing or cut. {REMEDY}"
                    )
            except LedgerDamaged as error:
                self._accept(error)
                self._move_lost([segment.path for segment in self.segments[k:]])
                self.segments = [*self.segments[: k - 1], earlier if earlier.sealed else open_segment(earlier.path)]
                return

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
        return self.segments[0].first_position if self.segments else 0

    @property
    def next_position(self) -> int:
        """The position after the last durable record."""
        return self.segments[-1].next_position if self.segments else 0

    @property
    def next_seq(self) -> int:
        """The sequence number after the last durable row."""
        return self.segments[-1].next_seq if self.segments else 0

    @property
    def sealed_position(self) -> int:
        """Records before this one stand in sealed segments."""
        return self.segments[-1].first_position if self.segments else 0

    @property
    def size_bytes(self) -> int:
        """Bytes of all records."""
        with self._lock:
            return sum(segment.end for segment in self.segments)

    # ------------------------------------------------------------ writing (one thread)

    def write(self, frames: list[bytes], headers: list[Header]) -> None:
        """Make a group of records durable; on an error the log is unchanged.

        Raises:
            OSError: of the device.
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
            if self._end_file is not None and self.end is not None:
                last = headers[-1]
                end = DurableEnd(self.end.log, self.end.first_position, last.position + 1, last.first_seq + last.rows, last.crc)
                self._end_file.write(end)
                self.end = end
            for header in headers:
                segment.note(header, segment.end)

    def check(self) -> None:
        """Check whether a group could be written now.

        Raises:
            OSError: of the device.
        """
        if self._writer is not None and not self._writer.segment.sealed:
            self._writer.reserve()

    def _next_segment(self) -> SegmentWriter:
        """Seal the last segment and begin another; safe to repeat after an error in between."""
        last = self.segments[-1]
        if not last.sealed:
            assert self._writer is not None
            self._writer.seal()
        fresh = create_segment(self.folder, last.next_position, last.next_seq, self._disk)
        with self._lock:
            self.segments.append(fresh)
        return SegmentWriter(fresh, self._disk)

    def forget(self, before_position: int) -> int:
        """Delete sealed segments that hold only records before this position; returns how many."""
        with self._lock:
            old = [segment for segment in self.segments[:-1] if segment.next_position <= before_position]
            self.segments = self.segments[len(old) :]
            if old and self._end_file is not None and self.end is not None:
                self.end = msgspec.structs.replace(self.end, first_position=self.first_position)
                self._end_file.begin(self.end)
        for segment in old:
            segment.path.unlink()
            segment.path.with_suffix(".marks").unlink(missing_ok=True)
        return len(old)

    def close(self) -> None:
        """Close the open segment."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._end_file is not None:
            self._end_file.close()
            self._end_file = None

    # ------------------------------------------------------------ reading (any thread)

    def record_of(self, seq: int) -> tuple[Record, int] | None:
        """The durable record that holds this sequence number, and the row."""
        with self._lock:
            k = bisect.bisect_right(self.segments, seq, key=lambda segment: segment.first_seq) - 1
            segment = self.segments[k] if k >= 0 else None
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
            k = bisect.bisect_right(self.segments, position, key=lambda segment: segment.first_position) - 1
            segment = self.segments[max(k, 0)] if self.segments else None
            if segment is None or position >= segment.next_position:
                return None, 0
            return segment, segment.end

    def backwards(self, detector: int, before: int, kinds: Collection[str]) -> Iterator[Record]:
        """Durable records of a detector (by its code) that begin before a sequence number, newest first."""
        with self._lock:
            segments = [(segment, segment.end, len(segment.marks)) for segment in self.segments if segment.first_seq < before]
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
