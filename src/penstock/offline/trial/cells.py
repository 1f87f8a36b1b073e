"""Aggregation for trials: figures from counts of events by both decisions and by label."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from penstock.decision.guard import Seen
from penstock.offline.backtest import Truth
from penstock.offline.backtest.cells import ACTIONS
from penstock.offline.trial.intervals import paired
from penstock.offline.trial.result import Part, Side, Times
from penstock.outcomes import known_rate, share

_GOOD = ("good", "unobjected")


class Cell(NamedTuple):
    """A group of events that agree in these properties. candidate: None if it failed."""

    period: datetime
    champion: str
    candidate: str | None
    truth: str
    n: int
    worth: float


class Further(NamedTuple):
    """Further figures of a period, by side: scores in twentieths, times."""

    scores: Mapping[str, Sequence[int]]
    times: Mapping[str, Times]


def part_of(since: datetime | None, cells: Sequence[Cell], further: Further, *, worth: bool) -> Part:
    """The figures of some cells. worth: whether events have an amount."""
    both = [cell for cell in cells if cell.candidate is not None]
    events = _count(both)
    matrix = {first: dict.fromkeys(ACTIONS, 0) for first in ACTIONS}
    truth: Counter[str] = Counter()
    for cell in both:
        matrix[cell.champion][str(cell.candidate)] += cell.n
        truth[cell.truth] += cell.n
    only = [sum(matrix[a]["BLOCK"] for a in ACTIONS[:-1]), sum(matrix["BLOCK"][a] for a in ACTIONS[:-1])]
    return Part(
        since=since,
        events=events,
        errors=_count(cells) - events,
        agreement=share(sum(matrix[action][action] for action in ACTIONS), events),
        matrix=matrix,
        truth=Truth(**truth),
        champion=_side("champion", both, further, worth=worth),
        candidate=_side("candidate", both, further, worth=worth),
        block_rate_change=paired(only[0], only[1], events),
    )


def _side(which: str, cells: Sequence[Cell], further: Further, *, worth: bool) -> Side:
    decisions = dict.fromkeys(ACTIONS, 0)
    for cell in cells:
        decisions[getattr(cell, which)] += cell.n
    events = _count(cells)
    stopped = [cell for cell in cells if getattr(cell, which) != "APPROVE"]
    caught = _count(cell for cell in stopped if cell.truth == "fraud")
    good = [cell for cell in stopped if cell.truth in _GOOD]
    frauds = [cell for cell in cells if cell.truth == "fraud"]
    missed = [cell for cell in frauds if getattr(cell, which) == "APPROVE"]
    return Side(
        decisions=decisions,
        block_rate=share(decisions["BLOCK"], events),
        review_rate=share(decisions["REVIEW"], events),
        approval_rate=share(decisions["APPROVE"], events),
        precision=known_rate(caught, caught + _count(good)),
        recall=known_rate(caught, _count(frauds)),
        loss=_worth(missed) if worth else None,
        good_stopped=_worth(good) if worth else None,
        latency_ms=further.times.get(which),
        scores=list(further.scores[which]) if which in further.scores else None,
        unobjected=_count(cell for cell in good if cell.truth == "unobjected"),
    )


def changes(cells: Iterable[Cell]) -> tuple[float, float]:
    """The candidate's effect: additional loss caught, and good revenue stopped."""
    caught = stopped = 0.0
    for cell in cells:
        if cell.candidate is not None:
            by = (cell.candidate != "APPROVE") - (cell.champion != "APPROVE")
            caught += by * cell.worth if cell.truth == "fraud" else 0.0
            stopped += by * cell.worth if cell.truth in _GOOD else 0.0
    return caught, stopped


def seen_of(cells: Sequence[Cell]) -> Seen:
    """The figures that a guard waiting for labels needs."""
    both = [cell for cell in cells if cell.candidate is not None]
    sides: dict[str, Any] = {}
    for which in ("champion", "candidate"):
        known = [cell for cell in both if getattr(cell, which) != "APPROVE" and cell.truth in ("fraud", *_GOOD)]
        sides[which] = _count(known), _count(cell for cell in known if cell.truth == "fraud")
    return Seen(
        events=_count(both),
        errors=_count(cells) - _count(both),
        stopped=(sides["champion"][0], sides["candidate"][0]),
        frauds=(sides["champion"][1], sides["candidate"][1]),
    )


def _count(cells: Iterable[Cell]) -> int:
    return sum(cell.n for cell in cells)


def _worth(cells: Iterable[Cell]) -> float:
    return round(sum(cell.worth for cell in cells), 2)
