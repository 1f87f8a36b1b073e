"""`/users` and `/keys`: administration of users and API keys. The last administrator stays; secrets are shown once, never
stored.
"""

import asyncio
import contextlib
from collections import Counter

import msgspec
from fastapi import FastAPI, Request, Response

from penstock.clock import SECOND_US, system_clock
from penstock.database.sqlite import Database, Transaction
from penstock.identity.administrators import keep_one
from penstock.identity.keys import Keys
from penstock.identity.users import User, Users
from penstock.service.access.access_schemas import ChangeUser, NewKey, NewUser, UserForm, key_form, user_form
from penstock.service.access.authorize import Access
from penstock.service.http.openapi import answers, requires
from penstock.service.http.problems import RequestRefused
from penstock.service.http.requests import parse_body, who

_DAY_US = 86_400 * SECOND_US
_MOST_BYTES = 8192
_AT_ONCE = 2
"""Concurrent password hashes: see `session`."""

_REFUSED = (400, 404, 408, 409, 413, 415)

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


def add_routes(routes: FastAPI, office: Database, access: Access | None) -> None:
    """Add the routes, over this office."""
    administration = Administration(office, access)
    _add_keys(routes, administration)
    _add_users(routes, administration)


class Administration:
    """Changes users and keys; other services apply a change within a second, this one at once."""

    def __init__(self, office: Database, access: Access | None) -> None:
        self.keys, self.people = Keys(office), Users(office)
        self.hashing = asyncio.Semaphore(_AT_ONCE)
        self._access = access

    def check(self, transaction: Transaction) -> None:
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

    def shown(self, person: User) -> UserForm:
        """A user, with the number of their sessions."""
        return user_form(person, sum(session.person == person.name for session in self.people.sessions()))


def _add_keys(routes: FastAPI, administration: Administration) -> None:
    keys = administration.keys

    @routes.get("/keys", tags=["access"], responses=answers("KeyList"))
    async def key_list() -> Response:
        """All API keys, without their secrets."""
        found = await asyncio.to_thread(keys.all)
        return _private({"keys": [key_form(key, system_clock()) for key in found]})

    @routes.post(
        "/keys",
        tags=["access"],
        status_code=201,
        responses=answers("MadeKey", *_REFUSED, status=201),
        openapi_extra=requires("NewKey") | _TOKEN,
    )
    async def add_key(request: Request) -> Response:
        """Create an API key; only this answer shows it."""
        given, now = await parse_body(request, NewKey, _MOST_BYTES), system_clock()
        until = None if given.expires_in_days is None else now + round(given.expires_in_days * _DAY_US)

        def added() -> dict[str, object]:
            secret, key = keys.add(given.name, given.roles, expires_us=until, who=who(request), check=administration.check)
            return {"secret": secret, "key": key_form(key, now)}

        with administration.making(request):
            made = await asyncio.to_thread(added)
            await administration.changed()
        return _private(made, 201)

    @routes.delete("/keys/{key_id}", tags=["access"], responses=answers("KeyForm", 404, 409))
    async def revoke_key(key_id: str, request: Request) -> Response:
        """Revoke a key."""

        def revoked() -> object:
            return key_form(keys.revoke(key_id, who=who(request), check=administration.check), system_clock())

        found = await asyncio.to_thread(revoked)
        await administration.changed()
        return _private(found)


def _add_users(routes: FastAPI, administration: Administration) -> None:
    people = administration.people

    @routes.get("/users", tags=["access"], responses=answers("UserList"))
    async def user_list() -> Response:
        """All users, and those who signed in through the identity provider."""

        def found() -> dict[str, object]:
            known, sessions = people.all(), Counter(session.person for session in people.sessions())
            names = {person.name for person in known}
            elsewhere = {name: count for name, count in sorted(sessions.items()) if name not in names}
            return {"users": [user_form(person, sessions[person.name]) for person in known], "elsewhere": elsewhere}

        return _private(await asyncio.to_thread(found))

    @routes.post(
        "/users",
        tags=["access"],
        status_code=201,
        responses=answers("UserForm", *_REFUSED, status=201),
        openapi_extra=requires("NewUser") | _TOKEN,
    )
    async def add_user(request: Request) -> Response:
        """Add a user."""
        given = await parse_body(request, NewUser, _MOST_BYTES)

        def added() -> UserForm:
            return user_form(
                people.add(given.name, given.password, given.roles, who=who(request), check=administration.check), 0
            )

        with administration.making(request):
            async with administration.hashing:
                made = await asyncio.to_thread(added)
            await administration.changed()
        return _private(made, 201)

    @routes.patch(
        "/users/{name}", tags=["access"], responses=answers("UserForm", *_REFUSED), openapi_extra=requires("ChangeUser")
    )
    async def change_user(name: str, request: Request) -> Response:
        """Change a user's roles, password, or whether they can sign in: all given fields, or none."""
        given = await parse_body(request, ChangeUser, _MOST_BYTES)
        if given == ChangeUser():
            raise RequestRefused(422, "nothing is to be changed; give roles, disabled or password", [(None, "is empty")])

        def changed() -> UserForm:
            person = people.change(
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
        return _private(found)


def _private(found: object, status: int = 200) -> Response:
    """JSON that caches must not store."""
    body = msgspec.json.encode(found)
    return Response(body, status_code=status, media_type="application/json", headers={"cache-control": "no-store"})
