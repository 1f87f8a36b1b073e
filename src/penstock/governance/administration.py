"""Rule and list administration of one detector, for the command line and for HTTP."""

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from penstock.clock import Clock, system_clock
from penstock.database import Database
from penstock.decoding import prepared
from penstock.detector import Detector
from penstock.errors import DataError, Forbidden, NotFound, did_you_mean
from penstock.expressions import Members
from penstock.governance.approvals import Approvals, ApprovalService, Approve, Request, Stage
from penstock.governance.lists import ListStore, NewEntry, Outcome
from penstock.governance.rules import RuleBody, RuleStore, StoredRule
from penstock.governance.snoozes import SNOOZED, Snooze, Snoozes, refuse_by_hand, with_snoozes
from penstock.governance.stored_detector import RuleChecker, adopt, list_store, rule_store, with_active_features
from penstock.governance.versions import by_name
from penstock.rules import NewerRules, RuleSetRevision
from penstock.rules.checks import RuleFinding, origin
from penstock.rules.comparisons import Comparisons, comparisons_of
from penstock.rules.lists import Listed, check_list_name, checked_value, read_listed, write_listed

UNDER_TEST = "condition_under_test"
"""The name of a rule that is only tested."""


class Checked(NamedTuple):
    """A valid condition: its canonical text, the columns and lists that it reads, lint findings, and its rows where it is
    nothing but rows.
    """

    condition: str
    reads: Sequence[str]
    lists: Sequence[str]
    findings: Sequence[RuleFinding]
    comparisons: Comparisons | None


