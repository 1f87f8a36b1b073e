"""The outbox of webhooks: events in one order, how far each endpoint has come, and the attempts to deliver.

Events are added in the transaction that moves the reader's position (of the ledger, or of the audit log), so that a kill
neither loses one nor adds it twice. The number of an event is given under a lock, in the order of commits: a cursor never
passes a number that appears later.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from penstock import audit
from penstock.audit import AuditLog
from penstock.clock import SECOND_US, Clock, system_clock
from penstock.database.sqlite import Database, DatabaseTransaction, Row
from penstock.webhooks.endpoints import Endpoint, Endpoints
from penstock.webhooks.events import Event, of_audit, type_of
from penstock.webhooks.tables import SCHEMA

_EARLIER_US = 300 * SECOND_US
"""How much earlier than its endpoint an event may have happened: clocks of several machines differ."""

_KEPT_LONGER_US = 2 * 3600 * SECOND_US
"""How much longer than its retention an event is kept: until every endpoint has noted that it is given up."""

_PAGE = 256


class Stored(msgspec.Struct, frozen=True):
    """An event in the outbox. seq: its number."""

    seq: int
    added_us: int
    event: Event


class Attempt(msgspec.Struct, frozen=True):
    """One attempt to deliver. n: its number at the endpoint, from 1. outcome: delivered, failed, or expired (given up).

    attempt: of this event. status: of the answer; None if there was none.
    """

    event: str
    type: str
    subject: str
    at_us: int
    attempt: int
    outcome: str
    status: int | None
    took_ms: int
    detail: str
    n: int = 0


class Interest:
    """What some endpoints want of the events that happen."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._chosen = [(each.created_us - _EARLIER_US, each.selector) for each in endpoints]

    def __bool__(self) -> bool:
        return bool(self._chosen)

    def wants(self, event: Event) -> bool:
        """Whether an endpoint gets this event; none gets what happened before there was one."""
        return self.wants_such(event.type, event.detector, event.decision, event.at_us)

    def wants_such(self, type: str, detector: str | None, decision: str | None, at_us: int) -> bool:
        """As `wants`, before the event is made."""
        return any(since_us <= at_us and chosen.selects(type, detector, decision) for since_us, chosen in self._chosen)


class Progress(NamedTuple):
    """How far an endpoint has come after some attempts."""

    reached: int
    failures: int
    failing_since_us: int | None
    next_us: int | None
    error: str | None


