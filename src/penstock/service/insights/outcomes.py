"""Known outcomes of the decisions in a range, in counts and money: sums, and the parts of a summary."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from penstock.engine import Engine
from penstock.messages import Action
from penstock.outcomes import ScoreSums, known_rate
from penstock.service.insights import insight_schemas as forms
from penstock.service.insights.request import InsightRequest

_ACTIONS = len(Action)
_APPROVE, _BLOCK = Action.APPROVE.value, Action.BLOCK.value


@dataclass(slots=True)
class Sums:
    """Counts and amounts by outcome, the same of known ones by truth (0 good, 1 fraud), and `ScoreSums` of blocks.

    worth: whether the amounts are of one currency.
    """

    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(_ACTIONS, np.int64))
    amounts: NDArray[np.float64] = field(default_factory=lambda: np.zeros(_ACTIONS))
    known: NDArray[np.int64] = field(default_factory=lambda: np.zeros((2, _ACTIONS), np.int64))
    known_amounts: NDArray[np.float64] = field(default_factory=lambda: np.zeros((2, _ACTIONS)))
    blocked: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(ScoreSums.__struct_fields__)))
    worth: bool = False

    def plus(self, other: "Sums") -> None:
        """Add another engine's sums."""
        self.counts = self.counts + other.counts
        self.amounts = self.amounts + other.amounts
        self.known = self.known + other.known
        self.known_amounts = self.known_amounts + other.known_amounts
        self.blocked = self.blocked + other.blocked

    def some(self, count: int, amount: float) -> forms.SomeDecisions:
        """A number of decisions, with their amount if it is of one currency."""
        return forms.SomeDecisions(max(int(count), 0), round(max(float(amount), 0.0), 2) if self.worth else None)


def sums_of(engine: Engine, asked: InsightRequest) -> tuple[Sums, bool]:
    """The sums of one engine, and whether all labels of the range are in them."""
    counts, amounts = engine.totals.sums(asked.range)
    known = engine.label_outcomes.since(asked.range.start_us(asked.now_us), rules=False)
    return Sums(counts, amounts, known.counts, known.amounts, engine.totals.spread(asked.range).blocked), known.complete


def amounts_of(sums: Sums) -> forms.Amounts:
    """Amounts by outcome."""
    return forms.Amounts(*(round(float(each), 2) for each in (sums.amounts.sum(), *sums.amounts)))


def truths_of(sums: Sums, *, complete: bool) -> forms.Truths:
    """Known outcomes from labels."""
    good, fraud = (int(n) for n in sums.known.sum(axis=1))
    good_approved, fraud_approved = (int(n) for n in sums.known[:, _APPROVE])
    rate, caught, mistaken = known_rate(fraud, fraud + good), fraud - fraud_approved, good - good_approved
    return forms.Truths(
        fraud=fraud,
        good=good,
        unknown=max(int(sums.counts.sum()) - rate.of, 0),
        fraud_rate=rate.value,
        complete=complete,
        known=rate.of,
        fraud_rate_low=rate.low,
        fraud_rate_high=rate.high,
        precision=known_rate(caught, caught + mistaken),
        recall=known_rate(caught, fraud),
        false_positive_rate=known_rate(mistaken, good),
    )


def prevented_of(sums: Sums) -> forms.Prevented:
    """Blocked transactions by known outcome."""
    good, fraud = (int(n) for n in sums.known[:, _BLOCK])
    return forms.Prevented(
        known=sums.some(fraud, sums.known_amounts[1, _BLOCK]),
        presumed=_unknown(sums),
        mistaken=sums.some(good, sums.known_amounts[0, _BLOCK]),
    )


def _unknown(sums: Sums) -> forms.SomeDecisions:
    count, amount = (
        sums.counts[_BLOCK] - sums.known[:, _BLOCK].sum(),
        sums.amounts[_BLOCK] - sums.known_amounts[:, _BLOCK].sum(),
    )
    return sums.some(int(count), float(amount))


def blocks_of(sums: Sums) -> forms.BlockOutcomes:
    """The precision of blocks, measured and estimated."""
    known, fraud = int(sums.known[:, _BLOCK].sum()), int(sums.known[1, _BLOCK])
    estimate = ScoreSums(*sums.blocked.tolist()).fraud(worth=sums.worth)
    return forms.BlockOutcomes(_unknown(sums), known_rate(fraud, known), estimate)


def missed_of(sums: Sums) -> forms.SomeDecisions:
    """Approved transactions that are known to be fraud."""
    return sums.some(int(sums.known[1, _APPROVE]), sums.known_amounts[1, _APPROVE])