class RuleAdministration:
    """The rules and lists of one detector.

    Args:
        database: of the office.
        detector: as its file declares it.
        four_eyes: an author cannot activate their own version.
        token: tokenizes a personal value, if the secret is available.
    """

    def __init__(
        self,
        database: Database,
        detector: Detector,
        *,
        four_eyes: bool = False,
        token: Callable[[str], str] | None = None,
        clock: Clock = system_clock,
    ) -> None:
        self.detector, self.clock, self._database = detector, clock, database
        self.rules = rule_store(database, detector, four_eyes=four_eyes)
        self.lists = ListStore(database, detector.name, RuleChecker(database, detector), clock, token=token)
        self.snoozes = Snoozes(self.lists, detector)
        self.approvals: Approvals = self.rules.approvals
        adopt(self.rules, self.lists, detector)
        self._lock = threading.Lock()
        self._now: tuple[int, Detector] | None = None
        self._said: tuple[Detector, list[RuleFinding]] | None = None

    # ------------------------------------------------------------ the detector in force

    def now(self) -> Detector:
        """The detector with its current rules, in shadow and rollout too, and its lists."""
        revision = self.rules.revision()
        with self._lock:
            if self._now is None or self._now[0] != revision:
                held: dict[str, Members] = self.lists.members(self._now[1].lists if self._now else None)
                bare = with_active_features(self._database, self.detector.with_rules([]))
                self._now = revision, bare.with_rules(with_snoozes(self.rules.running(), held, bare), held)
            return self._now[1]

    def findings(self, name: str) -> list[RuleFinding]:
        """Lint findings about the running versions of a rule."""
        detector = self.now()
        with self._lock:
            if self._said is None or self._said[0] is not detector:
                self._said = detector, detector.plan.rules.findings
            said = self._said[1]
        names = {rule.name for rule in detector.rules if origin(rule) == name}
        return [finding for finding in said if finding.rule in names]

    def check(self, name: str, body: RuleBody) -> Checked:
        """Lint findings about a condition, compared with the running rules; it is a new version of a rule with its name.

        Raises:
            DeclarationError: it is invalid.
        """
        detector = self.now()
        mine = [at for at, rule in enumerate(detector.rules) if origin(rule) == name]
        others = [rule for rule in detector.rules if origin(rule) != name]
        place = mine[0] if mine else len(others)
        plan = detector.with_rules([*others[:place], body.rule(name), *others[place:]]).plan
        compiled = list(plan.rules)[place]
        condition = compiled.expression
        findings = [finding for finding in plan.rules.findings if finding.rule == name]
        rows = comparisons_of(condition.root)
        return Checked(condition.sql, compiled.reads, sorted(condition.lists), findings, rows)

    def body(self, name: str, version: int | None = None) -> RuleBody:
        """The definition of a rule version: the newest unless a number is given.

        Raises:
            NotFound: there is no such rule, or version.
        """
        rules = by_name(self.rules.versions())
        if name not in rules:
            raise NotFound(f"detector {self.detector.name!r} has no rule {name!r}.{did_you_mean(name, rules)}")
        found = [each.body for each in rules[name] if version in (None, each.version)]
        if not found:
            raise NotFound(f"rule {name!r} has no version {version}; it has 1 to {len(rules[name])}")
        return found[-1]

    def snooze(
        self, name: str, entity: str, key: str, length: str, *, who: str, reason: str = "", may_lift_hard: bool = True
    ) -> Snooze:
        """Snooze a rule for a key of an entity: see `Snoozes.begin`. may_lift_hard: whether the actor may snooze hard blocks.

        Raises:
            NotFound: there is no such rule.
            Forbidden: it is a hard block, and the actor may not.
        """
        self.body(name)
        versions = by_name(self.rules.versions())[name]
        if not may_lift_hard and any(each.body.hard for each in versions if each.state != "archived"):
            raise Forbidden(f"rule {name!r} is a hard block; only who has the right to approve may snooze it")
        return self.snoozes.begin(name, entity, key, length, who=who, reason=reason)

    def requests(self, stage: Stage | None = None) -> list[Request]:
        """Requests, newest first."""
        return self.approvals.all(stage)

    def approving(self, **others: Approve) -> ApprovalService:
        """Approves requests about rules and lists, and those of other kinds with these functions."""
        approve: dict[str, Approve] = {"rule": self.rules.approve, "list": self.lists.approve}
        return ApprovalService(self.detector.name, self.approvals, approve | others)

    # ------------------------------------------------------------ import and export

    def export(self) -> Iterator[str]:
        """The active rules, one line of JSON each."""
        for version in self.rules.versions():
            if version.state == "active":
                exported = {"name": version.name, "version": version.version, "body": version.body}
                yield msgspec.json.encode(exported).decode()

    def import_(self, text: str, place: str, *, who: str, why: str = "") -> list[StoredRule]:
        """Add exported rules as drafts; rules equal to existing ones are skipped.

        Raises:
            DataError: a line is no exported rule; nothing after it was added.
        """
        added = []
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip():
                continue
            try:
                found = msgspec.json.decode(line, type=prepared(_Exported))
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise DataError(f"{place}, line {number}: this is no exported rule: {error}") from error
            known = by_name(self.rules.versions()).get(found.name, [])
            if not any(version.body == found.body for version in known if version.state != "archived"):
                added.append(self.rules.add(found.name, found.body, who=who, why=why))
        return added

    def export_list(self, name: str) -> str:
        """All entries that were ever on a list, as CSV."""
        return write_listed(
            Listed(each.value, each.reason, each.author, each.added_us, each.expires_us, each.removed_us)
            for each in self.lists.history(name)
        )

    def import_list(self, name: str, text: str, place: str, *, who: str, why: str = "") -> Outcome | Request:
        """Add the values of a CSV file to a list; expired and removed ones are skipped.

        Raises:
            DataError: a line cannot be parsed; nothing was added.
            NotFound: there is no such list.
            MalformedEvent: it holds snoozes of a rule.
        """
        refuse_by_hand(name)
        now = self.clock()
        entries = [
            NewEntry(line.value, line.reason or why, line.expires_us)
            for line in read_listed(text, place)
            if (line.expires_us is None or line.expires_us > now) and (line.removed_us is None or line.removed_us > now)
        ]
        return self.lists.add(name, entries, who=who, why=why)

    def put(self, name: str, entries: Sequence[NewEntry], *, who: str, why: str = "") -> Outcome | Request:
        """Add values to a list, with surrounding spaces removed.

        Raises:
            DataError: a value is empty, or too long.
            MalformedEvent: it holds snoozes of a rule.
        """
        refuse_by_hand(name)
        tidy = [msgspec.structs.replace(each, value=checked_value(each.value, f"list {name!r}")) for each in entries]
        return self.lists.add(name, tidy, who=who, why=why)

    def create_list(self, name: str, kind: str, about: str, *, personal: bool, protected: bool, who: str) -> None:
        """Create a list.

        Raises:
            DeclarationError: the name is invalid.
            MalformedEvent, Conflict: as `ListStore.create` says.
        """
        made: object = kind
        self.lists.create(
            check_list_name(name),
            made,  # type: ignore[arg-type]  # the book checks it
            about=about,
            personal=personal,
            protected=protected,
            who=who,
        )


class _Exported(msgspec.Struct):
    name: str
    body: RuleBody
    version: int = 0


class RuleSource:
    """The rules and lists of a detector for engines that follow them; adopts the detector's file."""

    def __init__(self, rules: RuleStore, lists: ListStore, detector: Detector) -> None:
        self._rules, self._lists, self._detector = rules, lists, detector
        self._members: dict[str, Members] = {}
        adopt(rules, lists, detector)

    def newer(self, revision: int) -> RuleSetRevision | None:
        """The rules and lists to decide by, all of them; None if their revision is this one."""
        found = self._rules.revision()  # read first: if it changes in between, it is read once more
        if found == revision:
            return None
        self._members = self._lists.members(self._members)
        rules = self._rules.running()
        if snoozed := [name for name in self._members if name.startswith(SNOOZED)]:
            rules = with_snoozes(rules, snoozed, self._detector)
        return RuleSetRevision(found, rules, self._members)


def newer_rules(database: Database, detectors: Sequence[Detector]) -> dict[str, NewerRules]:
    """For each detector, the source of newer rules for deciding processes."""
    return {each.name: RuleSource(rule_store(database, each), list_store(database, each), each).newer for each in detectors}
