"""Rules as data and their life cycle; every version kept, with author and reason.

    draft ──> shadow ──> rollout ──> active ──> paused / archived
              only recorded     acts on a share     acts on all

A rule has at most one active version and at most one candidate, in shadow or on a share of the keys. While a candidate
is rolled out to n per cent of the keys, the active version acts on the others, so every event meets exactly one of the
two.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any, Literal, Self

import msgspec

from penstock.clock import Clock, system_clock
from penstock.database.sqlite import Database, TableSchema
from penstock.decision import Guard
from penstock.errors import Conflict, Forbidden, MalformedEvent, NotFound
from penstock.governance import list_reader
from penstock.governance.approvals import Request
from penstock.governance.versions import (
    CANDIDATE,
    FILE,
    Transition,
    VersionChanges,
    VersionKind,
    VersionStore,
    by_name,
    checked_percent,
    in_state,
    previously_active,
)
from penstock.rules import KeyShare, Rule

RuleState = Literal["draft", "shadow", "rollout", "active", "paused", "archived"]

SCHEMA = TableSchema(
    "rules",
    [
        [
            """CREATE TABLE rule_versions (detector TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,
            place INTEGER NOT NULL, body TEXT NOT NULL, author TEXT NOT NULL, note TEXT NOT NULL, at_us BIGINT NOT NULL,
            state TEXT NOT NULL, percent DOUBLE PRECISION NOT NULL, share_of TEXT, was_active INTEGER NOT NULL,
            PRIMARY KEY (detector, name, version))""",
            "CREATE TABLE rule_revisions (detector TEXT PRIMARY KEY, revision INTEGER NOT NULL)",
        ],
        [
            "ALTER TABLE rule_versions ADD COLUMN changed_us BIGINT NOT NULL DEFAULT 0",
            "ALTER TABLE rule_versions ADD COLUMN changed_by TEXT NOT NULL DEFAULT ''",
            "UPDATE rule_versions SET changed_us = at_us, changed_by = author",
        ],
    ],
)
"""Versions of rules; and for each detector a revision of its rules and lists."""

GUARDS = TableSchema(
    "rule_guards",
    [
        [
            """CREATE TABLE rule_guards (detector TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,
            guards TEXT NOT NULL, PRIMARY KEY (detector, name, version))"""
        ]
    ],
)
"""Guards for the rollout of a version, which replace those of the detector's policy."""


class RuleBody(msgspec.Struct, frozen=True, kw_only=True):
    """The definition of a rule version: the arguments of `penstock.Rule` but its name."""

    when: str
    then: str = "review"
    reason: str | None = None
    code: str = ""
    hard: bool = False
    override: bool = False

    @classmethod
    def of(cls, rule: Rule) -> Self:
        """The definition of a declared rule."""
        return cls(**{name: getattr(rule, name) for name in cls.__struct_fields__})

    def rule(self, name: str, *, code: str = "", share: KeyShare | None = None) -> Rule:
        """A rule with this definition; code: its code in decisions, unless the definition names one."""
        return Rule(name, **msgspec.structs.asdict(self) | {"code": self.code or code}, share=share)


class StoredRule(msgspec.Struct, frozen=True):
    """One version of a rule. percent, share_of: of a rollout. was_active: when it last became active, in order; 0: never.

    changed_us, changed_by: since when it has its state, and who changed it.
    """

    name: str
    version: int
    body: RuleBody
    author: str
    note: str
    at_us: int
    state: RuleState
    percent: float
    share_of: str | None
    was_active: int
    changed_us: int = 0
    changed_by: str = ""


_IDLE, _RUNNING = ("draft", "paused", "archived"), (*CANDIDATE, "active")
_WITHDRAW = dict.fromkeys(CANDIDATE, "withdraw")

RULE = VersionKind(
    name="rule",
    struct=StoredRule,
    table="rule_versions",
    key=("detector", "name", "version"),
    subject="{0.name}/{0.version}",
    resets={"percent": 0.0, "share_of": None},
    audited=("percent", "share_of"),
    json=("body",),
    order="place",
    revisions=("rule_revisions",),
    schemas=(SCHEMA, list_reader.SCHEMA, GUARDS),
    transitions={
        "shadow": Transition((*_IDLE, *CANDIDATE), "shadow", _WITHDRAW),
        "rollout": Transition((*_IDLE, *CANDIDATE), "rollout", _WITHDRAW),
        "promote": Transition((*_IDLE, *_RUNNING), "active", {"active": "replace"}),
        "pause": Transition(_RUNNING, "paused"),
        "rollback": Transition(_RUNNING, "paused"),
        "withdraw": Transition(CANDIDATE, "draft"),
        "replace": Transition(("active",), "archived"),
        "drop": Transition(("active",), "archived"),
        "archive": Transition(("draft", "paused", *_RUNNING), "archived"),
    },
)


