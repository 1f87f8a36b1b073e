"""The events of webhooks: their types, and their bodies as CloudEvents 1.0 in JSON.

A body is made once, when the event happens, and delivered unchanged however often it is tried. It holds no personal data
in clear: decisions as the ledger has them, and none of the texts that people write.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from penstock.audit import ChainEntry
from penstock.cases.members import Placed
from penstock.cases.policy import PRIORITIES
from penstock.clock import iso
from penstock.engine import Engine
from penstock.messages import Action, Record

DECISION = "penstock.decision.made"
LABEL = "penstock.label.received"
CASE_OPENED = "penstock.case.opened"
TRANSACTION_ADDED = "penstock.case.transaction_added"
TEST = "penstock.webhook.test"

_CASES = {
    "open": CASE_OPENED,
    "add": TRANSACTION_ADDED,
    "take": "penstock.case.assigned",
    "assign": "penstock.case.assigned",
    "opinion": "penstock.case.assigned",
    "release": "penstock.case.released",
    "escalate": "penstock.case.escalated",
    "verdict": "penstock.case.decided",
    "undo": "penstock.case.reopened",
}
_CHANGES = {kind: f"penstock.{kind}.changed" for kind in ("rule", "list", "feature", "model")}

TYPES = (DECISION, LABEL, *dict.fromkeys(_CASES.values()), *_CHANGES.values())
"""The types that an endpoint may select."""

_CASE_DETAILS = ("verdict", "reason", "before", "undone", "from", "to", "assignee", "of", "transactions")
_CHANGE_DETAILS = ("from", "to", "state", "percent", "name", "version")
_SOURCE = "/detectors/{}"


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event. id: the same however often the same fact is read. detector: None if it concerns none.

    decision: the outcome, of decisions alone. body: the CloudEvent.
    """

    id: str
    type: str
    detector: str | None
    subject: str
    at_us: int
    body: bytes
    decision: str | None = None


def decisions_of(engine: Engine, record: Record, rows: Sequence[int]) -> Iterator[Event]:
    """The events of decided transactions. rows: of the record."""
    actions: Any = record.columns["action"]
    for row, rendered in zip(rows, engine.queries.render(record, rows), strict=True):
        yield _event(
            DECISION,
            ("decision", record.detector, record.first_seq + row, record.ids[row], int(record.arrived_us[row])),
            detector=record.detector,
            subject=record.ids[row],
            at_us=int(record.arrived_us[row]),
            data=msgspec.Raw(rendered),
            decision=Action(int(actions[row])).name,
        )


def labels_of(record: Record) -> Iterator[Event]:
    """The events of labels."""
    columns: Any = record.columns
    for row, transaction_id in enumerate(record.ids):
        data = {
            "transaction_id": transaction_id,
            "detector": record.detector,
            "fraud": bool(columns["fraud"][row]),
            "kind": columns["kind"][row],
            "source": columns["source"][row],
            "known_at": iso(int(columns["known_us"][row])),
        }
        yield _event(
            LABEL,
            ("label", record.detector, record.first_seq + row, transaction_id, int(record.arrived_us[row])),
            detector=record.detector,
            subject=transaction_id,
            at_us=int(record.arrived_us[row]),
            data=data,
        )


def placed(new: Placed, at_us: int) -> Event:
    """The event of a decision that the engine put into a case, which it opened or which was open."""
    case, given = new.case, new.given
    data = {
        "case_id": case.id,
        "transaction_id": given.transaction_id,
        "detector": case.detector,
        "action": "open" if new.opened else "add",
        "actor": "penstock",
        "origin": given.origin,
        "decision": given.decision,
        "fraud_probability": given.score,
        "expected_loss": given.expected_loss,
        "currency": given.currency,
        "queue": case.queue,
        "priority": PRIORITIES[case.priority],
        "due_at": None if case.due_us is None else iso(case.due_us),
        "subject": case.subject,
    }
    kind = CASE_OPENED if new.opened else TRANSACTION_ADDED
    key = ("case", case.id) if new.opened else ("case", case.id, given.transaction_id)
    return _event(kind, key, detector=case.detector, subject=case.id, at_us=at_us, data=data)


def type_of(entry: ChainEntry) -> str | None:
    """The type of the event that an audit entry is announced by; None if it is not.

    >>> type_of(ChainEntry(1, 0, "ana", "cases.verdict", "cases/c1", {}, ""))
    'penstock.case.decided'
    >>> type_of(ChainEntry(2, 0, "ana", "keys.add", "keys/1", {}, "")) is None
    True
    """
    kind, _, action = entry.action.partition(".")
    return _CASES.get(action) if kind == "cases" else _CHANGES.get(kind)


def of_audit(entry: ChainEntry, case: tuple[str, str] | None = None) -> Event | None:
    """The event of an audit entry; None if it is not announced. case: the detector and transaction of the entry's case."""
    kind = type_of(entry)
    if kind is None:
        return None
    details = entry.details or {}
    action = entry.action.partition(".")[2]
    data: dict[str, Any] = {"action": action, "actor": entry.who, "audit_seq": entry.seq}
    subject, detector = entry.subject, None
    if entry.action.startswith("cases."):
        subject = entry.subject.removeprefix("cases/")
        detector, transaction_id = case or (None, None)
        data |= {"case_id": subject, "detector": detector, "transaction_id": transaction_id} | _chosen(details, _CASE_DETAILS)
        if action == "add":
            data["transaction_id"] = details["transaction"]
        if action in ("verdict", "undo"):
            data.setdefault("transactions", [transaction_id])  # those that the verdict is about
    else:
        parts = entry.subject.split("/")
        detector = parts[1] if parts[0] == "models" and len(parts) > 2 else parts[0]
        data |= {"detector": detector, "subject": subject} | _chosen(details, _CHANGE_DETAILS)
    return _event(
        kind, ("audit", entry.seq, entry.at_us, entry.action), detector=detector, subject=subject, at_us=entry.at_us, data=data
    )


def trial(endpoint: str, at_us: int, number: str) -> Event:
    """The event that tests an endpoint."""
    data = {"text": "this is a test of the endpoint; nothing happened"}
    return _event(TEST, ("test", number), detector=None, subject=endpoint, at_us=at_us, data=data)


def _chosen(details: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: details[name] for name in names if details.get(name) is not None}


def _event(
    kind: str, key: Sequence[object], *, detector: str | None, subject: str, at_us: int, data: Any, decision: str | None = None
) -> Event:
    """key: what the fact is known by, of which the id is made; unlike positions alone it survives a restored copy."""
    number = "evt_" + hashlib.blake2b(msgspec.json.encode(key), digest_size=16).hexdigest()
    body = {
        "specversion": "1.0",
        "id": number,
        "source": "/" if detector is None else _SOURCE.format(detector),
        "type": kind,
        "subject": subject,
        "time": iso(at_us),
        "datacontenttype": "application/json",
        "data": data,
    }
    encoded = msgspec.json.encode(body)
    return Event(id=number, type=kind, detector=detector, subject=subject, at_us=at_us, body=encoded, decision=decision)
