"""The transactions of cases: which case a decision joins, the verdict on each, and taking a verdict back.

A decision to review joins the open case of its subject if the case is in the same currency and its first event is at most
`CasePolicy.within` away in event time; otherwise it opens a case. A decided case takes in nothing more. A random sample
is judged one by one: its cases have no subject.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from penstock.cases.case import MANUAL, REVIEW, Case, CaseMember, Known, NewCase, case_id
from penstock.cases.history import UNLOCKED, change, happened, optional
from penstock.cases.tables import COLUMNS, MEMBER, read_case, read_member
from penstock.database.sqlite import Database, DatabaseTransaction, Row
from penstock.errors import Conflict, NotFound, did_you_mean

MOST_MEMBERS = 200
"""The transactions of one case; the next opens another one, so that a verdict stays something that a person can answer for."""

_UNDO_US = 10 * 60_000_000
_VERDICT = ("verdict", "reason_code", "decided_by", "decided_us")


def members(database: Database, case_id: str) -> list[CaseMember]:
    """The transactions of a case, the first one first."""
    rows = database.read(f"SELECT {MEMBER} FROM case_members WHERE case_id = :id ORDER BY n", {"id": case_id})  # noqa: S608 - names of columns
    return [read_member(row) for row in rows]


class Placed(NamedTuple):
    """A decision in its case. opened: the case was opened for it. case: as it was before, if it was there."""

    given: NewCase
    case: Case
    opened: bool


def place(transaction: DatabaseTransaction, new: NewCase, now: int, who: str = "penstock") -> Placed | None:
    """Put a decision into the open case of its subject, or open one; None if the decision is in a case already.

    A transaction has one case, however often it is passed.
    """
    if case_of(transaction, new.detector, new.transaction_id) is not None:
        return None
    found = _open_case_of(transaction, new, now)
    case = found or _opened(transaction, new, now, who)
    n = case.transactions + 1 if found else 1
    _insert(transaction, "case_members", _described(new) | {"case_id": case.id, "n": n, "added_us": now})
    if found:
        _grow(transaction, found, new)
    for key in dict.fromkeys(new.keys):
        transaction.run(
            "INSERT INTO case_keys (entity, key, case_id, n) VALUES (:entity, :key, :id, :n) ON CONFLICT DO NOTHING",
            {"id": case.id, "entity": key.entity, "key": key.key, "n": n},
        )
    return Placed(new, case, opened=found is None)


def case_of(where: Database | DatabaseTransaction, detector: str, transaction_id: str) -> str | None:
    """The id of the case that a transaction is in; None if it is in none."""
    ask = where.run if hasattr(where, "run") else where.read
    sql = "SELECT case_id FROM case_members WHERE detector = :detector AND transaction_id = :transaction_id"
    rows = ask(sql, {"detector": detector, "transaction_id": transaction_id})
    return rows[0][0] if rows else None


def member_of(database: Database, detector: str, transaction_id: str) -> CaseMember | None:
    """A transaction as its case has it; None if it is in none."""
    sql = f"SELECT {MEMBER} FROM case_members WHERE detector = :detector AND transaction_id = :transaction_id"  # noqa: S608 - names of columns
    rows = database.read(sql, {"detector": detector, "transaction_id": transaction_id})
    return read_member(rows[0]) if rows else None


def _open_case_of(transaction: DatabaseTransaction, new: NewCase, now: int) -> Case | None:
    if new.subject is None:
        return None
    sql = (
        f"SELECT {COLUMNS} FROM cases WHERE detector = :detector AND subject_entity = :entity AND subject_key = :key "  # noqa: S608 - names of columns
        "AND verdict IS NULL AND transactions < :most AND event_us BETWEEN :first AND :last "
        "AND COALESCE(currency, '') = :currency ORDER BY opened_us DESC, id LIMIT 1"
    )
    within_us = new.policy.within_us
    values = {
        "detector": new.detector,
        "entity": new.subject.entity,
        "key": new.subject.key,
        "most": MOST_MEMBERS,
        "first": new.event_us - within_us,
        "last": new.event_us + within_us,
        "currency": new.currency or "",
        "now": now,
    }
    rows = transaction.run(sql, values)
    return read_case(rows[0]) if rows else None


_OF_DECISION = ("detector", "transaction_id", "origin", "propensity", "decision", "score", "amount", "expected_loss", "reason")
_OF_EVENT = ("event_us", "currency")


def _described(new: NewCase) -> dict[str, Any]:
    """The columns that a case and its first transaction have in common."""
    values = {name: getattr(new, name) for name in (*_OF_DECISION, *_OF_EVENT)}
    return values | {"named": msgspec.json.encode(new.named).decode()}


def _insert(transaction: DatabaseTransaction, table: str, values: dict[str, Any]) -> None:
    names = ", ".join(values)
    transaction.run(f"INSERT INTO {table} ({names}) VALUES ({', '.join(':' + name for name in values)})", values)  # noqa: S608 - names of columns


def _opened(transaction: DatabaseTransaction, new: NewCase, now: int, who: str) -> Case:
    queue = REVIEW if new.origin == MANUAL else new.origin
    values = _described(new) | {
        "id": case_id(new.detector, new.transaction_id),
        "queue": queue,
        "opened_us": now,
        "due_us": due_us(transaction, queue, now),
        "priority": new.policy.priority(new.expected_loss),
        "subject_entity": None if new.subject is None else new.subject.entity,
        "subject_key": None if new.subject is None else new.subject.key,
    }
    _insert(transaction, "cases", values)
    happened(transaction, values["id"], who, "open", now, {"decision": new.decision, "queue": queue})
    sql = f"SELECT {COLUMNS} FROM cases WHERE id = :id"  # noqa: S608 - names of columns
    return read_case(transaction.run(sql, {"id": values["id"], "now": now})[0])


def _grow(transaction: DatabaseTransaction, case: Case, new: NewCase) -> None:
    """Add a transaction to the figures of its case; the score, decision and reason are those of the highest score."""
    amount = case.amount if new.amount is None else (case.amount or 0.0) + new.amount
    loss = case.expected_loss + new.expected_loss
    values: dict[str, Any] = {"amount": amount, "expected_loss": loss}
    if (new.score or 0.0) > (case.score or 0.0):
        values |= {"score": new.score, "decision": new.decision, "reason": new.reason}
    names = ", ".join(f"{name} = :{name}" for name in values)
    transaction.run(
        f"UPDATE cases SET {names}, transactions = transactions + 1, version = version + 1, "  # noqa: S608 - names of columns
        "priority = CASE WHEN priority_set = 0 AND :priority > priority THEN :priority ELSE priority END WHERE id = :id",
        values | {"priority": new.policy.priority(loss), "id": case.id},
    )


def due_us(transaction: DatabaseTransaction, queue: str, now: int) -> int | None:
    """When a case that comes into a queue now is due; None if the queue has no due time."""
    rows = transaction.run("SELECT due_minutes FROM case_queues WHERE queue = :queue", {"queue": queue})
    return None if not rows or rows[0][0] is None else now + int(rows[0][0]) * 60_000_000


# ---------------------------------------------------------------- verdicts


def give(
    transaction: DatabaseTransaction,
    case: Case,
    who: str,
    verdict: str,
    reason: str | None,
    note: str | None,
    now: int,
    only: Sequence[str] = (),
) -> Case:
    """Store a verdict on a case, or on some of its transactions.

    A verdict on the case is one on each of its transactions without a separate verdict. When the last transaction gets
    a separate one, the case is decided: fraud if any is fraud, else unsure if any is unsure, else good.

    Raises:
        NotFound: one of `only` is not in the case.
        Conflict: every transaction of the case has a separate verdict.
    """
    every = _verdicts(transaction, case.id)
    for each in only:
        if each not in every:
            raise NotFound(f"transaction {each[:80]!r} is not in case {case.id}.{did_you_mean(each, every)}")
    own = 0 < len(set(only)) < len(every)
    meant = [each for each, row in every.items() if (each in only if only else row[-1] == 0)]
    if not meant:
        raise Conflict(f"every transaction of case {case.id} has a separate verdict; name the ones to correct")
    for each in meant:
        said = {"verdict": verdict, "reason_code": reason, "decided_by": who, "decided_us": now, "own": int(own)}
        _tell(transaction, case.detector, each, said)
    changes: dict[str, Any] = {
        "undo": msgspec.json.encode([_before(case), [(each, *every[each]) for each in meant]]).decode(),
        "undo_by": who,
        "undo_until_us": now + _UNDO_US,
    }
    final = (verdict, reason) if not own else _summary(_verdicts(transaction, case.id).values())
    if final is not None:
        changes |= {"verdict": final[0], "reason_code": final[1], "decided_by": who, "decided_us": now, **UNLOCKED}
    concerned = meant if len(every) > 1 else None
    first = {} if case.opinion_verdict is None else {"first": case.opinion_verdict, "first_by": case.opinion_by}
    details = {"verdict": verdict} | optional(reason=reason, note=note, before=case.verdict, transactions=concerned) | first
    return change(transaction, case, who, "verdict", now, details, changes)


def undo(transaction: DatabaseTransaction, case: Case, who: str, now: int) -> Case:
    """Take back one's own last verdict on a case: its transactions have the verdicts of before, as new labels.

    A label that was submitted and had none before it stands until the next verdict, whose label supersedes it.

    Raises:
        Conflict: the last act was no verdict, somebody else's, or too long ago.
    """
    if case.undo_by is None or case.undo_until_us is None:
        raise Conflict(f"the last change of case {case.id} is no verdict that could be undone")
    if case.undo_by != who:
        raise Conflict(f"the verdict on case {case.id} is one of {case.undo_by}, who alone can undo it; correct it instead")
    if now > case.undo_until_us:
        raise Conflict(f"the verdict on case {case.id} is older than {_UNDO_US // 60_000_000} minutes; correct it instead")
    [(written,)] = transaction.run("SELECT undo FROM cases WHERE id = :id", {"id": case.id})
    before, rows = msgspec.json.decode(written)
    for each, *said in rows:
        _tell(transaction, case.detector, each, dict(zip((*_VERDICT, "own"), said, strict=True)))
    transaction.run(
        "UPDATE case_history SET verdict = NULL WHERE case_id = :id AND n = "
        "(SELECT MAX(n) FROM case_history WHERE case_id = :id AND who = :who AND verdict IS NOT NULL)",
        {"id": case.id, "who": who},  # figures of analysts count verdicts that stand
    )
    concerned = [each for each, *_ in rows] if case.transactions > 1 else None
    details = optional(undone=case.verdict, before=before["verdict"], transactions=concerned)
    changes = before | {"undo": None, "undo_by": None, "undo_until_us": None}
    return change(transaction, case, who, "undo", now, details, changes)


def _before(case: Case) -> dict[str, Any]:
    return {name: getattr(case, name) for name in _VERDICT}


def _verdicts(transaction: DatabaseTransaction, case_id: str) -> dict[str, Row]:
    """By transaction the columns of its verdict, and whether it is separate from that of the case."""
    sql = f"SELECT transaction_id, {', '.join(_VERDICT)}, own FROM case_members WHERE case_id = :id ORDER BY n"  # noqa: S608 - names of columns
    return {row[0]: row[1:] for row in transaction.run(sql, {"id": case_id})}


def _tell(transaction: DatabaseTransaction, detector: str, transaction_id: str, said: dict[str, Any]) -> None:
    """Store the verdict on one transaction; fraud and good wait to be submitted as a label."""
    names = ", ".join(f"{name} = :{name}" for name in said)
    values = said | {"detector": detector, "transaction_id": transaction_id}
    transaction.run(
        f"UPDATE case_members SET {names}, untold = :untold, version = version + 1 "  # noqa: S608 - names of columns
        "WHERE detector = :detector AND transaction_id = :transaction_id",
        values | {"untold": int(said["verdict"] in ("fraud", "good"))},
    )


def _summary(rows: Sequence[Row] | Any) -> tuple[str, str | None] | None:
    """The verdict of a case from those on its transactions; None while one has none."""
    said = [(row[0], row[1]) for row in rows]
    verdicts = {verdict for verdict, _ in said}
    if None in verdicts:
        return None
    verdict = next(each for each in ("fraud", "unsure", "good") if each in verdicts)
    reasons = {reason for each, reason in said if each == verdict}
    return verdict, reasons.pop() if len(reasons) == 1 else None


def learn(transaction: DatabaseTransaction, known: Known) -> None:
    """Store an external outcome of a transaction; the latest counts. One fraud makes its case known as fraud."""
    values = {"detector": known.detector, "transaction_id": known.transaction_id, "source": known.source, "us": known.known_us}
    rows = transaction.run(
        "UPDATE case_members SET known_fraud = :fraud, known_source = :source, known_us = :us WHERE detector = :detector "
        "AND transaction_id = :transaction_id AND (known_us IS NULL OR known_us <= :us) RETURNING case_id",
        values | {"fraud": int(known.fraud)},
    )
    for (case,) in rows:
        [row, *_] = transaction.run(
            "SELECT known_fraud, known_source, known_us FROM case_members WHERE case_id = :id AND known_us IS NOT NULL "
            "ORDER BY known_fraud DESC, known_us DESC LIMIT 1",
            {"id": case},
        )
        transaction.run(
            "UPDATE cases SET known_fraud = :fraud, known_source = :source, known_us = :us WHERE id = :id",
            {"fraud": row[0], "source": row[1], "us": row[2], "id": case},
        )
