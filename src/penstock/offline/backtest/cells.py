"""Aggregation for backtests: figures from counts of matched decisions by day, decision, rules and label."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from penstock.decision.kernel import BLOCKS, BLOCKS_HARD
from penstock.offline.backtest.result import Example, Money, Truth

ACTIONS = ("APPROVE", "CHALLENGE", "REVIEW", "BLOCK")
"""Decisions, the least strict first."""

_DECIDES = {"allow": "APPROVE", "challenge": "CHALLENGE", "review": "REVIEW", "block": "BLOCK"}
_GOOD = ("good", "unobjected")


@dataclass(frozen=True, slots=True)
class Cell:
    """A group of matched decisions that agree in all these properties.

    day: of their events. before, after: the actual and the hypothetical decision. truth: a field of `Truth`. count, worth:
    their number and their amount. caught: how many of them another rule caught.
    """

    day: date
    before: str
    after: str
    truth: str
    count: int
    worth: float
    caught: int
    examples: tuple[Example, ...]

    @property
    def changed(self) -> int:
        """How many decisions would have changed."""
        return self.count if self.before != self.after else 0

    @property
    def newly_stopped(self) -> int:
        """1 where approvals would have been stopped, -1 where what was stopped would have been approved, else 0."""
        return (self.after != "APPROVE") - (self.before != "APPROVE")


def cell_of(row: Mapping[str, Any], then: str, rank: int) -> Cell:
    """A cell from a result row of `matched`. then: the action that the condition requests. rank: see `judge.rank_of`."""
    before, truth, control = row["decision"], row["truth"], row["control"]
    after = _outcome(control or before, _DECIDES[then], rank, row["strongest"])
    if control is not None and after == "BLOCK" and rank < BLOCKS_HARD:
        after = before  # it would be let through again
    examples = tuple(
        Example(each["transaction_id"], each["event_time"], before, after, truth, each["worth"], each["rules"])
        for each in row["examples"]
    )
    return Cell(row["day"], before, after, truth, row["n"], row["worth"] or 0.0, row["caught"], examples)


def _outcome(before: str, asks: str, rank: int, strongest: int) -> str:
    """The decision if one more rule had fired. strongest: the highest rank of the rules that did."""
    if max(rank, strongest) > BLOCKS:  # what one of them asks for is given, whatever others do
        return asks if rank > strongest else before
    return max(before, asks, key=ACTIONS.index)


def truth_of(cells: Iterable[Cell]) -> Truth:
    """Counts of known and unknown outcomes in some cells."""
    counts: Counter[str] = Counter()
    for cell in cells:
        counts[cell.truth] += cell.count
    return Truth(**counts)


def money_of(cells: Iterable[Cell]) -> Money:
    """The change in money over some cells."""
    sums = dict.fromkeys(Money.__struct_fields__, 0.0)
    for cell in cells:
        what = "loss_caught" if cell.truth == "fraud" else "good_stopped" if cell.truth in _GOOD else "undecided_stopped"
        sums[what] += cell.newly_stopped * cell.worth
    return Money(**{name: round(value, 2) + 0.0 for name, value in sums.items()})


def per_day(cells: Iterable[Cell], days: int) -> dict[str, float]:
    """The additional decisions of each kind per day."""
    more: Counter[str] = Counter()
    for cell in cells:
        more[cell.after] += cell.count
        more[cell.before] -= cell.count
    return {action: round(more[action] / days, 2) if days else 0.0 for action in ACTIONS}


def lowered(cells: Iterable[Cell]) -> int:
    """How many decisions would have been less strict."""
    return sum(cell.count for cell in cells if ACTIONS.index(cell.after) < ACTIONS.index(cell.before))


def examples_of(cells: Iterable[Cell], most: int) -> list[Example]:
    """Examples of decisions for each truth, changed and newest ones first."""
    found: dict[str, list[Example]] = {}
    for cell in cells:
        found.setdefault(cell.truth, []).extend(cell.examples)
    return [
        example
        for truth in Truth.__struct_fields__
        for example in sorted(found.get(truth, []), key=lambda e: (e.decision != e.then, e.event_time), reverse=True)[:most]
    ]
