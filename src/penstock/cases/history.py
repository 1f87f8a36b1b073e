"""Changes of a case, each with its line in the case's history and in the audit log, in the transaction of the change."""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from penstock import audit
from penstock.cases.case import Case
from penstock.cases.mentions import mention
from penstock.cases.tables import COLUMNS, read_case
from penstock.clock import iso
from penstock.database.sqlite import Database, DatabaseTransaction
from penstock.errors import Conflict, MalformedEvent, NotFound

UNLOCKED: Mapping[str, Any] = {"owner": None, "locked_until_us": None}
"""The changes that return a case to its queue."""

_LONGEST_NOTE = 10_000


def find(where: Database | DatabaseTransaction, case_id: str, now: int) -> Case:
    """One case.

    Raises:
        NotFound: no case has this id.
    """
    ask = where.run if hasattr(where, "run") else where.read
    rows = ask(f"SELECT {COLUMNS} FROM cases WHERE id = :id", {"id": case_id, "now": now})  # noqa: S608 - names of columns
    if not rows:
        raise unknown(case_id)
    return read_case(rows[0])


def unknown(case_id: str) -> NotFound:
    """The error of a case that there is not."""
    return NotFound(f"there is no case {case_id[:80]!r}")


def check_free(case: Case, who: str) -> None:
    """Raises Conflict if the case is decided, or another person holds it."""
    if case.state == "decided":
        raise Conflict(
            f"case {case.id} was decided by {case.decided_by}: {case.verdict}; to correct that, give a verdict with the version"
        )
    if case.state == "taken" and case.owner != who:
        raise Conflict(f"case {case.id} is held by {case.owner} until {iso(case.locked_until_us or 0)}")


def check_opinion(case: Case, who: str, roles: Collection[str]) -> None:
    """Raises Conflict if the case waits for the opinion of somebody else."""
    if waits_for_other(case, who, roles):
        asked = case.opinion_of or ""
        named = f"somebody with the role {role_of(asked)}" if role_of(asked) else asked
        raise Conflict(f"case {case.id} waits for a second opinion: {case.opinion_by} asked {named} to decide it")


def waits_for_other(case: Case, who: str, roles: Collection[str]) -> bool:
    """Whether a second opinion was asked of somebody else."""
    if case.opinion_of is None or case.state == "decided":
        return False
    role = role_of(case.opinion_of)
    holds = role in roles or f"{role}:{case.detector}" in roles
    return who == case.opinion_by or (not holds if role else who != case.opinion_of)


def role_of(asked: str) -> str | None:
    """The role of which an opinion is asked, as in `role:approver`; None if it is asked of a person."""
    return asked.removeprefix("role:") if asked.startswith("role:") else None


def change(
    transaction: DatabaseTransaction,
    case: Case,
    who: str,
    action: str,
    now: int,
    details: dict[str, Any],
    changes: Mapping[str, Any],
) -> Case:
    """Change a case if nobody has changed it since it was read; returns the new case."""
    names = ", ".join(f"{name} = :{name}" for name in changes)
    rows = transaction.run(
        f"UPDATE cases SET {names}, version = version + 1 WHERE id = :id AND version = :version RETURNING {COLUMNS}",  # noqa: S608 - names of columns
        {**changes, "id": case.id, "version": case.version, "now": now},
    )
    if not rows:
        raise Conflict(f"case {case.id} was changed by somebody else at the same time; look at it again")
    record(transaction, case.id, who, action, now, details)
    return read_case(rows[0])


def record(transaction: DatabaseTransaction, case_id: str, who: str, action: str, now: int, details: dict[str, Any]) -> None:
    """Add an act of a person to the history and to the audit log; whom its note mentions finds the case."""
    happened(transaction, case_id, who, action, now, details)
    mention(transaction, case_id, details.get("text") or details.get("note") or "")
    audit.note(transaction, who=who, action=f"cases.{action}", subject=f"cases/{case_id}", details=details, at_us=now)


def happened(transaction: DatabaseTransaction, case_id: str, who: str, action: str, now: int, details: dict[str, Any]) -> None:
    """Add a line to the history alone."""
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


def optional(**details: Any) -> dict[str, Any]:
    """The details that are given."""
    return {name: value for name, value in details.items() if value is not None}


def check_note(text: str | None) -> None:
    """Raises MalformedEvent for an empty or too long note."""
    if text is not None and not 0 < len(text.strip()) <= _LONGEST_NOTE:
        raise MalformedEvent(f"a note has between 1 and {_LONGEST_NOTE} characters, this one {len(text)}", "note")
