"""Requests for approval (four eyes): kept until another person approves or rejects them."""

import secrets
from collections.abc import Mapping
from typing import Any, Literal, Protocol

import msgspec

from penstock.audit import AuditLog, note
from penstock.clock import Clock, system_clock
from penstock.database.sqlite import Database, DatabaseTransaction, Row, TableSchema
from penstock.errors import Conflict, NotFound, did_you_mean

Stage = Literal["pending", "approved", "rejected", "withdrawn"]
STAGES = ("pending", "approved", "rejected", "withdrawn")

SCHEMA = TableSchema(
    "approvals",
    [
        [
            """CREATE TABLE approvals (id TEXT PRIMARY KEY, detector TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
            action TEXT NOT NULL, details TEXT NOT NULL, author TEXT NOT NULL, asked_by TEXT NOT NULL, note TEXT NOT NULL,
            asked_us BIGINT NOT NULL, stage TEXT NOT NULL, settled_by TEXT, settled_us BIGINT, settled_note TEXT)""",
            "CREATE INDEX approvals_by_stage ON approvals (detector, stage, asked_us)",
        ]
    ],
)

_COLUMNS = "id, kind, name, action, details, author, asked_by, note, asked_us, stage, settled_by, settled_us, settled_note"
_INSERT = f"INSERT INTO approvals (detector, {_COLUMNS}) VALUES (:detector, {', '.join(f':{c}' for c in _COLUMNS.split(', '))})"  # noqa: S608  constants


class Request(msgspec.Struct, frozen=True):
    """A request. kind: `rule`, `list`, `model` or `feature`; name: of it; action: the change to make, with these details.

    author: the person who must not approve it: the author of the version or of the list change, or who began the trial.
    """

    id: str
    kind: str
    name: str
    action: str
    details: dict[str, Any]
    author: str
    asked_by: str
    note: str
    asked_us: int
    stage: Stage = "pending"
    settled_by: str | None = None
    settled_us: int | None = None
    settled_note: str | None = None


class Approve(Protocol):
    """The function that applies the requests of one kind."""

    def __call__(self, id: str, *, who: str, why: str) -> object:
        """Approve the request with this id, and apply it."""