Check = Callable[[Sequence[Rule], Collection[str]], None]
"""Raises DeclarationError if these cannot be rules of the detector, or read a list with another name."""


class RuleStore(VersionStore[StoredRule]):
    """The rules of one detector.

    Args:
        database: of the office; missing tables are created.
        detector: the detector's name.
        check: called before every change of rules that run; its exception rolls the change back.
        four_eyes: an author cannot activate their own version: their request waits for another person.
    """

    kind = RULE

    def __init__(
        self, database: Database, detector: str, check: Check, clock: Clock = system_clock, *, four_eyes: bool = False
    ) -> None:
        super().__init__(database, detector, clock, four_eyes=four_eyes)
        self._check = check

    def running(self) -> list[Rule]:
        """The versions to compile: active, in rollout or in shadow, rules in the order of their first version."""
        return running(RULE.read(self.database.read, self.detector))

    # ------------------------------------------------------------ changing

    def adopt(self, rules: Sequence[tuple[str, RuleBody]]) -> bool:
        """Adopt the rules of the detector's file; returns whether anything was new.

        A rule that nobody has changed follows the file, and is archived when the file drops it. If a version made at run
        time is active, the file's new version is a draft: a deployment overrules no person's decision.
        """
        with self._changes() as changes:
            dropped = [name for name in by_name(changes.versions) if name not in dict(rules)]
            changed = [_adopt(changes, name, body) for name, body in rules]
            for name in dropped:
                active = in_state(changes.of(name), "active")
                if active is not None and active.author == FILE:
                    changes.apply("drop", active, who=FILE)
                    changed.append(True)
            if any(changed):
                changes.bump_revision()
            return any(changed)

    def add(self, name: str, body: RuleBody, *, who: str, why: str = "") -> StoredRule:
        """Add a version, as a draft.

        Raises:
            DeclarationError: it is invalid.
        """
        with self._changes() as changes:
            others = running(changes.versions)
            added = _insert(changes, name, body, who, why)
            self._compile(changes, [*others, candidate(added)])
            return added

    def shadow(self, name: str, version: int, *, who: str, why: str = "", may_approve: bool = True) -> StoredRule:
        """Run a version in shadow: where it would have fired is recorded, and changes nothing.

        may_approve: whether the actor may end a rollout, which the new candidate replaces.

        Raises:
            NotFound: there is no such rule, or version.
            Conflict: it is active already.
            Forbidden: a version is rolled out, and the actor may not approve.
        """
        with self._changes() as changes:
            chosen = _chosen(changes, name, version)
            rolled_out = in_state(changes.of(name), "rollout")
            if rolled_out is not None and not may_approve:
                raise Forbidden(
                    f"version {rolled_out.version} of {name!r} is rolled out to {rolled_out.percent:g} per cent, and this "
                    "would end it; only who has the right to approve may do that"
                )
            return self._apply(changes, "shadow", chosen, who, why)

    def rollout(
        self,
        name: str,
        version: int,
        *,
        percent: float,
        share_of: str,
        who: str,
        why: str = "",
        guards: Sequence[Guard] | None = None,
    ) -> StoredRule | Request:
        """Roll a version out to a share of the keys of a field; the active one acts on the others.

        guards: replace those of the policy; stored with a request, for its approval.

        Returns:
            the version, or with four eyes, for its own author, a request that waits.

        Raises:
            MalformedEvent: an invalid percentage.
            NotFound, Conflict: as `shadow`.
        """
        checked_percent(percent)
        details: dict[str, Any] = {"percent": percent, "of": share_of}
        details |= {} if guards is None else {"guards": msgspec.to_builtins(list(guards))}
        return self._change(name, version, "rollout", details, who, why)

    def promote(self, name: str, version: int | None = None, *, who: str, why: str = "") -> StoredRule | Request:
        """Promote a version, by default the candidate, to active; the formerly active one is archived.

        Returns:
            the version, or with four eyes, for its own author, a request that waits.
        """
        return self._change(name, version, "promote", {}, who, why)

    def ask(self, name: str, version: int, action: str, *, who: str, why: str = "", **details: Any) -> Request:
        """Request a promotion or rollout, for those who may not make it themselves.

        Raises:
            MalformedEvent: another action, or an invalid percentage.
            NotFound: there is no such rule, or version.
        """
        if action not in ("promote", "rollout"):
            raise MalformedEvent(f"{action!r} cannot be asked for; promote and rollout can", "action")
        if action == "rollout" and not 0 < details.get("percent", 0) <= 100:
            raise MalformedEvent("a rollout needs a percentage, more than 0 and at most 100", "percent")
        with self._changes() as changes:
            chosen = _chosen(changes, name, version)
            if action == "rollout":
                asked = candidate(chosen, float(details["percent"]), str(details.get("of")))
                others = [each for each in running(changes.versions) if each.name != asked.name]
                self._compile(changes, [*others, asked])
            details = {"version": chosen.version, **details}
            return self._ask(changes, name, action, details, author=chosen.author, who=who, why=why)

    def approve(self, id: str, *, who: str, why: str = "") -> StoredRule:
        """Approve a request and apply it.

        Raises:
            Conflict: it was settled before, or the approver is its author.
        """
        with self._changes() as changes:
            request = self.approvals.waiting(changes.transaction, id)
            chosen = _chosen(changes, request.name, request.details["version"])
            self.approvals.settle(changes.transaction, request, "approved", who=who, why=why)
            return self._apply(changes, request.action, chosen, who, why, request.details, request.asked_by)

    def pause(self, name: str, *, who: str, why: str = "") -> StoredRule:
        """Pause the candidate, or without one the active version."""
        with self._changes() as changes:
            known = changes.known(name)
            running = in_state(known, *CANDIDATE) or in_state(known, "active")
            if running is None:
                raise Conflict(f"no version of {name!r} acts or watches, so there is nothing to pause")
            return self._apply(changes, "pause", running, who, why)

    def rollback(self, name: str, *, who: str, why: str = "") -> StoredRule:
        """Undo the last step: a candidate is paused; without one, the version that was active before is active again."""
        with self._changes() as changes:
            known = changes.known(name)
            tried, active = in_state(known, *CANDIDATE), in_state(known, "active")
            if tried is not None:
                return self._apply(changes, "rollback", tried, who, why)
            past = previously_active(known, name)
            if active is not None:
                changes.apply("rollback", active, who=who, why=why)
            return self._apply(changes, "promote", past, who, why)

    def stop(self, name: str, version: int, *, who: str, why: str) -> bool:
        """Pause a version if it is still in trial; returns whether it was. Of two callers the second changes nothing."""
        with self._changes() as changes:
            tried = in_state(changes.known(name), *CANDIDATE)
            if tried is None or tried.version != version:
                return False
            self._apply(changes, "rollback", tried, who, why)
            return True

    def archive(self, name: str, *, who: str, why: str = "") -> None:
        """Archive a rule: no version acts or runs in shadow any more."""
        with self._changes() as changes:
            for version in changes.known(name):
                if version.state != "archived":
                    changes.apply("archive", version, who=who, why=why)
            changes.bump_revision()

    # ------------------------------------------------------------ guards

    def guards(self, name: str, version: int) -> list[dict[str, Any]] | None:
        """The guards given with the rollout of a version, as JSON values; None if those of the policy apply."""
        rows = self.database.read(
            "SELECT guards FROM rule_guards WHERE detector = :detector AND name = :name AND version = :version",
            {"detector": self.detector, "name": name, "version": version},
        )
        return msgspec.json.decode(rows[0][0], type=list[dict[str, Any]]) if rows else None

    # ------------------------------------------------------------ inside a transaction

    def _change(
        self, name: str, version: int | None, action: str, details: dict[str, Any], who: str, why: str
    ) -> StoredRule | Request:
        """Apply a transition, or with four eyes, for the author of the version, request it."""
        with self._changes() as changes:
            chosen = _chosen(changes, name, version)
            changes.check(action, chosen)
            if self.four_eyes and chosen.author == who:
                asked = {"version": chosen.version, **details}
                return self._ask(changes, name, action, asked, author=who, who=who, why=why)
            return self._apply(changes, action, chosen, who, why, details)

    def _apply(
        self,
        changes: VersionChanges[StoredRule],
        action: str,
        chosen: StoredRule,
        who: str,
        why: str,
        details: dict[str, Any] | None = None,
        asked_by: str | None = None,
    ) -> StoredRule:
        """Apply a transition, check that all running versions fit the detector, and bump the revision.

        details: of a rollout: `percent`, `of`, and the guards of `asked_by`.
        """
        details = details or {}
        share: dict[str, Any] = (
            {"percent": float(details["percent"]), "share_of": str(details["of"])} if action == "rollout" else {}
        )
        changed = changes.apply(action, chosen, who=who, why=why, **share)
        if "guards" in details:
            self._give_guards(changes, changed, details["guards"], asked_by or who)
        self._compile(changes, running(changes.versions))
        changes.bump_revision()
        return changed

    def _compile(self, changes: VersionChanges[StoredRule], rules: Sequence[Rule]) -> None:
        self._check(rules, list_reader.names(changes.transaction.run, self.detector))

    def _give_guards(self, changes: VersionChanges[StoredRule], chosen: StoredRule, guards: Sequence[Any], who: str) -> None:
        values = {"detector": self.detector, "name": chosen.name, "version": chosen.version}
        changes.transaction.run(
            "INSERT INTO rule_guards (detector, name, version, guards) VALUES (:detector, :name, :version, :guards)"
            " ON CONFLICT (detector, name, version) DO UPDATE SET guards = excluded.guards",
            values | {"guards": msgspec.json.encode(list(guards)).decode()},
        )
        changes.note(who, "rule.guard", RULE.subject.format(chosen), {"guards": list(guards)})


