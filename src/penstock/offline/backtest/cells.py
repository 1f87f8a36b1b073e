"""Figures of hypothetical decisions, from counts of decisions that agree in what was decided and what is known.

A backtest of a condition, a comparison of two detectors and a trial all make their figures from these cells.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, NamedTuple

from penstock.offline.backtest.result import Money, Truth
from penstock.outcomes import Rate, known_rate

ACTIONS = ("APPROVE", "CHALLENGE", "REVIEW", "BLOCK")
"""Decisions, the least strict first."""

GOOD = ("good", "unobjected")
"""Fields of `Truth` that are taken for good."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A group of decisions that agree in all these properties.

    at: their day or period; None for all. champion: the actual decision. candidate: the hypothetical one; None if it failed.
    truth: a field of `Truth`. count, worth: their number and their amount.
    """

    at: date | None
    champion: str
    candidate: str | None
    truth: str
    count: int
    worth: float

    @property
    def changed(self) -> int:
        """How many decisions would have changed."""
        return self.count if self.champion != self.candidate else 0

    @property
    def newly_stopped(self) -> int:
        """1 where approvals would have been stopped, -1 where what was stopped would have been approved, else 0."""
        return (self.candidate != "APPROVE") - (self.champion != "APPROVE")


class SideFigures(NamedTuple):
    """Figures of one side. loss: amounts of known frauds that it approved; good_worth: of good ones that it stopped."""

    decisions: dict[str, int]
    frauds_stopped: int
    frauds_missed: int
    good_stopped: int
    unobjected: int
    precision: Rate
    recall: Rate
    loss: float
    good_worth: float


def side_of(cells: Sequence[Cell], side: Literal["champion", "candidate"]) -> SideFigures:
    """The figures of the decisions of one side."""
    decided = [(str(getattr(cell, side)), cell) for cell in cells]
    decisions = dict.fromkeys(ACTIONS, 0)
    for decision, cell in decided:
        decisions[decision] += cell.count
    caught = count_of(cell for decision, cell in decided if cell.truth == "fraud" and decision != "APPROVE")
    missed = [cell for decision, cell in decided if cell.truth == "fraud" and decision == "APPROVE"]
    good = [cell for decision, cell in decided if cell.truth in GOOD and decision != "APPROVE"]
    return SideFigures(
        decisions=decisions,
        frauds_stopped=caught,
        frauds_missed=count_of(missed),
        good_stopped=count_of(good),
        unobjected=count_of(cell for cell in good if cell.truth == "unobjected"),
        precision=known_rate(caught, caught + count_of(good)),
        recall=known_rate(caught, caught + count_of(missed)),
        loss=_worth(missed),
        good_worth=_worth(good),
    )


def count_of(cells: Iterable[Cell]) -> int:
    """The number of decisions."""
    return sum(cell.count for cell in cells)


def _worth(cells: Iterable[Cell]) -> float:
    return round(sum((cell.worth for cell in cells), 0.0), 2)


def matrix_of(cells: Iterable[Cell]) -> dict[str, dict[str, int]]:
    """Counts by (champion's decision, candidate's decision)."""
    matrix = {first: dict.fromkeys(ACTIONS, 0) for first in ACTIONS}
    for cell in cells:
        matrix[cell.champion][str(cell.candidate)] += cell.count
    return matrix


def truth_of(cells: Iterable[Cell]) -> Truth:
    """Counts of known and unknown outcomes."""
    counts: Counter[str] = Counter()
    for cell in cells:
        counts[cell.truth] += cell.count
    return Truth(**counts)


def effect_of(cells: Iterable[Cell]) -> tuple[float, float, float]:
    """The change in money: see the fields of `Money`."""
    fraud = good = unknown = 0.0
    for cell in cells:
        worth = cell.newly_stopped * cell.worth
        if cell.truth == "fraud":
            fraud += worth
        elif cell.truth in GOOD:
            good += worth
        else:
            unknown += worth
    return fraud, good, unknown


def money_of(cells: Iterable[Cell]) -> Money:
    """The change in money, rounded."""
    return Money(*(round(value, 2) + 0.0 for value in effect_of(cells)))


def per_day(cells: Iterable[Cell], days: int) -> dict[str, float]:
    """The additional decisions of each kind per day."""
    more: Counter[str] = Counter()
    for cell in cells:
        more[str(cell.candidate)] += cell.count
        more[cell.champion] -= cell.count
    return {action: round(more[action] / days, 2) if days else 0.0 for action in ACTIONS}


def lowered(cells: Iterable[Cell]) -> int:
    """How many decisions would have been less strict."""
    return count_of(cell for cell in cells if ACTIONS.index(str(cell.candidate)) < ACTIONS.index(cell.champion))