class Approvals:
    """The requests about one detector.

    >>> from penstock.database.sqlite import SqliteDatabase
    >>> database = SqliteDatabase()
    >>> approvals = Approvals(database, "banking", clock=lambda: 1)
    >>> with database.write() as transaction:
    ...     request = approvals.ask(transaction, "rule", "large", "promote", {"version": 2}, author="ann", who="ann")
    >>> [(each.name, each.stage) for each in approvals.all("pending")]
    [('large', 'pending')]
    """

    def __init__(self, database: Database, detector: str, clock: Clock = system_clock) -> None:
        AuditLog(database)
        database.prepare(SCHEMA)
        self._database, self._detector, self._clock = database, detector, clock

    def all(self, stage: Stage | None = None, limit: int = 200) -> list[Request]:
        """Requests, newest first."""
        sql = f"SELECT {_COLUMNS} FROM approvals WHERE detector = :detector"  # noqa: S608  constants
        sql += " AND (stage = :stage OR :anything = 1) ORDER BY asked_us DESC, id LIMIT :limit"
        values = {"detector": self._detector, "stage": stage or "", "anything": int(stage is None), "limit": limit}
        return [_request(row) for row in self._database.read(sql, values)]

    def one(self, id: str) -> Request:
        """A request.

        Raises:
            NotFound: there is no request with this id.
        """
        sql = f"SELECT {_COLUMNS} FROM approvals WHERE detector = :detector AND id = :id"  # noqa: S608  constants
        rows = self._database.read(sql, {"detector": self._detector, "id": id})
        if not rows:
            raise NotFound(f"there is no request {id[:100]!r} about {self._detector!r}; its list of approvals shows them")
        return _request(rows[0])

    def ask(
        self,
        transaction: DatabaseTransaction,
        kind: str,
        name: str,
        action: str,
        details: dict[str, Any],
        *,
        author: str,
        who: str,
        why: str = "",
    ) -> Request:
        """Store a request; returns the pending one, if it requests the same."""
        same = [each for each in self._in(transaction, "stage = :stage", stage="pending") if each.kind == kind]
        for each in same:
            if (each.name, each.action, each.details) == (name, action, details):
                return each
        asked = Request(f"a{secrets.token_hex(6)}", kind, name, action, details, author, who, why, self._clock())
        values = msgspec.structs.asdict(asked) | {"detector": self._detector, "details": msgspec.json.encode(details).decode()}
        transaction.run(_INSERT, values)
        self._note(transaction, asked, who, "approval.request", {"action": action, "details": details, "note": why})
        return asked

    def waiting(self, transaction: DatabaseTransaction, id: str) -> Request:
        """A pending request.

        Raises:
            NotFound: there is no request with this id.
            Conflict: it was settled before.
        """
        found = self._in(transaction, "id = :id", id=id)
        if not found:
            waiting = [each.id for each in self._in(transaction, "stage = :stage", stage="pending")]
            raise NotFound(f"there is no request {id[:100]!r} about {self._detector!r}.{did_you_mean(id, waiting)}")
        if found[0].stage != "pending":
            raise Conflict(f"request {id} was {found[0].stage} by {found[0].settled_by} before")
        return found[0]

    def settle(self, transaction: DatabaseTransaction, request: Request, stage: Stage, *, who: str, why: str = "") -> Request:
        """Set the outcome of a request.

        Raises:
            Conflict: its author may not approve it.
        """
        if stage == "approved" and who == request.author:
            raise Conflict(f"this is by {who}: another person has to approve it (four eyes)")
        if stage == "rejected" and who == request.asked_by:
            stage = "withdrawn"
        settled = msgspec.structs.replace(
            request, stage=stage, settled_by=who, settled_us=self._clock(), settled_note=why or None
        )
        transaction.run(
            "UPDATE approvals SET stage = :stage, settled_by = :who, settled_us = :now, settled_note = :why WHERE id = :id",
            {"stage": stage, "who": who, "now": settled.settled_us, "why": settled.settled_note, "id": request.id},
        )
        self._note(transaction, settled, who, f"approval.{_VERBS[stage]}", {"action": request.action, "note": why})
        return settled

    def reject(self, id: str, *, who: str, why: str = "") -> Request:
        """Reject a request; its author uses this to withdraw it."""
        with self._database.write() as transaction:
            return self.settle(transaction, self.waiting(transaction, id), "rejected", who=who, why=why)

    def _in(self, transaction: DatabaseTransaction, where: str, **values: Any) -> list[Request]:
        sql = f"SELECT {_COLUMNS} FROM approvals WHERE detector = :detector AND {where}"  # noqa: S608  constants
        return [_request(row) for row in transaction.run(sql, {"detector": self._detector, **values})]

    def _note(self, transaction: DatabaseTransaction, request: Request, who: str, action: str, details: dict[str, Any]) -> None:
        subject = f"{self._detector}/{request.kind}/{request.name}/{request.id}"
        note(transaction, who=who, action=action, subject=subject, details=details, at_us=self._clock())


_VERBS = {"approved": "approve", "rejected": "reject", "withdrawn": "withdraw"}


def _request(row: Row) -> Request:
    fields: list[Any] = [*row[:4], msgspec.json.decode(row[4]), *row[5:]]
    return Request(*fields)


class ApprovalService:
    """Approves requests of every kind about one detector.

    Args:
        approvals: its requests.
        approve: by kind, the function that applies a request; kinds that this process does not manage are absent.
    """

    def __init__(self, detector: str, approvals: Approvals, approve: Mapping[str, Approve]) -> None:
        self._detector, self._approvals, self._approve = detector, approvals, approve

    def approve(self, id: str, *, who: str, why: str = "") -> None:
        """Approve a request and apply it.

        Raises:
            NotFound, Conflict: no such request, it was settled before, the approver is its author, or it cannot be done here.
            DeclarationError, BundleError: it does not fit the detector any more.
        """
        kind = self._approvals.one(id).kind
        if kind not in self._approve:
            raise Conflict(f"request {id} is about a {kind}, and none of {self._detector!r} is looked after here")
        self._approve[kind](id, who=who, why=why)
