"""Versions and their life cycle: one store and one state machine for rules, features, models and lists.

    rule      draft ──> shadow ──> rollout ──> active ──> paused, archived
    feature   draft ──> filling ─────────────> active ──> archived
    model               shadow ──> rollout ──> promoted, rolled_back
    list                                       active ──> archived

Each kind declares its tables and its transitions as data (`VersionKind`). A change runs in one transaction: it applies
transitions, audits each, and bumps the revision that services and workers follow.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import msgspec

from penstock.audit import AuditLog, note
from penstock.clock import Clock, system_clock
from penstock.database.sqlite import Database, DatabaseTransaction, Row, TableSchema
from penstock.decoding import prepared
from penstock.errors import Conflict, MalformedEvent, NotFound, did_you_mean
from penstock.governance.approvals import Approvals, Request

V = TypeVar("V", bound=Any)
Read = Callable[..., list[Row]]

FILE = "file"
"""The author of what the detector's file declares."""

CANDIDATE = ("shadow", "rollout")
"""The states of a version in trial."""


class Transition(NamedTuple):
    """A change of state. sources: the states that it starts from. replaces: by state of another version of the same thing,
    the transition that the other makes first. sets: the columns that store the target, `state` unless given.
    """

    sources: Sequence[str]
    target: str
    replaces: Mapping[str, str] = {}
    sets: Mapping[str, Any] = {}


class VersionKind(NamedTuple):
    """A kind of versioned thing.

    name: in audit actions and requests. struct: a version; its fields are the columns. table: of the versions; key: the
    columns that identify one; subject: how the audit log names one. resets: the columns that a transition clears unless
    they are given. audited: those that the audit log names with every transition. json: the columns that hold JSON. order:
    in which versions are read. revisions: the tables whose revision a change bumps; followers poll the first. schemas: all
    tables. transitions: by audit action. whose: what errors add to the name.
    """

    name: str
    struct: type[Any]
    table: str
    key: Sequence[str]
    subject: str
    resets: Mapping[str, Any]
    audited: Sequence[str]
    json: Sequence[str]
    order: str
    revisions: Sequence[str]
    schemas: Sequence[TableSchema]
    transitions: Mapping[str, Transition]
    whose: str = ""

    def read(self, read: Read, detector: str, where: str = "", **values: Any) -> list[Any]:
        """The versions of a detector."""
        names = self.struct.__struct_fields__
        sql = f"SELECT {', '.join(names)} FROM {self.table} WHERE detector = :detector {where} ORDER BY {self.order}"  # noqa: S608  constants
        found = []
        for row in read(sql, {"detector": detector, **values}):
            columns = dict(zip(names, row, strict=True))
            columns |= {name: msgspec.json.decode(columns[name] or "null") for name in self.json}
            found.append(msgspec.convert(columns, prepared(self.struct), strict=False))
        return found

    def columns(self, version: Any) -> dict[str, Any]:
        """A version as its columns."""
        values = msgspec.structs.asdict(version)
        values |= {name: int(value) for name, value in values.items() if isinstance(value, bool)}
        given = [name for name in self.json if values[name] is not None]
        return values | {name: msgspec.json.encode(values[name]).decode() for name in given}


class VersionChanges(Generic[V]):
    """Changes of one kind of a detector's versions, in one transaction.

    versions: all of them, as changed so far.
    """

    def __init__(self, kind: VersionKind, transaction: DatabaseTransaction, detector: str, clock: Clock) -> None:
        self.kind, self.transaction, self.detector, self.clock = kind, transaction, detector, clock
        self.versions: list[V] = kind.read(transaction.run, detector)

    def of(self, name: str) -> list[V]:
        """All versions of one thing, oldest first."""
        return [each for each in self.versions if each.name == name]

    def known(self, name: str) -> list[V]:
        """All versions of one thing, oldest first.

        Raises:
            NotFound: it does not exist.
        """
        return known(self.kind, self.versions, name, self.detector)

    def insert(self, added: V, who: str, action: str, details: Mapping[str, Any]) -> V:
        """Insert a version."""
        values = {"detector": self.detector, **self.kind.columns(added)}
        places = {name: f":{name}" for name in values}
        if self.kind.order == "place":
            places["place"] = f"(SELECT count(*) + 1 FROM {self.kind.table})"  # noqa: S608  constants
        self.transaction.run(
            f"INSERT INTO {self.kind.table} ({', '.join(places)}) VALUES ({', '.join(places.values())})",  # noqa: S608  constants
            values,
        )
        self.versions.append(added)
        self.note(who, action, self.kind.subject.format(added), details)
        return added

    def check(self, action: str, version: V) -> None:
        """Raises Conflict if the state of a version does not permit a transition."""
        if version.state not in self.kind.transitions[action].sources:
            state = "being filled" if version.state == "filling" else version.state
            raise Conflict(f"version {version.version} of {version.name!r} is {state} already; name another version")

    def apply(
        self, action: str, version: V, *, who: str, why: str = "", details: Mapping[str, Any] | None = None, **fields: Any
    ) -> V:
        """Apply a transition to a version, after those of the versions that it replaces.

        details: in the audit log; the states, the changed fields and the reason unless given. fields: to set besides.

        Raises:
            Conflict: the state of the version does not permit it.
        """
        self.check(action, version)
        transition = self.kind.transitions[action]
        target = transition.target
        others = [each for each in self.versions if each.name == version.name and each is not version]
        for other in others:
            if other.state in transition.replaces:
                self.apply(transition.replaces[other.state], other, who=who, why=why if target == "active" else "")
        if target == "active" and hasattr(version, "was_active"):
            fields["was_active"] = max(each.was_active for each in (version, *others)) + 1
        if hasattr(version, "changed_us"):
            fields |= {"changed_us": self.clock(), "changed_by": who}
        changed = self.update(version, **{**self.kind.resets, **fields, **(transition.sets or {"state": target})})
        if details is None:
            audited = {name: getattr(changed, name) for name in self.kind.audited}
            details = {"from": version.state, "to": target, "why": why} | audited
        self.note(who, f"{self.kind.name}.{action}", self.kind.subject.format(changed), details)
        return changed

    def update(self, version: V, **fields: Any) -> V:
        """Set columns of a version."""
        changed: V = msgspec.structs.replace(version, **fields)
        values = self.kind.columns(changed)
        sets, where = ", ".join(f"{name} = :{name}" for name in fields), " AND ".join(f"{n} = :{n}" for n in self.kind.key)
        self.transaction.run(
            f"UPDATE {self.kind.table} SET {sets} WHERE {where}",  # noqa: S608  constants
            {"detector": self.detector} | {name: values[name] for name in (*fields, *self.kind.key) if name in values},
        )
        self.versions = [changed if each is version else each for each in self.versions]
        return changed

    def bump_revision(self) -> None:
        """Bump the revisions of the kind so that followers reload."""
        for table in self.kind.revisions:
            self.transaction.run(
                f"INSERT INTO {table} (detector, revision) VALUES (:detector, 1)"  # noqa: S608  constants
                f" ON CONFLICT (detector) DO UPDATE SET revision = {table}.revision + 1",
                {"detector": self.detector},
            )

    def note(self, who: str, action: str, subject: str, details: Mapping[str, Any]) -> None:
        """Audit a change."""
        subject = f"{self.detector}/{subject}"
        note(self.transaction, who=who, action=action, subject=subject, details=details, at_us=self.clock())


