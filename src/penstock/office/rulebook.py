"""Rules as data, with a life: draft, shadow, rollout, active, paused, archived; every version kept, with who and why.

    draft ──> shadow ──> rollout ──> active ──> paused / archived
                 what watches      acts on a share     acts on all

A rule has at most one version that is active and at most one candidate, which watches or acts on a share of the keys. While a
candidate is rolled out to n per cent of the keys, the active version acts on the others, so every event meets one of the two.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from penstock.clock import Clock, system_clock
from penstock.errors import ConfigurationError, did_you_mean
from penstock.office.audit import AuditLog, note
from penstock.office.database import Database, Schema, Transaction
from penstock.office.rule_versions import (
    CANDIDATE,
    COLUMNS,
    Acting,
    Body,
    State,
    Version,
    acting,
    by_name,
    in_state,
    read_versions,
    watching,
)

FILE = "file"
"""The author of versions that stand in the detector's file."""

_SCHEMA = Schema(
    "rules",
    [
        [
            """CREATE TABLE rule_versions (detector TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,
            place INTEGER NOT NULL, body TEXT NOT NULL, author TEXT NOT NULL, note TEXT NOT NULL, at_us BIGINT NOT NULL,
            state TEXT NOT NULL, percent DOUBLE PRECISION NOT NULL, share_of TEXT, was_active INTEGER NOT NULL,
            PRIMARY KEY (detector, name, version))""",
            "CREATE TABLE rule_revisions (detector TEXT PRIMARY KEY, revision INTEGER NOT NULL)",
        ]
    ],
)

_INSERT = f"""INSERT INTO rule_versions (detector, place, {COLUMNS})
    VALUES (:detector, (SELECT count(*) + 1 FROM rule_versions), :name, :version, :body, :author, :note, :at_us, :state,
    :percent, :share_of, :was_active)"""  # noqa: S608  constants


Check = Callable[[Sequence[Acting]], None]
"""Raises DeclarationError where these cannot be rules of the detector."""


