"""The figures of `/insights`: the parsed request, sums of known outcomes, amounts, and rule performance."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from penstock.cases.store import Cases
from penstock.clock import iso
from penstock.engine import Engine
from penstock.engine.labels.outcomes import LabelledDecision
from penstock.engine.statistics.buckets import StatisticsRange
from penstock.engine.statistics.distribution import RuleCount, Tally, worth_of
from penstock.messages import Action
from penstock.outcomes import ScoreSums, known_rate
from penstock.rules import CompiledRule
from penstock.service.decide.port import ServedDetector
from penstock.service.insights import insight_schemas as forms
from penstock.service.insights.insight_schemas import LabelCounts, Outcomes, RuleInsight

_NAMES = [action.name.lower() for action in Action]


class InsightRequest:
    """A request: the engines of the requested detectors, and the range."""

    def __init__(
        self, among: Sequence[ServedDetector], detector: str | None, range_: StatisticsRange, cases: Cases | None
    ) -> None:
        self.among, self.range, self.cases = among, range_, cases
        self.engines = [served.engine for served in among]
        self.now_us = max(engine.clock() for engine in self.engines)
        self.head: dict[str, Any] = {
            "detector": detector,
            "range": range_.name,
            "since": iso(range_.start_us(self.now_us)),
            "until": iso(self.now_us),
            "counted_since": iso(max(engine.totals.spread_since_us for engine in self.engines)),
        }

    @property
    def single(self) -> Engine | None:
        """The engine, where there is only one."""
        return self.engines[0] if len(self.engines) == 1 else None

    def spread(self) -> Tally:
        """The distributions of all engines together."""
        whole = Tally()
        for engine in self.engines:
            whole.plus(engine.totals.spread(self.range))
        return whole


def outcomes(counts: Any, form: type[msgspec.Struct], **more: Any) -> Any:
    """Counts by outcome, in the given form."""
    return form(**dict(zip(_NAMES, (int(n) for n in counts), strict=True)), **more)


def currencies_of(engines: Sequence[Engine]) -> set[str | None]:
    """The currencies of detectors that declare an amount; None for one without a currency."""
    return {currency for worth, currency in (worth_of(engine.detector) for engine in engines) if worth is not None}


def currency_of(engines: Sequence[Engine]) -> str | None:
    """The common currency, if all declare the same."""
    found = currencies_of(engines)
    return found.pop() if len(found) == 1 else None


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


State = Literal["deciding", "shared", "watching", "retired"]


def rules_of(engine: Engine, whole: Tally, known: LabelledDecision) -> list[RuleInsight]:
    """Every rule in force, and every other that fired. whole: the decisions; known: their known outcomes."""
    in_force = {rule.name: rule for rule in engine.detector.plan.rules}
    total = whole.total
    return [
        _rule(engine.detector.name, name, in_force.get(name), whole.rules.get(name, RuleCount()), known, total)
        for name in [*in_force, *(name for name in whole.rules if name not in in_force)]
    ]


def _rule(
    detector: str, name: str, rule: CompiledRule | None, fired: RuleCount, known: LabelledDecision, total: int
) -> RuleInsight:
    fires = int(fired.outcomes.sum())
    good, fraud = (int(n) for n in known.rules.get(name, np.zeros(2, np.int64)))
    by = dict(zip((action.name.lower() for action in Action), fired.outcomes.tolist(), strict=True))
    return RuleInsight(
        detector=detector,
        name=name,
        state=state_of(rule),
        action=None if rule is None else rule.action,
        fires=fires,
        share=fires / total if total else None,
        outcomes=Outcomes(**by),
        only=fired.only,
        last_fired_at=iso(fired.last_us) if fired.last_us else None,
        labels=_labels(fraud, good, fires, ScoreSums(*fired.scores.tolist())),
    )


def _labels(fraud: int, good: int, fires: int, scores: ScoreSums) -> LabelCounts:
    rate = known_rate(fraud, fraud + good)
    unknown = max(fires - rate.of, 0)
    return LabelCounts(fraud, good, unknown, rate.value, rate.of, rate.low, rate.high, scores.rate())


def state_of(rule: CompiledRule | None) -> State:
    """Whether a rule decides, and on what traffic; None for one that is no longer in force."""
    if rule is None:
        return "retired"
    share = rule.rule.share
    if share is None:
        return "deciding"
    return "watching" if share.watches else "shared"
