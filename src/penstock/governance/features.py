"""Features as data, with a life: draft, filling, active, archived; every version kept, with who and why.

    draft ──> filling ──────────────────────> active ──> archived
               whoever decides fills it        rules and models
               from the log, and tells         may read it

A feature has at most one version that is active and at most one that is being filled; while that lasts, the active one goes
on. What the file of the detector declares is not kept here.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from penstock.clock import Clock, system_clock
from penstock.database.sqlite import Database
from penstock.errors import Conflict, NotFound, did_you_mean
from penstock.governance.approvals import Approvals, Request
from penstock.governance.audit import AuditLog
from penstock.governance.feature_versions import SCHEMA, FeatureSteps, Version, Wanted, read_versions, wanted
from penstock.governance.rule_versions import SCHEMA as RULES


class Checks(Protocol):
    """What knows detectors."""

    def fit(self, versions: Sequence[Version]) -> None:
        """Raises DeclarationError or BundleError where the detector cannot have these features beside those of its file."""

    def readers(self, name: str, others: Sequence[Version]) -> Sequence[str]:
        """Which rules, models and features among the others read this one."""


class FeatureStore:
    """The features of one detector that are made at run time.

    Args:
        database: of the office; its tables are made where they are missing.
        detector: the detector's name.
        checks: asked before every change.
        four_eyes: whoever wrote a version is not the one who activates it: what an author asks for waits for another person.
    """

    def __init__(
        self, database: Database, detector: str, checks: Checks, clock: Clock = system_clock, *, four_eyes: bool = False
    ) -> None:
        self._database, self._detector, self._checks, self._clock = database, detector, checks, clock
        self.four_eyes = four_eyes
        AuditLog(database)
        database.prepare(SCHEMA)
        database.prepare(RULES)
        self.approvals = Approvals(database, detector, clock)

    # ------------------------------------------------------------ looking

    def revision(self) -> int:
        """Grows with every change of what is wanted: asked often, by everybody who follows."""
        rows = self._database.read("SELECT revision FROM feature_revisions WHERE detector = :detector", self._own)
        return int(rows[0][0]) if rows else 0

    def versions(self, name: str | None = None) -> list[Version]:
        """All versions of a feature, or of all, the oldest first."""
        return [each for each in read_versions(self._database.read, self._detector) if name in (None, each.name)]

    def known(self, name: str) -> list[Version]:
        """All versions of a feature, the oldest first.

        Raises:
            NotFound: there is no such feature.
        """
        return _known(self.versions(), name, self._detector)

    def wanted(self) -> Wanted:
        """What is to be computed, filled or not."""
        revision = self.revision()  # before the rest: if that changes in between, it is read once more
        return Wanted(revision, wanted(self.versions()))

    # ------------------------------------------------------------ changing

    def add(self, name: str, body: dict[str, Any], *, who: str, why: str = "") -> Version:
        """A new version, as a draft.

        Raises:
            DeclarationError: it could not work.
        """
        with self._steps() as steps:
            known = [each for each in steps.all() if each.name == name]
            now = self._clock()
            number = max((each.version for each in known), default=0) + 1
            added = Version(name, number, body, who, why, now, "draft", 0, now, who)
            self._checks.fit(_with(wanted(steps.all()), added))
            steps.insert(added)
            return added

    def activate(self, name: str, version: int | None = None, *, who: str, why: str = "") -> Version | Request:
        """Let a version, the newest unless a number is given, be filled; it is active as soon as it has been.

        Returns:
            the version, or where four eyes are asked for and it is of whoever asks a request that waits.

        Raises:
            NotFound: there is no such feature, or version.
            Conflict: it is active, or being filled.
            DeclarationError, BundleError: what decides could not work with it.
        """
        with self._steps() as steps:
            known, chosen = self._chosen(steps, name, version)
            if self.four_eyes and chosen.author == who:
                return self._ask(steps, chosen, who, why)
            return self._fill(steps, known, chosen, who, why)

    def ask(self, name: str, version: int | None = None, *, who: str, why: str = "") -> Request:
        """Ask others to activate a version: for those who may not do it themselves.

        Raises:
            NotFound, Conflict: as `activate`.
        """
        with self._steps() as steps:
            return self._ask(steps, self._chosen(steps, name, version)[1], who, why)

    def approve(self, id: str, *, who: str, why: str = "") -> Version:
        """Activate what was asked for.

        Raises:
            NotFound: there is no such request.
            Conflict: it was settled before, is who approves's own, or cannot be done by now.
            DeclarationError, BundleError: as `activate`.
        """
        with self._steps() as steps:
            request = self.approvals.waiting(steps.transaction, id)
            known, chosen = self._chosen(steps, request.name, request.details["version"])
            self.approvals.settle(steps.transaction, request, "approved", who=who, why=why)
            return self._fill(steps, known, chosen, who, why)

    def rollback(self, name: str, *, who: str, why: str = "") -> Version:
        """Undo the last step: what is being filled is a draft again; else the version before is filled in place of the active.

        Raises:
            Conflict: nothing was active before.
        """
        with self._steps() as steps:
            known = _known(steps.all(), name, self._detector)
            filling = next((each for each in known if each.state == "filling"), None)
            if filling is not None:
                back = steps.set(filling, "draft", who, "feature.rollback", why)
                steps.bump_revision()
                return back
            before = [each for each in known if each.was_active and each.state != "active"]
            if not before:
                raise Conflict(f"no version of {name!r} was active before, so there is nothing to go back to")
            return self._fill(steps, known, max(before, key=lambda each: each.was_active), who, why)

    def filled(self, name: str, version: int, reach: dict[str, Any], *, who: str, shard: int = 0, shards: int = 1) -> bool:
        """A version is there where it is decided; whether it was still wanted. The one that was active is archived.

        shard, shards: which of how many has it: it is active when all of them have, with what history gave to each of them.
        """
        with self._steps() as steps:
            known = _known(steps.all(), name, self._detector)
            filling = next((each for each in known if (each.version, each.state) == (version, "filling")), None)
            if filling is None:
                return False
            reaches = steps.report(filling, shard, reach)
            if len(reaches) < shards:
                return True
            reach = max(reaches, key=lambda each: each.get("since_us") or 0)
            for each in known:
                if each.state == "active":
                    steps.set(each, "archived", who, "feature.replace")
            count = max(each.was_active for each in known) + 1
            steps.set(filling, "active", who, "feature.filled", was_active=count, reach=reach)
            steps.bump_revision()
            return True

    def failed(self, name: str, version: int, trouble: str, *, who: str) -> None:
        """A version cannot be filled: it is a draft again, and says why."""
        with self._steps() as steps:
            for each in _known(steps.all(), name, self._detector):
                if (each.version, each.state) == (version, "filling"):
                    steps.set(each, "draft", who, "feature.failed", trouble, trouble=trouble)
                    steps.bump_revision()

    def archive(self, name: str, *, who: str, why: str = "") -> None:
        """Let a feature be computed no more.

        Raises:
            NotFound: there is no such feature.
            Conflict: something reads it; says what.
        """
        with self._steps() as steps:
            known = _known(steps.all(), name, self._detector)
            rest = [each for each in wanted(steps.all()) if each.name != name]
            readers = self._checks.readers(name, rest)
            if readers:
                raise Conflict(f"feature {name!r} is read by {', '.join(readers)}; change or archive that first")
            for each in known:
                if each.state != "archived":
                    steps.set(each, "archived", who, "feature.archive", why)
            steps.bump_revision()

    # ------------------------------------------------------------ inside a transaction

    def _chosen(self, steps: FeatureSteps, name: str, version: int | None) -> tuple[Sequence[Version], Version]:
        """All versions of a feature, and the one that is meant, which is to be filled."""
        known = _known(steps.all(), name, self._detector)
        chosen = next((each for each in reversed(known) if version in (None, each.version)), None)
        if chosen is None:
            raise NotFound(f"feature {name!r} has no version {version}; it has 1 to {len(known)}")
        if chosen.state in ("active", "filling"):
            told = "is active" if chosen.state == "active" else "is being filled"
            raise Conflict(f"version {chosen.version} of {chosen.name!r} {told} already")
        return known, chosen

    def _ask(self, steps: FeatureSteps, chosen: Version, who: str, why: str) -> Request:
        told = {"version": chosen.version}
        by = {"author": chosen.author, "who": who, "why": why}
        return self.approvals.ask(steps.transaction, "feature", chosen.name, "activate", told, **by)

    def _fill(self, steps: FeatureSteps, known: Sequence[Version], chosen: Version, who: str, why: str) -> Version:
        for each in known:
            if each.state == "filling":
                steps.set(each, "draft", who, "feature.withdraw")
        steps.begin(chosen)
        changed = steps.set(chosen, "filling", who, "feature.activate", why)
        self._checks.fit(wanted(steps.all()))
        steps.bump_revision()
        return changed

    @property
    def _own(self) -> dict[str, Any]:
        return {"detector": self._detector}

    @contextmanager
    def _steps(self) -> Iterator[FeatureSteps]:
        with self._database.write() as transaction:
            yield FeatureSteps(transaction, self._detector, self._clock)


def _with(versions: Sequence[Version], added: Version) -> list[Version]:
    return [*(each for each in versions if each.name != added.name), added]


def _known(versions: Sequence[Version], name: str, detector: str) -> list[Version]:
    found = [each for each in versions if each.name == name]
    if not found:
        names = sorted({each.name for each in versions})
        told = f"detector {detector!r} has no feature {name[:100]!r} that was made at run time"
        raise NotFound(f"{told}.{did_you_mean(name, names)}")
    return found