class RuleBook:
    """The rules of one detector.

    Args:
        database: of the office; its tables are made where they are missing.
        detector: the detector's name.
        check: asked before every change that acts or watches; what it raises undoes the change.
    """

    def __init__(self, database: Database, detector: str, check: Check, clock: Clock = system_clock) -> None:
        self._database, self._detector, self._check, self._clock = database, detector, check, clock
        AuditLog(database)
        database.prepare(_SCHEMA)

    # ------------------------------------------------------------ looking

    def revision(self) -> int:
        """Grows with every change: asked often, by everybody who follows."""
        rows = self._database.read(
            "SELECT revision FROM rule_revisions WHERE detector = :detector", {"detector": self._detector}
        )
        return int(rows[0][0]) if rows else 0

    def versions(self, name: str | None = None) -> list[Version]:
        """All versions of a rule, or of all, the oldest first."""
        return read_versions(self._database.read, self._detector, name)

    def acting(self) -> list[Acting]:
        """What is to be compiled: everything that acts or watches, rules in the order in which they first came."""
        return acting(self.versions())

    # ------------------------------------------------------------ changing

    def adopt(self, rules: Sequence[tuple[str, Body]]) -> bool:
        """Take in the rules of the detector's file; whether anything was new.

        A rule that nobody has changed since follows the file, and goes where the file drops it. Where a version made at
        run time is active, the file's new version is a draft: nothing that people decided is overruled by a deployment.
        """
        with self._database.write() as transaction:
            known = by_name(read_versions(transaction.run, self._detector))
            changed = [self._adopt(transaction, known.get(name, []), name, body) for name, body in rules]
            dropped = set(known) - {name for name, _ in rules}
            for name in dropped:
                active = in_state(known[name], "active")
                if active is not None and active.author == FILE:
                    self._set(transaction, active, "archived", who=FILE, action="rule.drop")
                    changed.append(True)
            if any(changed):
                self._turn(transaction)
            return any(changed)

    def _adopt(self, transaction: Transaction, known: Sequence[Version], name: str, body: Body) -> bool:
        of_file = [version for version in known if version.author == FILE]
        if of_file and of_file[-1].body == body and of_file[-1].state != "archived":
            return False
        active = in_state(known, "active")
        follows = active is None or active.author == FILE
        if active is not None and follows:
            self._set(transaction, active, "archived", who=FILE, action="rule.replace")
        added = self._insert(transaction, known, name, body, FILE, "stands in the detector's file")
        if follows:
            self._set(transaction, added, "active", who=FILE, action="rule.promote")
        return True

    def add(self, name: str, body: Body, *, who: str, why: str = "") -> Version:
        """A new version, as a draft.

        Raises:
            DeclarationError: it could not work.
        """
        with self._database.write() as transaction:
            versions = read_versions(transaction.run, self._detector)
            known = [version for version in versions if version.name == name]
            added = self._insert(transaction, known, name, body, who, why)
            self._check([*acting(versions), watching(added)])
            return added

    def shadow(self, name: str, version: int, *, who: str) -> Version:
        """Let a version watch: where it would have fired is recorded, and changes nothing."""
        return self._try(name, version, "shadow", who, 0.0, None)

    def rollout(self, name: str, version: int, *, percent: float, share_of: str, who: str) -> Version:
        """Let a version act on a share of the keys of a field; the active one goes on for the others.

        Raises:
            ConfigurationError: a percentage beyond 100, or none.
        """
        if not 0 < percent <= 100:
            raise ConfigurationError(f"a rollout to {percent:g} per cent cannot be; more than 0, and at most 100")
        return self._try(name, version, "rollout", who, percent, share_of)

    def _try(self, name: str, version: int, state: State, who: str, percent: float, share_of: str | None) -> Version:
        with self._database.write() as transaction:
            known, chosen = self._chosen(transaction, name, version)
            if chosen.state == "active":
                raise ConfigurationError(f"version {version} of {name!r} is active; pause it, or try another version")
            for other in known:
                if other.state in CANDIDATE and other.version != version:
                    self._set(transaction, other, "draft", who=who, action="rule.withdraw")
            changed = self._set(transaction, chosen, state, who=who, action=f"rule.{state}", percent=percent, share_of=share_of)
            return self._settled(transaction, changed)

    def promote(self, name: str, version: int | None = None, *, who: str) -> Version:
        """Let a version, or the candidate, act on everything; the one that did is archived."""
        with self._database.write() as transaction:
            known, chosen = self._chosen(transaction, name, version)
            active = in_state(known, "active")
            if active is not None and active.version != chosen.version:
                self._set(transaction, active, "archived", who=who, action="rule.replace")
            return self._settled(transaction, self._set(transaction, chosen, "active", who=who, action="rule.promote"))

    def pause(self, name: str, *, who: str, why: str = "") -> Version:
        """Let the candidate stop, or where there is none the active version."""
        with self._database.write() as transaction:
            known, _ = self._chosen(transaction, name, None, anything=True)
            tried = next((version for version in known if version.state in CANDIDATE), None) or in_state(known, "active")
            if tried is None:
                raise ConfigurationError(f"no version of {name!r} acts or watches, so there is nothing to pause")
            return self._settled(transaction, self._set(transaction, tried, "paused", who=who, action="rule.pause", why=why))

    def rollback(self, name: str, *, who: str, why: str = "") -> Version:
        """Undo the last step: a candidate is paused; without one, the version that was active before is active again."""
        with self._database.write() as transaction:
            known, _ = self._chosen(transaction, name, None, anything=True)
            tried = next((version for version in known if version.state in CANDIDATE), None)
            if tried is not None:
                return self._settled(
                    transaction, self._set(transaction, tried, "paused", who=who, action="rule.rollback", why=why)
                )
            active = in_state(known, "active")
            before = [version for version in known if version.was_active and version is not active]
            if not before:
                raise ConfigurationError(f"no version of {name!r} was active before, so there is nothing to go back to")
            if active is not None:
                self._set(transaction, active, "paused", who=who, action="rule.rollback", why=why)
            latest = max(before, key=lambda version: version.was_active)
            return self._settled(transaction, self._set(transaction, latest, "active", who=who, action="rule.promote", why=why))

    def archive(self, name: str, *, who: str, why: str = "") -> None:
        """Let no version of a rule act or watch any more."""
        with self._database.write() as transaction:
            known, _ = self._chosen(transaction, name, None, anything=True)
            for version in known:
                if version.state != "archived":
                    self._set(transaction, version, "archived", who=who, action="rule.archive", why=why)
            self._turn(transaction)

    # ------------------------------------------------------------ inside a transaction

    def _chosen(
        self, transaction: Transaction, name: str, version: int | None, *, anything: bool = False
    ) -> tuple[list[Version], Version]:
        """All versions of a rule, and the one that is meant: the candidate unless a number is given."""
        every = read_versions(transaction.run, self._detector)
        known = [each for each in every if each.name == name]
        if not known:
            raise ConfigurationError(
                f"detector {self._detector!r} has no rule {name!r}.{did_you_mean(name, {each.name for each in every})}"
            )
        if anything:
            return known, known[-1]
        meant = [each for each in known if (each.version == version if version is not None else each.state in CANDIDATE)]
        if not meant:
            shown = ", ".join(f"{each.version} ({each.state})" for each in known)
            what = f"version {version}" if version is not None else "candidate"
            raise ConfigurationError(f"rule {name!r} has no {what}; it has {shown}")
        return known, meant[0]

    def _insert(self, transaction: Transaction, known: Sequence[Version], name: str, body: Body, who: str, why: str) -> Version:
        number = max((each.version for each in known), default=0) + 1
        added = Version(name, number, body, who, why, self._clock(), "draft", 0.0, None, 0)
        values = msgspec.structs.asdict(added) | {"body": msgspec.json.encode(body).decode(), "detector": self._detector}
        transaction.run(_INSERT, values)
        before = msgspec.to_builtins(known[-1].body) if known else None
        self._note(transaction, who, "rule.add", added, {"body": msgspec.to_builtins(body), "before": before, "note": why})
        return added

    def _set(
        self,
        transaction: Transaction,
        version: Version,
        state: State,
        *,
        who: str,
        action: str,
        percent: float = 0.0,
        share_of: str | None = None,
        why: str = "",
    ) -> Version:
        times = transaction.run(
            "SELECT max(was_active) FROM rule_versions WHERE detector = :detector AND name = :name",
            {"detector": self._detector, "name": version.name},
        )
        order = int(times[0][0] or 0) + 1 if state == "active" else version.was_active
        changed = msgspec.structs.replace(version, state=state, percent=percent, share_of=share_of, was_active=order)
        transaction.run(
            "UPDATE rule_versions SET state = :state, percent = :percent, share_of = :share_of, was_active = :was_active"
            " WHERE detector = :detector AND name = :name AND version = :version",
            {
                "detector": self._detector,
                "name": version.name,
                "version": version.version,
                "state": state,
                "percent": percent,
                "share_of": share_of,
                "was_active": order,
            },
        )
        told = {"from": version.state, "to": state, "percent": percent, "share_of": share_of, "why": why}
        self._note(transaction, who, action, changed, told)
        return changed

    def _note(self, transaction: Transaction, who: str, action: str, version: Version, details: dict[str, Any]) -> None:
        subject = f"{self._detector}/{version.name}/{version.version}"
        note(transaction, who=who, action=action, subject=subject, details=details, at_us=self._clock())

    def _settled(self, transaction: Transaction, changed: Version) -> Version:
        """Everything that acts by now fits the detector, and whoever follows hears of it."""
        self._check(acting(read_versions(transaction.run, self._detector)))
        self._turn(transaction)
        return changed

    def _turn(self, transaction: Transaction) -> None:
        transaction.run(
            "INSERT INTO rule_revisions (detector, revision) VALUES (:detector, 1)"
            " ON CONFLICT (detector) DO UPDATE SET revision = rule_revisions.revision + 1",
            {"detector": self._detector},
        )