class VersionStore(Generic[V]):
    """The versions of one kind of a detector's things. Every change is audited in its transaction.

    Args:
        database: of the office; missing tables are created.
        detector: the detector's name.
        four_eyes: an author cannot activate their own version: their request waits for another person.
    """

    kind: ClassVar[VersionKind]

    def __init__(self, database: Database, detector: str, clock: Clock = system_clock, *, four_eyes: bool = False) -> None:
        self.database, self.detector, self.clock, self.four_eyes = database, detector, clock, four_eyes
        AuditLog(database)
        for schema in self.kind.schemas:
            database.prepare(schema)
        self.approvals = Approvals(database, detector, clock)

    def revision(self) -> int:
        """Grows with every change; polled often, by every follower."""
        sql = f"SELECT revision FROM {self.kind.revisions[0]} WHERE detector = :detector"  # noqa: S608  constants
        rows = self.database.read(sql, {"detector": self.detector})
        return int(rows[0][0]) if rows else 0

    def versions(self, name: str | None = None) -> list[V]:
        """All versions of one thing, or of all, oldest first."""
        found: list[V] = self.kind.read(self.database.read, self.detector)
        return [each for each in found if name in (None, each.name)]

    def known(self, name: str) -> list[V]:
        """All versions of one thing, oldest first.

        Raises:
            NotFound: it does not exist.
        """
        return known(self.kind, self.versions(), name, self.detector)

    @contextmanager
    def _changes(self) -> Iterator[VersionChanges[V]]:
        with self.database.write() as transaction:
            yield VersionChanges(self.kind, transaction, self.detector, self.clock)

    def _ask(
        self, changes: VersionChanges[V], name: str, action: str, details: dict[str, Any], *, author: str, who: str, why: str
    ) -> Request:
        """Store a request for another person's approval."""
        return self.approvals.ask(changes.transaction, self.kind.name, name, action, details, author=author, who=who, why=why)


def known(kind: VersionKind, versions: Sequence[V], name: str, detector: str) -> list[V]:
    """The versions of one thing among these.

    Raises:
        NotFound: it does not exist.
    """
    found = [each for each in versions if each.name == name]
    if not found:
        names = sorted({each.name for each in versions})
        problem = f"detector {detector!r} has no {kind.name} {name[:100]!r}{kind.whose}"
        raise NotFound(f"{problem}.{did_you_mean(name, names)}")
    return found


def in_state(versions: Sequence[V], *states: str) -> V | None:
    """The first version in one of these states, if there is one."""
    return next((version for version in versions if version.state in states), None)


def by_name(versions: Sequence[V]) -> dict[str, list[V]]:
    """Versions by the thing that they are of, in the order of its first version."""
    found: dict[str, list[V]] = {}
    for version in versions:
        found.setdefault(version.name, []).append(version)
    return found


def previously_active(versions: Sequence[V], name: str) -> V:
    """The version that was active before the one that is.

    Raises:
        Conflict: it does not exist.
    """
    past = [each for each in versions if each.was_active and each.state != "active"]
    if not past:
        raise Conflict(f"no version of {name!r} was active before, so there is nothing to go back to")
    found: V = max(past, key=lambda each: each.was_active)
    return found


def checked_percent(percent: float) -> float:
    """The percentage of a rollout.

    Raises:
        MalformedEvent: it is not within (0, 100].
    """
    if not 0 < percent <= 100:
        raise MalformedEvent(f"a rollout to {percent:g} per cent cannot be; more than 0, and at most 100", "percent")
    return float(percent)
