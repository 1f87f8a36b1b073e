"""A sink that copies a worker's ledger to PostgreSQL, record for record."""

from collections.abc import Mapping, Sequence
from contextlib import closing

import psycopg

from penstock.adapters.postgres.connection import explained, place_of
from penstock.adapters.postgres.layouts import Shapes
from penstock.adapters.postgres.reading import LogReader
from penstock.adapters.postgres.store import Store, Written
from penstock.adapters.postgres.tables import PostgresTables
from penstock.clock import Clock, system_clock
from penstock.errors import ConfigurationError, LedgerError, SinkUnavailable
from penstock.ledger import Ledger
from penstock.ledger.cursors import Cursor, checksum_of, misfit
from penstock.ledger.encoding import encode, header_of
from penstock.messages import Record

_GROUP_ROWS = 32_768


class PostgresSink:
    """`Sink` into the log of this name. Its position is the cursor, so that each record is written exactly once.

    Args:
        url: of the server; the schema is there already (`penstock ledger create`).
        log: the log's name, unique in the database: by default the detector's.
        ledger: the worker's, which names the columns of records.
        amounts: by detector, which field is the money at stake.
    """

    name = "postgres"

    def __init__(
        self,
        url: str,
        log: str,
        ledger: Ledger,
        *,
        amounts: Mapping[str, str] | None = None,
        clock: Clock = system_clock,
    ) -> None:
        self._url = url
        self._ledger = ledger
        self._at = place_of(url)
        self._store = Store(url, log, Shapes(ledger.layouts, ledger.tables.versions, amounts or {}), clock, alone=False)
        self._tables: PostgresTables | None = None
        self._known_layouts: set[str] = set()

    def begin(self, fence: int) -> int:
        """See `Sink.begin`.

        Raises:
            Fenced: an owner with a higher number has written.
            SinkUnavailable: the server does not answer, or refuses.
            ConfigurationError: the schema is not that of this version.
        """
        self.close()
        try:
            with explained(self._at):
                log = self._store.open().log
                self._tables = PostgresTables(self._url, log)
                position = self._store.take(fence).position
            if 0 < position <= self._ledger.position:
                self._check(log, position)
        except LedgerError as error:
            self.close()
            raise SinkUnavailable(str(error)) from error
        return position

    def _check(self, log: int, position: int) -> None:
        """Refuse to go on where the database follows another ledger: its records would be mixed with those of this one.

        Raises:
            ConfigurationError: it does.
        """
        with closing(LogReader(self._url, log)) as reading:
            last = next((record for _, record in reading.read(position - 1, None)), None)
        wrong = misfit(self._ledger, Cursor(position, None if last is None else checksum_of(last)))
        if wrong is not None:
            raise ConfigurationError(
                f"{self._at} does not belong to the ledger of this worker: {wrong}. One of them was restored from an older "
                "copy, or the topics were made anew; restore both of the same time, or name another database with --ledger"
            )

    def write(self, records: Sequence[tuple[int, Record]]) -> None:
        """See `Sink.write`.

        Raises:
            Fenced: an owner with a higher number has written.
            SinkUnavailable: the server does not answer, or refuses.
        """
        try:
            with explained(self._at):
                self._announce([record for _, record in records])
                for group in _groups(records):
                    self._store.write(group)
        except (LedgerError, psycopg.Error) as error:
            raise SinkUnavailable(str(error)) from error

    def _announce(self, records: Sequence[Record]) -> None:
        """Write new layouts and versions to the database, for readers of the records."""
        new = {str(record.meta["layout"]) for record in records if "layout" in record.meta} - self._known_layouts
        if not new:
            return
        assert self._tables is not None, "write before begin"
        layouts = self._ledger.layouts()
        for layout_id in sorted(new & set(layouts)):
            self._tables.put_layout(layout_id, layouts[layout_id])
        for version in self._ledger.tables.versions():
            self._tables.put_version(version)
        self._known_layouts |= new

    def close(self) -> None:
        """See `Sink.close`."""
        self._store.drop()
        if self._tables is not None:
            self._tables.close()
            self._tables = None


def _groups(records: Sequence[tuple[int, Record]]) -> list[list[Written]]:
    """Records with their frames, cut where a transaction would grow too large."""
    groups: list[list[Written]] = [[]]
    rows = 0
    for position, record in records:
        frame = encode(record, position)
        header = header_of(frame)
        assert header is not None
        if rows >= _GROUP_ROWS:
            groups.append([])
            rows = 0
        groups[-1].append(Written(record, header, frame))
        rows += len(record)
    return groups
