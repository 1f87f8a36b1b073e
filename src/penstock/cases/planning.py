"""Who decides a case, until when and in which order: assignment, due time, priority, tags, and second opinions."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from penstock import audit
from penstock.cases.case import QUEUE, Case, check_verdict
from penstock.cases.history import UNLOCKED, change, check_free, check_note, optional, role_of
from penstock.cases.policy import priority_place
from penstock.cases.store import Cases
from penstock.clock import iso
from penstock.errors import Conflict, MalformedEvent

MOST_TAGS = 20
_TAG = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_MOST_MINUTES = 366 * 24 * 60


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """Changes of a case's plan; UNSET leaves a part as it is. assignee, due_us: None for nobody and never."""

    assignee: str | UnsetType | None = UNSET
    due_us: int | UnsetType | None = UNSET
    priority: str | UnsetType = UNSET
    tags: Sequence[str] | UnsetType = UNSET


def plan(cases: Cases, case_id: str, who: str, planned: Planned, note: str | None = None) -> Case:
    """Assign an undecided case, set its due time or priority, or tag it; one line in the history for each of these.

    A case that is assigned to a colleague returns to its queue, unless the colleague holds it.

    Raises:
        MalformedEvent: the priority or a tag is not valid.
        Conflict: the case is decided, and something else than its tags is planned; or a colleague holds it.
    """
    check_note(note)
    acts = _acts(planned)
    with cases.database.write() as transaction:
        now = cases.clock()
        case = cases.find(transaction, case_id, now)
        if case.state == "decided" and acts.keys() != {"tag"}:
            raise Conflict(f"case {case_id} is decided: it needs no assignee, due time or priority any more")
        if "assign" in acts and planned.assignee != case.owner:
            check_free(case, who)
            acts["assign"][1].update(UNLOCKED)
        for action, (details, changes) in acts.items():
            case = change(transaction, case, who, action, now, details | optional(note=note), changes)
        return case


def _acts(planned: Planned) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """By action the details for the history, and the changes of columns."""
    found: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    if planned.assignee is not UNSET:
        found["assign"] = {"assignee": planned.assignee}, {"assignee": planned.assignee}
    if planned.due_us is not UNSET:
        due = None if planned.due_us is None else iso(planned.due_us)
        found["due"] = {"due_at": due}, {"due_us": planned.due_us}
    if planned.priority is not UNSET:
        changes = {"priority": priority_place(planned.priority), "priority_set": 1}
        found["priority"] = {"priority": planned.priority}, changes
    if planned.tags is not UNSET:
        tags = _checked(planned.tags)
        found["tag"] = {"tags": tags}, {"tags": msgspec.json.encode(tags).decode()}
    return found


def _checked(tags: Sequence[str]) -> list[str]:
    for tag in tags:
        if not _TAG.fullmatch(tag):
            raise MalformedEvent(f"{tag[:60]!r} is no tag: up to 40 of a-z, 0-9 and - are", "tags")
    found = sorted(set(tags))
    if len(found) > MOST_TAGS:
        raise MalformedEvent(f"{len(found)} tags are given and a case may have {MOST_TAGS}", "tags")
    return found


def ask_opinion(
    cases: Cases,
    case_id: str,
    who: str,
    of: str,
    *,
    verdict: str | None = None,
    reason: str | None = None,
    note: str | None = None,
) -> Case:
    """Ask a colleague, or a role as `role:NAME`, to decide a case, with one's own verdict as the first opinion.

    The case waits for them: `who` and others can no longer decide it. A case asked of a colleague is assigned to them.

    Raises:
        Conflict: it is decided, held by another, waits for another opinion, or `of` is the person who asks.
        MalformedEvent: unknown verdict, or the reason does not belong to it.
    """
    check_note(note)
    if verdict is not None:
        check_verdict(verdict, reason)
    if of == who:
        raise Conflict("a second opinion is that of another person; ask a colleague or a role")
    with cases.database.write() as transaction:
        now = cases.clock()
        case = cases.find(transaction, case_id, now)
        check_free(case, who)
        if case.opinion_by not in (None, who):
            raise Conflict(f"case {case_id} waits for a second opinion that {case.opinion_by} asked for")
        opinion = {"opinion_of": of, "opinion_by": who, "opinion_verdict": verdict, "opinion_reason": reason}
        assigned = {"assignee": None if role_of(of) else of}
        details = optional(of=of, verdict=verdict, reason=reason, note=note)
        return change(transaction, case, who, "opinion", now, details, {**opinion, **assigned, **UNLOCKED})


def withdraw_opinion(cases: Cases, case_id: str, who: str) -> Case:
    """Withdraw one's own request for a second opinion; the first opinion stays in the history.

    Raises:
        Conflict: nobody or somebody else asked.
    """
    with cases.database.write() as transaction:
        now = cases.clock()
        case = cases.find(transaction, case_id, now)
        if case.state == "decided" or case.opinion_by != who:
            raise Conflict(f"{who} asks for no second opinion about case {case_id}")
        none = dict.fromkeys(("opinion_of", "opinion_by", "opinion_verdict", "opinion_reason", "assignee"))
        return change(transaction, case, who, "withdraw_opinion", now, {}, none)


def set_due_minutes(cases: Cases, queue: str, who: str, minutes: int | None) -> None:
    """Set within how many minutes cases that come into a queue from now on are due; None: never. Audited.

    Raises:
        MalformedEvent: the queue's name or the minutes are none.
    """
    if not QUEUE.fullmatch(queue):
        raise MalformedEvent(f"queue {queue[:80]!r} is no name: up to 60 of a-z, 0-9, - and _ are", "queue")
    if minutes is not None and not 0 < minutes <= _MOST_MINUTES:
        raise MalformedEvent(f"{minutes} minutes are no due time: 1 to {_MOST_MINUTES} (a year) are possible", "due_minutes")
    with cases.database.write() as transaction:
        transaction.run(
            "INSERT INTO case_queues (queue, due_minutes) VALUES (:queue, :minutes) "
            "ON CONFLICT (queue) DO UPDATE SET due_minutes = excluded.due_minutes",
            {"queue": queue, "minutes": minutes},
        )
        details = {"due_minutes": minutes}
        audit.note(transaction, who=who, action="queues.due", subject=f"queues/{queue}", details=details, at_us=cases.clock())
