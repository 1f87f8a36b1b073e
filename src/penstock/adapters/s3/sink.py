"""The archive writer: full stretches of the log, or overdue ones, as one file per hour of arrival."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from io import BytesIO
from urllib.parse import quote

import msgspec
import numpy as np
import obstore
import polars as pl

from penstock.adapters.s3.layout import Extent, Reign, file_path, folder_of, owner_path
from penstock.adapters.s3.place import StoreLocation
from penstock.adapters.s3.reading import reigns_in
from penstock.clock import SECOND_US, Clock, from_us, system_clock
from penstock.errors import ConfigurationError, Fenced, SinkUnavailable
from penstock.ledger import Ledger
from penstock.ledger.cursors import Cursor, checksum_of, cursor_at, discarded, misfit
from penstock.ledger.expand import frame_of
from penstock.messages import Record

FILE_ROWS = 131_072
"""Rows that are archived together at the latest."""

_PIECE_ROWS = 32_768
_GROUP_ROWS = 65_536
_FILES_AT_ONCE = 8
_AT_ONCE = 64
_HOUR_US = 3600 * SECOND_US
_TIDY_S = 5.0
_EVENT_TYPE = "event_kind"

Render = Callable[[Record, Sequence[int]], list[bytes]]
_log = logging.getLogger(__name__)


class ArchiveSink:
    """`Sink` into an archive. Written records wait in memory until their stretch is complete; after a crash they are read anew.

    Args:
        url: as for `StoreLocation`; a folder is made.
        log: the name of this worker's ledger in the archive: the detector's name, and the shard's.
        ledger: the worker's, which names the columns of records.
        every_s: the longest that a record waits.
        file_rows: how many rows are written together at most.
        render: makes the JSON of decisions, each of which is then stored as an object, too.
    """

    name = "archive"

    def __init__(
        self,
        url: str,
        log: str,
        ledger: Ledger,
        *,
        every_s: float = 300.0,
        file_rows: int = FILE_ROWS,
        render: Render | None = None,
        clock: Clock = system_clock,
    ) -> None:
        self._place = StoreLocation(url, make=True)
        self._log_name = log
        self._ledger = ledger
        self._every_us = int(every_s * SECOND_US)
        self._file_rows = file_rows
        self._render = render
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: list[Record] = []
        self._rows = 0
        self._since_us = 0
        self._next = 0
        self.reign: Reign | None = None
        self._extent = Extent(0, 0)
        self._fenced: Fenced | None = None
        self._closed = threading.Event()
        self._tending: threading.Thread | None = None

    # ------------------------------------------------------------ the port

    def begin(self, fence: int) -> int:
        """See `Sink.begin`."""
        with self._lock, self._place.asked():
            known = reigns_in(self._place, self._log_name).get(self._log_name, {})
            newest = max(known, default=(-1, 0))
            if newest[0] > fence:
                raise self._followed(newest)
            position = self._reached(known)
            self.reign = (fence, newest[1] + 1 if newest[0] == fence else 0)
            self._extent = Extent(position, position, cursor_at(self._ledger, position).checksum)
            self._say()
            self._waiting, self._rows, self._next, self._fenced = [], 0, position, None
            self._tend()
            return position

    def _reached(self, known: Mapping[Reign, Extent]) -> int:
        """The archived position. Archived records that the ledger no longer holds will not count.

        Raises:
            ConfigurationError: records must be written again that the ledger no longer holds.
        """
        if known and self._ledger.position == 0:  # it tells nothing yet: the feeder of this sink has provided what it lacks
            return known[max(known)].position
        limit, position = None, 0
        for reign in sorted(known, reverse=True):
            extent = known[reign]
            wrong = misfit(self._ledger, Cursor(extent.position, extent.checksum))
            if wrong is None and (limit is None or extent.position <= limit):
                position = extent.position
                break
            if limit is None:
                text = f"what is archived of {self._log_name!r} in {self._place.name} does not belong to the ledger: {wrong}"
                discarded(self.name, text + "; the ledger was restored. What follows is archived again")
            limit = extent.start if limit is None else min(limit, extent.start)
        if limit is not None and position < self._ledger.first_position:
            raise ConfigurationError(
                f"the archive in {self._place.name} was written from another ledger than this one, which begins only at record "
                f"{self._ledger.first_position}; name another place with --archive"
            )
        return position

    def write(self, records: Sequence[tuple[int, Record]]) -> None:
        """See `Sink.write`; records that were taken before are not taken again."""
        with self._lock:
            if self._fenced is not None:
                raise self._fenced
            for position, record in records:
                if position >= self._next:
                    self._since_us = self._since_us if self._waiting else self._clock()
                    self._waiting.append(record)
                    self._rows += len(record)
                    self._next = position + 1
            if self._due():
                self._roll()

    def close(self) -> None:
        """See `Sink.close`; waiting records are written if the store answers at once."""
        self._closed.set()
        if self._tending is not None:
            self._tending.join()
            self._tending = None
        with self._lock:
            if self.reign is not None and self._fenced is None:
                try:
                    self._roll()
                except (SinkUnavailable, Fenced) as error:
                    _log.info("the archive is completed by the next owner: %s", error)
            self.reign = None

    # ------------------------------------------------------------ time

    def _due(self) -> bool:
        waited_us = self._clock() - self._since_us
        return bool(self._waiting) and (self._rows >= self._file_rows or waited_us >= self._every_us)

    def _tend(self) -> None:
        """Write overdue records while no new ones arrive."""
        if self._tending is None:
            self._closed.clear()
            self._tending = threading.Thread(target=self._watch, name="penstock-archive-objects", daemon=True)
            self._tending.start()

    def _watch(self) -> None:
        while not self._closed.wait(min(_TIDY_S, self._every_us / SECOND_US / 4)):
            with self._lock:
                if not self._due() or self._fenced is not None:
                    continue
                try:
                    self._roll()
                except SinkUnavailable as error:
                    _log.warning("the archive falls behind: %s", error)
                except Fenced as error:
                    self._fenced = error

    # ------------------------------------------------------------ files

    def _roll(self) -> None:
        """Write the waiting records, and record the position; after an error they keep waiting.

        Raises:
            Fenced: another owner has begun a reign.
            SinkUnavailable: the store does not answer; files that were written do not count yet.
        """
        if not self._waiting or self.reign is None:
            return
        with self._place.asked():
            newest = max(reigns_in(self._place, self._log_name, contents=False)[self._log_name])
            if newest > self.reign:
                raise self._followed(newest)
            stretch = (self._extent.position, self._next)
            with ThreadPoolExecutor(_FILES_AT_ONCE) as pool:
                for each in [
                    pool.submit(self.put, file_path(*place, stretch, self.reign, self._log_name), _parquet(frame))
                    for place, frame in _frames(self._waiting, self._ledger)
                ]:
                    each.result()
            if self._render is not None:
                asyncio.run(self._put_each(self._render))
            before = self._extent
            self._extent = Extent(before.start, self._next, checksum_of(self._waiting[-1]))
            try:
                self._say()
            except BaseException:
                self._extent = before
                raise
        self._waiting, self._rows = [], 0

    def put(self, path: str, data: bytes) -> None:
        """Write one object."""
        obstore.put(self._place.store, path, data)

    def _say(self) -> None:
        assert self.reign is not None
        self.put(owner_path(self._log_name, self.reign), msgspec.json.encode(self._extent))

    def _followed(self, newest: Reign) -> Fenced:
        return Fenced(
            f"the archive of {self._log_name!r} in {self._place.name} was taken over by the owner with number {newest[0]}"
        )

    async def _put_each(self, render: Render) -> None:
        """Store every decision as an object, several at a time."""
        turn = asyncio.Semaphore(_AT_ONCE)

        async def put(path: str, body: bytes) -> None:
            async with turn:
                await obstore.put_async(self._place.store, path, body)

        for record in self._waiting:
            if record.kind == "decisions":
                hours = (record.arrived_us // _HOUR_US * _HOUR_US).tolist()
                bodies = render(record, range(len(record)))
                await asyncio.gather(*(
                    put(f"{folder_of(record.detector, from_us(hour))}/json/{quote(id_, safe='')}.json", body)
                    for hour, id_, body in zip(hours, record.ids, bodies, strict=True)
                ))  # fmt: skip


def _frames(records: Sequence[Record], ledger: Ledger) -> Iterator[tuple[tuple[str, str, datetime | None], pl.DataFrame]]:
    """The rows of records by detector, kind and hour of arrival; history that was loaded is not divided by hours."""
    layouts = ledger.layouts()
    for detector, kind in dict.fromkeys((record.detector, record.kind) for record in records):
        alike = [record for record in records if (record.detector, record.kind) == (detector, kind) and len(record)]
        if not alike:
            continue
        pieces = [_with_kinds(frame_of(piece, layouts), piece) for piece in _pieces(alike)]
        whole = pl.concat(pieces, how="diagonal_relaxed")
        if kind == "loaded":
            yield (detector, kind, None), whole
            continue
        hours = whole["arrived_at"].dt.truncate("1h")
        for hour in hours.unique().sort():
            yield (detector, kind, hour), whole.filter(hours == hour)


def _pieces(records: Sequence[Record]) -> Iterator[list[Record]]:
    """Records in pieces that are small as Python objects."""
    piece: list[Record] = []
    for record in records:
        piece.append(record)
        if sum(map(len, piece)) >= _PIECE_ROWS:
            yield piece
            piece = []
    if piece:
        yield piece


def _with_kinds(frame: pl.DataFrame, records: Sequence[Record]) -> pl.DataFrame:
    """The event type of each row, where records have it: 0 is the transaction."""
    kinds = [record.columns.get("kinds") for record in records]
    if any(not isinstance(each, np.ndarray) for each in kinds):
        return frame
    return frame.with_columns(pl.Series(_EVENT_TYPE, np.concatenate(kinds)))  # type: ignore[arg-type]  # arrays, as asked above


def _parquet(frame: pl.DataFrame) -> bytes:
    file = BytesIO()
    frame.write_parquet(file, compression="zstd", compression_level=1, row_group_size=_GROUP_ROWS)
    return file.getvalue()
