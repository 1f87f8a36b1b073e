"""The rule and list stores of a detector, adopted from its file, and the rules and lists for an engine."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from penstock.config import Settings
from penstock.database import Database
from penstock.decision import Policy
from penstock.decision.judge import rank_of
from penstock.decision.kernel import BLOCKS, BLOCKS_HARD
from penstock.detector import Detector
from penstock.detector.compiler import words_of
from penstock.errors import DeclarationError
from penstock.expressions import Members
from penstock.features import Derived
from penstock.governance.feature_versions import SCHEMA
from penstock.governance.lists import ListStore
from penstock.governance.rule_versions import Acting, Body
from penstock.governance.rules import Check, RuleStore
from penstock.rules import NewerRules, Rule, RuleSetRevision, Share
from penstock.wiring.changes.active_features import grown, not_active
from penstock.wiring.database import office_of


def rule_store(database: Database, detector: Detector, *, four_eyes: bool = False) -> RuleStore:
    """The rule store of a detector, with checks: an invalid change is refused with the reason, and rolled back."""
    return RuleStore(database, detector.name, check_of(database, detector), four_eyes=four_eyes)


def check_of(database: Database, detector: Detector) -> Check:
    """The check of rule changes: whether rules fit the detector with its active features."""
    database.prepare(SCHEMA)

    def check(acting: Sequence[Acting], lists: Collection[str]) -> None:
        rules, now = rules_of(acting), grown(database, detector.with_rules([]))
        try:
            now.with_rules(rules, dict.fromkeys(lists, Members.of([])))
        except DeclarationError:
            told = not_active(database, now, {word for rule in rules for word in words_of(Derived("", rule.when))})
            if told is None:
                raise
            raise DeclarationError(told) from None

    return check


@contextmanager
def open_rule_store(detector: Detector, settings: Settings) -> Iterator[RuleStore]:
    """The rule store in the office of the settings, with the detector's file adopted."""
    with office_of(settings) as database:
        book, lists = rule_store(database, detector, four_eyes=settings.four_eyes), list_store(database, detector)
        adopt(book, lists, detector)
        yield book


def list_store(database: Database, detector: Detector) -> ListStore:
    """The list store of a detector, without the key for personal values."""
    return ListStore(database, detector.name, check_of(database, detector))


def adopt(rules: RuleStore, lists: ListStore, detector: Detector) -> None:
    """Adopt the rules and lists of the detector's file; lists first, since rules read them."""
    lists.adopt(detector.lists)
    rules.adopt(bodies_of(detector.rules))


def newer_rules(database: Database, detectors: Sequence[Detector]) -> dict[str, NewerRules]:
    """For each detector, the source of newer rules for a deciding process; adopts the detector's file."""
    return {
        detector.name: following(rule_store(database, detector), list_store(database, detector), detector)
        for detector in detectors
    }


def following(rules: RuleStore, lists: ListStore, detector: Detector) -> NewerRules:
    """A function that returns changed rules and lists for followers."""
    adopt(rules, lists, detector)
    known: dict[str, Members] = {}

    def newer(revision: int) -> RuleSetRevision | None:
        found = rules.revision()  # read first: if it changes in between, it is read once more
        if found == revision:
            return None
        held = lists.members(known)
        known.clear()
        known.update(held)
        return RuleSetRevision(found, rules_of(rules.acting()), held)

    return newer


def bodies_of(rules: Sequence[Rule]) -> list[tuple[str, Body]]:
    """Declared rules in their stored form."""
    return [
        (
            rule.name,
            Body(
                when=rule.when,
                then=rule.then,
                reason=rule.reason,
                code=rule.code,
                hard=rule.hard,
                override=rule.override,
            ),
        )
        for rule in rules
    ]


def rules_of(acting: Sequence[Acting]) -> list[Rule]:
    """Running versions as rules of a detector; keys are assigned by the rule's name, so that its versions complement each
    other.
    """
    return [
        rule_of(
            each.name,
            each.body,
            code=each.rule,
            share=share_of(each),
        )
        for each in acting
    ]


def share_of(each: Acting) -> Share | None:
    """The share it acts on; a candidate keeps its share even at 100 per cent, since it is still in trial."""
    everything = (each.begin, each.end) == (0.0, 100.0) and each.name == each.rule
    return None if everything else Share(each.share_of, each.begin, each.end, each.rule)


def rule_of(name: str, body: Body, *, code: str = "", share: Share | None = None) -> Rule:
    """A rule with this definition; code: its code in decisions, unless the body names one."""
    return Rule(
        name,
        body.when,
        then=body.then,
        reason=body.reason,
        code=body.code or code,
        hard=body.hard,
        override=body.override,
        share=share,
    )


def can_lower(body: Body, policy: Policy) -> bool:
    """Whether a rule with this definition can lower the outcome of the score or another rule, under a policy.

    >>> can_lower(Body(when="amount > 3"), Policy()), can_lower(Body(when="amount > 3", override=True), Policy())
    (False, True)
    """
    return BLOCKS < rank_of(body.then, policy.order, hard=body.hard, override=body.override) < BLOCKS_HARD
