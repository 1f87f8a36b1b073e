"""Snoozes: a rule does not act on one customer for a time, and records that it fired.

The list `snoozed:RULE:ENTITY` holds the snoozed keys of one rule and one kind of entity, with the author, reason and expiry
of each. Engines evaluate the rule with a condition that excludes the keys of these lists (`Rule.unless`). A snooze therefore
applies from the next decision until exactly its expiry, and replay and verification reproduce the recorded decisions. People
cannot create lists with such names.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import msgspec

from penstock.clock import SECOND_US, duration_us
from penstock.detector import Detector
from penstock.errors import MalformedEvent, NotFound, did_you_mean
from penstock.features import Entity
from penstock.governance.list_reader import ListEntry
from penstock.governance.lists import ListStore, NewEntry
from penstock.messages import Type
from penstock.rules import Rule
from penstock.rules.checks import origin
from penstock.rules.lists import checked_value

LONGEST_US = 90 * 86_400 * SECOND_US
"""The longest snooze: what is to last belongs into the rule."""

SNOOZED = "snoozed:"
"""How the names of these lists begin."""

_NEVER = 2**62


class Snooze(msgspec.Struct, frozen=True):
    """A rule that does not act on an entity key for a time. by: who snoozed it; until_us: its end, which may have passed."""

    rule: str
    entity: str
    key: str
    by: str
    reason: str
    since_us: int
    until_us: int


def list_name(rule: str, entity: str) -> str:
    """The list of the keys of an entity for which a rule is snoozed.

    >>> list_name("amount_spike", "customer")
    'snoozed:amount_spike:customer'
    """
    return f"{SNOOZED}{rule}:{entity}"


def refuse_by_hand(name: str) -> None:
    """Refuse to put values on a list of snoozes, which would pass over their limits.

    Raises:
        MalformedEvent: it is one.
    """
    if name.startswith(SNOOZED):
        raise MalformedEvent(
            f"list {name!r} holds the snoozes of a rule; snooze the rule instead (penstock rules snooze)", "name"
        )


def with_snoozes(rules: Sequence[Rule], lists: Collection[str], detector: Detector) -> list[Rule]:
    """These rules, each with the condition that excepts the keys for which it is snoozed. lists: the names of those there are.

    A version in trial is snoozed with its rule.
    """
    return [_with_snooze(rule, lists, detector) for rule in rules]


def _with_snooze(rule: Rule, lists: Collection[str], detector: Detector) -> Rule:
    asked = [
        f"{fields[0]} IN list('{name}')"
        for entity in _single(detector)
        if (name := list_name(origin(rule), entity.name)) in lists
        for fields in entity.keys
    ]
    return replace(rule, unless=" OR ".join(asked)) if asked else rule


def _single(detector: Detector) -> Iterator[Entity]:
    """The entities whose key is one text field."""
    for plan in detector.plan.entities:
        if all(len(columns) == 1 and columns[0].type is Type.TEXT for columns in plan.keys):
            yield plan.entity


class Snoozes:
    """The snoozes of one detector's rules."""

    def __init__(self, lists: ListStore, detector: Detector) -> None:
        self._lists, self._detector = lists, detector

    def begin(self, rule: str, entity: str, key: str, length: str, *, who: str, reason: str = "") -> Snooze:
        """Snooze a rule for a key, or replace the snooze that there is. length: of time, such as `7d`.

        Raises:
            DeclarationError, DataError, MalformedEvent: the length, entity or key cannot be.
        """
        lasting_us = duration_us(length, what="for")
        if not 0 < lasting_us <= LONGEST_US:
            raise MalformedEvent(f"a rule is snoozed for more than 0 and at most 90d, not for {length!r}", "for")
        about, value = self._entity(entity), checked_value(key, "key")
        name, now = list_name(rule, entity), self._lists.clock()
        if name not in self._names():
            personal = any(field in self._detector.schema.personal for field in about.fields)
            sentence = f"Keys of {entity} on which the rule {rule} does not act for a time"
            self._lists.create(name, "allow", about=sentence, personal=personal, who=who)
        self._lists.add(name, [NewEntry(value, reason, now + lasting_us)], who=who)
        value = self._lists.form_of(self._lists.one(name), value)
        return next(each for each in self.of(rule) if (each.entity, each.key) == (entity, value))

    def end(self, rule: str, entity: str, key: str, *, who: str, why: str = "") -> None:
        """End the snooze of a rule for a key.

        Raises:
            NotFound: there is none.
        """
        name = list_name(rule, self._entity(entity).name)
        if name in self._names():
            value = self._lists.form_of(self._lists.one(name), key.strip())
            if any((each.entity, each.key) == (entity, value) for each in self.of(rule)):
                self._lists.remove(name, [value], who=who, why=why)
                return
        raise NotFound(f"rule {rule!r} is not snoozed for {entity} {key!r}")

    def of(self, rule: str) -> list[Snooze]:
        """The snoozes of a rule in force, those that end first at the top."""
        now = self._lists.clock()
        found = [_snooze(rule, entity, entry) for entity, entry in self._entries(rule) if entry.state(now) == "in_force"]
        return sorted(found, key=lambda each: (each.until_us, each.entity, each.key))

    def at(self, rule: str, keys: Collection[tuple[str, str]], revisions: Mapping[str, int], arrived_us: int) -> list[Snooze]:
        """The snoozes of a rule that a decision met. keys: of the event, with their entities. revisions: of lists, by name."""
        return [
            _snooze(rule, entity, entry)
            for entity, entry in self._entries(rule)
            if (entity, entry.value) in keys
            and entry.added_in <= revisions.get(list_name(rule, entity), -1) < (entry.removed_in or _NEVER)
            and arrived_us < (entry.expires_us or 0)
        ]

    def _names(self) -> set[str]:
        return {kept.name for kept in self._lists.versions() if not kept.archived}

    def _entries(self, rule: str) -> Iterator[tuple[str, ListEntry]]:
        known = {kept.name for kept in self._lists.versions()}
        for entity in _single(self._detector):
            if (name := list_name(rule, entity.name)) in known:
                for entry in self._lists.history(name):
                    yield entity.name, entry

    def _entity(self, name: str) -> Entity:
        known = {each.name: each for each in _single(self._detector)}
        if name not in known:
            hint = did_you_mean(name, known)
            raise MalformedEvent(
                f"a rule is snoozed for a key of one text field ({', '.join(known)}); {name!r} is none.{hint}", "entity"
            )
        return known[name]


def _snooze(rule: str, entity: str, entry: ListEntry) -> Snooze:
    until = entry.expires_us or 0
    return Snooze(rule, entity, entry.value, entry.author, entry.reason, entry.added_us, until)