def running(versions: Sequence[StoredRule]) -> list[Rule]:
    """The versions among these that are active, in rollout or in shadow, as rules of a detector.

    A candidate acts on the first per cent of the keys, by the rule's name, and the active version on the rest. Its own rule
    has the version appended to its name, and keeps its share even at 100 per cent, since it is still in trial.
    """
    active = {each.name: each for each in versions if each.state == "active"}
    tried = {each.name: each for each in versions if each.state in CANDIDATE}
    found = []
    for name in dict.fromkeys(each.name for each in versions):
        if name in active:
            other = tried.get(name)
            rest = KeyShare(other.share_of, other.percent, 100.0, name) if other is not None and other.percent else None
            found.append(active[name].body.rule(name, code=name, share=rest))
        if name in tried:
            found.append(candidate(tried[name], tried[name].percent, tried[name].share_of))
    return found


def candidate(version: StoredRule, percent: float = 0.0, share_of: str | None = None) -> Rule:
    """A version as a rule that is tried on a share of the keys; only recorded unless a share is given."""
    share = KeyShare(share_of, 0.0, percent, version.name)
    return version.body.rule(f"{version.name}_v{version.version}", code=version.name, share=share)


def difference(before: RuleBody | None, after: RuleBody) -> dict[str, tuple[Any, Any]]:
    """The differences between two bodies by field, before and after.

    >>> difference(RuleBody(when="amount > 3"), RuleBody(when="amount > 5"))
    {'when': ('amount > 3', 'amount > 5')}
    """
    new = msgspec.to_builtins(after)
    old = dict.fromkeys(new) if before is None else msgspec.to_builtins(before)
    return {name: (old[name], new[name]) for name in new if old[name] != new[name]}


