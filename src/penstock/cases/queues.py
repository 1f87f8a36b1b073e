"""Lists of cases: pages, queues with holders, and bulk verdicts."""

import re
from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from penstock.cases.case import ORDERS, STATES, UNDECIDED, Case, check_verdict
from penstock.cases.history import check_note, waits_for_other
from penstock.cases.members import give
from penstock.cases.policy import priority_place
from penstock.cases.store import Cases
from penstock.cases.tables import COLUMNS, FREE, STATE, read_case
from penstock.database.sqlite import DatabaseTransaction, Row
from penstock.errors import Conflict, MalformedEvent, did_you_mean

MOST_AT_ONCE = 1000
"""Maximum of cases that one verdict may decide."""

_MOST_SEARCHED = 5000
"""The newest cases that one search looks through."""

_NEVER = 2**63 - 1
"""The due time of cases without one, which come last."""

_SORTED = {
    "priority": (("priority", "DESC"), ("expected_loss", "DESC")),
    "expected_loss": (("expected_loss", "DESC"),),
    "due": ((f"COALESCE(due_us, {_NEVER})", "ASC"),),
    "newest": (("opened_us", "DESC"),),
    "oldest": (("opened_us", "ASC"),),
}


class Filter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A filter of cases; None is no condition. state: of a case, or `undecided`. entity, key: cases about one key.

    owner: who holds it. assignee: who is to decide it, including those who are asked for a second opinion. mentioned: who
    is mentioned in a note. overdue: whether it is undecided after its due time.
    """

    queue: str | None = None
    state: str | None = None
    detector: str | None = None
    owner: str | None = None
    entity: str | None = None
    key: str | None = None
    assignee: str | None = None
    tag: str | None = None
    priority: str | None = None
    mentioned: str | None = None
    overdue: bool | None = None


class CurrencySum(msgspec.Struct, frozen=True):
    """The sum of the amounts in one currency; null: detectors that declare none."""

    currency: str | None
    amount: float


class Queue(msgspec.Struct, frozen=True):
    """One queue. waiting: cases that may be taken; taken: locked cases, by holder; oldest_us: since when the oldest waits.

    expected_loss: None for several currencies; at_stake: by currency. overdue: cases after their due time; due_minutes:
    within how many minutes new cases are due, None for never.
    """

    queue: str
    waiting: int
    taken: int
    expected_loss: float | None
    oldest_us: int
    held_by: dict[str, int]
    at_stake: list[CurrencySum]
    overdue: int
    due_minutes: int | None


class Skipped(msgspec.Struct, frozen=True):
    """A case that a bulk verdict skips, and why."""

    id: str
    why: str


class Swept(msgspec.Struct, frozen=True):
    """The cases that a bulk verdict changed, or would change. more: whether there are others, beyond `MOST_AT_ONCE`.

    amount: None for several currencies; amounts: by currency.
    """

    dry_run: bool
    count: int
    amount: float | None
    cases: list[str]
    skipped: list[Skipped]
    more: bool
    amounts: list[CurrencySum]


def page(
    cases: Cases, chosen: Filter, *, order: str = "expected_loss", limit: int = 50, before: str | None = None
) -> tuple[list[Case], str | None]:
    """One page, and the value of `before` for the next (None: it is the last).

    Raises:
        MalformedEvent: invalid order, state or `before`.
    """
    if order not in ORDERS:
        raise MalformedEvent(f"order {order!r} is not known.{did_you_mean(order, ORDERS)}", "order")
    where, values = _conditions(cases, chosen, cases.clock())
    columns = (*_SORTED[order], ("id", "ASC"))
    if before is not None:
        where.append(_behind(columns))
        values |= {f"v{place}": value for place, value in enumerate(_cursor(before, len(columns)))}
    sorted_by = ", ".join(f"{column} {direction}" for column, direction in columns)
    sql = f"SELECT {COLUMNS} FROM cases WHERE {' AND '.join(where)} ORDER BY {sorted_by} LIMIT :limit"  # noqa: S608 - names of columns
    found = [read_case(row) for row in cases.database.read(sql, values | {"limit": limit + 1})]
    if len(found) <= limit:
        return found, None
    last = found[limit - 1]
    reached = {"due": [_NEVER if last.due_us is None else last.due_us]}.get(order) or [
        getattr(last, column) for column, _ in _SORTED[order]
    ]
    return found[:limit], "~".join([*map(repr, reached), last.id])


def _behind(columns: Sequence[tuple[str, str]]) -> str:
    """The SQL condition of rows behind the one with the values `:v0`, `:v1` and so on, in the order of these columns."""
    ways = []
    for place, (column, direction) in enumerate(columns):
        same = [f"{before} = :v{n}" for n, (before, _) in enumerate(columns[:place])]
        ways.append(" AND ".join([*same, f"{column} {'<' if direction == 'DESC' else '>'} :v{place}"]))
    return "(" + " OR ".join(f"({way})" for way in ways) + ")"


def search(cases: Cases, text: str, limit: int) -> list[Case]:
    """The newest cases with this id or transaction, or whose headline or reason contains the text, whatever its case.

    Of these, only the newest `_MOST_SEARCHED` cases are looked through.
    """
    seen, names = cases.visible()
    newest = f"SELECT * FROM cases WHERE {seen} ORDER BY opened_us DESC, id LIMIT :most"  # noqa: S608 - names of parameters
    holds = " OR ".join(f"lower({column}) LIKE :like ESCAPE '!'" for column in ("named", "reason"))
    sql = (
        f"SELECT {COLUMNS} FROM ({newest}) AS newest "  # noqa: S608 - names of columns
        f"WHERE id = :text OR transaction_id = :text OR {holds} ORDER BY opened_us DESC, id"
    )
    values = {"text": text, "like": f"%{_escaped(text.lower())}%", "most": _MOST_SEARCHED, "now": cases.clock(), **names}
    found = (read_case(row) for row in cases.database.read(sql, values))
    return [case for case in found if _says(case, text)][:limit]


def _escaped(text: str) -> str:
    """The text as a part of a pattern of LIKE."""
    return re.sub(r"([!%_])", r"!\1", text)


def _says(case: Case, text: str) -> bool:
    places = (case.id, case.transaction_id, case.reason or "", *(each.value for each in case.named))
    return any(text.lower() in place.lower() for place in places)


def queues(cases: Cases) -> list[Queue]:
    """Every queue with waiting or locked cases, sorted by name."""
    now = cases.clock()
    seen, names = cases.visible()
    free = f"CASE WHEN {FREE} THEN 1 ELSE 0 END"
    sizes = (
        f"SELECT queue, currency, SUM({free}), SUM(1 - {free}), SUM(expected_loss), MIN(opened_us), "  # noqa: S608 - names of columns
        "SUM(CASE WHEN due_us < :now THEN 1 ELSE 0 END) FROM cases "
        f"WHERE verdict IS NULL AND {seen} GROUP BY queue, currency ORDER BY queue, currency"
    )
    holders = (
        f"SELECT queue, owner, COUNT(*) FROM cases WHERE verdict IS NULL AND locked_until_us > :now AND {seen} "  # noqa: S608 - names of parameters
        "GROUP BY queue, owner ORDER BY queue, owner"
    )
    held: dict[str, dict[str, int]] = {}
    for queue, owner, count in cases.database.read(holders, {"now": now, **names}):
        held.setdefault(queue, {})[owner] = count
    found: dict[str, list[Row]] = {}
    for row in cases.database.read(sizes, {"now": now, **names}):
        found.setdefault(row[0], []).append(row)
    due: dict[str, int | None] = dict(cases.database.read("SELECT queue, due_minutes FROM case_queues"))
    return [_queue(queue, rows, held.get(queue, {}), due.get(queue)) for queue, rows in found.items()]


def _queue(queue: str, rows: Sequence[Row], held: dict[str, int], due_minutes: int | None) -> Queue:
    """One queue from its rows, one for each currency."""
    at_stake = [CurrencySum(row[1], float(row[4])) for row in rows]
    waiting, taken, overdue = (sum(int(row[place]) for row in rows) for place in (2, 3, 6))
    oldest_us = min(row[5] for row in rows)
    return Queue(queue, waiting, taken, one_sum(at_stake), oldest_us, held, at_stake, overdue, due_minutes)


def one_sum(sums: Sequence[CurrencySum]) -> float | None:
    """The sum in one currency, 0 without any; sums of several currencies are never added up.

    >>> one_sum([CurrencySum("EUR", 2.0)]), one_sum([]), one_sum([CurrencySum("EUR", 2.0), CurrencySum(None, 1.0)])
    (2.0, 0.0, None)
    """
    return None if len(sums) > 1 else sum(each.amount for each in sums) + 0.0


def sweep(
    cases: Cases,
    who: str,
    verdict: str,
    *,
    ids: Sequence[str] | None = None,
    chosen: Filter | None = None,
    reason: str | None = None,
    note: str | None = None,
    dry_run: bool = True,
    expect: int | None = None,
    roles: Collection[str] = (),
) -> Swept:
    """One verdict for many cases: those with these ids, or undecided ones that match a filter; all or none.

    dry_run: list the affected cases without a change. expect: the number that a dry run returned. roles: of the person,
    for cases that wait for a second opinion.

    Raises:
        MalformedEvent: neither ids nor a filter, or both; too many ids; no such verdict.
        Conflict: another number of cases than expected would change.
    """
    check_verdict(verdict, reason)
    check_note(note)
    if (ids is None) == (chosen is None):
        raise MalformedEvent("either ids or a filter says which cases are meant", "ids")
    if ids is not None and len(ids) > MOST_AT_ONCE:
        raise MalformedEvent(f"{len(ids)} ids are given and {MOST_AT_ONCE} may be decided at once; send them in parts", "ids")
    now = cases.clock()
    with cases.database.write() as transaction:
        meant, missing, more = _meant(cases, transaction, ids, chosen or Filter(), now)
        touched, skipped = _split(meant, who, roles)
        if expect is not None and expect != len(touched):
            raise Conflict(f"{len(touched)} cases would be decided now, not {expect}; look at what they are with dry_run")
        if not dry_run:
            for case in touched:
                give(transaction, case, who, verdict, reason, note, now)
    sums: dict[str | None, float] = {}
    for case in touched:
        if case.amount is not None:
            sums[case.currency] = sums.get(case.currency, 0.0) + case.amount
    amounts = [CurrencySum(currency, amount) for currency, amount in sums.items()]
    return Swept(dry_run, len(touched), one_sum(amounts), [case.id for case in touched], missing + skipped, more, amounts)


def _meant(
    cases: Cases, transaction: DatabaseTransaction, ids: Sequence[str] | None, chosen: Filter, now: int
) -> tuple[list[Case], list[Skipped], bool]:
    if ids is None:
        where, values = _conditions(cases, chosen, now)
        sql = f"SELECT {COLUMNS} FROM cases WHERE {' AND '.join([*where, 'verdict IS NULL'])} ORDER BY id LIMIT :limit"  # noqa: S608 - names of columns
        rows = transaction.run(sql, values | {"limit": MOST_AT_ONCE + 1})
        return [read_case(row) for row in rows[:MOST_AT_ONCE]], [], len(rows) > MOST_AT_ONCE
    seen, names = cases.visible()
    sql = f"SELECT {COLUMNS} FROM cases WHERE id = :id AND {seen}"  # noqa: S608 - names of columns
    found = {each: transaction.run(sql, {"id": each, "now": now, **names}) for each in ids}
    missing = [Skipped(each, "there is no such case") for each, rows in found.items() if not rows]
    return [read_case(rows[0]) for rows in found.values() if rows], missing, False


def _split(meant: Sequence[Case], who: str, roles: Collection[str]) -> tuple[list[Case], list[Skipped]]:
    """The cases that a verdict may change, and the others with the reason for skipping."""
    skipped = []
    for case in meant:
        if case.state == "decided":
            skipped.append(Skipped(case.id, f"decided by {case.decided_by}: {case.verdict}"))
        elif case.state == "taken" and case.owner != who:
            skipped.append(Skipped(case.id, f"held by {case.owner}"))
        elif waits_for_other(case, who, roles):
            skipped.append(Skipped(case.id, "waits for a second opinion"))
    left = {each.id for each in skipped}
    return [case for case in meant if case.id not in left], skipped


def undecided_about(cases: Cases, detector: str, entity: str, keys: Sequence[str]) -> list[str]:
    """The ids of undecided cases of a detector about any of these keys; at most as many as one sweep may decide."""
    names = {f"key{n}": key for n, key in enumerate(keys)}
    sql = (
        "SELECT id FROM cases WHERE detector = :detector AND verdict IS NULL AND id IN (SELECT case_id FROM case_keys "  # noqa: S608 - names of parameters
        f"WHERE entity = :entity AND key IN ({', '.join(f':{name}' for name in names)})) ORDER BY id LIMIT :limit"
    )
    given = {"detector": detector, "entity": entity, "limit": MOST_AT_ONCE, **names}
    return [str(case_id) for (case_id,) in cases.database.read(sql, given)]


_CONDITIONS = {
    "queue": "queue = :queue",
    "detector": "detector = :detector",
    "owner": "verdict IS NULL AND locked_until_us > :now AND owner = :owner",
    "assignee": "verdict IS NULL AND assignee = :assignee",
    "tag": "tags LIKE :tag ESCAPE '!'",
    "priority": "priority = :priority",
    "mentioned": "id IN (SELECT case_id FROM case_mentions WHERE name = :mentioned)",
    "key": "id IN (SELECT case_id FROM case_keys WHERE entity = :entity AND key = :key)",
}
"""The SQL condition of each part of a filter that is given."""

_IS_OVERDUE = "CASE WHEN verdict IS NULL AND due_us < :now THEN 1 ELSE 0 END = :overdue"


def _conditions(cases: Cases, chosen: Filter, now: int) -> tuple[list[str], dict[str, Any]]:
    """The conditions of a filter in SQL, and their parameters."""
    if (chosen.entity is None) != (chosen.key is None):
        raise MalformedEvent("entity and key go together", "key" if chosen.key is None else "entity")
    if chosen.state is not None and chosen.state not in (*STATES, UNDECIDED):
        raise MalformedEvent(f"state {chosen.state!r} is not known.{did_you_mean(chosen.state, (*STATES, UNDECIDED))}", "state")
    given = {name: value for name, value in msgspec.structs.asdict(chosen).items() if value is not None}
    seen, names = cases.visible()
    where = [seen, *(condition for name, condition in _CONDITIONS.items() if name in given)]
    if chosen.state == UNDECIDED:
        where.append("verdict IS NULL")
    elif chosen.state is not None:
        decided = "IS NOT NULL" if chosen.state == "decided" else "IS NULL"
        where += [f"{STATE} = :state", f"verdict {decided}"]  # redundant, so that the indexes of waiting cases are used
    if chosen.tag is not None:
        given["tag"] = f"%{_escaped(msgspec.json.encode(chosen.tag).decode())}%"
    if chosen.priority is not None:
        given["priority"] = priority_place(chosen.priority)
    if chosen.overdue is not None:
        where.append(_IS_OVERDUE)
        given["overdue"] = int(chosen.overdue)
    return where, {**given, **names, "now": now}


def _cursor(text: str, parts: int) -> list[float | str]:
    *written, last = text.split("~", parts - 1)
    try:
        if last and len(written) == parts - 1:
            return [*(float(value) if "." in value or "e" in value else int(value) for value in written), last]
    except ValueError:
        pass
    raise MalformedEvent(f"before={text[:60]!r} is not understood: the `next` of the page before is expected", "before")


class WaitingCases(msgspec.Struct, frozen=True):
    """Undecided cases. oldest_us: None if nothing waits.

    amount: None if no event has an amount, or for several currencies; expected_loss: None for several currencies.
    amounts: by currency.
    """

    cases: int
    amount: float | None
    expected_loss: float | None
    oldest_us: int | None
    amounts: list[CurrencySum]


def waiting(cases: Cases, detectors: Sequence[str]) -> WaitingCases:
    """Every case of these detectors without a verdict, locked or not."""
    names = {f"d{place}": name for place, name in enumerate(detectors)}
    sql = (
        "SELECT currency, COUNT(*), SUM(amount), SUM(expected_loss), MIN(opened_us) FROM cases "  # noqa: S608 - names of parameters
        f"WHERE verdict IS NULL AND detector IN ({', '.join(f':{name}' for name in names)}) GROUP BY currency ORDER BY currency"
    )
    rows = cases.database.read(sql, names)
    amounts = [CurrencySum(currency, float(amount)) for currency, _, amount, _, _ in rows if amount is not None]
    losses = [CurrencySum(currency, float(loss)) for currency, _, _, loss, _ in rows]
    oldest = min((row[4] for row in rows), default=None)
    return WaitingCases(
        sum(int(row[1]) for row in rows), one_sum(amounts) if amounts else None, one_sum(losses), oldest, amounts
    )
