"""Versions of run-time features: their definition and state, and single transitions."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from penstock.clock import Clock
from penstock.database.sqlite import Schema, Transaction
from penstock.governance.audit import note
from penstock.governance.rule_versions import bump_revision

State = Literal["draft", "filling", "active", "archived"]

_COLUMNS = "name, version, body, author, note, at_us, state, was_active, changed_us, changed_by, reach, trouble"
_CHANGED = ("state", "was_active", "changed_us", "changed_by", "reach", "trouble")

SCHEMA = Schema(
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


class Version(msgspec.Struct, frozen=True):
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
    state: State
    was_active: int
    changed_us: int
    changed_by: str
    reach: dict[str, Any] | None = None
    trouble: str | None = None


class Wanted(NamedTuple):
    """The features to compute: the active versions, replaced by those that are being backfilled."""

    revision: int
    versions: Sequence[Version]


class FeatureSteps:
    """Single transitions of features, in one transaction: each is audited with it."""

    def __init__(self, transaction: Transaction, detector: str, clock: Clock) -> None:
        self.transaction, self._detector, self._clock = transaction, detector, clock

    def all(self) -> list[Version]:
        """Every version of every feature."""
        return read_versions(self.transaction.run, self._detector)

    def insert(self, added: Version) -> None:
        """Add a version."""
        self.transaction.run(
            f"""INSERT INTO feature_versions (detector, place, {_COLUMNS}) VALUES (:detector,
            (SELECT count(*) + 1 FROM feature_versions), :name, :version, :body, :author, :note, :at_us, :state, :was_active,
            :changed_us, :changed_by, :reach, :trouble)""",  # noqa: S608  constants
            _values(added) | {"detector": self._detector},
        )
        self._note(added.author, "feature.add", added, {"body": added.body, "note": added.note})

    def set(self, version: Version, state: State, who: str, action: str, why: str = "", **changes: Any) -> Version:
        """Set the state of a version."""
        told = {"changed_us": self._clock(), "changed_by": who, "trouble": None, **changes}
        changed = msgspec.structs.replace(version, state=state, **told)
        values = {name: value for name, value in _values(changed).items() if name in ("name", "version", *_CHANGED)}
        self.transaction.run(
            f"UPDATE feature_versions SET {', '.join(f'{name} = :{name}' for name in _CHANGED)}"  # noqa: S608  constants
            " WHERE detector = :detector AND name = :name AND version = :version",
            values | {"detector": self._detector},
        )
        self._note(who, action, changed, {"from": version.state, "to": state, "why": why})
        return changed

    def begin(self, version: Version) -> None:
        """Start a backfill: no shard has filled the version yet."""
        self.transaction.run(
            "DELETE FROM feature_shards WHERE detector = :detector AND name = :name AND version = :version", self._of(version)
        )

    def report(self, version: Version, shard: int, reach: dict[str, Any]) -> list[dict[str, Any]]:
        """Record that a shard has filled a version; returns the history covered by all shards that have."""
        self.transaction.run(
            "INSERT INTO feature_shards (detector, name, version, shard, reach)"
            " VALUES (:detector, :name, :version, :shard, :reach)"
            " ON CONFLICT (detector, name, version, shard) DO UPDATE SET reach = excluded.reach",
            self._of(version) | {"shard": shard, "reach": msgspec.json.encode(reach).decode()},
        )
        rows = self.transaction.run(
            "SELECT reach FROM feature_shards WHERE detector = :detector AND name = :name AND version = :version",
            self._of(version),
        )
        return [msgspec.json.decode(row[0]) for row in rows]

    def _of(self, version: Version) -> dict[str, Any]:
        return {"detector": self._detector, "name": version.name, "version": version.version}

    def bump_revision(self) -> None:
        """Bump the revision so that followers reload; the rules' too, since the names they may read have changed."""
        self.transaction.run(
            "INSERT INTO feature_revisions (detector, revision) VALUES (:detector, 1)"
            " ON CONFLICT (detector) DO UPDATE SET revision = feature_revisions.revision + 1",
            {"detector": self._detector},
        )
        bump_revision(self.transaction, self._detector)

    def _note(self, who: str, action: str, version: Version, details: dict[str, Any]) -> None:
        subject = f"{self._detector}/{version.name}/{version.version}"
        note(self.transaction, who=who, action=action, subject=subject, details=details, at_us=self._clock())


def wanted(versions: Sequence[Version]) -> list[Version]:
    """The active versions by name, replaced by those that are being backfilled."""
    found = {each.name: each for each in versions if each.state == "active"}
    found |= {each.name: each for each in versions if each.state == "filling"}
    return [found[name] for name in sorted(found)]


def _values(version: Version) -> dict[str, Any]:
    values = msgspec.structs.asdict(version)
    reach = None if version.reach is None else msgspec.json.encode(version.reach).decode()
    return values | {"body": msgspec.json.encode(version.body).decode(), "reach": reach}


def read_versions(read: Any, detector: str) -> list[Version]:
    """All versions of a detector's features, oldest first."""
    sql = f"SELECT {_COLUMNS} FROM feature_versions WHERE detector = :detector ORDER BY place"  # noqa: S608  constants
    names = _COLUMNS.split(", ")
    rows = (dict(zip(names, row, strict=True)) for row in read(sql, {"detector": detector}))
    told = {"body", "reach"}
    return [
        Version(**{name: msgspec.json.decode(value or "null") if name in told else value for name, value in row.items()})
        for row in rows
    ]
