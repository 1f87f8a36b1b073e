"""Explanations of decisions in words: the rules that fired, and the contributions to the score."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import msgspec

from penstock.clock import from_us, iso, to_us
from penstock.decision import kernel
from penstock.decision.judge import NO_ACTION, Judged
from penstock.decision.phrases import phrase_of
from penstock.decision.policy import Thresholds
from penstock.decision.record import TEXT
from penstock.messages import Action, Column, Contribution, Degraded, Explanation, Reason, Record, RuleHit, Type
from penstock.wording import Value, plain

MOST_REASONS = 4
"""Contributions are said as reasons until there are this many in all; every rule that fired is said."""

LEAST_CONTRIBUTION = 0.01
"""Contributions below this (log-odds) are no reason for anything."""

LEAST_DIFFERENCE = 0.25
"""A number is a reason where it differs from the usual one by this share of the larger of the two, or by more."""

_CONTROL = Reason("control_share", "would have been blocked, and is one of the few let through to see what blocks are worth")

_LAST_US = 253_402_300_799_999_999  # the year 9999
_FIRST_US = -62_135_596_800_000_000


class Spoken(Judged, Protocol):
    """The parts of a rule that reasons need."""

    @property
    def name(self) -> str:
        """The rule's name."""
        ...

    @property
    def code(self) -> str:
        """The `decision_reason` of this rule."""
        ...

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns that the condition reads."""
        ...

    @property
    def said(self) -> tuple[str, ...]:
        """The columns whose values appear in the sentence."""
        ...

    @property
    def about(self) -> str | None:
        """The column that the reason is about."""
        ...

    def sentence(self, values: Mapping[str, Value]) -> str:
        """The reason, with these values of `said`."""
        ...


class Row:
    """One row of a record, read by column name."""

    __slots__ = ("_columns", "_index", "_record", "numbers")

    def __init__(self, record: Record, index: int, columns: Mapping[str, Column]) -> None:
        self._record, self._index, self._columns = record, index, columns
        self.numbers: list[float] = record.columns["x"][index].tolist()  # type: ignore[union-attr]  # x is a matrix

    def __getitem__(self, name: str) -> Value:
        column = self._columns[name]
        if column.type is Type.TEXT:
            text: str | None = self._record.columns[TEXT + name][self._index]
            return text
        return typed(self.numbers[column.index], column.type)

    def read(self, name: str) -> float | str | None:
        """A column as models read it: booleans and times as numbers, texts unchanged."""
        if self._columns[name].type is Type.TEXT:
            text: str | None = self._record.columns[TEXT + name][self._index]
            return text
        return shown(self.numbers[self._columns[name].index])


def typed(number: float, type: Type) -> Value:
    """A number of the matrix as a value of its column's type; null is None."""
    if math.isnan(number):
        return None
    if type is Type.BOOLEAN:
        return number != 0
    if type is Type.TIME:
        return from_us(int(number)) if _FIRST_US <= number <= _LAST_US else None
    return number


def public(value: Value) -> float | bool | str | None:
    """A value as in the JSON; times are ISO 8601."""
    if isinstance(value, datetime):
        return iso(to_us(value))
    return shown(value) if isinstance(value, float) else value


def shown(number: float) -> float | None:
    """A number as in the JSON: whole ones without a fraction, non-finite ones as null."""
    if number - number != 0:
        return None
    return int(number) if number.is_integer() and abs(number) < 1e15 else number


