"""Rules as data and their life cycle: draft, shadow, rollout, active, paused, archived; every version kept, with author and
reason.

    draft ──> shadow ──> rollout ──> active ──> paused / archived
              only recorded     acts on a share     acts on all

A rule has at most one active version and at most one candidate, in shadow or on a share of the keys. While a candidate
is rolled out to n per cent of the keys, the active version acts on the others, so every event meets exactly one of the
two.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from penstock.clock import Clock, system_clock
from penstock.database.sqlite import Database
from penstock.errors import Conflict, Forbidden, MalformedEvent
from penstock.governance import list_tables
from penstock.governance.approvals import Approvals, Request
from penstock.governance.audit import AuditLog
from penstock.governance.rule_steps import RuleSteps
from penstock.governance.rule_versions import (
    CANDIDATE,
    FILE,
    SCHEMA,
    Acting,
    Body,
    Version,
    acting,
    in_state,
    read_versions,
    watching,
)

Check = Callable[[Sequence[Acting], Collection[str]], None]
"""Raises DeclarationError if these cannot be rules of the detector, or read a list with another name."""


class RuleStore:
    """The rules of one detector.

    Args:
        database: of the office; missing tables are created.
        detector: the detector's name.
        check: called before every change of rules that run; its exception rolls the change back.
        four_eyes: an author cannot activate their own version: their request waits for another person.
    """

    def __init__(
        self, database: Database, detector: str, check: Check, clock: Clock = system_clock, *, four_eyes: bool = False
    ) -> None:
        self._database, self._detector, self._check, self._clock = database, detector, check, clock
        self.four_eyes = four_eyes
        AuditLog(database)
        database.prepare(SCHEMA)
        database.prepare(list_tables.SCHEMA)
        self.approvals = Approvals(database, detector, clock)

    # ------------------------------------------------------------ reading

    def revision(self) -> int:
        """Grows with every change of rules and lists; polled often, by every follower."""
        rows = self._database.read(
            "SELECT revision FROM rule_revisions WHERE detector = :detector", {"detector": self._detector}
        )
        return int(rows[0][0]) if rows else 0

    def versions(self, name: str | None = None) -> list[Version]:
        """All versions of a rule, or of all, oldest first."""
        return read_versions(self._database.read, self._detector, name)

    def acting(self) -> list[Acting]:
        """The versions to compile: active, in rollout or in shadow, rules in the order of their first version."""
        return acting(self.versions())

    # ------------------------------------------------------------ changing

    def adopt(self, rules: Sequence[tuple[str, Body]]) -> bool:
        """Adopt the rules of the detector's file; returns whether anything was new.

        A rule that nobody has changed follows the file, and is archived when the file drops it. If a version made at run
        time is active, the file's new version is a draft: a deployment overrules no person's decision.
        """
        with self._steps() as steps:
            changed = steps.adopt(rules, FILE)
            if changed:
                steps.bump_revision()
            return changed

    def add(self, name: str, body: Body, *, who: str, why: str = "") -> Version:
        """Add a version, as a draft.

        Raises:
            DeclarationError: it is invalid.
        """
        with self._steps() as steps:
            versions = steps.all()
            added = steps.insert([version for version in versions if version.name == name], name, body, who, why)
            self._look_at(steps, [*acting(versions), watching(added)])
            return added

    def shadow(self, name: str, version: int, *, who: str, why: str = "", may_approve: bool = True) -> Version:
        """Run a version in shadow: where it would have fired is recorded, and changes nothing.

        may_approve: whether the actor may end a rollout, which the new candidate replaces.

        Raises:
            NotFound: there is no such rule, or version.
            Conflict: it is active already.
            Forbidden: a version is rolled out, and the actor may not approve.
        """
        with self._steps() as steps:
            known, chosen = steps.chosen(name, version)
            rolled_out = in_state(known, "rollout")
            if rolled_out is not None and not may_approve:
                raise Forbidden(
                    f"version {rolled_out.version} of {name!r} is rolled out to {rolled_out.percent:g} per cent, and this "
                    "would end it; only who has the right to approve may do that"
                )
            return self._settled(steps, steps.try_(_not_active(chosen), "shadow", who=who, why=why))

    def rollout(
        self,
        name: str,
        version: int,
        *,
        percent: float,
        share_of: str,
        who: str,
        why: str = "",
        guards: Sequence[dict[str, Any]] | None = None,
    ) -> Version | Request:
        """Roll a version out to a share of the keys of a field; the active one acts on the others.

        guards: stored with a request, for its approval.

        Returns:
            the version, or with four eyes, for its own author, a request that waits.

        Raises:
            MalformedEvent: an invalid percentage.
            NotFound, Conflict: as `shadow`.
        """
        if not 0 < percent <= 100:
            raise MalformedEvent(f"a rollout to {percent:g} per cent cannot be; more than 0, and at most 100", "percent")
        with self._steps() as steps:
            chosen = _not_active(steps.chosen(name, version)[1])
            details = {"version": chosen.version, "percent": percent, "of": share_of}
            details |= {} if guards is None else {"guards": list(guards)}
            return self._asked(steps, chosen, "rollout", details, who, why) or self._rollout(steps, chosen, details, who, why)

    def promote(self, name: str, version: int | None = None, *, who: str, why: str = "") -> Version | Request:
        """Promote a version, by default the candidate, to active; the formerly active one is archived.

        Returns:
            the version, or with four eyes, for its own author, a request that waits.
        """
        with self._steps() as steps:
            chosen = steps.chosen(name, version)[1]
            request = self._asked(steps, chosen, "promote", {"version": chosen.version}, who, why)
            return request or self._settled(steps, steps.promote(chosen, who=who, why=why))

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
        with self._steps() as steps:
            chosen = steps.chosen(name, version)[1]
            told = {"version": chosen.version, **details}
            if action == "rollout":
                self._look_at(steps, _rolled_out(steps.all(), chosen, details))
            return self.approvals.ask(steps.transaction, "rule", name, action, told, author=chosen.author, who=who, why=why)

    def approve(self, id: str, *, who: str, why: str = "") -> Version:
        """Approve a request and apply it.

        Raises:
            Conflict: it was settled before, or the approver is its author.
        """
        with self._steps() as steps:
            request = self.approvals.waiting(steps.transaction, id)
            chosen = steps.chosen(request.name, request.details["version"])[1]
            self.approvals.settle(steps.transaction, request, "approved", who=who, why=why)
            if request.action == "promote":
                return self._settled(steps, steps.promote(chosen, who=who, why=why))
            return self._rollout(steps, _not_active(chosen), request.details, who, why)

    def pause(self, name: str, *, who: str, why: str = "") -> Version:
        """Pause the candidate, or without one the active version."""
        with self._steps() as steps:
            known = steps.known(name)
            tried = _candidate(known) or in_state(known, "active")
            if tried is None:
                raise Conflict(f"no version of {name!r} acts or watches, so there is nothing to pause")
            return self._settled(steps, steps.set(tried, "paused", who=who, action="rule.pause", why=why))

    def rollback(self, name: str, *, who: str, why: str = "") -> Version:
        """Undo the last step: a candidate is paused; without one, the version that was active before is active again."""
        with self._steps() as steps:
            known = steps.known(name)
            tried = _candidate(known)
            if tried is not None:
                return self._settled(steps, steps.set(tried, "paused", who=who, action="rule.rollback", why=why))
            active = in_state(known, "active")
            before = [version for version in known if version.was_active and version is not active]
            if not before:
                raise Conflict(f"no version of {name!r} was active before, so there is nothing to go back to")
            if active is not None:
                steps.set(active, "paused", who=who, action="rule.rollback", why=why)
            latest = max(before, key=lambda version: version.was_active)
            return self._settled(steps, steps.promote(latest, who=who, why=why))

    def stop(self, name: str, version: int, *, who: str, why: str) -> bool:
        """Pause a version if it is still in trial; returns whether it was. Of two callers the second changes nothing."""
        with self._steps() as steps:
            tried = _candidate(steps.known(name))
            if tried is None or tried.version != version:
                return False
            self._settled(steps, steps.set(tried, "paused", who=who, action="rule.rollback", why=why))
            return True

    def archive(self, name: str, *, who: str, why: str = "") -> None:
        """Archive a rule: no version acts or runs in shadow any more."""
        with self._steps() as steps:
            for version in steps.known(name):
                if version.state != "archived":
                    steps.set(version, "archived", who=who, action="rule.archive", why=why)
            steps.bump_revision()

    # ------------------------------------------------------------ inside a transaction

    @contextmanager
    def _steps(self) -> Iterator[RuleSteps]:
        with self._database.write() as transaction:
            yield RuleSteps(transaction, self._detector, self._clock)

    def _asked(
        self, steps: RuleSteps, chosen: Version, action: str, details: dict[str, Any], who: str, why: str
    ) -> Request | None:
        """A request, if the actor may not make the change alone."""
        if not self.four_eyes or chosen.author != who:
            return None
        return self.approvals.ask(
            steps.transaction, "rule", chosen.name, action, details, author=chosen.author, who=who, why=why
        )

    def _rollout(self, steps: RuleSteps, chosen: Version, details: dict[str, Any], who: str, why: str) -> Version:
        percent, share_of = float(details["percent"]), str(details["of"])
        return self._settled(steps, steps.try_(chosen, "rollout", who=who, percent=percent, share_of=share_of, why=why))

    def _settled(self, steps: RuleSteps, changed: Version) -> Version:
        """Finish a change: check that all running versions fit the detector, and bump the revision."""
        self._look_at(steps, steps.acting())
        steps.bump_revision()
        return changed

    def _look_at(self, steps: RuleSteps, acts: Sequence[Acting]) -> None:
        self._check(acts, list_tables.names(steps.transaction.run, self._detector))


def _candidate(known: Sequence[Version]) -> Version | None:
    return next((version for version in known if version.state in CANDIDATE), None)


def _not_active(version: Version) -> Version:
    if version.state == "active":
        raise Conflict(f"version {version.version} of {version.name!r} is active; pause it, or try another version")
    return version


def _rolled_out(versions: Sequence[Version], chosen: Version, details: dict[str, Any]) -> list[Acting]:
    """The running versions if this version were rolled out so."""
    share = watching(chosen)._replace(end=float(details["percent"]), share_of=str(details.get("of")))
    return [*(each for each in acting(versions) if each.name != share.name), share]
