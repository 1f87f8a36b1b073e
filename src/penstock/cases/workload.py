"""The workload of analysts: what each has open and overdue, decides per day, and how quickly; and the ages of queues."""

from statistics import median

import msgspec

from penstock.cases.analysts import analysts
from penstock.cases.store import Cases

_HOUR_US = 3_600_000_000
_DAY_US = 24 * _HOUR_US
_AGES_US = (_HOUR_US, 4 * _HOUR_US, _DAY_US)


class AnalystLoad(msgspec.Struct, frozen=True):
    """The workload of one analyst.

    open: undecided cases that they hold, or that are assigned to them and held by nobody; overdue: of these, after their
    due time. decided: cases that got a verdict from them, on each day of the span in UTC, the earliest first. median_s:
    from the opening of a case to their last verdict on it; null without any. agreement: see `analysts.Analyst`.
    """

    analyst: str
    open: int
    overdue: int
    decided: list[int]
    median_s: float | None
    compared: int
    agreement: float | None


class QueueAges(msgspec.Struct, frozen=True):
    """Undecided cases of a queue by age: under an hour, four hours and a day, and older. unassigned: those of nobody."""

    queue: str
    under_1h: int
    under_4h: int
    under_1d: int
    older: int
    overdue: int
    unassigned: int


def workload(cases: Cases, days: int) -> list[AnalystLoad]:
    """The workload of everybody who has open cases or gave a verdict within the last days, today included, by name."""
    now = cases.clock()
    since = (now // _DAY_US - days + 1) * _DAY_US
    seen, names = cases.visible("c.detector")
    held = cases.database.read(_HOLDING.format(seen=seen), {"now": now, **names})
    holding = {who: (int(count), int(late)) for who, count, late in held}
    said: dict[str, dict[str, tuple[int, int]]] = {}
    for who, case, at_us, opened_us in cases.database.read(_DECIDED.format(seen=seen), {"since": since, **names}):
        said.setdefault(who, {})[case] = at_us, opened_us
    figures = {each.analyst: each for each in analysts(cases, (now - since) / _DAY_US)}
    found = []
    for who in sorted(holding.keys() | said.keys()):
        verdicts = said.get(who, {}).values()
        decided = [0] * days
        for at_us, _ in verdicts:
            decided[min((at_us - since) // _DAY_US, days - 1)] += 1
        median_s = median((at_us - opened_us) / 1e6 for at_us, opened_us in verdicts) if verdicts else None
        compared, agreement = (figures[who].compared, figures[who].agreement) if who in figures else (0, None)
        found.append(AnalystLoad(who, *holding.get(who, (0, 0)), decided, median_s, compared, agreement))
    return found


def queue_ages(cases: Cases) -> list[QueueAges]:
    """The ages of the undecided cases of every queue, by name."""
    now = cases.clock()
    seen, names = cases.visible("c.detector")
    limits = {f"age{place}": now - age for place, age in enumerate(_AGES_US)}
    rows = cases.database.read(_AGES.format(seen=seen), {**limits, **names, "now": now})
    return [QueueAges(row[0], *map(int, row[1:])) for row in rows]


_WHO = "CASE WHEN locked_until_us > :now THEN owner ELSE assignee END"
_LATE = "SUM(CASE WHEN due_us < :now THEN 1 ELSE 0 END)"
_HOLDING = (
    f"SELECT {_WHO} AS who, COUNT(*), {_LATE} FROM cases c "  # noqa: S608 - constants
    f"WHERE verdict IS NULL AND {_WHO} IS NOT NULL AND {{seen}} GROUP BY {_WHO}"
)
_DECIDED = (
    "SELECT h.who, h.case_id, h.at_us, c.opened_us FROM case_history h JOIN cases c ON c.id = h.case_id "
    "WHERE h.verdict IS NOT NULL AND h.at_us >= :since AND h.action = 'verdict' AND {seen} ORDER BY h.case_id, h.n"
)
_AGES = (
    "SELECT queue, SUM(CASE WHEN opened_us > :age0 THEN 1 ELSE 0 END), "  # noqa: S608 - constants
    "SUM(CASE WHEN opened_us <= :age0 AND opened_us > :age1 THEN 1 ELSE 0 END), "
    "SUM(CASE WHEN opened_us <= :age1 AND opened_us > :age2 THEN 1 ELSE 0 END), "
    f"SUM(CASE WHEN opened_us <= :age2 THEN 1 ELSE 0 END), {_LATE}, SUM(CASE WHEN {_WHO} IS NULL THEN 1 ELSE 0 END) "
    "FROM cases c WHERE verdict IS NULL AND {seen} GROUP BY queue ORDER BY queue"
)