class Outbox:
    """The events and attempts of an office. Thread-safe; several processes may use it."""

    def __init__(self, database: Database, endpoints: Endpoints, clock: Clock = system_clock) -> None:
        database.prepare(audit.SCHEMA)
        database.prepare(SCHEMA)
        self._database, self._endpoints, self._clock = database, endpoints, clock
        self._audit = AuditLog(database)

    # ---------------------------------------------------------------- adding

    def interest(self) -> "Interest":
        """What the endpoints want now."""
        return Interest(self._endpoints.all())

    def add(self, transaction: DatabaseTransaction, events: Sequence[Event]) -> int:
        """Add events in their order, except those that were added before; returns the number of new ones."""
        if not events:
            return 0
        now, added = self._clock(), 0
        [(seq,)] = transaction.run("UPDATE webhook_head SET seq = seq WHERE id = 1 RETURNING seq")
        for event in events:
            values = {name: getattr(event, name) for name in event.__struct_fields__} | {"body": event.body.decode()}
            rows = transaction.run(
                "INSERT INTO webhook_events (seq, id, type, detector, decision, subject, at_us, added_us, body) VALUES "
                "(:seq, :id, :type, :detector, :decision, :subject, :at_us, :now, :body) "
                "ON CONFLICT (id) DO NOTHING RETURNING seq",
                values | {"seq": seq + added + 1, "now": now},
            )
            added += len(rows)
        transaction.run("UPDATE webhook_head SET seq = seq + :added WHERE id = 1", {"added": added})
        return added

    def follow_audit(self) -> int:
        """Add the events of new audit entries; returns the number of entries that were read."""
        [(audited,)] = self._database.read("SELECT audited FROM webhook_head WHERE id = 1")
        entries = self._audit.following(audited, _PAGE)
        if not entries:
            return 0
        cases = self._cases([entry.subject for entry in entries if entry.action.startswith("cases.") and type_of(entry)])
        found = [of_audit(entry, cases.get(entry.subject)) for entry in entries]
        interest = self.interest()
        events = [event for event in found if event is not None and interest.wants(event)]
        with self._database.write() as transaction:
            self.add(transaction, events)
            transaction.run("UPDATE webhook_head SET audited = :seq WHERE id = 1 AND audited < :seq", {"seq": entries[-1].seq})
        return len(entries)

    def _cases(self, subjects: Sequence[str]) -> dict[str, tuple[str, str]]:
        """The detector and transaction of cases, by their subjects in the audit log."""
        found = {}
        for subject in dict.fromkeys(subjects):
            sql = "SELECT detector, transaction_id FROM cases WHERE id = :id"
            for detector, transaction_id in self._database.read(sql, {"id": subject.removeprefix("cases/")}):
                found[subject] = detector, transaction_id
        return found

    # ---------------------------------------------------------------- delivering

    def head(self) -> int:
        """The number of the newest event."""
        [(seq,)] = self._database.read("SELECT seq FROM webhook_head WHERE id = 1")
        return int(seq)

    def after(self, seq: int, limit: int) -> list[Stored]:
        """The events behind a cursor, in their order."""
        rows = self._database.read(
            "SELECT seq, added_us, id, type, detector, subject, at_us, body, decision FROM webhook_events "
            "WHERE seq > :seq ORDER BY seq LIMIT :limit",
            {"seq": seq, "limit": limit},
        )
        return [_stored(row) for row in rows]

    def claim(self, endpoint: Endpoint, owner: str, until_us: int) -> bool:
        """Claim the delivery to an endpoint until an instant; False if another process has it, or somebody changed it."""
        with self._database.write() as transaction:
            rows = transaction.run(
                "UPDATE webhook_endpoints SET owner = :owner, owned_until_us = :until WHERE id = :id AND enabled = 1 AND "
                "generation = :generation AND (owner IS NULL OR owner = :owner OR owned_until_us < :now) RETURNING id",
                {
                    "id": endpoint.id,
                    "owner": owner,
                    "until": until_us,
                    "generation": endpoint.generation,
                    "now": self._clock(),
                },
            )
        return bool(rows)

    def release(self, endpoint: str, owner: str) -> None:
        """Give up a claim, so that another process need not wait for its end."""
        with self._database.write() as transaction:
            transaction.run(
                "UPDATE webhook_endpoints SET owner = NULL WHERE id = :id AND owner = :owner", {"id": endpoint, "owner": owner}
            )

    def settle(self, endpoint: Endpoint, owner: str, until_us: int, progress: Progress, attempts: Sequence[Attempt]) -> bool:
        """Store attempts and how far they came. False if delivery must not go on so: another process has it, or it moved."""
        delivered_us = max((each.at_us for each in attempts if each.outcome == "delivered"), default=None)
        with self._database.write() as transaction:
            rows = transaction.run(
                "UPDATE webhook_endpoints SET tries = tries + :count, delivered_us = coalesce(:delivered, delivered_us) "
                "WHERE id = :id RETURNING tries",
                {"id": endpoint.id, "count": len(attempts), "delivered": delivered_us},
            )
            if not rows:
                return False
            _log(transaction, endpoint.id, rows[0][0] - len(attempts) + 1, attempts)
            moved = transaction.run(
                "UPDATE webhook_endpoints SET reached = :reached, failures = :failures, failing_since_us = :failing_since_us, "
                "next_us = :next_us, error = :error, owned_until_us = :until, "
                "alerted = CASE WHEN :fine = 1 THEN 0 ELSE alerted END "
                "WHERE id = :id AND generation = :generation AND owner = :owner AND enabled = 1 RETURNING id",
                progress._asdict()
                | {
                    "fine": int(progress.failing_since_us is None),
                    "id": endpoint.id,
                    "until": until_us,
                    "generation": endpoint.generation,
                    "owner": owner,
                },
            )
        return bool(moved)

    def log_test(self, endpoint: Endpoint, attempt: Attempt) -> None:
        """Store the attempt of a test, which moves no cursor."""
        with self._database.write() as transaction:
            rows = transaction.run(
                "UPDATE webhook_endpoints SET tries = tries + 1 WHERE id = :id RETURNING tries", {"id": endpoint.id}
            )
            if rows:
                _log(transaction, endpoint.id, rows[0][0], [attempt])

    def mark_alerted(self, endpoint: Endpoint) -> bool:
        """Whether this call is the first to say that the endpoint is failing."""
        with self._database.write() as transaction:
            rows = transaction.run(
                "UPDATE webhook_endpoints SET alerted = 1 WHERE id = :id AND alerted = 0 RETURNING id", {"id": endpoint.id}
            )
        return bool(rows)

    # ---------------------------------------------------------------- reading and retention

    def attempts(self, endpoint: str, limit: int, before: int | None = None, event: str | None = None) -> list[Attempt]:
        """The attempts at an endpoint, newest first; `before` is the number of the last one of the page before."""
        where = " AND n < :before" if before is not None else ""
        where += " AND event = :event" if event is not None else ""
        rows = self._database.read(
            "SELECT event, type, subject, at_us, attempt, outcome, status, took_ms, detail, n FROM webhook_attempts "  # noqa: S608 - constants
            f"WHERE endpoint = :endpoint{where} ORDER BY n DESC LIMIT :limit",
            {"endpoint": endpoint, "limit": limit, "before": before, "event": event},
        )
        return [Attempt(*row) for row in rows]

    def waiting(self, endpoint: Endpoint) -> tuple[int, int | None]:
        """The number of events behind the cursor, selected or not, and when the oldest of them was added."""
        [(count, oldest)] = self._database.read(
            "SELECT count(*), min(added_us) FROM webhook_events WHERE seq > :seq", {"seq": endpoint.reached}
        )
        return int(count), oldest

    def prune(self) -> None:
        """Delete what is older than any endpoint keeps it: events and attempts."""
        now, endpoints = self._clock(), self._endpoints.all()
        longest = max((each.retention_us for each in endpoints), default=0)
        with self._database.write() as transaction:
            transaction.run("DELETE FROM webhook_events WHERE added_us < :before", {"before": now - longest - _KEPT_LONGER_US})
            for each in endpoints:
                values = {"id": each.id, "before": now - each.retention_us}
                transaction.run("DELETE FROM webhook_attempts WHERE endpoint = :id AND at_us < :before", values)


def _log(transaction: DatabaseTransaction, endpoint: str, first: int, attempts: Sequence[Attempt]) -> None:
    for n, each in enumerate(attempts, first):
        transaction.run(
            "INSERT INTO webhook_attempts "
            "(endpoint, n, event, type, subject, at_us, attempt, outcome, status, took_ms, detail) VALUES "
            "(:endpoint, :n, :event, :type, :subject, :at_us, :attempt, :outcome, :status, :took_ms, :detail)",
            msgspec.structs.asdict(each) | {"n": n, "endpoint": endpoint},
        )


def _stored(row: Row) -> Stored:
    seq, added_us, number, kind, detector, subject, at_us, body, decision = row
    event = Event(id=number, type=kind, detector=detector, subject=subject, at_us=at_us, body=body.encode(), decision=decision)
    return Stored(seq, added_us, event)
