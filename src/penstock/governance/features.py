"""Run-time features and their life cycle: draft, filling, active, archived; every version kept, with author and reason.

    draft ──> filling ──────────────────────> active ──> archived
               the engine backfills it         rules and models
               from the log, and reports       may read it

A feature has at most one active version and at most one in backfill; until that is complete, the active one stays in
force. Features declared in the detector's file are not stored here.
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
    """Checks that need the detector."""

    def fit(self, versions: Sequence[Version]) -> None:
        """Raises DeclarationError or BundleError if the detector cannot have these features besides those of its file."""

    def readers(self, name: str, others: Sequence[Version]) -> Sequence[str]:
        """The rules, models and features among the others that read this one."""


class FeatureStore:
    """The run-time features of one detector.

    Args:
        database: of the office; missing tables are created.
        detector: the detector's name.
        checks: called before every change.
        four_eyes: an author cannot activate their own version: their request waits for another person.
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

    # ------------------------------------------------------------ reading

    def revision(self) -> int:
        """Grows with every change of the wanted features; polled often, by every follower."""
        rows = self._database.read("SELECT revision FROM feature_revisions WHERE detector = :detector", self._own)
        return int(rows[0][0]) if rows else 0

    def versions(self, name: str | None = None) -> list[Version]:
        """All versions of a feature, or of all, oldest first."""
        return [each for each in read_versions(self._database.read, self._detector) if name in (None, each.name)]

    def known(self, name: str) -> list[Version]:
        """All versions of a feature, oldest first.

        Raises:
            NotFound: there is no such feature.
        """
        return _known(self.versions(), name, self._detector)

    def wanted(self) -> Wanted:
        """The features to compute, backfilled or not."""
        revision = self.revision()  # read first: if it changes in between, followers read once more
        return Wanted(revision, wanted(self.versions()))

    # ------------------------------------------------------------ changing

    def add(self, name: str, body: dict[str, Any], *, who: str, why: str = "") -> Version:
        """Add a version, as a draft.

        Raises:
            DeclarationError: it is invalid.
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
        """Start the backfill of a version, by default the newest; it becomes active when the backfill is complete.

        Returns:
            the version, or with four eyes, for its own author, a request that waits.

        Raises:
            NotFound: there is no such feature, or version.
            Conflict: it is active, or being backfilled.
            DeclarationError, BundleError: the detector cannot work with it.
        """
        with self._steps() as steps:
            known, chosen = self._chosen(steps, name, version)
            if self.four_eyes and chosen.author == who:
                return self._ask(steps, chosen, who, why)
            return self._fill(steps, known, chosen, who, why)

    def ask(self, name: str, version: int | None = None, *, who: str, why: str = "") -> Request:
        """Request the activation of a version, for those who may not activate it.

        Raises:
            NotFound, Conflict: as `activate`.
        """
        with self._steps() as steps:
            return self._ask(steps, self._chosen(steps, name, version)[1], who, why)

    def approve(self, id: str, *, who: str, why: str = "") -> Version:
        """Approve a request and activate its version.

        Raises:
            NotFound: there is no such request.
            Conflict: it was settled before, the approver is its author, or it is no longer possible.
            DeclarationError, BundleError: as `activate`.
        """
        with self._steps() as steps:
            request = self.approvals.waiting(steps.transaction, id)
            known, chosen = self._chosen(steps, request.name, request.details["version"])
            self.approvals.settle(steps.transaction, request, "approved", who=who, why=why)
            return self._fill(steps, known, chosen, who, why)

    def rollback(self, name: str, *, who: str, why: str = "") -> Version:
        """Undo the last step: a version in backfill becomes a draft again; else the version before is backfilled to replace
        the active.

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
        """Record that a shard has backfilled a version; returns whether it was still wanted. The formerly active one is
        archived.

        shard, shards: which of how many has it: it is active when all of them have, with the history that each covered.
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
        """Record a failed backfill: the version becomes a draft again, with the reason."""
        with self._steps() as steps:
            for each in _known(steps.all(), name, self._detector):
                if (each.version, each.state) == (version, "filling"):
                    steps.set(each, "draft", who, "feature.failed", trouble, trouble=trouble)
                    steps.bump_revision()

    def archive(self, name: str, *, who: str, why: str = "") -> None:
        """Archive a feature: it is no longer computed.

        Raises:
            NotFound: there is no such feature.
            Conflict: something reads it; names the readers.
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
        """All versions of a feature, and the version to backfill."""
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
