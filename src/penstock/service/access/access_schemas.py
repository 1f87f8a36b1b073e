"""Request and response schemas for users, API keys and the audit log."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from penstock.clock import iso
from penstock.governance.audit import Entry, Erasure, Head, Misfit
from penstock.identity.keys import Key
from penstock.identity.users import User

Roles = Annotated[
    list[str], Meta(min_length=1, max_length=20, description="administrator, analyst, approver, decider, rule_author, viewer.")
]
Instant = Annotated[str | None, Meta(description="ISO 8601, UTC; null where it did not happen.")]


class KeyForm(msgspec.Struct, frozen=True):
    """An API key, without its secret."""

    id: Annotated[str, Meta(description="The letters after `psk_`, by which people recognise it.")]
    name: Annotated[str, Meta(description="Of the program that shows it.")]
    roles: Roles
    state: Annotated[str, Meta(description="valid, expired or revoked.")]
    created_at: Annotated[str, Meta(description="When it was made.")]
    expires_at: Instant
    used_at: Annotated[str | None, Meta(description="When it was last shown, to half a minute; null where it never was.")]
    revoked_at: Instant


class KeyList(msgspec.Struct, frozen=True):
    """All API keys, revoked and expired ones included, newest first."""

    keys: Annotated[list[KeyForm], Meta(description="Without their secrets, which nobody keeps.")]


class NewKey(msgspec.Struct, forbid_unknown_fields=True):
    """An API key to create."""

    name: Annotated[str, Meta(min_length=1, max_length=100, description="Letters, digits and . _ @ + -")]
    roles: Roles
    expires_in_days: Annotated[float, Meta(gt=0, le=36500, description="For ever unless given.")] | None = None


class MadeKey(msgspec.Struct, frozen=True):
    """A created API key with its secret."""

    secret: Annotated[str, Meta(description="The key itself. It is shown this once and kept nowhere.")]
    key: Annotated[KeyForm, Meta(description="What is kept of it.")]


class UserForm(msgspec.Struct, frozen=True):
    """A user."""

    name: Annotated[str, Meta(description="With which one signs in.")]
    roles: Roles
    disabled: Annotated[bool, Meta(description="Is not let in any more.")]
    created_at: Annotated[str, Meta(description="When the user was added.")]
    disabled_at: Instant
    sessions: Annotated[int, Meta(description="Sessions that have not ended.")]


class UserList(msgspec.Struct, frozen=True):
    """All users, sorted by name."""

    users: Annotated[list[UserForm], Meta(description="Those who have a password here.")]
    elsewhere: Annotated[dict[str, int], Meta(description="Sessions of people who signed in at an identity provider, by name.")]


class NewUser(msgspec.Struct, forbid_unknown_fields=True):
    """A user to add."""

    name: Annotated[str, Meta(min_length=1, max_length=100, description="Letters, digits and . _ @ + -")]
    password: Annotated[
        str, Meta(max_length=1024, description="At least 12 letters.", extra_json_schema={"format": "password"})
    ]
    roles: Roles


class ChangeUser(msgspec.Struct, forbid_unknown_fields=True):
    """Changes to a user, applied all or none; fields left out stay unchanged."""

    roles: Roles | None = None
    disabled: Annotated[bool, Meta(description="Whether the user is kept out; sessions end at once.")] | None = None
    password: (
        Annotated[
            str,
            Meta(max_length=1024, description="At least 12 letters; sessions end.", extra_json_schema={"format": "password"}),
        ]
        | None
    ) = None


class ChangedField(msgspec.Struct, frozen=True):
    """The value of a field before and after a change."""

    field: Annotated[str, Meta(description="The field.")]
    before: Annotated[Any, Meta(description="Null where there was nothing.")]
    after: Annotated[Any, Meta(description="Null where there is nothing any more.")]


class AuditEntry(msgspec.Struct, frozen=True):
    """One entry of the audit log."""

    seq: Annotated[int, Meta(description="Its number in the log, from 1, without gaps.")]
    at: Annotated[str, Meta(description="When it was made.")]
    actor: Annotated[str, Meta(description="The user, `key:NAME`, or `local` for whoever worked on the machine itself.")]
    action: Annotated[str, Meta(description="What was done, as noun.verb: `keys.add`.")]
    subject: Annotated[str, Meta(description="What it was done to: `keys/3fa9`.")]
    details: Annotated[dict[str, Any] | None, Meta(description="What was changed, and why; null where that was erased.")]
    diff: Annotated[list[ChangedField], Meta(description="What was changed, where it is known what was there before.")]
    hash: Annotated[str, Meta(description="SHA-256 over this entry and the hash of the one before it.")]


class AuditPage(msgspec.Struct, frozen=True):
    """One page of the audit log, newest first."""

    entries: Annotated[list[AuditEntry], Meta(description="Newest first.")]
    next: Annotated[int | None, Meta(description="`before` of the next page; null where there is none.")]


class AuditMisfit(msgspec.Struct, frozen=True):
    """The first entry that breaks the hash chain."""

    seq: Annotated[int, Meta(description="Its number.")]
    reason: Annotated[str, Meta(description="Why it does not fit.")]


class AuditErasure(msgspec.Struct, frozen=True):
    """Details that were erased on request; the chain stays valid without them."""

    at: Annotated[str, Meta(description="When.")]
    actor: Annotated[str, Meta(description="By whom.")]
    subject: Annotated[str, Meta(description="About what.")]
    entries: Annotated[list[int], Meta(description="The numbers of the entries that lost their details.")]


class AuditCheck(msgspec.Struct, frozen=True):
    """The result of verifying the whole chain."""

    intact: Annotated[bool, Meta(description="No entry was changed, removed or put in.")]
    entries: Annotated[int, Meta(description="How many there are.")]
    head: Annotated[str, Meta(description="The hash over all of them. Kept elsewhere, it shows that the log was not replaced.")]
    misfit: Annotated[AuditMisfit | None, Meta(description="The first entry that does not fit.")]
    erased: Annotated[list[AuditErasure], Meta(description="Details that were erased, the oldest first.")]
    took_ms: Annotated[float, Meta(description="How long the check took.")]


FORMS = (KeyList, NewKey, MadeKey, KeyForm, UserList, UserForm, NewUser, ChangeUser, AuditPage, AuditCheck)
"""Schemas for the OpenAPI document."""


def key_form(key: Key, now_us: int) -> KeyForm:
    """The response form of a key."""
    expired = key.expires_us is not None and key.expires_us <= now_us
    state = "revoked" if key.revoked_us is not None else "expired" if expired else "valid"
    times = (instant(us) for us in (key.expires_us, key.used_us, key.revoked_us))
    return KeyForm(key.id, key.name, key.roles, state, iso(key.created_us), *times)


def user_form(person: User, sessions: int) -> UserForm:
    """The response form of a user."""
    disabled_at = instant(person.disabled_us)
    return UserForm(person.name, person.roles, disabled_at is not None, iso(person.created_us), disabled_at, sessions)


def entry_form(entry: Entry) -> AuditEntry:
    """The response form of an audit entry."""
    return AuditEntry(
        seq=entry.seq,
        at=iso(entry.at_us),
        actor=entry.who,
        action=entry.action,
        subject=entry.subject,
        details=entry.details,
        diff=_diff(entry),
        hash=entry.hash,
    )


def _diff(entry: Entry) -> list[ChangedField]:
    """The before and after of an entry: `changed` by field, or a state (a case: its queue) as `from` and `to`."""
    details = entry.details or {}
    changed = details.get("changed")
    found = [ChangedField(name, *pair) for name, pair in changed.items()] if isinstance(changed, dict) else []
    if {"from", "to"} <= details.keys():
        found.append(ChangedField("queue" if entry.action == "cases.escalate" else "state", details["from"], details["to"]))
    return found


def check_form(misfit: Misfit | None, head: Head, erasures: list[Erasure], took_ms: float) -> AuditCheck:
    """The response form of a chain verification."""
    return AuditCheck(
        intact=misfit is None,
        entries=head.seq,
        head=head.hash,
        misfit=None if misfit is None else AuditMisfit(misfit.seq, misfit.reason),
        erased=[AuditErasure(iso(each.at_us), each.who, each.subject, each.entries) for each in erasures],
        took_ms=took_ms,
    )


def instant(us: int | None) -> str | None:
    """An instant as ISO 8601."""
    return None if us is None else iso(us)
