"""Rule and list administration of one detector, for the command line and for HTTP."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import msgspec

from penstock.clock import Clock, system_clock
from penstock.config import Settings
from penstock.database import Database
from penstock.decision import Guard
from penstock.detector import Detector
from penstock.engine.startup import personal_key_of
from penstock.errors import DataError, NotFound, did_you_mean
from penstock.expressions import Members
from penstock.governance.approvals import Approvals, Request, Stage
from penstock.governance.list_steps import NewEntry, Outcome
from penstock.governance.lists import ListStore
from penstock.governance.rule_guards import RuleGuards
from penstock.governance.rule_versions import Body, Version, by_name
from penstock.ingest.personal import tokeniser
from penstock.rules.checks import Finding, origin
from penstock.rules.lists import Listed, check_list_name, checked_value, read_listed, write_listed
from penstock.wiring.changes.active_features import grown
from penstock.wiring.changes.rule_stores import adopt, check_of, list_store, rule_of, rule_store, rules_of
from penstock.wiring.database import has_office, office_of
from penstock.wiring.engines import personal_key

UNDER_TEST = "condition_under_test"
"""The name of a rule that is only tested."""


class Checked(NamedTuple):
    """A valid condition: its canonical text, the columns and lists that it reads, and lint findings."""

    condition: str
    reads: Sequence[str]
    lists: Sequence[str]
    findings: Sequence[Finding]


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
        self.lists = ListStore(database, detector.name, check_of(database, detector), clock, token=token)
        self.approvals: Approvals = self.rules.approvals
        self._guards = RuleGuards(database, detector.name, clock)
        adopt(self.rules, self.lists, detector)
        self._lock = threading.Lock()
        self._now: tuple[int, Detector] | None = None
        self._said: tuple[Detector, list[Finding]] | None = None

    # ------------------------------------------------------------ the detector in force

    def now(self) -> Detector:
        """The detector with its current rules, in shadow and rollout too, and its lists."""
        revision = self.rules.revision()
        with self._lock:
            if self._now is None or self._now[0] != revision:
                held: dict[str, Members] = self.lists.members(self._now[1].lists if self._now else None)
                bare = grown(self._database, self.detector.with_rules([]))
                self._now = revision, bare.with_rules(rules_of(self.rules.acting()), held)
            return self._now[1]

    def findings(self, name: str) -> list[Finding]:
        """Lint findings about the running versions of a rule."""
        detector = self.now()
        with self._lock:
            if self._said is None or self._said[0] is not detector:
                self._said = detector, detector.plan.rules.findings
            said = self._said[1]
        names = {rule.name for rule in detector.rules if origin(rule) == name}
        return [finding for finding in said if finding.rule in names]

    def check(self, name: str, body: Body) -> Checked:
        """Lint findings about a condition, compared with the running rules; it is a new version of a rule with its name.

        Raises:
            DeclarationError: it is invalid.
        """
        detector = self.now()
        mine = [at for at, rule in enumerate(detector.rules) if origin(rule) == name]
        others = [rule for rule in detector.rules if origin(rule) != name]
        place = mine[0] if mine else len(others)
        plan = detector.with_rules([*others[:place], rule_of(name, body), *others[place:]]).plan
        compiled = list(plan.rules)[place]
        findings = [finding for finding in plan.rules.findings if finding.rule == name]
        return Checked(compiled.expression.sql, compiled.reads, sorted(compiled.expression.lists), findings)

    def body(self, name: str, version: int | None = None) -> Body:
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

    def roll_out(
        self,
        name: str,
        version: int,
        *,
        percent: float,
        share_of: str,
        who: str,
        why: str = "",
        guards: Sequence[Guard] | None = None,
    ) -> Version | Request:
        """Roll a version out to a share of the keys, as `RuleStore.rollout`; guards: replace those of the policy.

        If that waits for another person, the guards wait with it.
        """
        given = None if guards is None else msgspec.to_builtins(list(guards))
        found = self.rules.rollout(name, version, percent=percent, share_of=share_of, who=who, why=why, guards=given)
        if given is not None and isinstance(found, Version):
            self._guards.give(name, version, given, who=who)
        return found

    # ------------------------------------------------------------ approvals

    def requests(self, stage: Stage | None = None) -> list[Request]:
        """Requests, newest first."""
        return self.approvals.all(stage)

    def approve(self, id: str, *, who: str, why: str = "") -> Version | Outcome:
        """Approve a request and apply it.

        Raises:
            NotFound, Conflict: there is no such request, it was settled before, or the approver is its author.
        """
        request = self.approvals.one(id)
        if request.kind == "list":
            return self.lists.approve(id, who=who, why=why)
        version = self.rules.approve(id, who=who, why=why)
        if "guards" in request.details:
            self._guards.give(version.name, version.version, request.details["guards"], who=request.asked_by)
        return version

    # ------------------------------------------------------------ import and export

    def export(self) -> Iterator[str]:
        """The active rules, one line of JSON each."""
        for version in self.rules.versions():
            if version.state == "active":
                told = {"name": version.name, "version": version.version, "body": version.body}
                yield msgspec.json.encode(told).decode()

    def import_(self, text: str, place: str, *, who: str, why: str = "") -> list[Version]:
        """Add exported rules as drafts; rules equal to existing ones are skipped.

        Raises:
            DataError: a line is no exported rule; nothing after it was added.
        """
        added = []
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip():
                continue
            try:
                found = msgspec.json.decode(line, type=_Exported)
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
        """
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
        """
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
    body: Body
    version: int = 0


def rule_administration(database: Database, detector: Detector, settings: Settings) -> RuleAdministration:
    """The rule and list administration of a detector, from the settings."""
    return RuleAdministration(database, detector, four_eyes=settings.four_eyes, token=token_of(detector, settings))


def token_of(detector: Detector, settings: Settings) -> Callable[[str], str] | None:
    """The function that tokenizes personal values like the detector's events; None if it declares none."""
    if not detector.schema.personal:
        return None
    return tokeniser(personal_key(settings.personal_key_file) or personal_key_of(settings.data))


def as_changed(detector: Detector, settings: Settings, *, rules: bool = True) -> Detector:
    """A detector with the lists from the office, and with its current rules; nothing is written.

    rules: off for a candidate, whose own rules are examined.
    """
    if not has_office(settings):
        return detector
    with office_of(settings) as database:
        book, lists = rule_store(database, detector), list_store(database, detector)
        held, bare = {**detector.lists, **lists.members()}, grown(database, detector.with_rules([])) if rules else detector
        return bare.with_rules(rules_of(book.acting()) if rules and book.versions() else detector.rules, held)


def list_at(detector: Detector, settings: Settings) -> Callable[[str, str], Members | None]:
    """The function that returns a list at a version that a decision names; None if the office does not have it."""

    def found(name: str, version: str) -> Members | None:
        revision = version.partition("-")[0]
        if not revision.isdigit() or not has_office(settings):
            return None
        with office_of(settings) as database:
            return list_store(database, detector).at(name, int(revision))

    return found


@contextmanager
def open_rule_administration(detector: Detector, settings: Settings) -> Iterator[RuleAdministration]:
    """The rule and list administration in the office of the settings, with the detector's file adopted."""
    with office_of(settings) as database:
        yield rule_administration(database, detector, settings)
