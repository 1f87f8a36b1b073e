"""`/insights/impact`: what fraud cost and what was prevented, by week and by rule, from known outcomes alone."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from penstock.cases.analysts import review_seconds
from penstock.clock import SECOND_US, iso
from penstock.engine import Engine
from penstock.engine.labels.outcomes import LabelledDecision
from penstock.messages import Action
from penstock.outcomes import Rate, known_rate
from penstock.rules.ruleset import CompiledRule
from penstock.service.insights.figures import InsightRequest, State, currencies_of, currency_of, state_of
from penstock.service.insights.insight_schemas import Count, Looked, SomeDecisions

WEEK_US = 7 * 86_400 * SECOND_US
WEEKS = 4

_APPROVE, _REVIEW, _BLOCK = Action.APPROVE.value, Action.REVIEW.value, Action.BLOCK.value


class ImpactFigures(msgspec.Struct, kw_only=True):
    """Loss, prevention and effort of some decisions. Amounts are of known outcomes alone."""

    since: Annotated[str, Meta(description="The instant with which it begins.")] = msgspec.field(name="from")
    until: Annotated[str, Meta(description="The instant before which it ends.")] = msgspec.field(name="to")
    decisions: Count
    blocks: Count
    loss: Annotated[SomeDecisions, Meta(description="Approved, and known to be fraud.")]
    prevented: Annotated[SomeDecisions, Meta(description="Blocked, and known to be fraud.")]
    false_positives: Annotated[SomeDecisions, Meta(description="Blocked, and known to be good.")]
    unknown_blocks: Annotated[Count, Meta(description="Blocked, outcome unknown: neither prevented nor false positives.")]
    review_rate: Annotated[float | None, Meta(description="The share of decisions that were held for review.")]
    review_hours: Annotated[
        float | None, Meta(description="From taking a case to its verdict, summed; null where no case was taken.")
    ]
    chargeback_rate: Annotated[
        float | None, Meta(description="Known fraud among approved decisions; labels of the last days are still to come.")
    ]
    known: Annotated[Count, Meta(description="Decisions with a known outcome.")]


class RuleImpact(msgspec.Struct):
    """What one rule prevented. A block counts for each blocking rule that fired on it; rules in shadow and rules that ask for
    less than a block prevent nothing.
    """

    detector: str
    name: str
    state: Annotated[State, Meta(description="As in `/insights/rules`.")]
    action: Annotated[str | None, Meta(description="What it asks for; null for a rule that is no longer in force.")]
    fires: Annotated[Count, Meta(description="Within 30 days.")]
    prevented: Annotated[
        SomeDecisions | None, Meta(description="It fired, blocked, and known to be fraud; null where the rule blocks nothing.")
    ]
    false_positives: Annotated[
        SomeDecisions | None, Meta(description="It fired, blocked, and known to be good; null where the rule blocks nothing.")
    ]
    precision: Annotated[Rate, Meta(description="Fraud among the known outcomes of all on which it fired.")]


class Impact(Looked, kw_only=True):
    """Impact by week, the newest last, and by rule, those that prevented most first."""

    currency: Annotated[str | None, Meta(description="Of all amounts; null where the detector declares none, or they differ.")]
    whole: ImpactFigures
    weeks: list[ImpactFigures]
    rules: list[RuleImpact]
    labels_complete: Annotated[bool, Meta(description="All labels were read; else the figures are of those read so far.")]


class _Period:
    """Counts by outcome, and known counts and amounts by truth and outcome, between two instants."""

    def __init__(self, start_us: int, stop_us: int) -> None:
        self.start_us, self.stop_us = start_us, stop_us
        self.counts: NDArray[np.int64] = np.zeros(len(Action), np.int64)
        self.known: NDArray[np.int64] = np.zeros((2, len(Action)), np.int64)
        self.amounts: NDArray[np.float64] = np.zeros((2, len(Action)))

    def plus(self, other: "_Period") -> None:
        """Add what another one holds."""
        self.counts, self.known = self.counts + other.counts, self.known + other.known
        self.amounts = self.amounts + other.amounts


def impact(asked: InsightRequest) -> Impact:
    """The impact of the last four weeks."""
    money = len(currencies_of(asked.engines)) == 1
    stop_us = (asked.now_us // (86_400 * SECOND_US) + 1) * 86_400 * SECOND_US
    starts = [stop_us - (WEEKS - week) * WEEK_US for week in range(WEEKS)]
    weeks = [_Period(start, start + WEEK_US) for start in starts]
    rules, complete = list[RuleImpact](), True
    for engine in asked.engines:
        complete &= _count(engine, asked, weeks)
        rules += _rules(engine, asked, starts[0], money=money)
    whole = _Period(starts[0], stop_us)
    for week in weeks:
        whole.plus(week)
    rules.sort(key=_most_prevented_first)
    return Impact(
        **asked.head,
        currency=currency_of(asked.engines),
        whole=_figures(whole, asked, money=money),
        weeks=[_figures(week, asked, money=money) for week in weeks],
        rules=rules,
        labels_complete=complete,
    )


def _count(engine: Engine, asked: InsightRequest, weeks: Sequence[_Period]) -> bool:
    """Add the decisions of an engine to their weeks; whether all labels were read."""
    for point in engine.totals.points(asked.range):
        week = next((each for each in weeks if iso(each.start_us) <= point["at"] < iso(each.stop_us)), None)
        if week is not None:
            week.counts = week.counts + np.array([point[action.name.lower()] for action in Action])
    since = engine.label_outcomes.since_each([each.start_us for each in weeks])
    for week, mine, later in zip(weeks, since, [*since[1:], None], strict=True):
        week.known = week.known + mine.counts - (0 if later is None else later.counts)
        week.amounts = week.amounts + mine.amounts - (0 if later is None else later.amounts)
    return all(each.complete for each in since)


def _figures(period: _Period, asked: InsightRequest, *, money: bool) -> ImpactFigures:
    total, approved = int(period.counts.sum()), int(period.counts[_APPROVE])

    def some(truth: int, action: int) -> SomeDecisions:
        return _some(period.known[truth, action], period.amounts[truth, action], money=money)

    return ImpactFigures(
        since=iso(period.start_us),
        until=iso(period.stop_us),
        decisions=total,
        blocks=int(period.counts[_BLOCK]),
        loss=some(1, _APPROVE),
        prevented=some(1, _BLOCK),
        false_positives=some(0, _BLOCK),
        unknown_blocks=max(int(period.counts[_BLOCK] - period.known[:, _BLOCK].sum()), 0),
        review_rate=int(period.counts[_REVIEW]) / total if total else None,
        review_hours=_hours(asked, period),
        chargeback_rate=int(period.known[1, _APPROVE]) / approved if approved else None,
        known=int(period.known.sum()),
    )


def _hours(asked: InsightRequest, period: _Period) -> float | None:
    if asked.cases is None:
        return None
    names = [served.name for served in asked.among]
    seconds = review_seconds(asked.cases, names, period.start_us, period.stop_us)
    return None if seconds is None else round(seconds / 3600, 2)


def _some(count: Any, amount: Any, *, money: bool) -> SomeDecisions:
    return SomeDecisions(max(int(count), 0), round(max(float(amount), 0.0), 2) if money else None)


def _rules(engine: Engine, asked: InsightRequest, start_us: int, *, money: bool) -> list[RuleImpact]:
    known: LabelledDecision = engine.label_outcomes.since(start_us)
    fired = engine.totals.spread(asked.range).rules
    in_force = {rule.name: rule for rule in engine.detector.plan.rules}
    found = []
    for name in [*in_force, *(name for name in fired if name not in in_force)]:
        rule = in_force.get(name)
        blocks = _blocks(rule)
        good, fraud = known.blocked.get(name, np.zeros((2, 2)))
        mistaken, caught = (int(n) for n in known.rules.get(name, np.zeros(2, np.int64)))
        found.append(
            RuleImpact(
                detector=engine.detector.name,
                name=name,
                state=state_of(rule),
                action=None if rule is None else rule.action,
                fires=int(fired[name].outcomes.sum()) if name in fired else 0,
                prevented=_some(*fraud, money=money) if blocks else None,
                false_positives=_some(*good, money=money) if blocks else None,
                precision=known_rate(caught, caught + mistaken),
            )
        )
    return found


def _blocks(rule: CompiledRule | None) -> bool:
    """Whether decisions are blocked by the rule; by one that is no longer in force they may have been."""
    return rule is None or (rule.action == Action.BLOCK.name.lower() and state_of(rule) != "watching")


def _most_prevented_first(rule: RuleImpact) -> tuple[float, int, int, str]:
    prevented = rule.prevented or SomeDecisions(0, None)
    return -(prevented.amount or 0.0), -prevented.count, -rule.fires, rule.name
