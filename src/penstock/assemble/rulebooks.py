"""The book of rules of a detector: what stands in its file, and what people changed since, as rules for an engine."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from penstock.assemble.office import office_of
from penstock.config import Settings
from penstock.detector import Detector
from penstock.office import Database
from penstock.office.rule_versions import Acting, Body
from penstock.office.rulebook import RuleBook
from penstock.rules import Rule, Share

Newer = Callable[[int], "tuple[int, Sequence[Rule]] | None"]
"""Asked with the revision in force: a newer one and its rules, or None."""


def book_of(database: Database, detector: Detector) -> RuleBook:
    """The book of a detector: a change that could not work is refused with the reason, and undone."""

    def check(acting: Sequence[Acting]) -> None:
        detector.with_rules(rules_of(acting))

    return RuleBook(database, detector.name, check)


@contextmanager
def open_book(detector: Detector, settings: Settings) -> Iterator[RuleBook]:
    """The book in the data folder, with the rules of the detector's file in it."""
    with office_of(settings) as database:
        book = book_of(database, detector)
        book.adopt(bodies_of(detector.rules))
        yield book


def newer_rules(database: Database, detectors: Sequence[Detector]) -> dict[str, Newer]:
    """For each detector, what a process that decides asks for newer rules; its file's rules are in the book from then on."""
    return {detector.name: _newer(book_of(database, detector), detector) for detector in detectors}


def _newer(book: RuleBook, detector: Detector) -> Newer:
    book.adopt(bodies_of(detector.rules))

    def newer(revision: int) -> tuple[int, Sequence[Rule]] | None:
        found = book.revision()  # before the rules: if they change in between, they are read once more
        return None if found == revision else (found, rules_of(book.acting()))

    return newer


def bodies_of(rules: Sequence[Rule]) -> list[tuple[str, Body]]:
    """Rules as declared, as the book keeps them."""
    return [
        (rule.name, Body(when=rule.when, then=rule.then, reason=rule.reason, code=rule.code, hard=rule.hard)) for rule in rules
    ]


def rules_of(acting: Sequence[Acting]) -> list[Rule]:
    """What acts and watches, as rules of a detector; keys are shared out by the rule's name, so that its versions meet."""
    return [
        Rule(
            each.name,
            each.body.when,
            then=each.body.then,
            reason=each.body.reason,
            code=each.body.code or each.rule,
            hard=each.body.hard,
            share=None if (each.begin, each.end) == (0.0, 100.0) else Share(each.share_of, each.begin, each.end, each.rule),
        )
        for each in acting
    ]
