"""Single transitions of rules, inside one transaction: each is audited with it."""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from penstock.clock import Clock
from penstock.database.sqlite import Transaction
from penstock.errors import NotFound, did_you_mean
from penstock.governance.audit import note
from penstock.governance.rule_versions import (
    CANDIDATE,
    COLUMNS,
    Body,
    State,
    Version,
    acting,
    bump_revision,
    by_name,
    difference,
    in_state,
    read_versions,
)

_INSERT = f"""INSERT INTO rule_versions (detector, place, {COLUMNS})
    VALUES (:detector, (SELECT count(*) + 1 FROM rule_versions), :name, :version, :body, :author, :note, :at_us, :state,
    :percent, :share_of, :was_active, :changed_us, :changed_by)"""  # noqa: S608  constants

_CHANGED = ("state", "percent", "share_of", "was_active", "changed_us", "changed_by")


class RuleSteps:
    """The rules of one detector, in one transaction."""

    def __init__(self, transaction: Transaction, detector: str, clock: Clock) -> None:
        self.transaction, self._detector, self._clock = transaction, detector, clock

    def all(self) -> list[Version]:
        """Every version of every rule."""
        return read_versions(self.transaction.run, self._detector)

    def known(self, name: str) -> list[Version]:
        """All versions of a rule.

        Raises:
            NotFound: there is no such rule.
        """
        rules = by_name(self.all())
        if name not in rules:
            raise NotFound(f"detector {self._detector!r} has no rule {name!r}.{did_you_mean(name, rules)}")
        return rules[name]

    def chosen(self, name: str, version: int | None) -> tuple[list[Version], Version]:
        """All versions of a rule, and the chosen one: the candidate unless a number is given.

        Raises:
            NotFound: there is no such rule, or version.
        """
        known = self.known(name)
        meant = [each for each in known if (each.version == version if version is not None else each.state in CANDIDATE)]
        if not meant:
            shown = ", ".join(f"{each.version} ({each.state})" for each in known)
            what = f"version {version}" if version is not None else "candidate"
            raise NotFound(f"rule {name!r} has no {what}; it has {shown}")
        return known, meant[0]

    def insert(self, known: Sequence[Version], name: str, body: Body, who: str, why: str) -> Version:
        """Add a version, as a draft."""
        number, now = max((each.version for each in known), default=0) + 1, self._clock()
        added = Version(name, number, body, who, why, now, "draft", 0.0, None, 0, now, who)
        values = msgspec.structs.asdict(added) | {"body": msgspec.json.encode(body).decode(), "detector": self._detector}
        self.transaction.run(_INSERT, values)
        told = {"body": msgspec.to_builtins(body), "changed": difference(known[-1].body if known else None, body), "note": why}
        self._note(who, "rule.add", added, told)
        return added

    def set(
        self,
        version: Version,
        state: State,
        *,
        who: str,
        action: str,
        percent: float = 0.0,
        share_of: str | None = None,
        why: str = "",
    ) -> Version:
        """Set the state of a version."""
        times = self.transaction.run(
            "SELECT max(was_active) FROM rule_versions WHERE detector = :detector AND name = :name",
            {"detector": self._detector, "name": version.name},
        )
        changed = msgspec.structs.replace(
            version,
            state=state,
            percent=percent,
            share_of=share_of,
            was_active=int(times[0][0] or 0) + 1 if state == "active" else version.was_active,
            changed_us=self._clock(),
            changed_by=who,
        )
        values = {name: getattr(changed, name) for name in ("name", "version", *_CHANGED)} | {"detector": self._detector}
        self.transaction.run(
            f"UPDATE rule_versions SET {', '.join(f'{name} = :{name}' for name in _CHANGED)}"  # noqa: S608  constants
            " WHERE detector = :detector AND name = :name AND version = :version",
            values,
        )
        told = {"from": version.state, "to": state, "percent": percent, "share_of": share_of, "why": why}
        self._note(who, action, changed, told)
        return changed

    def try_(
        self,
        version: Version,
        state: State,
        *,
        who: str,
        percent: float = 0.0,
        share_of: str | None = None,
        why: str = "",
    ) -> Version:
        """Make a version the candidate; the former candidate becomes a draft again."""
        for other in self.known(version.name):
            if other.state in CANDIDATE and other.version != version.version:
                self.set(other, "draft", who=who, action="rule.withdraw")
        return self.set(version, state, who=who, action=f"rule.{state}", percent=percent, share_of=share_of, why=why)

    def promote(self, version: Version, *, who: str, why: str = "") -> Version:
        """Make a version active; the formerly active one is archived."""
        active = in_state(self.known(version.name), "active")
        if active is not None and active.version != version.version:
            self.set(active, "archived", who=who, action="rule.replace", why=why)
        return self.set(version, "active", who=who, action="rule.promote", why=why)

    def adopt(self, rules: Collection[tuple[str, Body]], who: str) -> bool:
        """Adopt the rules of the detector's file; returns whether anything was new."""
        known = by_name(self.all())
        changed = [self._adopt(known.get(name, []), name, body, who) for name, body in rules]
        for name in known.keys() - {name for name, _ in rules}:
            active = in_state(known[name], "active")
            if active is not None and active.author == who:
                self.set(active, "archived", who=who, action="rule.drop")
                changed.append(True)
        return any(changed)

    def _adopt(self, known: Sequence[Version], name: str, body: Body, who: str) -> bool:
        of_file = [version for version in known if version.author == who]
        if of_file and of_file[-1].body == body and of_file[-1].state != "archived":
            return False
        active = in_state(known, "active")
        follows = active is None or active.author == who
        if active is not None and follows:
            self.set(active, "archived", who=who, action="rule.replace")
        added = self.insert(known, name, body, who, "stands in the detector's file")
        if follows:
            self.set(added, "active", who=who, action="rule.promote")
        return True

    def acting(self) -> list[Any]:
        """All versions that are active, in rollout or in shadow."""
        return acting(self.all())

    def bump_revision(self) -> None:
        """Bump the revision so that followers reload."""
        bump_revision(self.transaction, self._detector)

    def _note(self, who: str, action: str, version: Version, details: dict[str, Any]) -> None:
        subject = f"{self._detector}/{version.name}/{version.version}"
        note(self.transaction, who=who, action=action, subject=subject, details=details, at_us=self._clock())
