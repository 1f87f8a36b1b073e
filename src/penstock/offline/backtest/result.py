"""Result types of a backtest."""

from datetime import date, datetime

import msgspec


class Caught(msgspec.Struct, frozen=True):
    """How many of the matched decisions another rule had caught already."""

    rule: str
    count: int


class Truth(msgspec.Struct, frozen=True):
    """Counts of decisions by known outcome. The five exclude one another.

    fraud, good: by a label. unobjected: approved, older than the usual label delay, and nobody objected: good as far as can
    be known. young: labels may still come. untold: stopped and never labelled, so that the outcome stays unknown; or the
    detector has no labels at all.
    """

    fraud: int = 0
    good: int = 0
    unobjected: int = 0
    young: int = 0
    untold: int = 0


class Money(msgspec.Struct, frozen=True):
    """The rule's effect in money, in the currency of the events.

    loss_caught: amounts of known frauds that were approved and would have been stopped, less those of frauds that were
    stopped and would have been approved. good_stopped: the same of good ones (labelled, or unobjected), as revenue.
    undecided_stopped: the same of those whose truth is not known.
    """

    loss_caught: float = 0.0
    good_stopped: float = 0.0
    undecided_stopped: float = 0.0


class Day(msgspec.Struct, frozen=True):
    """One day (UTC, by event time). young: labels of this day may still come, so its frauds are not all known."""

    date: date
    read: int
    matched: int
    changed: int
    young: bool
    truth: Truth
    money: Money | None


class Example(msgspec.Struct, frozen=True):
    """A matched decision, found by its id. truth: a field of `Truth`. then: the hypothetical decision."""

    transaction_id: str
    event_time: datetime
    decision: str
    then: str
    truth: str
    amount: float | None
    rules: list[str]


class BacktestResult(msgspec.Struct, frozen=True):
    """The result of a backtest of a condition.

    when: the condition, in its canonical form. then, hard, override: as requested, see `penstock.Rule`. since, until: the
    days that were read, both included; days: how many of them had decisions. replayed: features that were not recorded and
    were computed again. read: decisions read. matched: those for which the condition is true. decisions: their actual
    decisions. caught: how many of these another rule caught, caught_by: which; new: how many no rule caught. changed: how
    many decisions would change, and lowered: how many of these would be less strict; lowered_per_day: the same a day.
    truth: of the matched ones; truth_changed: of the changed ones. money: None where events have no amount. per_day: more
    (fewer, if negative) decisions of each kind a day. notes: caveats. seconds: the duration of the backtest.
    """

    detector: str
    when: str
    then: str
    hard: bool
    override: bool
    since: date | None
    until: date | None
    days: int
    replayed: list[str]
    read: int
    matched: int
    decisions: dict[str, int]
    caught: int
    caught_by: list[Caught]
    new: int
    changed: int
    lowered: int
    lowered_per_day: float
    truth: Truth
    truth_changed: Truth
    money: Money | None
    per_day: dict[str, float]
    by_day: list[Day]
    examples: list[Example]
    notes: list[str]
    seconds: float
