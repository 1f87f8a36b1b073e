"""The case store: decisions for review, in queues, each locked by one person at a time and decided once.

The state of a case is derived: decided with a verdict, taken while a lock lasts, escalated or open otherwise. So expired
locks need no cleanup.

Opening a case is no act of a person: it follows from the ledger, and is recorded in the case's own history alone.
Everything people do is recorded there and in the audit log (`audit`), in the transaction of the change.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from penstock import audit
from penstock.cases.case import MANUAL, REVIEW, Case, Happening, Key, Known, NewCase, PendingVerdict, case_id, check_verdict
from penstock.cases.tables import COLUMNS, FREE, SCHEMA, read_case
from penstock.clock import Clock, iso, system_clock
from penstock.database.sqlite import Database, Transaction
from penstock.errors import Conflict, MalformedEvent, NotFound

_QUEUE = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")
_MINUTE_US = 60_000_000
_LONGEST_NOTE = 10_000


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
        also: Callable[[Transaction, list[NewCase], int], None] = lambda _transaction, _new, _now: None,
    ) -> int:
        """Open cases and store external outcomes, together with the followed position of the ledger.

        A transaction has one case, however often it is passed. checksum: of the record before the position. also: called
        with the transaction, the new cases and the time before it commits. Returns the number of new cases.
        """
        now = self.clock()
        with self.database.write() as transaction:
            new = [case for case in opened if _open(transaction, case, now)]
            for each in known:
                _learn(transaction, each)
            transaction.run(
                "INSERT INTO case_feeds (log, position, checksum) VALUES (:log, :position, :checksum) "
                "ON CONFLICT (log) DO UPDATE SET position = excluded.position, checksum = excluded.checksum",
                {"log": log, "position": position, "checksum": checksum},
            )
            also(transaction, new, now)
        return len(new)

    def follow_again(self, log: str, has_label: Callable[[str, str], bool]) -> None:
        """Follow a restored ledger from its beginning; verdicts without a label in it are submitted again.

        has_label: whether it holds the label of an analyst about a detector's transaction.
        """
        sql = "SELECT id, detector, transaction_id FROM cases WHERE untold = 0 AND verdict IS NOT NULL AND verdict <> 'unsure'"
        lost = [id_ for id_, *decision in self.database.read(sql) if not has_label(*decision)]
        with self.database.write() as transaction:
            transaction.run("UPDATE case_feeds SET position = 0, checksum = 0 WHERE log = :log", {"log": log})
            for id_ in lost:
                transaction.run("UPDATE cases SET untold = 1 WHERE id = :id", {"id": id_})

    def open(self, new: NewCase, who: str, note: str | None = None) -> Case:
        """Open a case by hand, or find the one that the transaction has; with a note where one is given."""
        check_note(note)
        known = case_id(new.detector, new.transaction_id)
        with self.database.write() as transaction:
            now = self.clock()
            if _open(transaction, new, now, who):
                details = {"detector": new.detector, "transaction": new.transaction_id}
                audit.note(transaction, who=who, action="cases.open", subject=f"cases/{known}", details=details, at_us=now)
            if note is not None:
                _record(transaction, known, who, "note", now, {"text": note})
            return _case(transaction, known, now)

    # ---------------------------------------------------------------- reading

    def case(self, case_id: str) -> Case:
        """One case."""
        return _case(self.database, case_id, self.clock())

    def keys(self, case_id: str) -> list[Key]:
        """The keys of its transaction."""
        rows = self.database.read("SELECT entity, key FROM case_keys WHERE case_id = :id ORDER BY entity, key", {"id": case_id})
        return [Key(*row) for row in rows]

    def history(self, case_id: str) -> list[Happening]:
        """Its history, oldest first."""
        sql = "SELECT at_us, who, action, details FROM case_history WHERE case_id = :id ORDER BY n"
        rows = self.database.read(sql, {"id": case_id})
        return [Happening(at_us, who, action, msgspec.json.decode(details)) for at_us, who, action, details in rows]

    # ---------------------------------------------------------------- working on a case

    def take_next(self, who: str, queue: str | None = None) -> Case | None:
        """Take the waiting case with the highest expected loss, in one queue or in any; None if none waits."""
        where = f"{FREE} AND queue = :queue" if queue is not None else FREE
        sql = f"SELECT {COLUMNS} FROM cases WHERE {where} ORDER BY expected_loss DESC, opened_us, id LIMIT 1"  # noqa: S608 - names of columns
        with self.database.write() as transaction:
            now = self.clock()
            rows = transaction.run(sql, {"now": now} | ({} if queue is None else {"queue": queue}))
            return self._taken(transaction, read_case(rows[0]), who, now) if rows else None

    def take(self, case_id: str, who: str) -> Case:
        """Take a case that nobody else holds, or extend one's own lock."""
        with self.database.write() as transaction:
            now = self.clock()
            case = _case(transaction, case_id, now)
            _free_for(case, who)
            return self._taken(transaction, case, who, now)

    def _taken(self, transaction: Transaction, case: Case, who: str, now: int) -> Case:
        return _change(transaction, case, who, "take", now, {}, {"owner": who, "locked_until_us": now + self._lock_us})

    def release(self, case_id: str, who: str) -> Case:
        """Return it to its queue."""
        with self.database.write() as transaction:
            now = self.clock()
            case = _case(transaction, case_id, now)
            if case.state != "taken" or case.owner != who:
                raise Conflict(f"case {case_id} is not held by {who}; only who holds a case can release it")
            return _change(transaction, case, who, "release", now, {}, _UNLOCKED)

    def note(self, case_id: str, who: str, text: str) -> None:
        """Add a note; does not affect the holder."""
        check_note(text)
        with self.database.write() as transaction:
            now = self.clock()
            _record(transaction, _case(transaction, case_id, now).id, who, "note", now, {"text": text})

    def escalate(self, case_id: str, who: str, queue: str, note: str | None = None) -> Case:
        """Escalate it to another queue."""
        if not _QUEUE.fullmatch(queue):
            raise MalformedEvent(f"queue {queue[:80]!r} is no name: up to 60 of a-z, 0-9, - and _ are", "queue")
        check_note(note)
        with self.database.write() as transaction:
            now = self.clock()
            case = _case(transaction, case_id, now)
            _free_for(case, who)
            details = {"from": case.queue, "to": queue} | _optional(note=note)
            changes = {"queue": queue, "escalations": case.escalations + 1, **_UNLOCKED}
            return _change(transaction, case, who, "escalate", now, details, changes)

    def decide(
        self,
        case_id: str,
        who: str,
        verdict: str,
        *,
        reason: str | None = None,
        note: str | None = None,
        version: int | None = None,
    ) -> Case:
        """Give a verdict: fraud and good become a label. To correct one, name the version that it is based on.

        Raises:
            MalformedEvent: unknown verdict, or the reason does not belong to it.
        """
        check_verdict(verdict, reason)
        check_note(note)
        with self.database.write() as transaction:
            now = self.clock()
            case = _case(transaction, case_id, now)
            if version is None or case.state != "decided":
                _free_for(case, who)
            if version is not None and version != case.version:
                raise Conflict(f"case {case_id} is now of version {case.version}, not {version}; look at it again")
            return give(transaction, case, who, verdict, reason, note, now)

    # ---------------------------------------------------------------- labels

    def pending_verdicts(self, detector: str, limit: int = 256) -> list[PendingVerdict]:
        """Verdicts about a detector's decisions that have not been submitted as labels, oldest first."""
        sql = (
            "SELECT id, version, detector, transaction_id, verdict, reason_code FROM cases "
            "WHERE untold = 1 AND detector = :detector ORDER BY decided_us, id LIMIT :limit"
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
                values = {"id": each.case_id, "version": each.version}
                transaction.run("UPDATE cases SET untold = 0 WHERE id = :id AND version = :version", values)


_UNLOCKED: Mapping[str, Any] = {"owner": None, "locked_until_us": None}


def give(transaction: Transaction, case: Case, who: str, verdict: str, reason: str | None, note: str | None, now: int) -> Case:
    """Store a verdict."""
    changes = {"verdict": verdict, "reason_code": reason, "decided_by": who, "decided_us": now, **_UNLOCKED}
    changes["untold"] = int(verdict != "unsure")
    details = {"verdict": verdict} | _optional(reason=reason, note=note, before=case.verdict)
    return _change(transaction, case, who, "verdict", now, details, changes)


def _case(where: Database | Transaction, case_id: str, now: int) -> Case:
    ask = where.run if hasattr(where, "run") else where.read
    rows = ask(f"SELECT {COLUMNS} FROM cases WHERE id = :id", {"id": case_id, "now": now})  # noqa: S608 - names of columns
    if not rows:
        raise NotFound(f"there is no case {case_id[:80]!r}")
    return read_case(rows[0])


def _free_for(case: Case, who: str) -> None:
    """Raises Conflict if another person holds the case."""
    if case.state == "decided":
        raise Conflict(
            f"case {case.id} was decided by {case.decided_by}: {case.verdict}; to correct that, give a verdict with the version"
        )
    if case.state == "taken" and case.owner != who:
        raise Conflict(f"case {case.id} is held by {case.owner} until {iso(case.locked_until_us or 0)}")


def _change(
    transaction: Transaction, case: Case, who: str, action: str, now: int, details: dict[str, Any], changes: Mapping[str, Any]
) -> Case:
    """Change a case if nobody has changed it since it was read; returns the new case."""
    names = ", ".join(f"{name} = :{name}" for name in changes)
    rows = transaction.run(
        f"UPDATE cases SET {names}, version = version + 1 WHERE id = :id AND version = :version RETURNING {COLUMNS}",  # noqa: S608 - names of columns
        {**changes, "id": case.id, "version": case.version, "now": now},
    )
    if not rows:
        raise Conflict(f"case {case.id} was changed by somebody else at the same time; look at it again")
    _record(transaction, case.id, who, action, now, details)
    return read_case(rows[0])


def _record(transaction: Transaction, case_id: str, who: str, action: str, now: int, details: dict[str, Any]) -> None:
    _happened(transaction, case_id, who, action, now, details)
    audit.note(transaction, who=who, action=f"cases.{action}", subject=f"cases/{case_id}", details=details, at_us=now)


def _happened(transaction: Transaction, case_id: str, who: str, action: str, now: int, details: dict[str, Any]) -> None:
    [(n,)] = transaction.run("UPDATE cases SET changes = changes + 1 WHERE id = :id RETURNING changes", {"id": case_id})
    transaction.run(
        "INSERT INTO case_history (case_id, n, at_us, who, action, verdict, details) "
        "VALUES (:id, :n, :now, :who, :action, :verdict, :details)",
        {
            "id": case_id,
            "n": n,
            "now": now,
            "who": who,
            "action": action,
            "verdict": details.get("verdict"),
            "details": msgspec.json.encode(details).decode(),
        },
    )


def _open(transaction: Transaction, new: NewCase, now: int, who: str = "penstock") -> bool:
    values = {name: getattr(new, name) for name in new.__struct_fields__ if name != "keys"}
    values |= {"id": case_id(new.detector, new.transaction_id), "queue": _queue_of(new), "opened_us": now}
    values["named"] = msgspec.json.encode(new.named).decode()
    names = ", ".join(values)
    rows = transaction.run(
        f"INSERT INTO cases ({names}) VALUES ({', '.join(':' + name for name in values)}) ON CONFLICT DO NOTHING RETURNING id",  # noqa: S608 - names of columns
        values,
    )
    if not rows:
        return False
    for key in dict.fromkeys(new.keys):
        transaction.run(
            "INSERT INTO case_keys (entity, key, case_id) VALUES (:entity, :key, :id)",
            {"id": values["id"], "entity": key.entity, "key": key.key},
        )
    _happened(transaction, str(values["id"]), who, "open", now, {"decision": new.decision, "queue": _queue_of(new)})
    return True


def _queue_of(new: NewCase) -> str:
    return REVIEW if new.origin == MANUAL else new.origin


def _learn(transaction: Transaction, known: Known) -> None:
    """Store an external outcome; the latest counts."""
    transaction.run(
        "UPDATE cases SET known_fraud = :fraud, known_source = :source, known_us = :us "
        "WHERE id = :id AND (known_us IS NULL OR known_us <= :us)",
        {
            "id": case_id(known.detector, known.transaction_id),
            "fraud": int(known.fraud),
            "source": known.source,
            "us": known.known_us,
        },
    )


def _optional(**details: Any) -> dict[str, Any]:
    return {name: value for name, value in details.items() if value is not None}


def check_note(text: str | None) -> None:
    """Raises MalformedEvent for an empty or too long note."""
    if text is not None and not 0 < len(text.strip()) <= _LONGEST_NOTE:
        raise MalformedEvent(f"a note has between 1 and {_LONGEST_NOTE} characters, this one {len(text)}", "note")
