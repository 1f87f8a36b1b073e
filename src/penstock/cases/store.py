"""The case store: decisions for review, in queues, each case locked by one person at a time and decided once.

The state of a case is derived: decided with a verdict, taken while a lock lasts, escalated or open otherwise. So expired
locks need no cleanup.

The ledger determines which cases open; only the history of the case records that. Actions of people are recorded there and in
the audit log (`audit`), in the transaction of the change.
"""

import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec

from penstock import audit
from penstock.cases.case import QUEUE, Case, EntityKey, Happening, Known, NewCase, PendingVerdict, check_verdict
from penstock.cases.history import UNLOCKED, change, check_free, check_note, check_opinion, find, optional, record, unknown
from penstock.cases.members import Placed, case_of, due_us, give, learn, place, undo
from penstock.cases.tables import COLUMNS, FREE, SCHEMA, read_case
from penstock.clock import Clock, system_clock
from penstock.database.sqlite import Database, DatabaseTransaction
from penstock.errors import Conflict, MalformedEvent

_MINUTE_US = 60_000_000


class Cases:
    """The case store. Thread-safe; `who` is the name of the actor.

    Raises, besides what is named: NotFound for an unknown case, Conflict if somebody else holds it or was first.

    >>> from penstock.database import SqliteDatabase
    >>> cases = Cases(SqliteDatabase())
    >>> new = NewCase(detector="shop", transaction_id="t1", origin="review", propensity=1.0, decision="REVIEW", score=0.6,
    ...               amount=50.0, expected_loss=30.0, reason=None, event_us=0)
    >>> cases.follow("log", 1, [new])
    1
    >>> case = cases.take_next("ana")
    >>> cases.decide(case.id, "ana", "fraud", reason="card_stolen", version=case.version).state
    'decided'
    """

    def __init__(self, database: Database, *, lock_minutes: float = 15.0, clock: Clock = system_clock) -> None:
        database.prepare(audit.SCHEMA)
        database.prepare(SCHEMA)
        self.database = database
        self.clock = clock
        self._lock_us = round(lock_minutes * _MINUTE_US)
        self._visible: Callable[[], Collection[str] | None] = lambda: None

    def limited_by(self, visible: Callable[[], Collection[str] | None]) -> "Cases":
        """The store for a reader who may see the cases of some detectors alone.

        visible: called at every query; the detectors, or None for all.
        """
        limited = copy.copy(self)
        limited._visible = visible
        return limited

    def visible(self, column: str = "detector") -> tuple[str, Mapping[str, Any]]:
        """The SQL condition of the cases that the reader may see, and its parameters. column: holds the detector."""
        among = self._visible()
        if among is None:
            return "1 = 1", {}
        names = {f"visible{place}": name for place, name in enumerate(sorted(among))}
        return f"{column} IN ({', '.join(f':{name}' for name in names)})", names

    def find(self, where: Database | DatabaseTransaction, case_id: str, now: int) -> Case:
        """One case that the reader may see.

        Raises:
            NotFound: there is none with this id.
        """
        case, among = find(where, case_id, now), self._visible()
        if among is not None and case.detector not in among:
            raise unknown(case_id)
        return case

    # ---------------------------------------------------------------- following the ledger

    def position(self, log: str) -> int | None:
        """The followed position of this ledger; None if it was never followed."""
        rows = self.database.read("SELECT position FROM case_feeds WHERE log = :log", {"log": log})
        return int(rows[0][0]) if rows else None

    def checksum(self, log: str) -> int | None:
        """The checksum of the last followed record; None if none was stored."""
        rows = self.database.read("SELECT checksum FROM case_feeds WHERE log = :log", {"log": log})
        return rows[0][0] if rows else None

    def follow(
        self,
        log: str,
        position: int,
        opened: Sequence[NewCase],
        known: Sequence[Known] = (),
        checksum: int | None = None,
        also: Callable[[DatabaseTransaction, list[Placed], int], None] = lambda _transaction, _new, _now: None,
    ) -> int:
        """Open or extend cases and store external outcomes, together with the followed position of the ledger.

        A transaction has one case, however often it is passed. checksum: of the record before the position. also: called
        with the transaction, the placed decisions and the time before it commits. Returns the number of new cases.
        """
        now = self.clock()
        with self.database.write() as transaction:
            placed = (place(transaction, each, now) for each in opened)
            new = [each for each in placed if each is not None]
            for each in known:
                learn(transaction, each)
            transaction.run(
                "INSERT INTO case_feeds (log, position, checksum) VALUES (:log, :position, :checksum) "
                "ON CONFLICT (log) DO UPDATE SET position = excluded.position, checksum = excluded.checksum",
                {"log": log, "position": position, "checksum": checksum},
            )
            also(transaction, new, now)
        return sum(each.opened for each in new)

    def follow_again(self, log: str, has_label: Callable[[str, str], bool]) -> None:
        """Follow a restored ledger from its beginning; verdicts without a label in it are submitted again.

        has_label: whether it holds the label of an analyst about a detector's transaction.
        """
        sql = (
            "SELECT detector, transaction_id FROM case_members WHERE untold = 0 AND verdict IS NOT NULL AND verdict <> 'unsure'"
        )
        lost = [tuple(pair) for pair in self.database.read(sql) if not has_label(*pair)]
        with self.database.write() as transaction:
            transaction.run("UPDATE case_feeds SET position = 0, checksum = 0 WHERE log = :log", {"log": log})
            for detector, transaction_id in lost:
                transaction.run(
                    "UPDATE case_members SET untold = 1 WHERE detector = :detector AND transaction_id = :transaction_id",
                    {"detector": detector, "transaction_id": transaction_id},
                )

    def open(self, new: NewCase, who: str, note: str | None = None) -> Case:
        """Put a transaction into a case by hand, or find the one that it is in; with a note where one is given."""
        check_note(note)
        with self.database.write() as transaction:
            now = self.clock()
            placed = place(transaction, new, now, who)
            known = case_of(transaction, new.detector, new.transaction_id) or ""
            case = self.find(transaction, known, now)
            if placed is not None:
                action = "cases.open" if placed.opened else "cases.add"
                details = {"detector": new.detector, "transaction": new.transaction_id}
                audit.note(transaction, who=who, action=action, subject=f"cases/{known}", details=details, at_us=now)
            if note is not None:
                record(transaction, known, who, "note", now, {"text": note})
            return case

    # ---------------------------------------------------------------- reading

    def case(self, case_id: str) -> Case:
        """One case."""
        return self.find(self.database, case_id, self.clock())

    def keys(self, case_id: str) -> list[EntityKey]:
        """The keys of its first transaction; those of the others only find the case."""
        sql = "SELECT entity, key FROM case_keys WHERE case_id = :id AND n = 1 ORDER BY entity, key"
        rows = self.database.read(sql, {"id": case_id})
        return [EntityKey(*row) for row in rows]

    def history(self, case_id: str) -> list[Happening]:
        """Its history, oldest first."""
        sql = "SELECT at_us, who, action, details FROM case_history WHERE case_id = :id ORDER BY n"
        rows = self.database.read(sql, {"id": case_id})
        return [Happening(at_us, who, action, msgspec.json.decode(details)) for at_us, who, action, details in rows]

    # ---------------------------------------------------------------- working on a case

    def take_next(self, who: str, queue: str | None = None) -> Case | None:
        """Take the waiting case with the highest priority, then expected loss, in one queue or in any; None if none waits.

        Cases that are assigned to others, or wait for another's opinion, are passed over.
        """
        where = f"{FREE} AND (assignee IS NULL OR assignee = :who) AND (opinion_by IS NULL OR opinion_by <> :who)"
        where += "" if queue is None else " AND queue = :queue"
        seen, values = self.visible()
        order = "priority DESC, expected_loss DESC, opened_us, id"
        sql = f"SELECT {COLUMNS} FROM cases WHERE {where} AND {seen} ORDER BY {order} LIMIT 1"  # noqa: S608 - names of columns
        with self.database.write() as transaction:
            now = self.clock()
            rows = transaction.run(sql, {"now": now, "who": who, **values} | ({} if queue is None else {"queue": queue}))
            return self._taken(transaction, read_case(rows[0]), who, now) if rows else None

    def take(self, case_id: str, who: str) -> Case:
        """Take a case that nobody else holds, or extend one's own lock."""
        with self.database.write() as transaction:
            now = self.clock()
            case = self.find(transaction, case_id, now)
            check_free(case, who)
            return self._taken(transaction, case, who, now)

    def _taken(self, transaction: DatabaseTransaction, case: Case, who: str, now: int) -> Case:
        return change(transaction, case, who, "take", now, {}, {"owner": who, "locked_until_us": now + self._lock_us})

    def release(self, case_id: str, who: str) -> Case:
        """Return it to its queue."""
        with self.database.write() as transaction:
            now = self.clock()
            case = self.find(transaction, case_id, now)
            if case.state != "taken" or case.owner != who:
                raise Conflict(f"case {case_id} is not held by {who}; only who holds a case can release it")
            return change(transaction, case, who, "release", now, {}, UNLOCKED)

    def note(self, case_id: str, who: str, text: str) -> None:
        """Add a note, which may mention colleagues as `@name`; does not affect the holder."""
        check_note(text)
        with self.database.write() as transaction:
            now = self.clock()
            record(transaction, self.find(transaction, case_id, now).id, who, "note", now, {"text": text})

    def escalate(self, case_id: str, who: str, queue: str, note: str | None = None) -> Case:
        """Escalate it to another queue."""
        if not QUEUE.fullmatch(queue):
            raise MalformedEvent(f"queue {queue[:80]!r} is no name: up to 60 of a-z, 0-9, - and _ are", "queue")
        check_note(note)
        with self.database.write() as transaction:
            now = self.clock()
            case = self.find(transaction, case_id, now)
            check_free(case, who)
            details = {"from": case.queue, "to": queue} | optional(note=note)
            due = due_us(transaction, queue, now)
            changes = {"queue": queue, "escalations": case.escalations + 1, "assignee": None, "due_us": due, **UNLOCKED}
            return change(transaction, case, who, "escalate", now, details, changes)

    def decide(
        self,
        case_id: str,
        who: str,
        verdict: str,
        *,
        reason: str | None = None,
        note: str | None = None,
        version: int | None = None,
        transactions: Sequence[str] = (),
        seen: int | None = None,
        roles: Collection[str] = (),
    ) -> Case:
        """Give a verdict: fraud and good become labels. To correct one, name the version that it is based on.

        transactions: those of the case that it is about; every one without a separate verdict unless given. seen: the
        number of transactions that the case had when the person looked at it. roles: of the person, for second opinions.

        Raises:
            MalformedEvent: unknown verdict, or the reason does not belong to it.
        """
        check_verdict(verdict, reason)
        check_note(note)
        with self.database.write() as transaction:
            now = self.clock()
            case = self.find(transaction, case_id, now)
            if version is None or case.state != "decided":
                check_free(case, who)
            if version is not None and version != case.version:
                raise Conflict(f"case {case_id} is now of version {case.version}, not {version}; look at it again")
            if seen is not None and seen != case.transactions:
                raise Conflict(f"case {case_id} now has {case.transactions} transactions, not {seen}; look at it again")
            check_opinion(case, who, roles)
            return give(transaction, case, who, verdict, reason, note, now, transactions)

    def undo(self, case_id: str, who: str) -> Case:
        """Take back one's own last verdict within 10 minutes: see `members.undo`."""
        with self.database.write() as transaction:
            now = self.clock()
            return undo(transaction, self.find(transaction, case_id, now), who, now)

    # ---------------------------------------------------------------- labels

    def pending_verdicts(self, detector: str, limit: int = 256) -> list[PendingVerdict]:
        """Verdicts about a detector's decisions that have not been submitted as labels, oldest first."""
        sql = (
            "SELECT case_id, version, detector, transaction_id, verdict, reason_code FROM case_members "
            "WHERE untold = 1 AND detector = :detector ORDER BY decided_us, case_id, n LIMIT :limit"
        )
        rows = self.database.read(sql, {"detector": detector, "limit": limit})
        return [
            PendingVerdict(id_, version, detector, transaction_id, verdict == "fraud", reason or verdict)
            for id_, version, detector, transaction_id, verdict, reason in rows
        ]

    def mark_submitted(self, verdicts: Sequence[PendingVerdict]) -> None:
        """Mark verdicts as submitted; one that was corrected meanwhile has to be submitted again."""
        with self.database.write() as transaction:
            for each in verdicts:
                values = {"detector": each.detector, "transaction_id": each.transaction_id, "version": each.version}
                transaction.run(
                    "UPDATE case_members SET untold = 0 "
                    "WHERE detector = :detector AND transaction_id = :transaction_id AND version = :version",
                    values,
                )
