"""Run-time features and their life cycle: draft, filling, active, archived; every version kept, with author and reason.

    draft ──> filling ──────────────────────> active ──> archived
               the engine backfills it         rules and models
               from the log, and reports       may read it

A feature has at most one active version and at most one in backfill; until that is complete, the active one stays in
force. Features declared in the detector's file are not stored here.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import msgspec

from penstock.clock import Clock, system_clock
from penstock.database.sqlite import Database, TableSchema
from penstock.errors import Conflict, NotFound
from penstock.governance.approvals import Request
from penstock.governance.rules import SCHEMA as RULES
from penstock.governance.versions import Transition, VersionChanges, VersionKind, VersionStore, in_state, previously_active

FeatureState = Literal["draft", "filling", "active", "archived"]

SCHEMA = TableSchema(
    "features",
    [
        [
            """CREATE TABLE feature_versions (detector TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,
            place INTEGER NOT NULL, body TEXT NOT NULL, author TEXT NOT NULL, note TEXT NOT NULL, at_us BIGINT NOT NULL,
            state TEXT NOT NULL, was_active INTEGER NOT NULL, changed_us BIGINT NOT NULL, changed_by TEXT NOT NULL,
            reach TEXT, trouble TEXT, PRIMARY KEY (detector, name, version))""",
            "CREATE TABLE feature_revisions (detector TEXT PRIMARY KEY, revision INTEGER NOT NULL)",
        ],
        [
            """CREATE TABLE feature_shards (detector TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,
            shard INTEGER NOT NULL, reach TEXT NOT NULL, PRIMARY KEY (detector, name, version, shard))"""
        ],
    ],
)
"""Versions of features; for each detector a revision of the wanted features; and the shards that have backfilled a version."""


class StoredFeature(msgspec.Struct, frozen=True):
    """One version of a feature. body: its definition, as its form writes it. was_active: when it last became active, in
    order.

    changed_us, changed_by: since when it has its state, and who changed it. reach: the history that the backfill
    covered. trouble: why the backfill failed.
    """

    name: str
    version: int
    body: dict[str, Any]
    author: str
    note: str
    at_us: int
    state: FeatureState
    was_active: int
    changed_us: int
    changed_by: str
    reach: dict[str, Any] | None = None
    trouble: str | None = None


FEATURE = VersionKind(
    name="feature",
    struct=StoredFeature,
    table="feature_versions",
    key=("detector", "name", "version"),
    subject="{0.name}/{0.version}",
    resets={"trouble": None},
    audited=(),
    json=("body", "reach"),
    order="place",
    revisions=("feature_revisions", "rule_revisions"),  # the names that rules may read change too
    schemas=(SCHEMA, RULES),
    transitions={
        "activate": Transition(("draft", "archived"), "filling", {"filling": "withdraw"}),
        "withdraw": Transition(("filling",), "draft"),
        "rollback": Transition(("filling",), "draft"),
        "failed": Transition(("filling",), "draft"),
        "filled": Transition(("filling",), "active", {"active": "replace"}),
        "replace": Transition(("active",), "archived"),
        "archive": Transition(("draft", "filling", "active"), "archived"),
    },
    whose=" that was made at run time",
)


class Wanted(NamedTuple):
    """The features to compute: the active versions, replaced by those that are being backfilled."""

    revision: int
    versions: Sequence[StoredFeature]


class FeatureChecks(Protocol):
    """Checks that need the detector."""

    def fit(self, versions: Sequence[StoredFeature]) -> None:
        """Raises DeclarationError or BundleError if the detector cannot have these features besides those of its file."""

    def readers(self, name: str, others: Sequence[StoredFeature]) -> Sequence[str]:
        """The rules, models and features among the others that read this one."""


class FeatureStore(VersionStore[StoredFeature]):
    """The run-time features of one detector.

    Args:
        database: of the office; missing tables are created.
        detector: the detector's name.
        checks: called before every change.
        four_eyes: an author cannot activate their own version: their request waits for another person.
    """

    kind = FEATURE

    def __init__(
        self, database: Database, detector: str, checks: FeatureChecks, clock: Clock = system_clock, *, four_eyes: bool = False
    ) -> None:
        super().__init__(database, detector, clock, four_eyes=four_eyes)
        self._checks = checks

    def wanted(self) -> Wanted:
        """The features to compute, backfilled or not."""
        revision = self.revision()  # read first: if it changes in between, followers read once more
        return Wanted(revision, wanted(self.versions()))

    # ------------------------------------------------------------ changing

    def add(self, name: str, body: dict[str, Any], *, who: str, why: str = "") -> StoredFeature:
        """Add a version, as a draft.

        Raises:
            DeclarationError: it is invalid.
        """
        [added] = self.add_together({name: body}, who=who, whys={name: why})
        return added

    def add_together(self, bodies: Mapping[str, dict[str, Any]], *, who: str, whys: Mapping[str, str]) -> list[StoredFeature]:
        """Add a version of each of several features as drafts, all or none: they may read one another.

        bodies: definitions by name; what a feature reads is activated before it. whys: the reason for each.

        Raises:
            DeclarationError: one is invalid.
        """
        with self._changes() as changes:
            now, made = self.clock(), list[StoredFeature]()
            for name, body in bodies.items():
                number = max((each.version for each in changes.of(name)), default=0) + 1
                made.append(StoredFeature(name, number, body, who, whys.get(name, ""), now, "draft", 0, now, who))
            self._checks.fit([*(each for each in wanted(changes.versions) if each.name not in bodies), *made])
            return [changes.insert(each, who, "feature.add", {"body": each.body, "note": each.note}) for each in made]

    def activate(self, name: str, version: int | None = None, *, who: str, why: str = "") -> StoredFeature | Request:
        """Start the backfill of a version, by default the newest; it becomes active when the backfill is complete.

        Returns:
            the version, or with four eyes, for its own author, a request that waits.

        Raises:
            NotFound: there is no such feature, or version.
            Conflict: it is active, or being backfilled.
            DeclarationError, BundleError: the detector cannot work with it.
        """
        with self._changes() as changes:
            chosen = _chosen(changes, name, version)
            if self.four_eyes and chosen.author == who:
                return self._ask_for(changes, chosen, who, why)
            return self._fill(changes, chosen, who, why)

    def ask(self, name: str, version: int | None = None, *, who: str, why: str = "") -> Request:
        """Request the activation of a version, for those who may not activate it.

        Raises:
            NotFound, Conflict: as `activate`.
        """
        with self._changes() as changes:
            return self._ask_for(changes, _chosen(changes, name, version), who, why)

    def approve(self, id: str, *, who: str, why: str = "") -> StoredFeature:
        """Approve a request and activate its version.

        Raises:
            NotFound: there is no such request.
            Conflict: it was settled before, the approver is its author, or it is no longer possible.
            DeclarationError, BundleError: as `activate`.
        """
        with self._changes() as changes:
            request = self.approvals.waiting(changes.transaction, id)
            chosen = _chosen(changes, request.name, request.details["version"])
            self.approvals.settle(changes.transaction, request, "approved", who=who, why=why)
            return self._fill(changes, chosen, who, why)

    def rollback(self, name: str, *, who: str, why: str = "") -> StoredFeature:
        """Undo the last step: a version in backfill becomes a draft again; else the version before is backfilled to replace
        the active.

        Raises:
            Conflict: nothing was active before.
        """
        with self._changes() as changes:
            known = changes.known(name)
            filling = in_state(known, "filling")
            if filling is None:
                return self._fill(changes, previously_active(known, name), who, why)
            back = changes.apply("rollback", filling, who=who, why=why)
            changes.bump_revision()
            return back

    def filled(self, name: str, version: int, reach: dict[str, Any], *, who: str, shard: int = 0, shards: int = 1) -> bool:
        """Record that a shard has backfilled a version; returns whether it was still wanted. The formerly active one is
        archived.

        shard, shards: which of how many has it: it is active when all of them have, with the history that each covered.
        """
        with self._changes() as changes:
            filling = _filling(changes, name, version)
            if filling is None:
                return False
            reaches = self._report(changes, filling, shard, reach)
            if len(reaches) >= shards:
                reach = max(reaches, key=lambda each: each.get("since_us") or 0)
                changes.apply("filled", filling, who=who, reach=reach)
                changes.bump_revision()
            return True

    def failed(self, name: str, version: int, trouble: str, *, who: str) -> None:
        """Record a failed backfill: the version becomes a draft again, with the reason."""
        with self._changes() as changes:
            filling = _filling(changes, name, version)
            if filling is not None:
                changes.apply("failed", filling, who=who, why=trouble, trouble=trouble)
                changes.bump_revision()

    def archive(self, name: str, *, who: str, why: str = "") -> None:
        """Archive a feature: it is no longer computed.

        Raises:
            NotFound: there is no such feature.
            Conflict: something reads it; names the readers.
        """
        with self._changes() as changes:
            known = changes.known(name)
            readers = self._checks.readers(name, [each for each in wanted(changes.versions) if each.name != name])
            if readers:
                raise Conflict(f"feature {name!r} is read by {', '.join(readers)}; change or archive that first")
            for each in known:
                if each.state != "archived":
                    changes.apply("archive", each, who=who, why=why)
            changes.bump_revision()

    # ------------------------------------------------------------ inside a transaction

    def _ask_for(self, changes: VersionChanges[StoredFeature], chosen: StoredFeature, who: str, why: str) -> Request:
        details = {"version": chosen.version}
        return self._ask(changes, chosen.name, "activate", details, author=chosen.author, who=who, why=why)

    def _fill(self, changes: VersionChanges[StoredFeature], chosen: StoredFeature, who: str, why: str) -> StoredFeature:
        """Start the backfill of a version: no shard has filled it yet."""
        changes.transaction.run(
            "DELETE FROM feature_shards WHERE detector = :detector AND name = :name AND version = :version",
            self._of(chosen),
        )
        changed = changes.apply("activate", chosen, who=who, why=why)
        self._checks.fit(wanted(changes.versions))
        changes.bump_revision()
        return changed

    def _report(
        self, changes: VersionChanges[StoredFeature], version: StoredFeature, shard: int, reach: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """Record that a shard has filled a version; returns the history covered by all shards that have."""
        changes.transaction.run(
            "INSERT INTO feature_shards (detector, name, version, shard, reach)"
            " VALUES (:detector, :name, :version, :shard, :reach)"
            " ON CONFLICT (detector, name, version, shard) DO UPDATE SET reach = excluded.reach",
            self._of(version) | {"shard": shard, "reach": msgspec.json.encode(reach).decode()},
        )
        rows = changes.transaction.run(
            "SELECT reach FROM feature_shards WHERE detector = :detector AND name = :name AND version = :version",
            self._of(version),
        )
        return [msgspec.json.decode(row[0]) for row in rows]

    def _of(self, version: StoredFeature) -> dict[str, Any]:
        return {"detector": self.detector, "name": version.name, "version": version.version}


def wanted(versions: Sequence[StoredFeature]) -> list[StoredFeature]:
    """The active versions by name, replaced by those that are being backfilled."""
    found = {each.name: each for each in versions if each.state == "active"}
    found |= {each.name: each for each in versions if each.state == "filling"}
    return [found[name] for name in sorted(found)]


def _chosen(changes: VersionChanges[StoredFeature], name: str, version: int | None) -> StoredFeature:
    """The version to backfill, by default the newest."""
    known = changes.known(name)
    chosen = next((each for each in reversed(known) if version in (None, each.version)), None)
    if chosen is None:
        raise NotFound(f"feature {name!r} has no version {version}; it has 1 to {len(known)}")
    changes.check("activate", chosen)
    return chosen


def _filling(changes: VersionChanges[StoredFeature], name: str, version: int) -> StoredFeature | None:
    return next((each for each in changes.known(name) if (each.version, each.state) == (version, "filling")), None)
