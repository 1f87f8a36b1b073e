"""Versions of rules: what each says, what it is doing, and which of them act or watch."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

State = Literal["draft", "shadow", "rollout", "active", "paused", "archived"]

CANDIDATE = ("shadow", "rollout")
"""The states of a version that is being tried."""

COLUMNS = "name, version, body, author, note, at_us, state, percent, share_of, was_active"
"""Of a version, in the order of its fields."""


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """What a version of a rule says: the arguments of `penstock.Rule` but its name."""

    when: str
    then: str = "review"
    reason: str | None = None
    code: str = ""
    hard: bool = False


class Version(msgspec.Struct, frozen=True):
    """One version of a rule. percent, share_of: of a rollout. was_active: when it last became active, in order; 0: never."""

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


class Acting(NamedTuple):
    """A version that is to be compiled: where it acts, from `begin` to `end` per cent of the keys of `share_of`.

    name: of the rule; of a candidate, with its version behind it. begin, end: equal where it only watches.
    """

    name: str
    rule: str
    body: Body
    begin: float
    end: float
    share_of: str | None


def acting(versions: Sequence[Version]) -> list[Acting]:
    """Everything among these that acts or watches."""
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
    """A version as it is before it acts anywhere."""
    return Acting(f"{version.name}_v{version.version}", version.name, version.body, 0.0, 0.0, None)


def read_versions(read: Callable[..., list[tuple[Any, ...]]], detector: str, name: str | None = None) -> list[Version]:
    """All versions of a detector's rules, or of one rule, the oldest first."""
    rows = read(
        f"SELECT {COLUMNS} FROM rule_versions WHERE detector = :detector"  # noqa: S608  constants
        " AND (name = :name OR :anything = 1) ORDER BY place",
        {"detector": detector, "name": name or "", "anything": int(name is None)},
    )
    return [Version(row[0], row[1], msgspec.json.decode(row[2], type=Body), *row[3:]) for row in rows]


def by_name(versions: Sequence[Version]) -> dict[str, list[Version]]:
    """Versions by rule, rules in the order in which they first came."""
    found: dict[str, list[Version]] = {}
    for version in versions:
        found.setdefault(version.name, []).append(version)
    return found


def in_state(versions: Sequence[Version], state: State) -> Version | None:
    """The version in this state, if there is one."""
    return next((version for version in versions if version.state == state), None)
