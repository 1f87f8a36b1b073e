"""The books of a detector: what its file says, and what people changed since, as rules and lists for an engine."""

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
from penstock.wiring.database import office_of
from penstock.wiring.features import grown, not_active


def rule_store(database: Database, detector: Detector, *, four_eyes: bool = False) -> RuleStore:
    """The book of a detector's rules: a change that could not work is refused with the reason, and undone."""
    return RuleStore(database, detector.name, check_of(database, detector), four_eyes=four_eyes)


def check_of(database: Database, detector: Detector) -> Check:
    """What a book asks before a change: whether rules fit the detector with the features that are active by now."""
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
    """The book of rules in the office that the settings name, with what the detector's file says in it."""
    with office_of(settings) as database:
        book, lists = rule_store(database, detector, four_eyes=settings.four_eyes), list_store(database, detector)
        adopt(book, lists, detector)
        yield book


def list_store(database: Database, detector: Detector) -> ListStore:
    """The book of a detector's lists, without the key that personal values need."""
    return ListStore(database, detector.name, check_of(database, detector))


def adopt(rules: RuleStore, lists: ListStore, detector: Detector) -> None:
    """Take what the detector's file says into its books; lists first, for rules ask them."""
    lists.adopt(detector.lists)
    rules.adopt(bodies_of(detector.rules))


def newer_rules(database: Database, detectors: Sequence[Detector]) -> dict[str, NewerRules]:
    """For each detector, what a process that decides asks for newer rules; what its file says is in the books from then on."""
    return {
        detector.name: following(rule_store(database, detector), list_store(database, detector), detector)
        for detector in detectors
    }


def following(rules: RuleStore, lists: ListStore, detector: Detector) -> NewerRules:
    """What answers whoever follows these books."""
    adopt(rules, lists, detector)
    known: dict[str, Members] = {}

    def newer(revision: int) -> RuleSetRevision | None:
        found = rules.revision()  # before the rest: if that changes in between, it is read once more
        if found == revision:
            return None
        held = lists.members(known)
        known.clear()
        known.update(held)
        return RuleSetRevision(found, rules_of(rules.acting()), held)

    return newer


def bodies_of(rules: Sequence[Rule]) -> list[tuple[str, Body]]:
    """Rules as declared, as the book keeps them."""
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
    """What acts and watches, as rules of a detector; keys are shared out by the rule's name, so that its versions meet."""
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
    """Where it acts; a candidate keeps its share also where that is everything, for it is still tried."""
    everything = (each.begin, each.end) == (0.0, 100.0) and each.name == each.rule
    return None if everything else Share(each.share_of, each.begin, each.end, each.rule)


def rule_of(name: str, body: Body, *, code: str = "", share: Share | None = None) -> Rule:
    """A rule that says this; code: what decisions say where it decides, unless the body does."""
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
    """Whether a rule that says this can lower what the score or another rule asks for, under a policy.

    >>> can_lower(Body(when="amount > 3"), Policy()), can_lower(Body(when="amount > 3", override=True), Policy())
    (False, True)
    """
    return BLOCKS < rank_of(body.then, policy.order, hard=body.hard, override=body.override) < BLOCKS_HARD
