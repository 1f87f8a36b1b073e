"""Analyst statistics: cases handled, agreement with others, and overturned verdicts."""

from collections.abc import Iterable, Sequence

import msgspec

from penstock.cases.store import Cases

_DAY_US = 86_400_000_000


class Analyst(msgspec.Struct, frozen=True):
    """One analyst's figures over a span of time. Only verdicts of fraud or good are compared.

    handled: cases that got a verdict from this person. fraud, good, unsure: the last verdict on each. compared: verdicts
    with another person's verdict on the same case, or an external outcome, such as a chargeback. agreed: how often these
    were the same; agreement: its share, null without comparisons. overturned: cases whose final outcome is the opposite:
    the external one, else a later verdict of another person.
    """

    analyst: str
    handled: int
    fraud: int
    good: int
    unsure: int
    compared: int
    agreed: int
    agreement: float | None
    overturned: int


class CaseVerdict(msgspec.Struct, frozen=True):
    """The last verdict of one person on one case, in the order `n` of the case's history. known: the external outcome."""

    case_id: str
    who: str
    n: int
    verdict: str
    known_fraud: bool | None


def analysts(cases: Cases, days: float = 30.0) -> list[Analyst]:
    """The figures of everybody who gave a verdict within the last days, sorted by name."""
    seen, names = cases.visible("c.detector")
    sql = (
        "SELECT h.case_id, h.who, h.n, h.verdict, c.known_fraud FROM case_history h JOIN cases c ON c.id = h.case_id "  # noqa: S608 - names of parameters
        f"WHERE h.verdict IS NOT NULL AND h.at_us >= :since AND {seen} ORDER BY h.case_id, h.n"
    )
    rows = cases.database.read(sql, {"since": cases.clock() - round(days * _DAY_US), **names})
    last = {
        (case_id, who): CaseVerdict(case_id, who, n, verdict, None if known is None else bool(known))
        for case_id, who, n, verdict, known in rows
    }
    return figures(last.values())


def figures(said: Iterable[CaseVerdict]) -> list[Analyst]:
    """Compute figures from last verdicts.

    >>> ana, bob = figures([CaseVerdict("c1", "ana", 2, "good", None), CaseVerdict("c1", "bob", 5, "fraud", True)])
    >>> (ana.compared, ana.agreed, ana.overturned), (bob.compared, bob.agreed, bob.overturned)
    ((1, 0, 1), (2, 1, 0))
    """
    by_case: dict[str, list[CaseVerdict]] = {}
    by_analyst: dict[str, list[CaseVerdict]] = {}
    for each in said:
        by_case.setdefault(each.case_id, []).append(each)
        by_analyst.setdefault(each.who, []).append(each)
    return [_figures(name, mine, by_case) for name, mine in sorted(by_analyst.items())]


def _figures(name: str, mine: Sequence[CaseVerdict], by_case: dict[str, list[CaseVerdict]]) -> Analyst:
    compared = agreed = overturned = 0
    for each in mine:
        others = [other for other in by_case[each.case_id] if other.who != name and other.verdict != "unsure"]
        truths = [other.verdict == "fraud" for other in others] + ([] if each.known_fraud is None else [each.known_fraud])
        if each.verdict == "unsure":
            continue
        fraud = each.verdict == "fraud"
        compared += len(truths)
        agreed += sum(truth == fraud for truth in truths)
        final = each.known_fraud
        if final is None:
            final = max(((other.n, other.verdict == "fraud") for other in others if other.n > each.n), default=(0, fraud))[1]
        overturned += final != fraud
    counts = {verdict: sum(each.verdict == verdict for each in mine) for verdict in ("fraud", "good", "unsure")}
    share = agreed / compared if compared else None
    return Analyst(name, len(mine), **counts, compared=compared, agreed=agreed, agreement=share, overturned=overturned)


def review_seconds(cases: Cases, detectors: Sequence[str], since_us: int, until_us: int) -> float | None:
    """How long people worked on the cases decided between two instants: from taking one to the verdict; None without any."""
    names = {f"detector{place}": name for place, name in enumerate(detectors)}
    sql = (
        "SELECT verdict.at_us, MAX(taken.at_us) FROM case_history verdict "  # noqa: S608 - names of parameters
        "JOIN cases ON cases.id = verdict.case_id "
        "JOIN case_history taken ON taken.case_id = verdict.case_id AND taken.who = verdict.who AND taken.action = 'take' "
        "AND taken.n < verdict.n WHERE verdict.verdict IS NOT NULL AND verdict.at_us >= :since AND verdict.at_us < :until "
        f"AND cases.detector IN ({', '.join(f':{name}' for name in names)}) GROUP BY verdict.case_id, verdict.n, verdict.at_us"
    )
    rows = cases.database.read(sql, {"since": since_us, "until": until_us, **names})
    return sum(int(at_us) - int(taken_us) for at_us, taken_us in rows) / 1e6 if rows else None
