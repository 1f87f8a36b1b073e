"""Result types of a backtest."""

from datetime import date, datetime

import msgspec


class Caught(msgspec.Struct, frozen=True):
    """How many of the matched decisions another rule caught already."""

    rule: str
    count: int


class Truth(msgspec.Struct, frozen=True):
    """What is known of some decisions. The five exclude one another.

    fraud, good: somebody said so. unobjected: approved, older than labels usually take, and nobody objected: good as far as
    can be known. young: labels may still come. untold: was stopped and never labelled, so that nobody will ever know; or
    nothing is known of any transaction here.
    """

    fraud: int = 0
    good: int = 0
    unobjected: int = 0
    young: int = 0
    untold: int = 0


class Money(msgspec.Struct, frozen=True):
    """What the rule would have changed, in the currency of the events.

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
    """A matched decision, to be opened by its id. truth: a field of `Truth`. then: what it would have become."""

    transaction_id: str
    event_time: datetime
    decision: str
    then: str
    truth: str
    amount: float | None
    rules: list[str]


class Tried(msgspec.Struct, frozen=True):
    """A condition over recorded decisions.

    detector: whose. when: the condition, in its canonical form. then, hard, override: what is asked for, as by a rule.
    since, until: the days that were read, both included; days: how many of them had decisions. replayed: features that were
    not recorded and were computed again. read: decisions. matched: those for which the condition is true. decisions: what
    was decided about these. caught: how many of these some other rule caught, caught_by: which; new: how many no rule
    caught. changed: how many would have been decided otherwise, and lowered: how many of these less strictly;
    lowered_per_day: the same a day. truth: of the matched ones; truth_changed: of the changed ones. money: None where
    events do not say what they are worth. per_day: more (less, where negative) decisions of each kind a day. notes:
    caveats. seconds: what it took.
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

    @property
    def reviews_a_day(self) -> float:
        """How many more decisions a day would have gone to people."""
        return self.per_day["REVIEW"]
