"""Roles and their rights, in one table."""

import enum
import re
from collections.abc import Iterable
from typing import NamedTuple

from penstock.errors import MalformedEvent, did_you_mean


class Right(enum.Flag):
    """One right."""

    READ = enum.auto()
    """Read decisions, figures, features, rules and cases; request dry runs."""
    DECIDE = enum.auto()
    """Send transactions, events and labels of transactions; read their status."""
    LABEL = enum.auto()
    """Give labels and verdicts."""
    AUTHOR = enum.auto()
    """Write rules and lists, run backtests and shadow trials."""
    APPROVE = enum.auto()
    """Promote rules and models, and roll them back."""
    ADMINISTER = enum.auto()
    """Users, keys, the audit log, erasure."""
    PERSONAL = enum.auto()
    """See original personal values instead of masks."""
    OPERATE = enum.auto()
    """See how parts fare; work on quarantine, alerts and the delivery of webhooks."""
    AUDIT = enum.auto()
    """Read the audit log, and who has access; change nothing."""
    REVIEW = enum.auto()
    """Work on cases besides verdicts: open, take, assign, note and escalate them; acknowledge alerts."""


ANYBODY = Right(0)
"""For routes that need no key."""
SOMEBODY = ~ANYBODY
"""Any right: a valid key or session is enough."""

ROLES = {
    "viewer": Right.READ,
    "analyst": Right.READ | Right.LABEL | Right.REVIEW | Right.PERSONAL,
    "rule_author": Right.READ | Right.AUTHOR,
    "approver": Right.READ | Right.APPROVE,
    "administrator": Right.READ
    | Right.LABEL
    | Right.REVIEW
    | Right.AUTHOR
    | Right.APPROVE
    | Right.ADMINISTER
    | Right.PERSONAL
    | Right.OPERATE
    | Right.AUDIT,
    "decider": Right.DECIDE,
    "operator": Right.OPERATE,
    "auditor": Right.READ | Right.AUDIT,
    "labeler": Right.LABEL,
}
"""The rights of each role. Several roles have the rights of all of them; `decider` is for programs that send transactions,
`labeler` for those that send labels and verdicts.

A role may hold for one detector alone, as `analyst:payments`."""

_DETECTOR = re.compile(r"[a-z][a-z0-9_]{0,62}")


class Actor(NamedTuple):
    """The author of a request: the name of a user or key, and its roles, such as `viewer` and `analyst:payments`."""

    name: str
    roles: frozenset[str]


LOCAL = Actor("local", frozenset(ROLES))
"""The actor of work on the machine itself: the command line, and an open service on the loopback address."""


RESERVED = frozenset({"file", "guard", "local", "penstock", "registry", "service", "system"})
"""Names reserved for the program: no user and no key has one of them."""


def is_reserved(name: str) -> bool:
    """Whether a name is reserved for the program, or resembles such a name.

    >>> is_reserved("file"), is_reserved("File."), is_reserved("filer")
    (True, True, False)
    """
    return name.strip().strip("._@+-").casefold() in RESERVED


def user_name(name: str) -> str:
    """The name under which a user acts: marked if it is reserved, which data of version 0.1 may contain."""
    return f"user:{name}" if is_reserved(name) else name


def rights(roles: Iterable[str], detector: str | None = None) -> Right:
    """The rights of these roles for a detector; for every detector unless one is given.

    A role of another version of the program adds nothing.

    >>> Right.LABEL in rights(["viewer", "analyst"]), Right.DECIDE in rights(["administrator"])
    (True, False)
    >>> Right.LABEL in rights(["analyst:card"]), Right.LABEL in rights(["analyst:card"], "card")
    (False, True)
    """
    held = ANYBODY
    for role in roles:
        name, _, only = role.partition(":")
        if only in ("", detector):
            held |= ROLES.get(name, ANYBODY)
    return held


def rights_by_detector(roles: Iterable[str]) -> dict[str, Right]:
    """The rights for each detector that one of these roles is limited to.

    >>> rights_by_detector(["viewer", "labeler:card"])
    {'card': <Right.READ|LABEL: 5>}
    """
    limited = sorted({role.partition(":")[2] for role in roles} - {""})
    return {detector: rights(roles, detector) for detector in limited}


def known_roles(names: Iterable[str]) -> frozenset[str]:
    """The roles with these names, each for every detector or for one, as `analyst:payments`.

    Raises:
        MalformedEvent: none is given, or one is not a role.
    """
    found = frozenset(names)
    for given in sorted(found):
        name, limited, detector = given.partition(":")
        if name not in ROLES:
            raise MalformedEvent(f"there is no role {name!r}.{did_you_mean(name, ROLES)}", "roles")
        if limited and not _DETECTOR.fullmatch(detector):
            raise MalformedEvent(f"{given[:80]!r} names no detector; write {name}:DETECTOR, or {name} for all", "roles")
    if not found:
        raise MalformedEvent(f"at least one role is needed: {', '.join(ROLES)}", "roles")
    return found
