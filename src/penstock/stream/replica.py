"""The replica: an engine that follows a journal, at the owner before it decides, at the standby, and in every service."""

from collections.abc import Callable, Sequence
from typing import Any

from penstock.engine import Engine
from penstock.errors import BrokerError, LedgerDamaged
from penstock.ledger import Ledger
from penstock.ledger.encoding import decode, header_of, intact
from penstock.messages import Record
from penstock.stream.entry import JournalEntry
from penstock.stream.entry import decode as decode_entry
from penstock.stream.journal_ledger import JournalLedger
from penstock.stream.port import Journal

Opened = Callable[[Ledger], Engine]
"""Opens an engine over a ledger."""

OnFollowed = Callable[[Sequence[Record]], None]


class Replica:
    """A copy of the owner's state, ledger and tables, up to the followed position.

    fence: the number of the newest owner. places: the inbox positions, by role. place: the journal position read here.
    taken_over: the newest owner claimed while another lived. on_followed: called with records once they are in state.
    lag: messages that wait in the inbox, if it is owned here. stores_lag_s: for how long stores fed here lack a record.

    Args:
        local: the ledger of this machine, which mirrors the journal. It is closed with the replica.
        open_engine: opens the engine over it.
    """

    def __init__(self, local: Ledger, open_engine: Opened) -> None:
        self.ledger = JournalLedger(local)
        self.engine = open_engine(self.ledger)
        self.on_followed: OnFollowed = lambda _records: None
        self.lag: Callable[[], int] = lambda: 0
        self.stores_lag_s: Callable[[], float] = lambda: 0.0
        self._setting = f"journal.{self.engine.detector.name}"
        saved: dict[str, Any] = local.tables.setting(self._setting, {})
        self.place: str | None = saved.get("place")
        self.fence: int = saved.get("fence", 0)
        self.places: dict[str, str] = saved.get("places", {})
        self.taken_over = False

    def follow(self, journal: Journal, timeout_s: float) -> int:
        """Apply new entries of the journal, waiting at most `timeout_s` for the first; returns their number."""
        entries = journal.poll(timeout_s)
        for place, data in entries:
            self.enter(place, data)
        return len(entries)

    def catch_up(self, journal: Journal) -> None:
        """Apply everything that is committed at the time of this call: an owner may go on writing faster than this reads."""
        mark = journal.mark()
        while mark is None or not journal.has_read(mark):
            self.follow(journal, 0.1)
            mark = journal.mark() if mark is None else mark

    def enter(self, place: str, data: bytes) -> None:
        """Apply one entry of the journal.

        Raises:
            BrokerError: it does not follow the last one here.
        """
        entry = decode_entry(data)
        if entry.fence < self.fence:
            raise BrokerError(
                f"the journal holds an entry of owner {entry.fence} behind one of owner {self.fence}; it has been tampered with"
            )
        for layout_id, columns in entry.layouts.items():
            self.ledger.register_layout(layout_id, columns)
        for version in entry.versions:
            self.ledger.tables.put_version(version)
        records = []
        for frame in entry.frames:
            record = self._new(frame)
            if record is not None:
                self.engine.recovery.follow(record)
                records.append(record)
        self.keep(entry)
        self.advance(place, entry)
        if records:
            self.on_followed(records)

    def _new(self, frame: bytes) -> Record | None:
        """The frame's record if it is new; a journal is read again from a little before the stored position."""
        header = header_of(frame)
        if header is None or not intact(header, frame):
            raise LedgerDamaged("the journal holds a record that does not fit its checksum")
        if header.position < self.ledger.position:
            return None
        if header.position > self.ledger.position:
            raise BrokerError(
                f"the journal goes on with record {header.position}, but record {self.ledger.position} has not been seen here;"
                " copy the data folder of a worker that has, or keep the journal for longer"
            )
        return decode(header, frame)

    def keep(self, entry: JournalEntry) -> None:
        """Store the parts of an entry other than records."""
        if entry.quarantined:
            self.engine.quarantine.store(entry.quarantined)
        if entry.answered:
            self.ledger.tables.put_answers(entry.answered)

    def advance(self, place: str | None, entry: JournalEntry) -> None:
        """Note that the journal has been read, or written, up to this position."""
        self.place, self.fence = place, entry.fence
        if entry.owner is not None:
            self.taken_over = entry.takeover
        self.places |= entry.places

    def save(self) -> None:
        """Store the position, so that little is read again after a restart."""
        place, fence, places = self.place, self.fence, dict(self.places)
        self.ledger.flush()
        self.ledger.tables.put_setting(self._setting, {"place": place, "fence": fence, "places": places})

    def close(self) -> None:
        """Close engine and ledger; uncommitted records are dropped."""
        try:
            self.engine.close()
        finally:
            self.ledger.close()
