"""Versions of rules: their definition and state, and which of them run."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from penstock.database.sqlite import Schema, Transaction

State = Literal["draft", "shadow", "rollout", "active", "paused", "archived"]

CANDIDATE = ("shadow", "rollout")
"""The states of a version in trial."""

FILE = "file"
"""The author of versions from the detector's file."""

COLUMNS = "name, version, body, author, note, at_us, state, percent, share_of, was_active, changed_us, changed_by"
"""Of a version, in the order of its fields."""

SCHEMA = Schema(
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


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """The definition of a rule version: the arguments of `penstock.Rule` but its name."""

    when: str
    then: str = "review"
    reason: str | None = None
    code: str = ""
    hard: bool = False
    override: bool = False


class Version(msgspec.Struct, frozen=True):
    """One version of a rule. percent, share_of: of a rollout. was_active: when it last became active, in order; 0: never.

    changed_us, changed_by: since when it has its state, and who changed it.
    """

    name: str
    version: int
    body: Body
    author: str
    note: str
    at_us: int
    state: State
    percent: float
    share_of: str | None
    was_active: int
    changed_us: int = 0
    changed_by: str = ""


class Acting(NamedTuple):
    """A version to compile, acting on `begin` to `end` per cent of the keys of `share_of`.

    name: of the rule; for a candidate, with its version appended. begin, end: equal in shadow.
    """

    name: str
    rule: str
    body: Body
    begin: float
    end: float
    share_of: str | None


def acting(versions: Sequence[Version]) -> list[Acting]:
    """The versions among these that are active, in rollout or in shadow."""
    found: list[Acting] = []
    for known in by_name(versions).values():
        tried = next((version for version in known if version.state in CANDIDATE), None)
        active = in_state(known, "active")
        if active is not None:
            taken = tried.percent if tried is not None else 0.0
            share_of = tried.share_of if tried is not None and taken else None
            found.append(Acting(active.name, active.name, active.body, taken, 100.0, share_of))
        if tried is not None:
            found.append(watching(tried)._replace(end=tried.percent, share_of=tried.share_of))
    return found


def watching(version: Version) -> Acting:
    """A version as in shadow, before it acts."""
    return Acting(f"{version.name}_v{version.version}", version.name, version.body, 0.0, 0.0, None)


def read_versions(read: Callable[..., list[tuple[Any, ...]]], detector: str, name: str | None = None) -> list[Version]:
    """All versions of a detector's rules, or of one rule, oldest first."""
    rows = read(
        f"SELECT {COLUMNS} FROM rule_versions WHERE detector = :detector"  # noqa: S608  constants
        " AND (name = :name OR :anything = 1) ORDER BY place",
        {"detector": detector, "name": name or "", "anything": int(name is None)},
    )
    return [Version(row[0], row[1], msgspec.json.decode(row[2], type=Body), *row[3:]) for row in rows]


def by_name(versions: Sequence[Version]) -> dict[str, list[Version]]:
    """Versions by rule, rules in the order of their first version."""
    found: dict[str, list[Version]] = {}
    for version in versions:
        found.setdefault(version.name, []).append(version)
    return found


def bump_revision(transaction: Transaction, detector: str) -> None:
    """Bump the revision so that the followers of a detector reload."""
    transaction.run(
        "INSERT INTO rule_revisions (detector, revision) VALUES (:detector, 1)"
        " ON CONFLICT (detector) DO UPDATE SET revision = rule_revisions.revision + 1",
        {"detector": detector},
    )


def difference(before: Body | None, after: Body) -> dict[str, tuple[Any, Any]]:
    """The differences between two bodies by field, before and after.

    >>> difference(Body(when="amount > 3"), Body(when="amount > 5"))
    {'when': ('amount > 3', 'amount > 5')}
    """
    new = msgspec.to_builtins(after)
    old = dict.fromkeys(new) if before is None else msgspec.to_builtins(before)
    return {name: (old[name], new[name]) for name in new if old[name] != new[name]}


def in_state(versions: Sequence[Version], state: State) -> Version | None:
    """The version in this state, if there is one."""
    return next((version for version in versions if version.state == state), None)
