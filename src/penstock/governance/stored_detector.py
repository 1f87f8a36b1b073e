"""A detector as the office changes it: its file with the stored features, rules and lists, and the check of a change."""

from collections.abc import Collection, Sequence

from penstock.clock import iso
from penstock.database import Database
from penstock.decision import Policy
from penstock.decision.judge import rank_of
from penstock.decision.kernel import BLOCKS, BLOCKS_HARD
from penstock.detector import Detector
from penstock.detector.compiler import words_of
from penstock.errors import DeclarationError
from penstock.expressions import Members
from penstock.features import Derived
from penstock.features.definitions import Added, read_described
from penstock.governance.features import FEATURE, SCHEMA, StoredFeature
from penstock.governance.lists import ListStore
from penstock.governance.rules import RuleBody, RuleStore
from penstock.rules import Rule


class RuleChecker:
    """Checks that rules fit a detector with its active features, and read lists that exist."""

    def __init__(self, database: Database, detector: Detector) -> None:
        database.prepare(SCHEMA)
        self._database, self._detector = database, detector

    def __call__(self, rules: Sequence[Rule], lists: Collection[str]) -> None:
        """Check rules.

        Raises:
            DeclarationError: they do not fit; says so where a feature that they read is not active yet.
        """
        now = with_active_features(self._database, self._detector.with_rules([]))
        try:
            now.with_rules(rules, dict.fromkeys(lists, Members.of([])))
        except DeclarationError:
            words = {word for rule in rules for word in words_of(Derived("", rule.when))}
            problem = not_active(self._database, now, words)
            if problem is None:
                raise
            raise DeclarationError(problem) from None


def rule_store(database: Database, detector: Detector, *, four_eyes: bool = False) -> RuleStore:
    """The rule store of a detector, with checks: an invalid change is refused with the reason, and rolled back."""
    return RuleStore(database, detector.name, RuleChecker(database, detector), four_eyes=four_eyes)


def list_store(database: Database, detector: Detector) -> ListStore:
    """The list store of a detector, without the key for personal values."""
    return ListStore(database, detector.name, RuleChecker(database, detector))


def adopt(rules: RuleStore, lists: ListStore, detector: Detector) -> None:
    """Adopt the rules and lists of the detector's file; lists first, since rules read them."""
    lists.adopt(detector.lists)
    rules.adopt([(rule.name, RuleBody.of(rule)) for rule in detector.rules])


def added_of(versions: Sequence[StoredFeature]) -> list[Added]:
    """Versions of features, as a detector takes them."""
    return [Added(each.name, read_described(each.body, each.name)) for each in versions]


def with_active_features(database: Database, detector: Detector) -> Detector:
    """A detector with its active run-time features; their table must have been prepared.

    Raises:
        DeclarationError: they do not fit the detector's current file.
    """
    versions: list[StoredFeature] = FEATURE.read(database.read, detector.name)
    active = sorted((each for each in versions if each.state == "active"), key=lambda each: each.name)
    added = added_of(active)
    if tuple(added) == detector.added:
        return detector
    try:
        return detector.with_features(added)
    except DeclarationError as error:
        raise DeclarationError(
            f"features that were made at run time do not fit the file of detector {detector.name!r} any more: {error}; "
            "archive them (penstock features archive), or change the file"
        ) from error


def not_active(database: Database, detector: Detector, words: Collection[str]) -> str | None:
    """A message about an inactive feature among these names; None if absent."""
    newest: dict[str, StoredFeature] = {
        each.name: each for each in FEATURE.read(database.read, detector.name) if each.state != "archived"
    }
    for name, version in newest.items():
        if name not in words or name in detector.plan.layout:
            continue
        if version.state == "filling":
            return f"feature {name!r} is being filled since {iso(version.changed_us)}; try again when it is active"
        return f"feature {name!r} is a draft, which nothing may read; activate it first (penstock features activate)"
    return None


def can_lower(body: RuleBody, policy: Policy) -> bool:
    """Whether a rule with this definition can lower the outcome of the score or another rule, under a policy.

    >>> can_lower(RuleBody(when="amount > 3"), Policy()), can_lower(RuleBody(when="amount > 3", override=True), Policy())
    (False, True)
    """
    return BLOCKS < rank_of(body.then, policy.order, hard=body.hard, override=body.override) < BLOCKS_HARD
