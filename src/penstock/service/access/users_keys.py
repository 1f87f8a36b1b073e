"""`/users` and `/keys`: administration of users and API keys. The last administrator stays; secrets are shown once, never
stored.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Annotated

import msgspec
from fastapi import Request
from msgspec import Meta

from penstock.clock import SECOND_US, system_clock
from penstock.database.sqlite import Database, DatabaseTransaction
from penstock.errors import MalformedEvent, resembling
from penstock.identity.administrators import keep_one
from penstock.identity.keys import ApiKey, Keys
from penstock.identity.roles import ROLES, Right
from penstock.identity.users import User, Users
from penstock.service.access.authorize import Access
from penstock.service.http.problems import RequestRefused
from penstock.service.http.requests import filled, who
from penstock.service.http.route import CHANGING, Body, Routes

_DAY_US = 86_400 * SECOND_US
_MOST_BYTES = 8192
_AT_ONCE = 2
"""Concurrent password hashes: see `session`."""

_TOKEN = {
    "parameters": [
        {
            "name": "X-Setup-Token",
            "in": "header",
            "description": "The token that the service printed when it started: for the first key or user of an open service.",
            "schema": {"type": "string"},
        }
    ]
}


Roles = Annotated[
    list[str],
    Meta(min_length=1, max_length=200, description=f"{', '.join(sorted(ROLES))}; for one detector alone: `analyst:payments`."),
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
    disabled: Annotated[bool, Meta(description="The user cannot sign in.")]
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
        str, Meta(max_length=1024, description="At least 12 characters.", extra_json_schema={"format": "password"})
    ]
    roles: Roles


class ChangeUser(msgspec.Struct, forbid_unknown_fields=True):
    """Changes to a user, applied all or none; fields left out stay unchanged."""

    roles: Roles | None = None
    disabled: Annotated[bool, Meta(description="Whether the user is kept out; sessions end at once.")] | None = None
    password: (
        Annotated[
            str,
            Meta(
                max_length=1024, description="At least 12 characters; sessions end.", extra_json_schema={"format": "password"}
            ),
        ]
        | None
    ) = None


def key_form(key: ApiKey, now_us: int) -> KeyForm:
    """The response form of a key."""
    expired = key.expires_us is not None and key.expires_us <= now_us
    state = "revoked" if key.revoked_us is not None else "expired" if expired else "valid"
    return filled(KeyForm, key, state=state)


def user_form(person: User, sessions: int) -> UserForm:
    """The response form of a user."""
    return filled(UserForm, person, disabled=person.disabled_us is not None, sessions=sessions)


class UsersAndKeys:
    """Changes users and keys; other services apply a change within a second, this one at once. detectors: their names here."""

    def __init__(self, office: Database, access: Access | None, detectors: Collection[str]) -> None:
        self.keys, self.people = Keys(office), Users(office)
        self.hashing = asyncio.Semaphore(_AT_ONCE)
        self._access = access
        self._detectors = detectors

    def check_roles(self, roles: Iterable[str]) -> None:
        """Refuse a role for a detector whose name is a misspelling of one that is served here.

        Another service with the same users may serve further detectors, so a name unlike all of them is accepted.

        Raises:
            MalformedEvent: a detector is misspelt.
        """
        for role in sorted(roles):
            _, _, detector = role.partition(":")
            if detector not in self._detectors and (meant := resembling(detector, self._detectors)) is not None:
                raise MalformedEvent(f"{role[:80]!r}: there is no detector {detector[:60]!r}. Did you mean {meant}?", "roles")

    def check(self, transaction: DatabaseTransaction) -> None:
        """Refuse a change that leaves no administrator, unless an identity provider may name one.

        Raises:
            Conflict: no administrator would be left.
        """
        if self._access is None or self._access.sign_on is None:
            keep_one(transaction)

    def making(self, request: Request) -> contextlib.AbstractContextManager[None]:
        """Guard the creation of a key or user: the first one needs the setup token.

        Raises:
            RequestRefused: 403 without it, 409 while another request shows it.
        """
        return contextlib.nullcontext() if self._access is None else self._access.making(request.scope)

    async def changed(self) -> None:
        """Apply a change in this process at once."""
        if self._access is not None:
            await self._access.refresh()

    def users(self) -> UserList:
        """All users; waits for the database."""
        known, sessions = self.people.all(), Counter(session.person for session in self.people.sessions())
        names = {person.name for person in known}
        elsewhere = {name: count for name, count in sorted(sessions.items()) if name not in names}
        return UserList([user_form(person, sessions[person.name]) for person in known], elsewhere)

    def shown(self, person: User) -> UserForm:
        """A user, with the number of their sessions."""
        return user_form(person, sum(session.person == person.name for session in self.people.sessions()))


# ---------------------------------------------------------------- routes

route = Routes("access")


@route("GET", "/keys", Right.ADMINISTER | Right.AUDIT)
async def list_keys(administration: UsersAndKeys, /) -> KeyList:
    """All API keys, without their secrets."""
    found = await asyncio.to_thread(administration.keys.all)
    return KeyList([key_form(key, system_clock()) for key in found])


@route("POST", "/keys", Right.ADMINISTER, refuses=CHANGING, status=201, most_bytes=_MOST_BYTES, extra=_TOKEN)
async def create_key(administration: UsersAndKeys, /, request: Request, body: Body[NewKey]) -> MadeKey:
    """Create an API key; only this answer shows it."""
    given, now = await body, system_clock()
    until = None if given.expires_in_days is None else now + round(given.expires_in_days * _DAY_US)
    add, by, check = administration.keys.add, who(request), administration.check
    administration.check_roles(given.roles)
    with administration.making(request):
        secret, key = await asyncio.to_thread(add, given.name, given.roles, expires_us=until, who=by, check=check)
        await administration.changed()
    return MadeKey(secret, key_form(key, now))


@route("DELETE", "/keys/{key_id}", Right.ADMINISTER, refuses=(404, 409))
async def revoke_key(administration: UsersAndKeys, /, key_id: str, request: Request) -> KeyForm:
    """Revoke a key."""
    revoke, by = administration.keys.revoke, who(request)
    found = await asyncio.to_thread(revoke, key_id, who=by, check=administration.check)
    await administration.changed()
    return key_form(found, system_clock())


@route("GET", "/users", Right.ADMINISTER | Right.AUDIT)
async def list_users(administration: UsersAndKeys, /) -> UserList:
    """All users, and those who signed in through the identity provider."""
    return await asyncio.to_thread(administration.users)


@route("POST", "/users", Right.ADMINISTER, refuses=CHANGING, status=201, most_bytes=_MOST_BYTES, extra=_TOKEN)
async def create_user(administration: UsersAndKeys, /, request: Request, body: Body[NewUser]) -> UserForm:
    """Add a user."""
    given, by = await body, who(request)
    add, check = administration.people.add, administration.check
    administration.check_roles(given.roles)
    with administration.making(request):
        async with administration.hashing:
            made = await asyncio.to_thread(add, given.name, given.password, given.roles, who=by, check=check)
        await administration.changed()
    return user_form(made, 0)


@route("PATCH", "/users/{name}", Right.ADMINISTER, refuses=CHANGING, most_bytes=_MOST_BYTES, required=True)
async def change_user(administration: UsersAndKeys, /, name: str, request: Request, body: Body[ChangeUser]) -> UserForm:
    """Change a user's roles, password, or whether they can sign in: all given fields, or none."""
    given = await body
    if given == ChangeUser():
        raise RequestRefused(422, "nothing is to be changed; give roles, disabled or password", [(None, "is empty")])
    administration.check_roles(given.roles or ())

    def changed() -> UserForm:
        person = administration.people.change(
            name,
            password=given.password,
            roles=given.roles,
            disabled=given.disabled,
            who=who(request),
            check=administration.check,
        )
        return administration.shown(person)

    async with administration.hashing:
        found = await asyncio.to_thread(changed)
    await administration.changed()
    return found