def _chosen(changes: VersionChanges[StoredRule], name: str, version: int | None) -> StoredRule:
    """The version with this number; the candidate unless a number is given."""
    known = changes.known(name)
    for each in known:
        if each.version == version if version is not None else each.state in CANDIDATE:
            return each
    shown = ", ".join(f"{each.version} ({each.state})" for each in known)
    raise NotFound(f"rule {name!r} has no {'candidate' if version is None else f'version {version}'}; it has {shown}")


def _insert(changes: VersionChanges[StoredRule], name: str, body: RuleBody, who: str, why: str) -> StoredRule:
    """Add a version, as a draft."""
    known, now = changes.of(name), changes.clock()
    number = max((each.version for each in known), default=0) + 1
    added = StoredRule(name, number, body, who, why, now, "draft", 0.0, None, 0, now, who)
    details = {"body": msgspec.to_builtins(body), "changed": difference(known[-1].body if known else None, body), "note": why}
    return changes.insert(added, who, "rule.add", details)


def _adopt(changes: VersionChanges[StoredRule], name: str, body: RuleBody) -> bool:
    """Adopt a rule of the detector's file; returns whether it was new."""
    known = changes.of(name)
    of_file = [version for version in known if version.author == FILE]
    if of_file and of_file[-1].body == body and of_file[-1].state != "archived":
        return False
    active = in_state(known, "active")
    follows = active is None or active.author == FILE
    if active is not None and follows:
        changes.apply("replace", active, who=FILE)
    added = _insert(changes, name, body, FILE, "stands in the detector's file")
    if follows:
        changes.apply("promote", added, who=FILE)
    return True