@dataclass(frozen=True, slots=True)
class Narrator:
    """Turns rows of a record into explanations.

    columns: of the layout. rules: in their order. model_features: in the order of contributions. usual: the usual
    value of a column over everybody, where it is known: of a text the most frequent one. words: a phrase for a column,
    where one was declared. base: the log-odds that contributions start from.
    """

    columns: Mapping[str, Column]
    rules: Sequence[Spoken]
    model_features: Sequence[str]
    usual: Mapping[str, float | str | None]
    words: Mapping[str, str]
    thresholds: Thresholds = field(default_factory=Thresholds)
    base: float | None = None

    def explain(
        self,
        row: Row,
        action: Action,
        by: int,
        probability: float,
        degraded: Degraded | None,
        moved: Sequence[float],
        lowered: int = NO_ACTION,
    ) -> Explanation:
        """Everything the decision says for itself; `moved` are the contributions, empty if there are none. lowered: what was
        asked for where a rule lowered it.
        """
        fired = [rule for rule in self.rules if row.numbers[rule.index] == 1.0]
        approved = action is Action.APPROVE
        ranked = [] if approved else self._ranked(row, moved)
        reasons = [] if approved else self._reasons(row, action, by, probability, degraded, fired, ranked)
        return Explanation(
            decision_reason=self._decider(action, by),
            model_confidence=shown(max(probability, 1 - probability)),
            reasons=[_CONTROL] if by == kernel.BY_CONTROL else reasons,
            rules=[RuleHit(rule.name, rule.action, {name: public(row[name]) for name in rule.reads}) for rule in fired],
            contributions=ranked,
            contribution_base=self.base if ranked and self.base is not None else msgspec.UNSET,
            lowered=msgspec.UNSET if lowered == NO_ACTION else Action(lowered).name,
        )

    def _decider(self, action: Action, by: int) -> str:
        if by >= 0:
            return self.rules[by].code
        if by == kernel.BY_FAILURE:
            return "degraded"
        if by == kernel.BY_CONTROL:
            return _CONTROL.code
        return "normal_behavior" if action is Action.APPROVE else "ml_probability"

    def _ranked(self, row: Row, moved: Sequence[float]) -> list[Contribution]:
        """All contributions, the weightiest first."""
        found = [(round(value, 4), name) for value, name in zip(moved, self.model_features, strict=False)]
        found.sort(key=lambda each: -abs(each[0]))
        return [Contribution(name, row.read(name), value) for value, name in found if value]

    def _reasons(
        self,
        row: Row,
        action: Action,
        by: int,
        probability: float,
        degraded: Degraded | None,
        fired: Sequence[Spoken],
        ranked: Sequence[Contribution],
    ) -> list[Reason]:
        first = [self.rules[by]] if by >= 0 else []
        against = [rule for rule in fired if rule.action != "allow" and rule not in first]
        reasons = [self._of_rule(rule, row) for rule in (*first, *against)]
        if by == kernel.BY_FAILURE:
            reasons.append(_of_failure(action, degraded))
        if probability >= self.thresholds.lowest:
            strong = [each for each in ranked if each.contribution >= LEAST_CONTRIBUTION]
            unusual = [each.feature for each in strong if noticeable(row[each.feature], self._usual(each.feature))]
            reasons += [self._of_contribution(name, row) for name in unusual[: max(MOST_REASONS - len(reasons), 0)]]
        return reasons or [_of_score(action, probability, explained=bool(ranked))]

    def _of_rule(self, rule: Spoken, row: Row) -> Reason:
        text = rule.sentence({name: row[name] for name in rule.said})
        if rule.about is None:
            return Reason(rule.code, text)
        return Reason(rule.code, text, rule.about, public(row[rule.about]), public(self._usual(rule.about)))

    def _of_contribution(self, name: str, row: Row) -> Reason:
        value, usual = row[name], self._usual(name)
        return Reason(name, phrase_of(name, self.words).say(value, usual), name, public(value), public(usual))

    def _usual(self, name: str) -> Value:
        known = self.usual.get(name)
        return typed(known, self.columns[name].type) if isinstance(known, float) else known


def noticeable(value: Value, usual: Value) -> bool:
    """Whether a value visibly differs from the usual one; true if the usual one is unknown.

    A number must differ by `LEAST_DIFFERENCE` and must not read the same; anything else must be another.

    >>> noticeable(44.56, 47.22), noticeable(90.0, 47.22), noticeable(None, 1.0), noticeable(True, True), noticeable("DE", None)
    (False, True, True, False, True)
    """
    if usual is None:
        return value is not None
    if isinstance(value, float) and isinstance(usual, float):
        apart = abs(value - usual) >= LEAST_DIFFERENCE * max(abs(value), abs(usual))
        return apart and plain(value) != plain(usual)
    return value != usual


def _of_failure(action: Action, degraded: Degraded | None) -> Reason:
    cause = f"{degraded.part} failed ({degraded.cause})" if degraded else "a part failed"
    return Reason("degraded", f"{cause}, so the policy says {action.name.lower()}")


def _of_score(action: Action, probability: float, *, explained: bool) -> Reason:
    why = ": many small differences add up, and none of them stands out" if explained else ""
    return Reason("ml_probability", f"the models find fraud {probability:.0%} likely, so {action.name.lower()}{why}")
