"""Static checks of rules: rules that cannot work, never fire, always fire, or never decide.

Findings have no false positives; `penstock.expressions.satisfiability` lists what is not detected.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from penstock.errors import ExpressionError
from penstock.expressions import Expression, constant_of, parse
from penstock.expressions.satisfiability import TooMany, can_be_true, can_fail, implies
from penstock.messages import Type
from penstock.rules.rule import Rule

KINDS = ("unreadable", "never_true", "always_true", "same_as", "never_reached", "not_told")
"""What a finding can be about; `not_told`: the condition has too many cases to be followed."""

QUIET = ("not_told",)
"""Kinds that say nothing against a rule."""

_LOOSE = frozenset({"OR", "NOT", "IF", "COALESCE", "NULLIF"})
"""Where none of these is in a condition, all of its parts must hold."""
_RANKS = {"challenge": 1, "review": 2, "block": 3, "allow": 10}
_OVERRIDES, _HARD = 3, 11


class RuleFinding(msgspec.Struct, frozen=True):
    """A finding about one rule.

    rule: its name. kind: one of `KINDS`. sentence: for people. place: the condition, or the part of it that is at fault.
    other: the rule that it collides with.
    """

    rule: str
    kind: str
    sentence: str
    place: str
    other: str | None = None


def check(
    rules: Sequence[Rule], scope: Mapping[str, Type], *, known: Collection[str] = (), lists: Collection[str] = ()
) -> list[RuleFinding]:
    """Check the rules of one detector, in their order.

    Args:
        rules: in the order in which they are declared.
        scope: the columns that conditions may read.
        known: columns that no event lacks.
        lists: the names of the lists that conditions may use.

    >>> rules = [Rule("large", "amount > 100", then="block"), Rule("larger", "amount >= 200 AND night", then="review")]
    >>> [(found.rule, found.kind, found.other) for found in check(rules, {"amount": Type.NUMBER, "night": Type.BOOLEAN})]
    [('larger', 'never_reached', 'large')]
    """
    findings: dict[str, list[RuleFinding]] = {rule.name: [] for rule in rules}
    read: list[tuple[Rule, Expression]] = []
    for rule in rules:
        try:
            read.append((rule, parse(rule.when, scope, place=rule.place, expect=Type.BOOLEAN, lists=lists)))
        except ExpressionError as error:
            findings[rule.name].append(RuleFinding(rule.name, "unreadable", str(error), rule.when))
    sound = []
    for rule, condition in read:
        alone = _alone(rule, condition, known)
        findings[rule.name] += [] if alone is None else [alone]
        if alone is None:
            sound.append((rule, condition))
    for at in range(len(sound)):
        findings[sound[at][0].name] += list(_compared_with_others(at, sound, known))[:1]
    return [finding for each in findings.values() for finding in each]


def _alone(rule: Rule, condition: Expression, known: Collection[str]) -> RuleFinding | None:
    """Findings about a single condition."""
    place, constant = condition.sql, constant_of(condition)
    try:
        if (constant is not None and constant.value != 1.0) or not can_be_true(condition.root, known=known):
            return RuleFinding(rule.name, "never_true", f"{rule.place} is never true, so it never fires: {place}", place)
        if not can_fail(condition.root, known=known):
            return RuleFinding(
                rule.name, "always_true", f"{rule.place} is true for every event, so it always fires: {place}", place
            )
        if not can_fail(condition.root, known=None):
            names = ", ".join(sorted(condition.names - frozenset(known)))
            sentence = f"{rule.place} is true for every event of which {names} is known: {place}"
            return RuleFinding(rule.name, "always_true", sentence, place)
    except TooMany:
        sentence = f"{rule.place} has too many cases to tell whether it can be true, or fail: {place}"
        return RuleFinding(rule.name, "not_told", sentence, place)
    return None


def _compared_with_others(at: int, rules: Sequence[tuple[Rule, Expression]], known: Collection[str]) -> Iterator[RuleFinding]:
    """Findings about a rule in relation to the others: equal earlier rules, and rules that always decide first."""
    rule, condition = rules[at]
    for place, (other, wider) in enumerate(rules):
        if place == at or origin(other) == origin(rule) or not condition.names & wider.names:
            continue
        if not _covers(condition, wider, known):
            continue
        if place < at and _covers(wider, condition, known):
            sentence = f"{rule.place} has the same condition as {other.place}: {condition.sql}"
            yield RuleFinding(rule.name, "same_as", sentence, condition.sql, other.name)
        elif other.share is None and (-_rank(other), place) < (-_rank(rule), at) and not _covers(wider, condition, known):
            sentence = (
                f"{rule.place} never decides: wherever it is true, {other.place} is too, and asks for "
                f"{_asks(other)} first: {wider.sql}"
            )
            yield RuleFinding(rule.name, "never_reached", sentence, condition.sql, other.name)


def origin(rule: Rule) -> str:
    """The rule of which it is a version: versions that are tried beside one another are meant to be alike."""
    return rule.share.seed if rule.share is not None and rule.share.seed else rule.name


def _covers(narrow: Expression, wide: Expression, known: Collection[str]) -> bool:
    if not wide.functions & _LOOSE and not wide.names <= narrow.names:
        return False  # each of its parts must hold, and one is about a column of which the narrow one says nothing
    try:
        return narrow.sql == wide.sql or implies(narrow.root, wide.root, known=known)
    except TooMany:
        return False


def _asks(rule: Rule) -> str:
    return "a hard block" if rule.hard else f"{rule.then}{' by override' if rule.override else ''}"


def _rank(rule: Rule) -> int:
    """As the judge ranks them: the highest decides, and of equal ones the first declared."""
    if rule.hard:
        return _HARD
    return _RANKS[rule.then] + (_OVERRIDES if rule.override and rule.then != "allow" else 0)
